"""How fast a stack predicts, from words to labels, against a plain loop over `adapters`.

    python benchmarks/predict.py [--every 2] [--rounds 2] [--tasks pos dp]

Both read the words of every second sentence of the Wolof test set with the same base of mBERT's size, bilingual and
task adapter (random weights), in turn. Ours is `BilingualStack.predict`. The peer is what `adapters`' users write:
batches of 32 in file order, padded to the longest of the batch, one tokenizer call a batch, `torch.no_grad`; for DP
the stock head and, as in run_udp.py, the best head of each word and the best relation on that arc. The tags of both
have to be the same in fp32; the parser's need not be, since ours makes a tree. Where this machine is best at bf16, ours
predicts in that too, against the same loop; how near the tags are then is a matter of trained weights, and a test.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from measuring import Row, report, say, seconds, times_the_rate
from plain import encoded_for_parsing, model_on, to_predict
from sized import place, publish_ba, publish_ta, write_base

from badx_hub.modeling.base import resolve_base
from badx_hub.modeling.device import default_device
from badx_hub.modeling.loading import load_tokenizer
from badx_hub.modeling.precision import DTYPES, settled
from badx_hub.recipes import Precision
from badx_hub.registry import Entry, Registry, open_registry
from badx_hub.stack import load_entries
from badx_hub.tasks import task_named
from badx_hub.tasks.labels import UNIVERSAL
from badx_hub.tasks.pos import UPOS

DATA = "demo:ud/UD_Wolof-WTB"
BATCH = 32
TARGETS: Mapping[str, Mapping[Precision, float]] = {
    "pos": {"fp32": 1.8, "bf16": 3.5},
    "dp": {"fp32": 1.8, "bf16": 5.0},
}

Words = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Peer:
    """A model of plain `adapters` and its tokenizer."""

    model: Any
    tokenizer: Any

    def tags(self, sentences: Words) -> list[list[str]]:
        """A tag a word, read off its first sub-word."""
        return [tags for batch in _batches(sentences) for tags in self._tagged(batch)]

    def trees(self, sentences: Words) -> list[list[tuple[int, str]]]:
        """A head and a relation a word."""
        return [words for batch in _batches(sentences) for words in self._parsed(batch)]

    def _tagged(self, sentences: Words) -> Iterator[list[str]]:
        given = [list(words) for words in sentences]
        inputs = self.tokenizer(given, is_split_into_words=True, padding=True, truncation=True, return_tensors="pt")
        with torch.no_grad():
            best = self.model(**inputs.to(self.model.device)).logits.argmax(-1).tolist()
        for row, ids in enumerate(best):
            owners = inputs.word_ids(batch_index=row)
            firsts = {owner: at for at, owner in reversed(list(enumerate(owners))) if owner is not None}
            yield [UPOS[ids[firsts[word]]] for word in range(len(given[row]))]

    def _parsed(self, sentences: Words) -> Iterator[list[tuple[int, str]]]:
        encoded = encoded_for_parsing(sentences, self.tokenizer, padding=True)
        inputs = {key: torch.tensor(rows, device=self.model.device) for key, rows in encoded.items()}
        with torch.no_grad():
            output = self.model(**inputs)
        for row, words in enumerate(sentences):
            heads = output.arc_preds[row, : len(words), : len(words) + 1].argmax(-1)
            relations = output.rel_preds[row, torch.arange(len(words)), heads].argmax(-1)
            yield [(head, UNIVERSAL[name]) for head, name in zip(heads.tolist(), relations.tolist(), strict=True)]


def _batches(sentences: Words) -> Iterator[Words]:
    return (sentences[start : start + BATCH] for start in range(0, len(sentences), BATCH))


def measured(task: str, base: Path, registry: Registry, ba: Entry, sentences: Words, rounds: int) -> list[Row]:
    """The median rates of either side, ours in each precision of this machine; in fp32 the tags have to agree."""
    ta = publish_ta(registry, base, ba, task)
    precisions: tuple[Precision, ...] = ("fp32", "bf16") if settled("auto") == "bf16" else ("fp32",)
    stacks = {one: load_entries([ba, ta], registry, dtype=DTYPES[one]) for one in precisions}
    model = to_predict(model_on(base, registry.fetch(ba), task), registry.fetch(ta)).to(default_device())
    peer = Peer(model, load_tokenizer(resolve_base(str(base))))
    predict: Callable[[Words], Any] = peer.tags if task == "pos" else peer.trees
    found: dict[str, Any] = {}
    calls: dict[str, Callable[[], None]] = {
        one: lambda one=one: found.update({one: stacks[one].predict(sentences)})  # type: ignore[misc]
        for one in precisions
    }
    calls["peer"] = lambda: found.update(peer=predict(sentences))
    times: dict[str, list[float]] = {side: [] for side in calls}
    for number in range(rounds + 1):  # The first round warms up.
        for side, call in calls.items():
            took = seconds(call)
            times[side] += [took] if number else []
    if task == "pos" and found["fp32"] != tuple(map(tuple, found["peer"])):
        raise SystemExit("the tags of the stack and of the plain loop differ")
    say(f"{task}: " + ", ".join(f"{side} {median(column):.1f} s" for side, column in times.items()))
    return [
        times_the_rate(
            f"predict, {task.upper()}, WTB test, from words to labels" + (", bf16" if one == "bf16" else ""),
            f"plain adapters loop, batch {BATCH}, file order",
            "sentences/s",
            len(sentences) / median(times[one]),
            len(sentences) / median(times["peer"]),
            TARGETS[task][one],
            f"{len(sentences)} sentences, default batch size",
        )
        for one in precisions
    ]


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--tasks", nargs="+", choices=["pos", "dp"], default=["pos", "dp"])
    options = parser.parse_args()
    sentences = [sentence.words for sentence in task_named("pos").read(DATA, "test")[:: options.every]]
    with place() as folder:
        base, registry = write_base(folder / "mbert-size"), open_registry(folder / "registry")
        ba = publish_ba(registry, base)
        rows = [row for task in options.tasks for row in measured(task, base, registry, ba, sentences, options.rounds)]
    report(*rows)


if __name__ == "__main__":
    main()

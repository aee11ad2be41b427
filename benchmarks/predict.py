"""How fast a stack predicts, from words to labels, against a plain loop over `adapters`.

    python benchmarks/predict.py [--every 2] [--rounds 2] [--tasks pos dp]

Both read the words of every second sentence of the Wolof test set with the same base of mBERT's size, bilingual and
task adapter (random weights), in turn. Ours is `BilingualStack.predict`. The peer is what `adapters`' users write:
batches of 32 in file order, padded to the longest of the batch, one tokenizer call a batch, `torch.no_grad`; for DP
the stock head and, as in run_udp.py, the best head of each word and the best relation on that arc. The tags of both
have to be the same; the parser's need not be, since ours makes a tree.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from measuring import Row, alternating, medians, report, say, times_the_rate
from plain import encoded_for_parsing, model_on, to_predict
from sized import place, publish_ba, publish_ta, write_base

from badx_hub.modeling.base import resolve_base
from badx_hub.modeling.models import load_tokenizer
from badx_hub.registry import Entry, Registry, open_registry
from badx_hub.stack import load_entries
from badx_hub.tasks import task_named
from badx_hub.tasks.labels import UNIVERSAL
from badx_hub.tasks.pos import UPOS

DATA = "demo:ud/UD_Wolof-WTB"
BATCH, TARGET = 32, 1.8

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
            best = self.model(**inputs).logits.argmax(-1).tolist()
        for row, ids in enumerate(best):
            owners = inputs.word_ids(batch_index=row)
            firsts = {owner: at for at, owner in reversed(list(enumerate(owners))) if owner is not None}
            yield [UPOS[ids[firsts[word]]] for word in range(len(given[row]))]

    def _parsed(self, sentences: Words) -> Iterator[list[tuple[int, str]]]:
        encoded = encoded_for_parsing(sentences, self.tokenizer, padding=True)
        inputs = {key: torch.tensor(rows) for key, rows in encoded.items()}
        with torch.no_grad():
            output = self.model(**inputs)
        for row, words in enumerate(sentences):
            heads = output.arc_preds[row, : len(words), : len(words) + 1].argmax(-1)
            relations = output.rel_preds[row, torch.arange(len(words)), heads].argmax(-1)
            yield [(head, UNIVERSAL[name]) for head, name in zip(heads.tolist(), relations.tolist(), strict=True)]


def _batches(sentences: Words) -> Iterator[Words]:
    return (sentences[start : start + BATCH] for start in range(0, len(sentences), BATCH))


def measured(task: str, base: Path, registry: Registry, ba: Entry, sentences: Words, rounds: int) -> Row:
    """The median rates of either side, and how many words they agree about."""
    ta = publish_ta(registry, base, ba, task)
    stack = load_entries([ba, ta], registry)
    model = to_predict(model_on(base, registry.fetch(ba), task), registry.fetch(ta))
    peer = Peer(model, load_tokenizer(resolve_base(str(base))))
    predict: Callable[[Words], Any] = peer.tags if task == "pos" else peer.trees
    found: dict[str, Any] = {}
    own, other = medians(
        alternating(
            lambda: found.update(ours=stack.predict(sentences)), lambda: found.update(peer=predict(sentences)), rounds
        )
    )
    if task == "pos" and found["ours"] != tuple(map(tuple, found["peer"])):
        raise SystemExit("the tags of the stack and of the plain loop differ")
    say(f"{task}: ours {own:.1f} s, peer {other:.1f} s")
    return times_the_rate(
        f"predict, {task.upper()}, WTB test, from words to labels",
        f"plain adapters loop, batch {BATCH}, file order",
        "sentences/s",
        len(sentences) / own,
        len(sentences) / other,
        TARGET,
        f"{len(sentences)} sentences, default batch size",
    )


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
        rows = [measured(task, base, registry, ba, sentences, options.rounds) for task in options.tasks]
    report(*rows)


if __name__ == "__main__":
    main()

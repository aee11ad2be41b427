"""How many sentences a second the training of a task adapter reads: our loop against `AdapterTrainer`.

    python benchmarks/ta.py [--sentences 128] [--rounds 2] [--tasks pos dp]

Both train a task adapter on a bilingual one at mBERT's size (random weights) for one epoch of the same English
sentences, in batches of 8, in turn; what counts is the time from the start of the first step to the end of the last.
Ours is `train_task_adapter` with the paper's recipe. The peer is what `adapters`' users run: for POS a `DataLoader` in
random order over the encoding of run_ner.py, padded to the longest of the batch; for DP the stock head, on inputs that
are padded to 128 sub-words, as in run_udp.py. Longer sentences, which that script leaves out, are not drawn.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from adapters import AdapterTrainer
from datasets import Dataset
from measuring import Row, report, say, times_the_rate
from plain import PARSER_LENGTH, encoded_for_parsing, encoded_for_tagging, filled, model_on, to_train
from sized import place, publish_ba, write_base
from transformers import DataCollatorForTokenClassification, TrainerCallback, TrainingArguments

from badx_hub.data.conllu import Sentence, to_conllu
from badx_hub.languages import pair
from badx_hub.modeling.base import resolve_base
from badx_hub.modeling.loading import load_tokenizer
from badx_hub.modeling.precision import settled
from badx_hub.recipes import Precision, load_recipe, override
from badx_hub.registry import Entry, Registry, open_registry
from badx_hub.tasks import task_named
from badx_hub.tasks.labels import UNIVERSAL
from badx_hub.tasks.pos import UPOS
from badx_hub.training.loop import Silent
from badx_hub.training.task_adapter import train_task_adapter

DATA = "demo:ud/UD_English-EWT"
BATCH, SEED = 8, 1
PEERS: Mapping[str, tuple[str, Mapping[Precision, float]]] = {
    "pos": ("AdapterTrainer, encoding of run_ner.py", {"fp32": 1.5, "bf16": 2.5}),
    "dp": (f"AdapterTrainer, stock head, padded to {PARSER_LENGTH} as run_udp.py", {"fp32": 3.5, "bf16": 8.0}),
}
"""What we are compared with, and the targets by our precision; the peer is in fp32."""


@dataclass(frozen=True)
class World:
    """A base and a bilingual adapter, and the sentences to train on, in memory and as a treebank."""

    base: Path
    registry: Registry
    ba: Entry
    sentences: Sequence[Sentence]
    data: Path

    @property
    def steps(self) -> int:
        """Of one epoch."""
        return -(-len(self.sentences) // BATCH)


class Clock(Silent):
    """The seconds of our loop's steps, as its reporter."""

    began = ended = 0.0

    def started(self, steps: int, done: int, unit: str) -> None:
        self.began = time.perf_counter()

    def stepped(self, step: int, loss: float, units: int) -> None:
        self.ended = time.perf_counter()

    @property
    def seconds(self) -> float:
        return self.ended - self.began


class PeersClock(Clock, TrainerCallback):
    """The same of the peer's, as its callback."""

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.began = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.ended = time.perf_counter()


def drawn(base: Path, count: int) -> list[Sentence]:
    """Sentences of the training data, at random, none of them too long for the peer's parser."""
    task = task_named("dp")
    sentences = task.read(DATA, "train")
    windows = task.encode(sentences, load_tokenizer(resolve_base(str(base))), 512)
    short = [one for one, window in zip(sentences, windows, strict=True) if len(window) < PARSER_LENGTH]
    return random.Random(SEED).sample(short, count)


def written(folder: Path, sentences: Sequence[Sentence]) -> Path:
    """The sentences as a treebank to train on, and one of them to be judged on when the clock has stopped."""
    folder.mkdir()
    for split, chosen in (("train", sentences), ("dev", sentences[:1])):
        (folder / f"en-ud-{split}.conllu").write_text("".join(map(to_conllu, chosen)), encoding="utf-8")
    return folder


def ours(world: World, task: str, precision: Precision) -> float:
    """Seconds of an epoch of our training."""
    recipe = override(
        load_recipe("paper").tasks[task],
        {"steps": world.steps, "batch_size": BATCH, "eval_every": world.steps, "save_every": 0, "seed": SEED}
        | {"precision": precision},
    )
    clock = Clock()
    train_task_adapter(
        pair("en", "wo"),
        task,
        recipe,
        data=str(world.data),
        registry=world.registry,
        base=str(world.base),
        force=True,
        reporter=clock,
    )
    return clock.seconds


def peers(world: World, task: str) -> float:
    """Seconds of an epoch of the peer's training."""
    labels = UPOS if task == "pos" else UNIVERSAL
    model = to_train(model_on(world.base, world.registry.fetch(world.ba), task), task, len(labels))
    tokenizer, clock = load_tokenizer(resolve_base(str(world.base))), PeersClock()
    arguments = TrainingArguments(
        output_dir=str(world.base.parent / "trainer"),
        num_train_epochs=1,
        per_device_train_batch_size=BATCH,
        learning_rate=5e-5,
        seed=SEED,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
    )
    AdapterTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict(_inputs(world.sentences, task, tokenizer, labels)),
        data_collator=DataCollatorForTokenClassification(tokenizer) if task == "pos" else None,
        callbacks=[clock],
    ).train()
    return clock.seconds


def _inputs(sentences: Sequence[Sentence], task: str, tokenizer: Any, labels: Sequence[str]) -> dict[str, Any]:
    words, ids = [sentence.words for sentence in sentences], {label: index for index, label in enumerate(labels)}
    if task == "pos":
        return encoded_for_tagging(words, tokenizer, [[ids[tag] for tag in one.upos] for one in sentences])
    return {
        **encoded_for_parsing(words, tokenizer),
        "labels_arcs": [filled([head or 0 for head in one.heads], PARSER_LENGTH) for one in sentences],
        "labels_rels": [filled([ids[name] for name in one.deprels], PARSER_LENGTH) for one in sentences],
    }


def measured(world: World, task: str, rounds: int) -> list[Row]:
    """The median rates of either side over epochs that take turns, ours in each precision of this machine."""
    precisions: tuple[Precision, ...] = ("fp32", "bf16") if settled("auto") == "bf16" else ("fp32",)
    sides: dict[str, Callable[[], float]] = {one: partial(ours, world, task, one) for one in precisions}
    sides["peer"] = partial(peers, world, task)
    rates: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(1, rounds + 1):
        for side, train in sides.items():
            rates[side].append(len(world.sentences) / train())
        told = ", ".join(f"{side} {found[-1]:.2f}" for side, found in rates.items())
        say(f"{task} {number}: {told} sentences/s")
    against, targets = PEERS[task]
    note = f"{rounds} epochs of {len(world.sentences)} sentences a side"
    return [
        times_the_rate(
            f"TA training, {task.upper()}, EWT, batch {BATCH}" + (", bf16" if one == "bf16" else ""),
            against,
            "sentences/s",
            median(rates[one]),
            median(rates["peer"]),
            targets[one],
            note,
        )
        for one in precisions
    ]


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sentences", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--tasks", nargs="+", choices=sorted(PEERS), default=["pos", "dp"])
    options = parser.parse_args()
    with place() as folder, redirect_stdout(sys.stderr):  # AdapterTrainer prints its log.
        base, registry = write_base(folder / "mbert-size"), open_registry(folder / "registry")
        sentences = drawn(base, options.sentences)
        world = World(base, registry, publish_ba(registry, base), sentences, written(folder / "data", sentences))
        rows = [row for task in options.tasks for row in measured(world, task, options.rounds)]
    report(*rows)


if __name__ == "__main__":
    main()

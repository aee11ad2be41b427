"""How soon the first training step on 1 GB of text is done, with no cache, and in what memory.

    python benchmarks/first_step.py [--megabytes 1024] [--peer-megabytes 8 16 32]

Ours is `train_language_adapter` on the whole file at mBERT size (8 blocks of 128 tokens), timed from the start of its
process to the end of the first optimizer step: imports, the text's and the base's digests, packing, loading and the
step are all in it. The peer is what run_mlm.py of transformers does before its first batch is there: `load_dataset`
with 5 % split off for validation, `map` that tokenises and `map` that groups, and a batch of the data loader; no model
is loaded and no step is made. On 1 GB that takes longer than all other benchmarks may, so the peer runs on parts of the
same file, and its figure is the line through these points, put to 1 GB; the row's note has the points.

The text is the embedded English one, each line followed by another, so that no two lines are the same. Every run has
empty caches of its own; the file itself is in the page cache for both sides, as it has just been written.
"""

from __future__ import annotations

import argparse
import gzip
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from measuring import Row, at_most, high_water, report, say, times_faster

MEGABYTE = 2**20
BATCH, LENGTH = 8, 128
FRACTION = 5
"""Percent of the text held out, by both sides."""
LIMIT_MB = 1000.0


def write_text(path: Path, megabytes: int) -> Path:
    """A text file of that size: lines of the embedded text in pairs, each pair once."""
    left = megabytes * MEGABYTE
    with path.open("wb") as stream:
        for line in _pairs():
            left -= stream.write(line[:left])
            if not left:
                return path
    raise ValueError(f"The embedded text makes no {megabytes} MB.")


def _pairs() -> Iterator[bytes]:
    from badx_hub.data.demo_data import embedded

    with gzip.open(embedded("demo:text/en.txt.gz")) as stream:
        lines = list(dict.fromkeys(filter(None, (line.strip() for line in stream))))
    for shift in range(1, len(lines)):
        for first, second in zip(lines, lines[shift:] + lines[:shift], strict=True):
            yield first + b" " + second + b"\n"


class FirstStepEndedError(Exception):
    """The first optimizer step has ended: what comes after it is not measured."""


def ours(text: Path, base: Path, home: Path) -> None:
    """Train an LA on `text`, up to the first step."""
    os.environ["BADX_HUB_HOME"] = str(home)
    from badx_hub.languages import Mixture
    from badx_hub.recipes import load_recipe, override
    from badx_hub.registry import open_registry
    from badx_hub.training.language_adapter import train_language_adapter
    from badx_hub.training.loop import Silent

    class UpToOne(Silent):
        def stepped(self, step: int, loss: float, units: int) -> None:
            raise FirstStepEndedError

    recipe = override(load_recipe("paper").language, {"batch_size": BATCH, "max_length": LENGTH})
    try:
        train_language_adapter(
            Mixture.parse("en"),
            recipe,
            registry=open_registry(home / "registry"),
            base=str(base),
            text={"en": str(text)},
            reporter=UpToOne(),
        )
    except FirstStepEndedError:
        return
    raise AssertionError("no step was made")


def run_mlm(text: Path, base: Path, home: Path) -> None:
    """What run_mlm.py does with `--train_file text --max_seq_length 128`, up to the first batch."""
    from datasets import load_dataset
    from torch.utils.data import DataLoader
    from transformers import AutoTokenizer, DataCollatorForLanguageModeling

    files = {"train": str(text)}
    raw = load_dataset("text", data_files=files, cache_dir=str(home))
    for split, part in (("validation", f"train[:{FRACTION}%]"), ("train", f"train[{FRACTION}%:]")):
        raw[split] = load_dataset("text", data_files=files, split=part, cache_dir=str(home))
    tokenizer = AutoTokenizer.from_pretrained(base)

    def tokenize_function(examples: Mapping[str, Any]) -> Any:
        return tokenizer(examples["text"], return_special_tokens_mask=True)

    def group_texts(examples: Mapping[str, Any]) -> Any:
        joined = {key: [one for line in examples[key] for one in line] for key in examples}
        total = len(joined["input_ids"]) // LENGTH * LENGTH
        return {key: [all_[i : i + LENGTH] for i in range(0, total, LENGTH)] for key, all_ in joined.items()}

    tokenized = raw.map(tokenize_function, batched=True, remove_columns=["text"])
    grouped = tokenized.map(group_texts, batched=True)
    collator = DataCollatorForLanguageModeling(tokenizer)
    next(iter(DataLoader(grouped["train"], batch_size=BATCH, shuffle=True, collate_fn=collator)))


def loaded(text: Path, base: Path, home: Path) -> None:
    """Libraries, base and adapter in memory, and nothing else: what our side needs without any text."""
    os.environ["BADX_HUB_HOME"] = str(home)
    from badx_hub.modeling.base import resolve_base
    from badx_hub.modeling.loading import load_masked_lm
    from badx_hub.training import language_adapter

    model = load_masked_lm(resolve_base(str(base)))

    for weight in model.parameters():  # They are mapped from the file, and in memory once they are used.
        weight.sum()
    assert language_adapter


SIDES = {"ours": ours, "run_mlm": run_mlm, "loaded": loaded}


class Run(NamedTuple):
    """Seconds from the start of a process to its first step or batch, and the most bytes it had in memory."""

    seconds: float
    most_bytes: int


def measured(side: str, text: Path, base: Path) -> Run:
    """One side in a new process, with empty caches."""
    with tempfile.TemporaryDirectory(dir=text.parent) as home:
        command = [sys.executable, __file__, "--side", side, "--paths", str(text), str(base), home]
        began = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            most = process.stdout.readline() if process.stdout else ""
            seconds = time.perf_counter() - began
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
    run = Run(seconds, int(most))
    say(f"{side} on {text.name}: {run.seconds:.1f} s, {run.most_bytes / 1e6:.0f} MB")
    return run


def rows(own: Sequence[Run], small: Run, bare: Run, peer: Mapping[int, Run], megabytes: int) -> list[Row]:
    """Time against the peer's line through its points (by MB), and memory above what the base alone takes."""
    times = {size: run.seconds for size, run in peer.items()}
    slope, start = np.polyfit(list(times), list(times.values()), 1)
    points = ", ".join(f"{size} MB {seconds:.1f} s" for size, seconds in times.items())
    off = max(abs(start + slope * size - seconds) / seconds for size, seconds in times.items())
    what = f"first training step on {megabytes:,} MB of text, cold, mBERT size"
    above = median(run.most_bytes for run in own) - bare.most_bytes
    return [
        times_faster(
            what,
            "run_mlm.py's tokenise-then-group, until its first batch",
            median(run.seconds for run in own),
            start + slope * megabytes,
            50,
            f"the peer is not run on {megabytes:,} MB: its figure is the line through {points}, "
            f"which misses no point by more than {100 * off:.0f} %",
        ),
        at_most(
            f"{what}: peak memory above libraries and base",
            "the limit",
            "MB",
            above / 1e6,
            LIMIT_MB,
            1.0,
            f"the step included; on {min(peer)} MB of text {(small.most_bytes - bare.most_bytes) / 1e6:.0f} MB",
        ),
    ]


def main() -> None:
    """Write the text, measure either side in turn, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--peer-megabytes", type=int, nargs="+", default=[8, 16, 32])
    parser.add_argument("--side", choices=SIDES)
    parser.add_argument("--paths", type=Path, nargs=3, metavar=("TEXT", "BASE", "HOME"))
    options = parser.parse_args()
    if options.side:
        SIDES[options.side](*options.paths)
        print(high_water(), flush=True)
        return
    from sized import place, write_base

    with place() as root:
        base = write_base(root / "mbert-size")
        text = write_text(root / f"{options.megabytes}MB.txt", options.megabytes)
        own: list[Run] = []
        peer: dict[int, Run] = {}
        for size in options.peer_megabytes:
            part = write_text(root / f"{size}MB.txt", size)
            own.append(measured("ours", text, base))
            peer[size] = measured("run_mlm", part, base)
        small = measured("ours", root / f"{min(peer)}MB.txt", base)
        bare = measured("loaded", text, base)
    report(*rows(own, small, bare, peer, options.megabytes))


if __name__ == "__main__":
    main()

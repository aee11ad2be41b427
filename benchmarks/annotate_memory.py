"""Whether `annotate` holds a file of any size in the same memory: the peak of a process for ever larger files.

    python benchmarks/annotate_memory.py [--sizes 10000,100000,1000000] [--out benchmarks/annotate_memory.json]

Tags short sentences with a base of random weights, which is as small as those of the tests, so that what is measured is
reading, predicting and writing. Every size is a process of its own, `badx-hub annotate en-wo --tasks pos FILE -o OUT`;
the result is written after each of them.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from measuring import machine, say
from sized import place

from badx_hub.registry import open_registry
from badx_hub.storage import atomic_write_text
from tests.made import made
from tests.tiny import write_tiny_base

WORDS = (
    "Xanaa",
    "leeral",
    "ne",
    "lëlu",
    "waxtaanu",
    "Sutsas",
    "bi",
    "Nanga",
    "def",
    "?",
    "Waaw",
    "dem",
    "na",
    "ci",
    "gi",
)
LONGEST = 8
"""Words of a sentence, at most."""


def write_text(path: Path, sentences: int) -> None:
    """So many lines of one to `LONGEST` words; the smaller file is the beginning of the larger one."""
    draws = random.Random(1)
    with path.open("w", encoding="utf-8") as out:
        out.writelines(" ".join(draws.choices(WORDS, k=draws.randint(1, LONGEST))) + "\n" for _ in range(sentences))


def measured(sentences: int, folder: Path, registry: Path) -> dict[str, float]:
    """The peak of the process that tags so many sentences, and its time. Raises SystemExit if it fails."""
    text, out = folder / "text.txt", folder / "out.conllu"
    write_text(text, sentences)
    command = [sys.executable, "-m", "badx_hub", "annotate", "en-wo", "--tasks", "pos", str(text), "-o", str(out)]
    began = time.perf_counter()
    process = subprocess.Popen([*command, "--registry", str(registry)], stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"annotate ended with {os.waitstatus_to_exitcode(status)}")
    with out.open(encoding="utf-8") as lines:
        written = sum(line == "\n" for line in lines)
    if written != sentences:
        raise SystemExit(f"{written:,} of {sentences:,} sentences were written")
    return {
        "sentences": sentences,
        "peak_mb": round(usage.ru_maxrss / 1024, 1),
        "seconds": round(time.perf_counter() - began, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    given = parser.parse_args()
    rows = []
    with place() as folder:
        base = write_tiny_base(folder / "tiny")
        registry = open_registry(folder / "registry")
        made(registry, base, "tiny/en-wo/pos", seed=2, on=made(registry, base, "tiny/en-wo", seed=1))
        for size in map(int, given.sizes.split(",")):
            rows.append(measured(size, folder, folder / "registry"))
            say(", ".join(f"{key} {value:,}" for key, value in rows[-1].items()))
            document = {"machine": machine(), "longest": LONGEST, "rows": rows}
            atomic_write_text(given.out, json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()

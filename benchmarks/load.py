"""How long a stack takes to load, with all of its checks, against the same adapters loaded by hand.

    python benchmarks/load.py [--rounds 3]

Base of mBERT's size, BA and POS TA; random weights, files in the page cache. Each load is in a process of its own
that has imported everything before the clock starts. By hand is plain `adapters`: `BertAdapterModel.from_pretrained`,
`load_adapter` twice, the tokenizer and the stack, without a check; and once more as somebody writes it who knows that
`from_pretrained` builds a head of the whole vocabulary that no stack uses. Ours resolves the pair in a registry, hashes
the adapters' files and looks the base's digest up, which was taken when the base was first used. Memory is the most
that the whole process ever had in memory (VmHWM), libraries included.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

from measuring import Row, at_most, high_water, report, say

TASK = "pos"


class Load(NamedTuple):
    """One load in a process of its own."""

    seconds: float
    most_bytes: int


def ours(root: Path) -> Callable[[], object]:
    """`load_bilingual_stack`, everything imported."""
    import adapters

    from badx_hub.stack import load_bilingual_stack

    assert adapters.BertAdapterModel  # Imported lazily.
    return lambda: load_bilingual_stack("en", "wo", TASK, registry=root / "registry")


def by_hand(root: Path, *, default_head: bool = True) -> Callable[[], object]:
    """What the documentation of `adapters` has its users write, everything imported.

    `default_head` False: the configuration is told to name no architecture, so `from_pretrained` builds no head.
    """
    from adapters import BertAdapterModel
    from adapters.composition import Stack
    from transformers import AutoConfig, AutoTokenizer

    ba, ta = (next((root / "registry").glob(f"*.{end}/*")) for end in ("en-wo", f"en-wo.{TASK}"))

    def load() -> object:
        config = AutoConfig.from_pretrained(root / "mbert-size")
        if not default_head:
            config.architectures = None
        model = BertAdapterModel.from_pretrained(root / "mbert-size", config=config)
        names = [
            model.load_adapter(str(ba), with_head=False, use_safetensors=True),
            model.load_adapter(str(ta), use_safetensors=True),
        ]
        model.set_active_adapters(Stack(*names))
        return model.eval(), AutoTokenizer.from_pretrained(root / "mbert-size")

    return load


SIDES = {"ours": ours, "by-hand": by_hand, "by-hand-headless": partial(by_hand, default_head=False)}
WHAT = "load_bilingual_stack with all checks, warm disk, mBERT size"
AGAINST = {
    "by-hand": "BertAdapterModel.from_pretrained + two load_adapter + tokenizer",
    "by-hand-headless": "the same, told to build no default head",
}


def measured(side: str, root: Path) -> Load:
    """One load by one side in a new process."""
    command = [sys.executable, __file__, "--side", side, "--root", str(root)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    load = Load(*json.loads(done.stdout))
    say(f"{side}: {load.seconds:.3f} s, {load.most_bytes / 1e6:.0f} MB")
    return load


def measure(side: str, root: Path) -> None:
    """In the new process: load, and print what it took."""
    load = SIDES[side](root)
    began = time.perf_counter()
    loaded = load()
    seconds = time.perf_counter() - began
    print(json.dumps([seconds, high_water()]))
    del loaded


def prepare(root: Path) -> None:
    """The base, the adapters and the base's digest, as on a machine where the stack was used before."""
    from sized import publish_ba, publish_ta, write_base

    from badx_hub.modeling.base import resolve_base
    from badx_hub.registry import open_registry

    base, registry = write_base(root / "mbert-size"), open_registry(root / "registry")
    publish_ta(registry, base, publish_ba(registry, base), TASK)
    time.sleep(3)  # A digest is remembered once its file has been left alone for two seconds.
    resolve_base(str(base))


def rows(loads: Mapping[str, Sequence[Load]]) -> list[Row]:
    """Time and memory, as medians, against either way by hand."""
    seconds = {side: median(load.seconds for load in found) for side, found in loads.items()}
    most = {side: median(load.most_bytes for load in found) for side, found in loads.items()}
    return [
        row
        for side, against in AGAINST.items()
        for row in (
            at_most(WHAT, against, "s", seconds["ours"], seconds[side], 1.2, "the call alone, imports done before"),
            at_most(f"{WHAT}: peak memory", against, "bytes", most["ours"], most[side], 1.05, "the whole process"),
        )
    ]


def main() -> None:
    """Prepare, measure either side in turn, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=SIDES)
    parser.add_argument("--root", type=Path)
    options = parser.parse_args()
    if options.side:
        measure(options.side, options.root)
        return
    from sized import place

    with place() as root:
        prepare(root)
        measured("ours", root)  # Files into the page cache.
        rounds = [{side: measured(side, root) for side in SIDES} for _ in range(options.rounds)]
    report(*rows({side: [one[side] for one in rounds] for side in SIDES}))


if __name__ == "__main__":
    main()

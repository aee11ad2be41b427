"""What the timed benchmarks share: rows of a result, and the peak memory of a piece of work.

Machines are noisy, so nothing here is an absolute figure: both sides run in turn in the same process or in processes
that take turns, and what counts is the ratio of the medians.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

_SAMPLED_EVERY = 0.002
"""Seconds between two looks at the process's memory."""


@dataclass(frozen=True)
class Row:
    """One comparison. `ratio` is ours / peer in `unit`, or peer / ours where a speed is told in seconds.

    `at` says on which side of the target the ratio has to be; `note` what a reader of the table must know.
    """

    what: str
    against: str
    unit: str
    ours: float
    peer: float
    ratio: float
    at: Literal["least", "most"]
    target: float
    note: str = ""

    @property
    def met(self) -> bool:
        return self.ratio >= self.target if self.at == "least" else self.ratio <= self.target


def times_faster(what: str, against: str, ours: float, peer: float, target: float, note: str = "") -> Row:
    """A row of two durations in seconds; the ratio is how many times as fast ours is."""
    return Row(what, against, "s", ours, peer, peer / ours, "least", target, note)


def times_the_rate(what: str, against: str, unit: str, ours: float, peer: float, target: float, note: str = "") -> Row:
    """A row of two rates, such as tokens/s; the ratio is ours / peer."""
    return Row(what, against, unit, ours, peer, ours / peer, "least", target, note)


def at_most(what: str, against: str, unit: str, ours: float, peer: float, target: float, note: str = "") -> Row:
    """A row of two costs (seconds, bytes); the ratio is ours / peer, and less is better."""
    return Row(what, against, unit, ours, peer, ours / peer, "most", target, note)


def seconds(call: Callable[[], Any]) -> float:
    """Wall-clock seconds of one call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def resident() -> int:
    """Bytes of this process that are in memory now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def high_water() -> int:
    """The most bytes that this process ever had in memory, files it maps included."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def anonymous() -> int:
    """Bytes of this process that are in memory now, without files it maps (weights may be read from disk late)."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


@dataclass
class Peak:
    """Bytes in memory before the work, and the most of them during it."""

    before: int
    most: int

    @property
    def above(self) -> int:
        return self.most - self.before


@contextmanager
def peak_memory(of: Callable[[], int] = resident) -> Iterator[Peak]:
    """Watch this process's memory; the peak stands in the yielded object once the block has ended."""
    gc.collect()
    now = of()
    peak, ended = Peak(now, now), threading.Event()

    def watch() -> None:
        while not ended.wait(_SAMPLED_EVERY):
            peak.most = max(peak.most, of())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        ended.set()
        watcher.join()


def machine() -> dict[str, Any]:
    """What a reader needs to place the figures."""
    import torch

    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
    }


def report(*rows: Row) -> None:
    """Print the rows as JSON, for `benchmarks/bench.py`, on stdout; progress belongs on stderr."""
    print(json.dumps([asdict(row) for row in rows]))


def say(line: str) -> None:
    """Progress, on stderr."""
    print(line, file=sys.stderr, flush=True)

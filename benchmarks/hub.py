"""How long `search` over 2,000 repositories and `list` over 2,000 local adapters take.

    python benchmarks/hub.py [--count 2000] [--output benchmarks/hub.json]

The Hub is the one of the tests, on loopback, so what is measured is our side and the protocol and not
a network. Each command is the real one in a new process (start-up included), three times; the median counts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


from badx_hub.registry import LocalRegistry
from tests.hub.server import HubServer, running
from tests.registry.conftest import build

LANGUAGES = (
    "wo",
    "fo",
    "ug",
    "gn",
    "ay",
    "bm",
    "sw",
    "yo",
    "ha",
    "ig",
    "am",
    "ti",
    "so",
    "rw",
    "zu",
    "xh",
    "sn",
    "ny",
    "lg",
    "ln",
)
SOURCES = ("en", "fr", "es", "de", "pt", "ar", "ru", "zh", "hi", "tr")
BASES = ("mbert", "xlmr-base", "xlmr-large", "demo", "mini-mmt")
ROUNDS = 3


def names(count: int) -> list[str]:
    """Distinct adapters of many pairs, bases and tasks."""
    found = [
        f"{base}/{source}-{target}{task}"
        for base in BASES
        for source in SOURCES
        for target in LANGUAGES
        for task in ("", "/pos")
    ]
    assert count <= len(found)
    return found[:count]


def fill(root: Path, count: int) -> LocalRegistry:
    """A local registry of `count` adapters."""
    registry = LocalRegistry(root / "registry")
    for index, name in enumerate(names(count)):
        registry.publish(build(root / "made" / str(index), name))
    return registry


@contextmanager
def hub_of(registry: LocalRegistry, root: Path):  # type: ignore[no-untyped-def]
    """A Hub that holds the same adapters."""
    with running(root / "hub") as hub:
        for entry in registry.list():
            folder = Path(entry.location)
            hub.put(f"acme/{entry.name.repo_name}", {path.name: path.read_bytes() for path in folder.iterdir()})
        yield hub


def seconds(hub: HubServer, home: Path, *arguments: str) -> tuple[float, int]:
    """The median of the command's time, and its results."""
    command = [sys.executable, "-m", "badx_hub", *arguments, "--format", "json"]
    taken = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        done = subprocess.run(command, env=hub.env(home), capture_output=True, text=True, check=True)
        taken.append(time.perf_counter() - started)
    return round(median(taken), 3), len(json.loads(done.stdout))


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        registry = fill(root, options.count)
        with hub_of(registry, root) as hub:
            cases = {
                "--version": ("--version",),
                "list": ("list", "--registry", str(registry.root)),
                "list of a pair": ("list", "en-wo", "--registry", str(registry.root)),
                "search, first page": ("search",),
                "search, first page of an organisation": ("search", "--org", "acme"),
                "search for a triple": ("search", "--source", "en", "--target", "wo", "--task", "pos"),
                "search for a target, marked against 2,000 here": (
                    "search",
                    "--target",
                    "wo",
                    "--registry",
                    str(registry.root),
                ),
            }
            for case, arguments in cases.items():
                if case == "--version":
                    started = time.perf_counter()
                    subprocess.run([sys.executable, "-m", "badx_hub", *arguments], check=True, capture_output=True)
                    taken, results = round(time.perf_counter() - started, 3), 0
                else:
                    taken, results = seconds(hub, root / "home", *arguments)
                rows.append({"command": case, "seconds": taken, "results": results})
                print(f"{case:50} {taken:7.3f} s {results:6} results", file=sys.stderr)
    machine = {"python": platform.python_version(), "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}
    result = {"adapters": options.count, "rounds": ROUNDS, "machine": machine, "measured": rows}
    options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

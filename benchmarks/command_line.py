"""How long `badx-hub --help` and `badx-hub list` with 1,000 adapters take, against `hf --help`.

    python benchmarks/command_line.py [--count 1000] [--rounds 11]

All three are real commands in new processes, start of Python included, from the same environment, with their output
into a file. The adapters' badx.json are those of the embedded adapters under other names; their weights are left out,
as `list` reads none. Every `list` reads and checks every badx.json: nothing is remembered between two commands.
"""

from __future__ import annotations

import argparse
import subprocess
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from statistics import median

from measuring import at_most, report, say, seconds

from badx_hub.adapter_files import MANIFEST_FILE
from badx_hub.manifest import LanguageAdapterRef
from badx_hub.names import AdapterName
from badx_hub.registry import open_registry
from badx_hub.registry.protocol import version_of

SOURCES = ("en", "fr", "es", "de", "pt", "ar", "ru", "zh", "hi", "tr")
TARGETS = ("wo", "fo", "ug", "gn", "ay", "bm", "sw", "yo", "ha", "ig")
BASES = ("mbert", "xlmr-base", "xlmr-large", "demo", "mini-mmt")
PEER = "hf --help"


def names() -> Iterator[AdapterName]:
    """A BA and the POS TA on it, of many pairs and bases."""
    for base in BASES:
        for source in SOURCES:
            for target in TARGETS:
                for task in ("", "/pos"):
                    yield AdapterName.parse(f"{base}/{source}-{target}{task}")


def fill(root: Path, count: int) -> None:
    """The badx.json of `count` adapters in a registry's folders."""
    embedded = {entry.name.task: entry.manifest for entry in open_registry("demo").list()}
    for name in islice(names(), count):
        like = embedded[name.task]
        parent = like.parent and LanguageAdapterRef(name=str(name.language_adapter), digest=like.parent.digest)
        renamed = {"name": str(name), "mixture": name.mixture.parts, "parent": parent}
        text = like.model_copy(update=renamed).to_json()
        folder = root / name.repo_name / version_of(text, like.created)
        folder.mkdir(parents=True)
        (folder / MANIFEST_FILE).write_text(text, encoding="utf-8")


def command(*words: str, lines: int) -> Callable[[], None]:
    """A program of this environment as a call, which has to print at least `lines` lines and nothing on stderr."""
    program = str(Path(sysconfig.get_path("scripts"), words[0]))

    def run() -> None:
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run([program, *words[1:]], check=True, stdout=output, stderr=subprocess.PIPE, text=True)
            output.seek(0)
            printed = len(output.readlines())
        if printed < lines or done.stderr:
            raise RuntimeError(f"{' '.join(words)} printed {printed} lines and {done.stderr!r}")

    return run


def measured(commands: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """The median seconds of each command; they take turns, and the first turn does not count."""
    turns = [{name: seconds(call) for name, call in commands.items()} for _ in range(rounds + 1)][1:]
    return {name: median(turn[name] for turn in turns) for name in commands}


def main() -> None:
    """Fill a registry, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()
    listing = f"badx-hub list, {options.count:,} adapters"
    with tempfile.TemporaryDirectory(prefix="badx-bench-") as folder:
        fill(Path(folder), options.count)
        found = measured(
            {
                "badx-hub --help": command("badx-hub", "--help", lines=10),
                PEER: command("hf", "--help", lines=10),
                listing: command("badx-hub", "list", "--registry", folder, lines=options.count),
            },
            options.rounds,
        )
    for name, taken in found.items():
        say(f"{name}: {taken:.3f} s")
    report(
        at_most("badx-hub --help", PEER, "s", found["badx-hub --help"], found[PEER], 1.0, "a new process each"),
        at_most(listing, PEER, "s", found[listing], found[PEER], 2.0, "every badx.json is read and checked each time"),
    )


if __name__ == "__main__":
    main()

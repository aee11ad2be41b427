"""Every forged artefact is refused, or passed over where it is harmless, within the bounds of `verdict.py`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hostile.kinds import KINDS, everything, of_kind
from tests.hostile.known import KNOWN
from tests.hostile.verdict import Seen

Ask = Callable[[str], list[Seen]]


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    """ask(kind) -> what the worker saw of all artefacts of that kind."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.hostile.worker"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdin and worker.stdout

        def answer(kind: str) -> list[Seen]:
            assert worker.stdin and worker.stdout and worker.stderr
            worker.stdin.write(f"{kind}/*\n")
            worker.stdin.flush()
            line = worker.stdout.readline()
            assert line, f"the worker has gone: {worker.stderr.read()[-3000:]}"
            return [Seen(**one) for one in json.loads(line)]

        yield answer
        worker.stdin.close()


def test_there_are_enough() -> None:
    names = [one.name for one in everything()]
    assert len(names) >= 500
    assert len(names) == len(set(names))
    assert set(KNOWN) <= set(names)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_gets_through(kind: str, ask: Ask, record_property: Callable[[str, object], None]) -> None:
    seen = ask(kind)
    artefacts = {one.name for one in of_kind(kind)}
    assert {one.artefact for one in seen} == artefacts
    refused = {one.artefact for one in seen if one.refused}
    known = {name for name in KNOWN if name.startswith(f"{kind}/")}
    record_property("hostile", [kind, len(artefacts), len(seen), len(refused), len(known)])
    wrong: dict[str, list[Seen]] = defaultdict(list)
    for one in seen:
        if one.problems:
            wrong[one.artefact].append(one)
    report = [*_got_through(wrong), *_mended(wrong, known)]
    assert not report, "\n".join(["", *report])


def _got_through(wrong: dict[str, list[Seen]]) -> Iterator[str]:
    for name, found in wrong.items():
        expected = KNOWN.get(name, ("", 0))[0].split()
        if {one.command for one in found} - set(expected):
            yield from (f"{one}" for one in found if one.command not in expected)


def _mended(wrong: dict[str, list[Seen]], known: set[str]) -> Iterator[str]:
    for name in sorted(known):
        commands, item = KNOWN[name]
        still = {one.command for one in wrong.get(name, [])}
        if mended := sorted(set(commands.split()) - still):
            yield f"{name}: {', '.join(mended)} holds now (item {item}): take it out of known.py"

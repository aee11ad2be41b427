"""A sample of the forged adapters once more, as repositories of the test Hub: what a stranger there could publish."""

from __future__ import annotations

import io
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from itertools import pairwise
from types import FrameType
from typing import Any

import pytest

from tests.hostile.artefact import LOAD, Artefact, Sandbox
from tests.hostile.child import load
from tests.hostile.kinds import of_kind
from tests.hostile.verdict import Seen, judged
from tests.hostile.world import World, sound
from tests.hub.fixture import hub as hub
from tests.hub.machine import Ended, Machine
from tests.hub.server import HubServer
from tests.hub.walk import LONGEST_WAIT

KINDS = ("manifests", "configs", "heads", "weights", "headers", "cards", "labels")
EACH = 21
"""Artefacts of a kind. The other kinds are not repositories of adapters, or hold links, which a Hub has none of."""
SEED = 11
ALWAYS = ("cards/metadata-date", "cards/metadata-deep", "cards/metadata-timestamp")
"""Beside the sample: a Hub reads the metadata of cards itself, and has to get over these."""
WORK_SECONDS, WALL_SECONDS = 10.0, 120.0
"""Bounds of one command: of CPU time, the test Hub's included; and of a wait that does not end."""


class _Late(BaseException):
    """Not an Exception: nothing in the program may take it for an error of the network."""


@dataclass(frozen=True)
class _Trial:
    """An artefact, published as the organisation `org`; `which` of the adapters is forged ("" if neither is)."""

    artefact: str
    expect: dict[str, str]
    org: str
    which: str
    reader: Machine
    hub: HubServer

    @property
    def repo(self) -> str:
        return f"{self.org}/tiny.en-wo"

    def seen(self) -> Iterator[Seen]:
        """Every command a reader would type; the last two only if there is something to load."""
        self.hub.requests.clear()
        forged = self.repo if self.which == "ba" else f"{self.repo}.pos"
        yield self._command("search", "search", "--org", self.org)
        yield self._command("info", "info", forged)
        yield self._command("verify", "verify", "--registry", f"hf:{self.org}")
        pulled = self._command("pull", "pull", f"{self.repo}.pos")
        yield pulled
        if pulled.code == 0:
            yield self._command("verify-pulled", "verify")
            yield self._judged("load", self._load())

    def _command(self, name: str, *words: str) -> Seen:
        return self._judged(name, _within_bounds(words, lambda: self.reader.run(*words)))

    def _load(self) -> Ended:
        def loaded() -> Ended:
            out, err = io.StringIO(), io.StringIO()
            with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
                patch.setenv("BADX_HUB_HOME", str(self.reader.home))
                code = load(str(self.reader.registry.root))
            return Ended((LOAD,), code, out.getvalue(), tuple(err.getvalue().splitlines()), 0.0)

        return _within_bounds((LOAD,), loaded)

    def _judged(self, name: str, ended: Ended) -> Seen:
        record = {
            "artefact": self.artefact,
            "command": name,
            "expect": "accepted" if name == "verify-pulled" else self.expect.get(name, "either"),
            "code": "traceback" if ended.escaped else ended.code,
            "line": " ".join(ended.command),
            "out": ended.out,
            "err": "\n".join(ended.err),
            "faults": [*_manners(ended), *self._traces(name, ended)],
        }
        return judged(record, "")

    def _traces(self, name: str, ended: Ended) -> Iterator[str]:
        """What is wrong beside the output: with what is registered, and with the test Hub itself."""
        root = self.reader.registry.root
        there = {path.parent.parent.name for path in root.glob("*/*/badx.json")}
        # An adapter that is as it should be may be there already when the one that is trained on it is refused.
        allowed = {"tiny.en-wo"} if self.which == "ta" else set()
        empty = name in ("search", "info", "verify") or (name == "pull" and ended.code != 0)
        if empty and there - allowed:
            yield f"registered {', '.join(sorted(there - allowed))}"
        if failed := [seen for seen in self.hub.requests if seen.status >= 500]:
            yield f"the test Hub failed: {failed[0].method} {failed[0].path}"


def _manners(ended: Ended) -> Iterator[str]:
    """One line says what went wrong, and only if something did; remedies may follow it."""
    errors = [line for line in ended.err if line.startswith("error: ")]
    if len(errors) != (ended.code != 0):
        yield f"exit code {ended.code} and {len(errors)} lines of error"
    if ended.escaped is not None:
        yield ended.escaped.strip().splitlines()[-1]
    if any(not line.isprintable() for line in ended.err):
        yield "a line nobody can read"
    if ended.waited > LONGEST_WAIT:
        yield f"{ended.waited:.0f} s of waiting"


def _within_bounds(words: tuple[str, ...], act: Callable[[], Ended]) -> Ended:
    try:
        with _alarms():
            return act()
    except _Late as late:
        return Ended(words, 1, "", (), 0.0, f"{late}")
    except Exception as error:
        return Ended(words, 1, "", (), 0.0, f"{type(error).__name__}: {error}")


@contextmanager
def _alarms() -> Iterator[None]:
    def ring(number: int, _: FrameType | None) -> None:
        raise _Late(f"no end in time ({signal.Signals(number).name})")

    bounds = ((signal.SIGPROF, signal.ITIMER_PROF, WORK_SECONDS), (signal.SIGALRM, signal.ITIMER_REAL, WALL_SECONDS))
    before = [signal.signal(number, ring) for number, _, _ in bounds]
    try:
        for _, timer, seconds in bounds:
            signal.setitimer(timer, seconds)
        yield
    finally:
        for (number, timer, _), handler in zip(bounds, before, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(number, handler)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("hostile-hub")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BADX_HUB_HOME", str(root / "home"))  # remembers where the base is
        sound(root)
    return World(root, "")


def _sample(kind: str) -> list[Artefact]:
    """One at random of each of `EACH` stretches of the kind's artefacts, neighbours being alike; and `ALWAYS`."""
    known, chance = list(of_kind(kind)), random.Random(SEED)
    ends = [len(known) * number // EACH for number in range(EACH + 1)]
    sample = [chance.choice(known[start:end]) for start, end in pairwise(ends)]
    return [*sample, *(one for one in known if one.name in ALWAYS and one not in sample)]


def _contents(box: Sandbox, which: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in box.folder(which).iterdir()}


def _published(artefact: Artefact | None, org: str, world: World, hub: HubServer) -> _Trial:
    """Forge it and put its files, as they are, into two repositories of an organisation of its own."""
    box = world.sandbox(org, trained=False)
    before = {which: _contents(box, which) for which in ("ba", "ta")}
    if artefact is not None:
        artefact.forge(box)
    after = {which: _contents(box, which) for which in before}
    world.clear(org)
    hub.put(f"{org}/tiny.en-wo", after["ba"])
    hub.put(f"{org}/tiny.en-wo.pos", after["ta"])
    which = next((which for which in before if before[which] != after[which]), "")
    assert which or artefact is None, f"{org} is not forged"
    expect: dict[str, Any] = {one.name: one.expect for one in artefact.commands} if artefact else {}
    reader = Machine(world.root / "readers" / org, hub.other_token)
    shutil.copytree(world.root / "home", reader.home)
    return _Trial(artefact.name if artefact else "sound", expect, org, which, reader, hub)


def test_what_is_not_forged_comes_through(world: World, hub: HubServer) -> None:
    seen = list(_published(None, "sound", world, hub).seen())
    wrong = [str(one) for one in seen if one.code or one.problems]
    assert not wrong, "\n".join(["", *wrong])
    assert len(seen) == 6 and "sound/tiny.en-wo.pos" in seen[0].out


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_gets_through_the_hub(
    kind: str, world: World, hub: HubServer, record_property: Callable[[str, object], None]
) -> None:
    artefacts = _sample(kind)
    trials = [_published(one, f"{kind}-{number}", world, hub) for number, one in enumerate(artefacts)]
    seen = [one for trial in trials for one in trial.seen()]
    refused = {one.artefact for one in seen if one.refused}
    record_property("hostile through the Hub", [len(artefacts), len(seen), len(refused)])
    wrong = [str(one) for one in seen if one.problems]
    assert not wrong, "\n".join(["", *wrong])

"""The fault suite: commands are killed at an event, or a connection is cut, and run again; then all is looked at.

`python -m tests.faults.run OUT [--few] [--only NAME]` writes OUT.json, and OUT.md with the table. One process loads
the libraries and forks for every command; the thousand points are drawn with a seed. Points that OUT.json has already
are not tried again.
"""

from __future__ import annotations

import argparse
import errno
import gc
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

from tests.faults.commands import COMMANDS, ORG, SECOND, STACK, Command, write_inputs
from tests.faults.hub import Hub, apart
from tests.faults.watch import KILL, Strike

SEED = 20261126
_STOPS = {
    "SIGTERM": (signal.SIGTERM,),
    "SIGHUP": (signal.SIGHUP,),
    "Ctrl-C": (signal.SIGINT,),
    "SIGTERM twice": (signal.SIGTERM, signal.SIGTERM),
    "Ctrl-C twice": (signal.SIGINT, signal.SIGINT),
}
"""Signals that end a command, at one event or at two after each other."""
_DISKS = {"disk full": errno.ENOSPC, "disk read-only": errno.EROFS}
_CHANCES = {**{name: Strike(sent) for name, sent in _STOPS.items()}, **{n: Strike(error=e) for n, e in _DISKS.items()}}
_STRIKES = {"kill": KILL, **_CHANCES}
_UNTIDY = ("kill", "Ctrl-C twice", "disk read-only")
"""After these a command cannot remove what it had begun."""
_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Nothing here has to outlive a power cut."""


@dataclass(frozen=True)
class Point:
    """One moment of one command: killed at an event, or the connection of a request cut."""

    command: str
    fault: str
    number: int


@dataclass(frozen=True)
class Tried:
    """What became of a point.

    Attributes:
        struck: whether the fault came to pass.
        losses: what was not as after an undisturbed run; empty if it was survived.
    """

    point: Point
    struck: bool
    losses: tuple[str, ...]
    seconds: float


@dataclass
class Suite:
    """The worlds to start from, what each command leaves undisturbed, and its events."""

    root: Path
    hub: Hub | None
    events: dict[str, int] = field(default_factory=dict)
    requests: dict[str, tuple[int, int]] = field(default_factory=dict)
    expected: dict[str, tuple[Mapping[str, str], Mapping[str, Any]]] = field(default_factory=dict)

    def template(self, name: str) -> Any:
        """A world that is only copied."""
        from tests.faults.world import World

        return World(self.root / name)

    @property
    def world(self) -> Any:
        """The one in which commands run: always in the same place, as keys of caches know it."""
        return self.template("world")

    def prepare(self, commands: Sequence[Command]) -> None:
        """Make the templates with the commands themselves, and see what each leaves undisturbed."""
        from tests.tiny import write_tiny_base

        write_inputs(self.template("plain").root, write_tiny_base(self.root / "tiny", layers=1))
        self._next("plain", "carrier", COMMANDS[0].typed)
        self._next("carrier", "trained", COMMANDS[1].typed)
        self._foreign()
        if any(one.world == "two" for one in commands):
            self._next("trained", "two", SECOND)
        if self.hub is not None:
            self.hub.keep("empty")
            self._next("trained", "pushed", ("push", *STACK, "--to", ORG))
            self.hub.keep("full")
        for command in commands:
            self._measure(command)
        gc.collect()
        gc.freeze()

    def _next(self, before: str, after: str, typed: Sequence[str]) -> None:
        self.world.become(self.template(before))
        self._whole(typed)
        shutil.copytree(self.world.root, self.template(after).root, symlinks=True)

    def _foreign(self) -> None:
        """The language adapter as plain `adapters` saves it, in another world too; and the same as a pickle."""
        import torch
        from safetensors.torch import load_file

        trained = self.template("trained")
        source = Path(trained.registries[0].get("tiny/en-wo").location)
        plain, pickled = trained.root / "foreign", trained.root / "pickled"
        plain.mkdir()
        for name in ("adapter_config.json", "adapter.safetensors"):
            shutil.copy(source / name, plain / name)
        shutil.copytree(plain, pickled, ignore=shutil.ignore_patterns("*.safetensors"))
        torch.save(load_file(source / "adapter.safetensors"), pickled / "pytorch_adapter.bin")

    def _measure(self, command: Command) -> None:
        self._start(command)
        self.events[command.name] = self._whole(command.typed).events
        self.requests[command.name] = self.hub.requests() if self.hub else (0, 0)
        self.expected[command.name] = self.world.content(), self.hub.content() if self.hub else {}

    def _whole(self, typed: Sequence[str]) -> Any:
        from tests.faults.child import load, run

        ended = run(self.world, typed, self._token)
        load(ended.modules)
        if ended.code != 0:
            raise RuntimeError(f"{' '.join(typed)} ended with {ended.code}: {ended.told}")
        return ended

    def _start(self, command: Command) -> None:
        self.world.become(self.template(command.world))
        if self.hub is not None:
            self.hub.become(command.hub or "empty")

    @property
    def _token(self) -> str:
        return self.hub.token if self.hub else ""

    def try_(self, point: Point) -> Tried:
        """Run the command up to the point, then again without a fault, and look at what there is."""
        from tests.faults.child import run

        began = time.perf_counter()
        command = next(one for one in COMMANDS if one.name == point.command)
        self._start(command)
        strike = _STRIKES.get(point.fault)
        if strike is None and self.hub is not None:
            self.hub.cut(cuts()[point.fault], point.number)
        at = None if strike is None else point.number
        first = run(self.world, command.typed, self._token, at=at, strike=strike or KILL)
        cut = self.hub is not None and self.hub.revive()
        rude = [*_rude(first, point.fault), *(() if point.fault in _UNTIDY else self._half_written())]
        second = run(self.world, command.typed, self._token)
        losses = [*rude, *_refused(second, command), *self._differences(command)]
        struck = cut if strike is None else first.code != 0
        return Tried(point, struck, tuple(losses), time.perf_counter() - began)

    def _half_written(self) -> Iterator[str]:
        """Temporary files and folders that a command left that was not killed."""
        from badx_hub.storage import SCRATCH, STAGING, TEMPORARY

        for one in self.world.root.rglob("*"):
            if TEMPORARY.fullmatch(one.name) or SCRATCH.fullmatch(one.name) or one.parent.name == STAGING:
                yield f"half-written: {one.relative_to(self.world.root)}"

    def _differences(self, command: Command) -> Iterator[str]:
        wrong = self.world.faults()
        yield from (f"damaged: {one}" for one in wrong)
        left = [f"{one.kind.value}: {one.place}: {one.what}" for one in self.world.mend()]
        yield from (f"left: {one}" for one in left)
        files, repositories = self.expected[command.name]
        found = self.world.content()
        yield from (f"missing: {name}" for name in files.keys() - found.keys())
        yield from (f"orphan: {name}" for name in found.keys() - files.keys())
        yield from (f"differs: {name}" for name in files.keys() & found.keys() if files[name] != found[name])
        if self.hub is not None and self.hub.content() != repositories:
            yield "differs: the repositories on the Hub"


def _rude(first: Any, fault: str) -> Iterator[str]:
    """What is wrong in how the command ended that was struck."""
    lines = [line for line in first.told.splitlines() if line.startswith("error: ")]
    if fault in _STOPS:
        told = len(lines) == 1 and "same command" in lines[0]
        polite = first.code == 0 or (first.code == 128 + _STOPS[fault][0] and (told or fault == "Ctrl-C twice"))
    elif fault in _DISKS:
        polite = first.code == 0 or (first.code == 1 and os.strerror(_DISKS[fault]) in "".join(lines[:1]))
    else:
        polite = first.code in (None, 0, 1)
    if "Traceback" in first.told or not polite:
        yield f"the first ended with {first.code}: {first.told[-600:]}"


def _refused(second: Any, command: Command) -> Iterator[str]:
    had_done_it = command.twice is not None and command.twice in second.told
    if second.code != 0 and not (second.code == 1 and had_done_it):
        yield f"the second ended with {second.code}: {second.told[-600:]}"


def cuts() -> dict[str, Any]:
    """The ways to cut a connection or kill a server, by name."""
    from tests.hub.faults import CutHeaders, CutRequest, CutResponse, Die, LoseResponse

    return {
        "request cut": CutRequest(after=20),
        "headers cut": CutHeaders(),
        "answer cut": CutResponse(after=10),
        "answer lost": LoseResponse(),
        "server dies before": Die("before"),
        "server dies in it": Die("inside"),
        "server dies after": Die("after"),
    }


def points_of(suite: Suite, commands: Sequence[Command], *, few: bool) -> list[Point]:
    """The points of each command, or the few of the sample, drawn with the seed."""
    from tests.hub.faults import After

    chance = random.Random(SEED)
    found: list[Point] = []
    for command in commands:
        found += _stops(command, suite.events[command.name], few=few)
        events = [Point(command.name, "kill", number) for number in range(suite.events[command.name])]
        everything, answered = suite.requests[command.name]
        wires = [
            Point(command.name, fault, number)
            for fault, action in cuts().items()
            for number in range(answered if isinstance(action, After) else everything)
        ]
        for all_, wanted in ((events, command.few if few else command.kills), (wires, 0 if few else command.cuts)):
            drawn = chance.sample(all_, min(len(all_), wanted))
            found += sorted(drawn, key=lambda one: (one.fault, one.number))
    return found


def _stops(command: Command, events: int, *, few: bool) -> list[Point]:
    """Moments at which a signal comes or the disk refuses, spread over all of the command, each sort in turn."""
    wanted = min(command.few_stops if few else command.stops, events)
    chance = random.Random(f"{SEED} {command.name}")
    moments = sorted(chance.sample(range(events), wanted))
    return [Point(command.name, fault, moment) for fault, moment in zip(cycle(_CHANCES), moments, strict=False)]


@contextmanager
def ready(commands: Sequence[Command]) -> Iterator[Suite]:
    """A suite that can try points of these; this process loads everything, and is changed for good."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="badx-faults-", dir=_MEMORY))
        root = Path(folder).resolve()
        online = any(one.hub for one in commands)
        hub = stack.enter_context(apart(root / "hub")) if online else None
        os.environ |= {"HF_HUB_OFFLINE": "0" if online else "1", "HF_HOME": str(root / "hf"), "NO_COLOR": "1"}
        os.environ |= {"HF_ENDPOINT": hub.endpoint} if hub else {}
        os.environ |= {"OMP_NUM_THREADS": "1", "BADX_HUB_PRECISION": "fp32", "COLUMNS": "200"}
        from tests.faults.child import prepare

        prepare()
        gc.collect()
        gc.freeze()
        suite = Suite(root, hub)
        suite.prepare(commands)
        yield suite


def main() -> None:
    """Try the points and write what came of it; exit code 1 if something was lost."""
    asked = argparse.ArgumentParser()
    asked.add_argument("out", type=Path)
    asked.add_argument("--few", action="store_true", help="the sample of each test run")
    asked.add_argument("--only", choices=[one.name for one in COMMANDS], help="points of one command")
    asked.add_argument("--part", default="1/1", help="such as 1/2: every second point, so that two processes share")
    given = asked.parse_args()
    file = given.out.with_suffix(".json")
    known: list[dict[str, Any]] = json.loads(file.read_text())["points"] if file.exists() else []
    commands = [one for one in COMMANDS if given.only in (None, one.name) and (one.few or not given.few)]
    part, parts = map(int, given.part.split("/"))
    with ready(commands) as suite:
        tried_before = {tuple(one["point"].values()) for one in known}
        for point in points_of(suite, commands, few=given.few)[part - 1 :: parts]:
            if (point.command, point.fault, point.number) in tried_before:
                continue
            tried = suite.try_(point)
            known.append(asdict(tried))
            if tried.losses:
                print(point, *tried.losses, sep="\n  ", flush=True)
            write(given.out, suite, known)
    print(table(known))
    sys.exit(any(one["losses"] for one in known))


def write(out: Path, suite: Suite, known: Sequence[dict[str, Any]]) -> None:
    """The points as JSON, and the table as Markdown."""
    document = {"seed": SEED, "events": suite.events, "requests": suite.requests, "points": known}
    out.with_suffix(".json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    out.with_suffix(".md").write_text(table(known), encoding="utf-8")


def table(known: Sequence[dict[str, Any]]) -> str:
    """Points tried, faults survived and losses by command, in Markdown."""
    known = [one for one in known if one["struck"]]
    lines = ["| Command | kills | signals | disks | cuts | survived | losses |", f"|---|{'---:|' * 6}"]
    rows = [(command.name, [one for one in known if one["point"]["command"] == command.name]) for command in COMMANDS]
    for name, ours in [*rows, ("in all", list(known))]:
        kills = sum(one["point"]["fault"] == "kill" for one in ours)
        stops = sum(one["point"]["fault"] in _STOPS for one in ours)
        disks = sum(one["point"]["fault"] in _DISKS for one in ours)
        lost = sum(bool(one["losses"]) for one in ours)
        cut = len(ours) - kills - stops - disks
        lines.append(f"| {name} | {kills:,} | {stops:,} | {disks:,} | {cut:,} | {len(ours) - lost:,} | {lost:,} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()

"""A user's machine in this process: an own home, an own login, the command line, and waiting that takes no time."""

from __future__ import annotations

import io
import math
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from huggingface_hub.utils.tqdm import disable_progress_bars, enable_progress_bars
from requests.adapters import HTTPAdapter

from badx_hub.cli import main
from badx_hub.hub import waiting
from badx_hub.registry import LocalRegistry

_REALLY = time.sleep
_SHORT = 0.05  # seconds: how long a server known to be silent is really listened to


@dataclass(frozen=True)
class Ended:
    """How one command ended: exit code, what it wrote, and how long its user would have waited for a server.

    `escaped` is the traceback of an error that the program let through.
    """

    command: tuple[str, ...]
    code: int
    out: str
    err: tuple[str, ...]
    waited: float
    escaped: str | None = None


@dataclass
class Clock:
    """The seconds of sleep and of silence, which are counted and not waited for."""

    seconds: float = 0.0
    alarms: list[Alarm] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.passes(seconds)
        _REALLY(0)

    def passes(self, seconds: float) -> None:
        """Let the time pass, and what was set for it happen."""
        self.seconds += seconds
        for alarm in [one for one in self.alarms if one.due <= self.seconds]:
            self.alarms.remove(alarm)
            alarm.act()

    def now(self) -> float:
        return self.seconds

    def timer(self, after: float, act: Callable[[], None]) -> Alarm:
        """In place of `threading.Timer`."""
        return Alarm(self, self.seconds + after, act)


@dataclass(eq=False)
class Alarm:
    """Something to do at a time of the clock."""

    clock: Clock
    due: float
    act: Callable[[], None]
    daemon: bool = False

    def start(self) -> None:
        self.clock.alarms.append(self)

    def cancel(self) -> None:
        with suppress(ValueError):
            self.clock.alarms.remove(self)


@contextmanager
def clock(*, silent: bool = False) -> Iterator[Clock]:
    """Count sleeps in place of sleeping. If the server is `silent`, nobody listens until a time limit is over either.

    A request without a limit of its own would wait for ever and counts as infinity.
    """
    counted = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "sleep", counted.sleep)
        patch.setattr(waiting, "now", counted.now)
        patch.setattr(waiting, "Timer", counted.timer)
        if silent:
            patch.setattr(HTTPAdapter, "send", _impatient(HTTPAdapter.send, counted))
        yield counted


def _impatient(send: Callable[..., Any], counted: Clock) -> Callable[..., Any]:
    def sent(self: HTTPAdapter, request: Any, *given: Any, timeout: Any = None, **options: Any) -> Any:
        try:
            return send(self, request, *given, timeout=_SHORT, **options)
        except requests.Timeout:
            limit = timeout[1] if isinstance(timeout, tuple) else timeout
            counted.passes(math.inf if limit is None else float(limit))
            raise

    return sent


@dataclass(frozen=True)
class Machine:
    """A home that may not be there yet, and a token ("" for none)."""

    home: Path
    token: str = ""

    @property
    def registry(self) -> LocalRegistry:
        """The registry that commands use here by default."""
        return LocalRegistry(self.home / "registry")

    def run(self, *command: str | Path, silent: bool = False) -> Ended:
        """`badx-hub COMMAND`, through `main`, against the Hub that this process is configured for."""
        words = tuple(map(str, command))
        out, err = io.StringIO(), io.StringIO()
        code, escaped = 0, None
        disable_progress_bars()
        with pytest.MonkeyPatch.context() as patch, clock(silent=silent) as counted:
            patch.setenv("BADX_HUB_HOME", str(self.home))
            patch.setenv("HF_TOKEN", self.token)
            patch.setenv("COLUMNS", "200")
            patch.setattr("sys.argv", ["badx-hub", *words])
            with redirect_stdout(out), redirect_stderr(err):
                try:
                    main()
                except SystemExit as stop:
                    code = int(stop.code or 0)
                except Exception:
                    code, escaped = 1, traceback.format_exc()
        enable_progress_bars()
        return Ended(words, code, out.getvalue(), tuple(err.getvalue().splitlines()), counted.seconds, escaped)

"""Runs that are stopped from outside: by signals, by a limit of time, and by another process that does the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from badx_hub.cli._options import duration
from badx_hub.errors import TrainingInterrupted, UsageError
from badx_hub.training import interrupts
from badx_hub.training.checkpoints import CheckpointFolder
from badx_hub.training.interrupts import StopRequest, watched
from badx_hub.training.loop import Silent, train
from tests.refusals import refused
from tests.training.regression import Regression, recipe

ROOT = Path(__file__).parents[2]
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.mark.parametrize("one", CODES)
def test_a_signal_saves_and_the_same_run_goes_on(tmp_path: Path, one: signal.Signals) -> None:
    whole, stopped, resumed = Regression(), Regression(), Regression()
    straight = train(whole, recipe(), CheckpointFolder(tmp_path / "whole"), Silent())
    stopped.interrupt_at, stopped.signal = 5, one
    checkpoints = CheckpointFolder(tmp_path / "stopped")
    before = [signal.getsignal(each) for each in CODES]
    with refused(TrainingInterrupted, "The same command goes on from there: badx-hub") as caught:
        train(stopped, recipe(), checkpoints, Silent())
    assert caught.value.exit_code == CODES[one]
    assert "\n" not in str(caught.value)
    assert [signal.getsignal(each) for each in CODES] == before
    assert train(resumed, recipe(), checkpoints, Silent()).history == straight.history
    assert all(torch.equal(value, resumed.weights()[name]) for name, value in whole.weights().items())


def test_a_limit_of_time_saves_and_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr(interrupts.time, "monotonic", lambda: float(next(clock)))
    checkpoints = CheckpointFolder(tmp_path)
    with pytest.raises(TrainingInterrupted, match=r"The time limit is reached: stopped after step \d of 12") as caught:
        train(Regression(), recipe(), checkpoints, Silent(), stop=StopRequest(4.0))
    assert caught.value.exit_code == 130
    assert 0 < checkpoints.step < 12
    assert train(Regression(), recipe(), checkpoints, Silent(), stop=StopRequest(1e9)).history


@pytest.mark.parametrize("again", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_comes_twice_tears_nothing(again: signal.Signals) -> None:
    """`timeout` and shells send it to the process and to its group. What saw nothing of it does not swallow it."""
    passed: list[int] = []
    before = signal.signal(again, lambda number, _: passed.append(number))
    try:
        request = StopRequest()
        with watched(request):
            os.kill(os.getpid(), again)
            os.kill(os.getpid(), again)
            assert not passed
    finally:
        signal.signal(again, before)
    assert request.signal is again
    assert passed == [again]


def test_the_second_ctrl_c_interrupts_at_once() -> None:
    request = StopRequest()
    with pytest.raises(KeyboardInterrupt), watched(request):
        os.kill(os.getpid(), signal.SIGINT)
        assert request.signal is signal.SIGINT
        os.kill(os.getpid(), signal.SIGINT)


def test_a_hangup_that_is_ignored_stays_so() -> None:
    """As `nohup` wants it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        request = StopRequest()
        with watched(request):
            os.kill(os.getpid(), signal.SIGHUP)
        assert not request.is_made
    finally:
        signal.signal(signal.SIGHUP, before)


class Closed(Silent):
    """A terminal that was closed."""

    def stepped(self, step: int, loss: float, units: int) -> None:
        raise OSError(5, "Input/output error")

    def finished(self) -> None:
        raise OSError(5, "Input/output error")


def test_a_closed_terminal_stops_no_training(tmp_path: Path) -> None:
    stopped = Regression()
    stopped.interrupt_at, stopped.signal = 5, signal.SIGHUP
    checkpoints = CheckpointFolder(tmp_path)
    with pytest.raises(TrainingInterrupted):
        train(stopped, recipe(), checkpoints, Closed())
    assert 0 < checkpoints.step <= 6


def test_a_ctrl_c_in_a_finaliser_ends_the_command_without_a_traceback() -> None:
    """Python can only tell of it there, and the second Ctrl-C may come at any place."""
    code = """
        import os, signal, sys
        import badx_hub.cli

        class Last:
            def __del__(self):
                os.kill(os.getpid(), signal.SIGINT)
                for _ in range(1000):
                    pass

        def run():
            last = Last()
            del last
            raise SystemExit("the Ctrl-C was lost")

        badx_hub.cli.main = run
        from badx_hub.__main__ import main
        main()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_limits_of_time_are_written_as_people_write_them() -> None:
    assert [duration(text) for text in ("23h", "1h30m", "90m", "45s", "1d")] == [82_800, 5_400, 5_400, 45, 86_400]
    for text in ("", "0s", "h", "23", "1.5h", "30m1h", "-1h", "9" * 5000 + "s", "٣h"):
        with pytest.raises(UsageError, match=r"^--time-limit expects a time such as 23h"):
            duration(text)

from __future__ import annotations

import pytest

from badx_hub.cli import _progress
from badx_hub.cli._progress import Bar, Lines, Pace, reporter


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """clock[0] is the time in seconds."""
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_pace_counts_the_last_steps(clock: list[float]) -> None:
    pace = Pace(steps=100, done=10)
    assert pace.text("tokens") == ""
    for step in range(11, 91):
        clock[0] += 1.0 if step < 40 else 2.0
        pace.stepped(step, 1000)
    assert pace.text("tokens") == "500 tokens/s  0:00:20 left"


def test_lines_tell_evaluations_and_mark_the_best(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    lines.started(4, 1, "sentences")
    clock[0] = 2.0
    lines.stepped(2, 1.25, 16)
    lines.evaluated(2, {"en/accuracy": 0.5, "wo/perplexity": 3.21}, True)
    lines.evaluated(2, {"en/accuracy": 0.25}, False)
    lines.finished()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "going on after step 1 of 4",
        "step 2/4  loss 1.250  8 sentences/s  0:00:04 left",
        "step 2: en accuracy 50.0 %, wo perplexity 3.21  * best so far",
        "step 2/4  loss 1.250  8 sentences/s  0:00:04 left",
        "step 2: en accuracy 25.0 %",
    ]


def test_lines_speak_once_a_minute(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    lines.started(1000, 0, "tokens")
    for step in range(1, 131):
        clock[0] += 1.0
        lines.stepped(step, 1.0, 1)
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_bar_draws_on_stderr(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    bar = Bar()
    bar.started(2, 0, "tokens")
    bar.stepped(1, 1.5, 10)
    bar.evaluated(1, {"wo/perplexity": 9.0}, True)
    bar.stepped(2, 1.0, 10)
    bar.finished()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "wo perplexity 9.00  * best so far" in captured.err
    assert "2/2" in captured.err and "loss 1.000" in captured.err
    assert max(map(len, captured.err.splitlines())) <= 80


def test_no_bar_where_stderr_is_no_terminal() -> None:
    assert isinstance(reporter(), Lines)
    assert _progress.sys.stderr.isatty() is False

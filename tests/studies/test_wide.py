"""The same study in one process and in several: the same scores. `test_small_study` has more of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from badx_hub.registry import open_registry
from badx_hub.studies.executor import Executor, Sequential, StepEnd
from badx_hub.studies.parallel import LocalWorkers, Parallel
from badx_hub.studies.runner import StudyRunner
from badx_hub.studies.study import load_study
from tests.studies.conftest import WriteStudy
from tests.studies.test_executor import Notes


def scores(file: Path, folder: Path, executor: Executor) -> Mapping[str, Any]:
    """The metrics of every evaluation, after all steps ran into registry and results of their own."""
    registry, results = open_registry(folder / "registry"), folder / "results"
    runner = StudyRunner(load_study(file), registry, results)
    outcomes = executor.run(runner.pending(), runner.do, Notes())
    assert [(outcome.step.name, outcome.reason) for outcome in outcomes if outcome.end is not StepEnd.RAN] == []
    statuses = StudyRunner(load_study(file), registry, results).statuses()
    return {status.step.name: status.result.metrics for status in statuses if status.result is not None}


@pytest.fixture
def alone(write_study: WriteStudy, tmp_path: Path) -> tuple[Path, Mapping[str, Any]]:
    file = write_study()
    return file, scores(file, tmp_path / "alone", Sequential())


def test_two_processes_find_the_same(
    alone: tuple[Path, Mapping[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BADX_HUB_HOME", str(tmp_path / "other home"))
    assert scores(alone[0], tmp_path / "two", Parallel(LocalWorkers(2, threads=1))) == alone[1]

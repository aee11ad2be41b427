"""`badx-hub study status`: what is done, who is at work and how fast, as a table, as JSON and as a page."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from badx_hub.process_locks import Owner
from badx_hub.registry import LocalRegistry
from badx_hub.studies.runner import StudyRunner
from badx_hub.studies.study import load_study
from badx_hub.training.checkpoints import CheckpointFolder
from badx_hub.training.loop import Silent, train
from badx_hub.training.progress_file import Noted, RunProgress, progress_of
from badx_hub.training.unfinished_runs import claim_of, folder_of
from tests.cli.conftest import Run
from tests.studies.conftest import WriteStudy
from tests.studies.conftest import recipe as recipe_of
from tests.studies.conftest import write_study as write_study
from tests.training.regression import Regression, recipe

ALIVE = Owner.this_process()
BA = "tiny/en-wo"


def at_work(key: str, progress: RunProgress) -> None:
    """This process works on the run."""
    folder_of(key).mkdir(parents=True)
    claim_of(key).write_text(json.dumps(asdict(ALIVE)))
    (folder_of(key) / "progress.json").write_text(json.dumps(asdict(progress)))


def key_of(file: Path, name: str) -> str:
    runner = StudyRunner(load_study(file), LocalRegistry(Path("unused")))
    (found,) = [one for one in runner.statuses() if one.step.name == name]
    return str(found.key)


@pytest.fixture
def study(write_study: WriteStudy) -> Path:
    return write_study(recipe=recipe_of(language_steps=1000))


def test_a_study_that_nobody_has_begun(run: Run, study: Path) -> None:
    done = run("study", "status", study)
    assert done.code == 0
    assert "0 of 7 steps done, 0 at work. Time left unknown: 5 are like none before." in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_who_is_at_work_is_shown_with_speed_and_time_left(run: Run, study: Path, tmp_path: Path) -> None:
    at_work(key_of(study, BA), RunProgress(250, 1000, "tokens", 250 * 128, 100.0))
    done = run("study", "status", study, "--format", "json")
    (ba,) = [one for one in done.json["steps"] if one["name"] == BA]
    assert (ba["state"], ba["step"], ba["training_steps"], ba["rate"]) == ("at work", 250, 1000, 320.0)
    assert ba["seconds_left"] == pytest.approx(750 * 128 / 320.0)
    assert ba["owner"]["pid"] == ALIVE.pid
    assert done.json["at_work"] == 1
    table = run("study", "status", study).out
    (line,) = [line for line in table.splitlines() if line.startswith(BA)]
    assert [word for word in line.split("   ") if word] == [
        BA,
        "at work",
        "##-------- 250/1,000",
        "320 tokens/s",
        "0:05:00",
    ]
    assert run("study", "status", study, "--format", "quiet").out == f"{BA}\n"


def test_the_page_stands_alone_and_tells_all_steps(run: Run, study: Path, tmp_path: Path) -> None:
    at_work(key_of(study, BA), RunProgress(250, 1000, "tokens", 250 * 128, 100.0))
    page = tmp_path / "page.html"
    assert run("study", "status", study, "--out", page).code == 0
    text = page.read_text()
    assert text.count("<tr class=") == 7
    assert 'value="25" aria-label="tiny/en-wo"' in text
    assert "http://" not in text and "https://" not in text and "<script" not in text
    assert run("study", "status", study, "--out", tmp_path).code == 2


def test_a_training_notes_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("badx_hub.training.progress_file._EVERY_SECONDS", 0.0)
    folder_of("a" * 64).mkdir(parents=True)
    train(Regression(), recipe(), CheckpointFolder(tmp_path / "run"), Noted(Silent(), "a" * 64))
    noted = progress_of("a" * 64)
    assert noted is not None and (noted.step, noted.steps) == (12, 12)
    assert noted.units > 0


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"step": 5, "steps": 3, "unit": "x", "units": 1, "seconds": 1}'])
def test_what_is_no_progress_is_none(content: str) -> None:
    folder_of("a" * 64).mkdir(parents=True)
    (folder_of("a" * 64) / "progress.json").write_text(content)
    assert progress_of("a" * 64) is None

"""What a study asks is written down once, and a report says what has changed since."""

from __future__ import annotations

from pathlib import Path

import pytest

from badx_hub.errors import DataError, UsageError
from badx_hub.studies.preregistration import changes, read_registration, register, registration_file, told
from badx_hub.studies.study import Study, load_study
from tests.studies.conftest import minimal, written

ASKED = {"question": "Does BAD-X beat MAD-X?", "stopping": "After one seed."}


def study(tmp_path: Path, **changed: object) -> tuple[Study, Path]:
    folder = tmp_path / "study"
    folder.mkdir(exist_ok=True)
    file = written(folder, Path("tiny"), **{**ASKED, **changed})
    return load_study(file), file


def test_a_study_is_registered_once(tmp_path: Path) -> None:
    asked, file = study(tmp_path)
    assert read_registration(file) is None
    path = register(asked, file, results=0)
    assert path == registration_file(file) and path.name == "study.registered.json"
    found = read_registration(file)
    assert found is not None and found.comparisons == ("pos/wo: bad-x against mad-x",)
    assert changes(found, asked) == ()
    before, *_, last = told(found, asked)
    assert "before there were results" in before and ASKED["question"] in before
    assert last == "Nothing of this has changed since then."
    with pytest.raises(UsageError, match="registered already"):
        register(asked, file, results=1)


def test_what_changed_is_told(tmp_path: Path) -> None:
    asked, file = study(tmp_path)
    register(asked, file, results=2)
    found = read_registration(file)
    assert found is not None
    recipe = minimal(Path("tiny"))["recipe"]
    recipe["language"]["steps"] = 8
    blocks = [{"targets": ["wo"], "tasks": ["pos"], "setups": ["tlr", "mad-x"]}]
    now, _ = study(tmp_path, seeds=[1, 2], recipe=recipe, blocks=blocks, stopping="After two seeds.")
    added, left_out = "added pos/wo: tlr against mad-x", "left out pos/wo: bad-x against mad-x"
    assert changes(found, now) == (added, left_out, "stopping", "seeds", "recipe")
    text = " ".join(told(found, now))
    assert "with 2 results there" in text and f"Changed since then: {added}" in text


def test_without_a_question_nothing_is_registered(tmp_path: Path) -> None:
    asked, file = study(tmp_path, question=None)
    with pytest.raises(UsageError, match="does not say question"):
        register(asked, file, results=0)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    _, file = study(tmp_path)
    registration_file(file).write_text("{}")
    with pytest.raises(DataError, match="not a registration"):
        read_registration(file)

"""study plan, run and report, on a random base."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from badx_hub.cli import app
from badx_hub.errors import TrainingInterrupted
from badx_hub.remedies import ResumeTraining
from tests.cli.conftest import Run
from tests.studies.conftest import write_corpora, written

STEPS = [
    *("tiny/en-wo", "tiny/en-wo/pos", "pos/wo/bad-x"),
    *("tiny/en", "tiny/wo", "tiny/en/pos", "pos/wo/mad-x"),
]


@pytest.fixture
def file(tmp_path: Path, tiny_base: Path) -> Path:
    write_corpora(tmp_path / "study")
    return written(tmp_path / "study", tiny_base)


@pytest.mark.parametrize("command", [[], ["plan"], ["run"], ["report"]])
def test_help_fits_80_columns_and_has_an_example(command: list[str]) -> None:
    result = CliRunner().invoke(app, ["study", *command, "--help"], env={"COLUMNS": "80"})
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "badx-hub study" in result.stdout.rpartition("\n\n")[2]


def test_the_commands_import_nothing_heavy() -> None:
    script = "import sys; from badx_hub.cli import study; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "badx_hub.cli.study" in modules
    assert not {"torch", "transformers", "adapters", "datasets", "rich", "yaml", "langcodes"} & {*modules}


def test_a_plan_is_a_tree(run: Run, file: Path) -> None:
    result = run("study", "plan", file)
    assert result.code == 0
    assert [line[: len("   └─ pos/wo/bad-x")].rstrip() for line in result.out.splitlines()[3:10]] == [
        "tiny/en-wo",
        "└─ tiny/en-wo/pos",
        "   └─ pos/wo/bad-x",
        "tiny/en",
        "└─ tiny/en/pos",
        "   └─ pos/wo/mad-x",
        "tiny/wo",
    ]
    assert "and tiny/wo" in result.out
    assert "unknown" in result.out


def test_a_plan_as_json_and_as_names(run: Run, file: Path) -> None:
    document = run("study", "plan", file, "--format", "json").json
    assert [step["name"] for step in document["steps"]] == STEPS
    first, second = document["steps"][:2]
    assert (first["state"], first["training_steps"], first["seconds_left"]) == ("to do", 4, None)
    assert len(first["key"]) == 64
    assert (second["state"], second["key"], second["needs"]) == ("waits", None, ["tiny/en-wo"])
    assert [(total["kind"], total["to_do"], total["unknown"]) for total in document["totals"]] == [
        ("train-language", 3, 3),
        ("train-task", 2, 2),
        ("evaluate", 2, 2),
    ]
    assert run("study", "plan", file, "--format", "quiet").out.splitlines() == STEPS


def test_run_and_run_again(run: Run, file: Path, tmp_path: Path) -> None:
    where = ("--registry", tmp_path / "adapters", "--results", tmp_path / "scores")
    first = run("study", "run", file, *where, "--limit", "2", "--format", "json")
    assert first.code == 0
    assert [(step["name"], step["end"]) for step in first.json] == [(name, "ran") for name in STEPS[:2]]
    assert "[1/2] train-language tiny/en-wo" in first.err
    early = run("study", "report", file, *where, "--out", tmp_path / "report")
    assert early.code == 1 and "study run" in early.err
    rest = run("study", "run", file, *where, "--only", "pos/wo/bad*", "--format", "quiet")
    assert (rest.code, rest.out) == (0, "pos/wo/bad-x\n")
    assert run("study", "run", file, *where).code == 0
    again = run("study", "run", file, *where)
    assert (again.code, again.out) == (0, "")
    assert "nothing to do" in again.err
    steps = run("study", "plan", file, *where, "--format", "json").json["steps"]
    assert {step["state"] for step in steps} == {"done"}
    assert "accuracy" in run("study", "plan", file, *where).out
    assert "7 of 7 steps done, 0 at work." in run("study", "status", file, *where, "--watch").out

    report = run("study", "report", file, *where, "--out", tmp_path / "report", "--format", "json")
    assert report.code == 0
    assert (report.json["results"], report.json["missing"]) == (2, [])
    assert all(Path(path).is_file() for path in report.json["files"])


def test_a_report_tells_which_results_are_missing(
    run: Run, tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def write_report(folder: Path, results: Sequence[Any], **arguments: Any) -> tuple[Path, ...]:
        asked.update(arguments, results=results)
        return (folder / "index.html",)

    monkeypatch.setattr("badx_hub.studies.report.write_report", write_report)
    write_corpora(tmp_path / "study")
    block = {"targets": ["wo"], "tasks": ["pos"], "setups": ["ta-only", "mad-x"]}
    file = written(tmp_path / "study", tiny_base, blocks=[block], note="Two setups.")
    assert run("study", "run", file, "--only", "*/ta-only").code == 0
    report = run("study", "report", file, "--out", tmp_path / "there", "--format", "quiet")
    assert report.code == 0
    assert "1 of 2 results are not there: pos/wo/mad-x" in report.err
    assert report.out.splitlines() == [str(tmp_path / "there" / "index.html")]
    assert (asked["title"], asked["baseline"], asked["note"]) == ("tiny", "mad-x", "Two setups.")
    assert [result.setup for result in asked["results"]] == ["ta-only"]
    (name,) = asked["curves"]
    assert name == "tiny/en/pos@ta-only"
    assert [row["step"] for row in asked["curves"][name]] == [4.0]


def test_a_failed_step_is_told_at_the_end(run: Run, file: Path) -> None:
    (file.parent / "wo.txt").unlink()
    result = run("study", "run", file, "--only", "tiny/*")
    assert result.code == 1
    errors = [line for line in result.err.splitlines() if line.startswith("error: ")]
    assert [line.split(": ")[1] for line in errors] == [
        "tiny/en-wo failed",
        "tiny/en-wo/pos skipped",
        "tiny/wo failed",
    ]
    assert "wo.txt" in errors[0]
    assert "Traceback" not in result.err


def test_ctrl_c_says_how_to_go_on(run: Run, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise TrainingInterrupted("It was stopped.", remedies=(ResumeTraining(),))

    monkeypatch.setattr("badx_hub.training.language_adapter.train_language_adapter", stopped)
    result = run("study", "run", file)
    assert result.code == 130
    assert result.err.splitlines()[-1] == (
        f"error: It was stopped. The same command goes on from there: badx-hub study run {file}"
    )


def test_blocked_steps_say_why(run: Run, file: Path) -> None:
    (file.parent / "wo.txt").unlink()
    result = run("study", "plan", file)
    assert result.code == 0
    assert result.err.count("wo.txt") == 1
    assert "tiny/en-wo, tiny/wo: " in result.err


def test_a_mistake_in_the_file_is_wrong_usage(run: Run, file: Path) -> None:
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), "bass": "demo"}))
    result = run("study", "plan", file)
    assert (result.code, result.out) == (2, "")
    assert "bass is not a known key" in result.err


@pytest.mark.parametrize(
    "option", [["--only", "nothing"], ["--limit", "0"], ["--memory", "3GB"], ["--on", "ray", "--memory", "3 gigabytes"]]
)
def test_wrong_flags(run: Run, file: Path, option: list[str]) -> None:
    result = run("study", "run", file, *option)
    assert (result.code, result.out) == (2, "")

"""The frame of every command: exit codes, streams, help, and what is not imported."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from badx_hub.cli import _COMMANDS, app, application
from badx_hub.cli._errors import PROGRAM
from badx_hub.cli._options import Fallback, SetupName, SplitName
from badx_hub.registry import Entry, LocalRegistry
from badx_hub.setups import FALLBACKS, SETUPS
from tests.cli.conftest import Run

HEAVY = ("torch", "transformers", "adapters", "datasets")
NAMES = [name for name, _, _ in _COMMANDS]


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "COLUMNS": "80", **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def imported_by(arguments: Sequence[str], run: str = "main()") -> set[str]:
    script = (
        "import sys\n"
        "from badx_hub.cli import application, main\n"
        f"try:\n    {run}\n"
        "finally:\n    sys.stderr.write('\\nMODULES ' + ' '.join(sys.modules))\n"
    )
    done = python("-c", script, *arguments)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.rpartition("MODULES ")[2].split())


@pytest.mark.parametrize("name", [None, *NAMES])
def test_help_fits_80_columns_and_has_an_example(name: str | None) -> None:
    arguments = [name, "--help"] if name else ["--help"]
    result = CliRunner().invoke(application(name), arguments, env={"COLUMNS": "80"})
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert (f"badx-hub {name}" if name else "badx-hub demo") in result.stdout.rpartition("\n\n")[2]


def test_a_command_alone_is_the_command_among_all(capsys: pytest.CaptureFixture[str]) -> None:
    all_of_them = typer.main.get_command(app)
    for name in (*NAMES, "study"):
        said = []
        for program in (application(name), all_of_them):
            program([name, "--help"], prog_name=PROGRAM, standalone_mode=False)
            said.append(capsys.readouterr().out)
        assert said[0] == said[1] != "", name


@pytest.mark.parametrize("word", [None, "--help", "nonsense"])
def test_without_a_command_all_are_there(word: str | None) -> None:
    assert CliRunner().invoke(application(word), ["-h"]).stdout == CliRunner().invoke(app, ["-h"]).stdout


def test_a_command_does_not_import_the_others() -> None:
    modules = imported_by(["list", "--registry", "demo"])
    assert "badx_hub.cli.list_adapters" in modules
    assert not {"badx_hub.cli.train", "badx_hub.cli.study", "rich.console"} & modules


def test_help_lists_every_command() -> None:
    result = CliRunner().invoke(app, ["-h"])
    assert all(f"  {name} " in result.stdout for name in NAMES)


def test_version(run: Run) -> None:
    assert run("--version").out == f"badx-hub {version('badx-hub')}\n"


def test_module_is_the_same_command() -> None:
    done = python("-m", "badx_hub", "--version")
    assert (done.returncode, done.stdout) == (0, f"badx-hub {version('badx-hub')}\n")


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["list", "--format", "xml"], ["info"], ["train", "en-en"], ["train", "en-xqzzq"]]
)
def test_wrong_usage_exits_with_2(run: Run, arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.code == 2
    assert result.out == ""
    assert result.err and "Traceback" not in result.err


def test_known_error_is_one_line_on_stderr(run: Run) -> None:
    result = run("info", "mbert/en-wo")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("error: mbert/en-wo is not in ")
    assert result.err.count("\n") == 1


def test_debug_variable_shows_the_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BADX_HUB_DEBUG", "1")
    result = run("info", "mbert/en-wo")
    assert "Traceback" in result.err
    assert result.err.splitlines()[-1].startswith("error: ")


def test_interrupt_is_one_line_and_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: LocalRegistry) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(LocalRegistry, "contents", interrupted)
    result = run("list")
    assert (result.code, result.out) == (130, "")
    assert "Interrupted" in result.err
    assert "Traceback" not in result.err


def test_a_panic_of_a_library_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def panic(_: LocalRegistry) -> None:
        raise type("PanicException", (BaseException,), {})("Onig: Regex search error:\nretry-limit-in-match over")

    monkeypatch.setattr(LocalRegistry, "contents", panic)
    result = run("list")
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert result.err.startswith("error: A library gave up on this text or base: Onig: Regex search error: retry-")


def test_a_reader_that_leaves_early_is_no_error(stack: tuple[Entry, Entry]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as broken:
        done = subprocess.run(
            [sys.executable, "-m", "badx_hub", "list"], stdout=broken, stderr=subprocess.PIPE, check=False
        )
    assert done.stderr == b""


def test_output_is_utf_8_in_any_locale(tmp_path: Path) -> None:
    done = python("-m", "badx_hub", "recipes", "нет", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 2
    assert "нет" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["list"],
        ["list", "--format", "json"],
        ["info", "en-wo", "--task", "pos"],
        ["verify"],
        ["remove", "mbert/en-wo/pos", "--yes"],
        ["push", "en-wo", "--task", "pos", "--to", "{tmp}/there"],
        ["pull", "en-wo", "--from", "{own}"],
        ["lock", "en-wo", "--task", "pos", "--output", "{tmp}/badx.lock"],
        ["recipes"],
        ["recipes", "paper"],
    ],
    ids=" ".join,
)
def test_no_tensor_library_is_imported(
    arguments: list[str], stack: tuple[Entry, Entry], own: LocalRegistry, tmp_path: Path
) -> None:
    modules = imported_by([part.format(tmp=tmp_path, own=own.root) for part in arguments])
    assert "badx_hub.cli" in modules
    assert not modules & set(HEAVY)


def test_help_imports_nothing_that_takes_time() -> None:
    """Of all commands, one after the other in one process."""
    shown = "for name in sys.argv[1:]: application(name)([name, '--help'], standalone_mode=False)"
    modules = imported_by(NAMES, shown)
    assert {f"badx_hub.cli.{place.partition(':')[0]}" for _, place, _ in _COMMANDS} <= modules
    assert not modules & {*HEAVY, "rich", "yaml", "langcodes"}


def test_choices_are_those_of_the_library() -> None:
    assert tuple(setup.value for setup in SetupName) == tuple(SETUPS)
    assert tuple(fallback.value for fallback in Fallback) == tuple(FALLBACKS)
    assert [split.value for split in SplitName] == ["train", "dev", "test"]


def shell(command: str) -> subprocess.CompletedProcess[str]:
    program = f"{sys.executable} -m badx_hub"
    return subprocess.run(["bash", "-c", f"{program} {command}"], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", ["recipes paper", "list --format json", "recipes", "--help"])
def test_an_output_that_takes_nothing_is_one_line(command: str) -> None:
    done = shell(f"{command} > /dev/full")
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("closed", [">&-", "<&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_error(closed: str) -> None:
    done = shell(f"list --format json {closed}")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)


def test_predict_without_any_input_says_so() -> None:
    done = shell("predict en-wo --task pos --registry demo <&-")
    assert done.returncode == 2
    assert "There is no text" in done.stderr


@pytest.mark.parametrize("text", ["''", "'   '"])
def test_predict_on_blank_text_says_so(text: str) -> None:
    done = shell(f"predict en-wo --task pos --registry demo {text}")
    assert (done.returncode, done.stdout) == (0, "")
    assert "nothing to predict" in done.stderr


def test_list_of_a_mistyped_place_does_not_advise_training() -> None:
    done = shell("list --registry ./nowhere")
    assert "--registry" in done.stderr
    assert "train" not in done.stderr

"""train, evaluate and predict with bad input: answered before anything is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from badx_hub.cli._options import text_option
from badx_hub.errors import UsageError
from badx_hub.registry import Entry
from tests.cli.conftest import Run
from tests.tiny import demo_lines


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--steps", "0", "--learning-rate", "7", "--max-length", "1"], ["steps", "learning_rate", "max_length"]),
        (["--recipe", "papre"], ["papre", "paper"]),
        (["--text", "fo=fo.txt"], ["fo", "en-wo"]),
        (["--text", "wo"], ["LANG=SOURCE"]),
        (["--text", "wo=a.txt", "--text", "wol=b.txt"], ["twice"]),
        (["--data", "there"], ["--task"]),
        (["--task", "pos", "--text", "wo=wo.txt"], ["--data"]),
        (["--task", "pos"], ["--data"]),
        (["--task", "nope", "--data", "there"], ["nope", "pos"]),
        (["--setup", "ta-only"], ["--task"]),
        (["--ratio", "0:1"], ["0:1"]),
        (["--ratio", "1:2:3"], ["1:2:3"]),
        (["--registry", "demo"], ["read-only"]),
        (["--base", ""], ["--base is empty"]),
        (["--extend-vocabulary", "-1"], ["extend_vocabulary", "greater than or equal to 0"]),
        (["--task", "pos", "--extend-vocabulary", "5"], ["--extend-vocabulary", "without --task"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_wrong_flags_of_train(run: Run, arguments: list[str], said: list[str]) -> None:
    result = run("train", "en-wo", *arguments)
    assert (result.code, result.out) == (2, "")
    assert all(word in result.err for word in said)
    assert result.err.splitlines()[-1].startswith("error: ")


def test_one_process_of_accelerate_that_was_to_be_several(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `accelerate launch --cpu --num_processes 2` gives to the one process that it starts."""
    for name, value in {"ACCELERATE_MIXED_PRECISION": "no", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}.items():
        monkeypatch.setenv(name, value)
    refused = run("train", "en-wo")
    assert (refused.code, refused.out) == (2, "")
    assert "One process was started by accelerate" in refused.err and "add --processes 2" in refused.err


def test_every_mistake_of_a_recipe_file_is_reported(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "my.yaml"
    file.write_text("extends: quick\nlanguage: {stepz: 3, batch_size: -1}\n")
    result = run("train", "en-wo", "--recipe", file)
    assert result.code == 2
    assert "language.stepz" in result.err and "language.batch_size" in result.err


@pytest.mark.parametrize(
    ("arguments", "recipe"),
    [
        (["--base", "./nowhere"], "paper, 50,000 steps"),
        (["--base", "./nowhere", "--recipe", "quick", "--steps", "700"], "quick, 700 steps"),
        (["--base", "demo", "--text", "wo=nowhere.txt"], "demo, "),
    ],
)
def test_recipe_is_announced(run: Run, arguments: list[str], recipe: str) -> None:
    result = run("train", "en-wo", *arguments)
    assert result.code == 1
    assert result.err.startswith(f"recipe: {recipe}")
    assert "nowhere" in result.err.splitlines()[-1]


def test_a_profile_is_written_once_there_is_something_to_watch(run: Run, tiny_base: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("\n".join(demo_lines("en", 600)), encoding="utf-8")
    flags = {"--base": tiny_base, "--text": f"en={text}", "--recipe": "demo", "--steps": 2, "--max-length": 32}
    folder = tmp_path / "made" / "profile"
    command = ["train", "en", *(str(part) for flag in flags.items() for part in flag), "--profile", folder]
    first = run(*command)
    assert first.code == 0
    said = f"profile: {folder}/profile.txt, and {folder}/trace.json.gz for ui.perfetto.dev"
    assert first.err.splitlines()[-1] == said
    assert (folder / "profile.txt").read_text(encoding="utf-8").startswith("badx-hub train en --base")
    again = run(*command)
    assert again.err.splitlines()[-1] == "no profile: no step was trained"


def test_a_profile_has_to_be_a_folder(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run("train", "en-wo", "--base", "demo", "--profile", tmp_path / "file")
    assert (result.code, result.out) == (1, "")
    assert "file" in result.err


def test_task_adapter_without_its_carrier(run: Run, tmp_path: Path) -> None:
    result = run("train", "en-wo", "--task", "pos", "--data", tmp_path)
    assert result.code == 1
    assert "badx-hub train en-wo" in result.err


@pytest.mark.parametrize("command", ["evaluate", "predict"])
@pytest.mark.parametrize(("pair", "code"), [("en-wo", 1), ("en-en", 2)])
def test_stack_that_is_not_there(run: Run, tmp_path: Path, command: str, pair: str, code: int) -> None:
    treebank = tmp_path / "wo-ud-test.conllu"
    treebank.write_text("1\tNanga\t_\tADV\t_\t_\t0\troot\t_\t_\n\n")
    more = ["--data", tmp_path] if command == "evaluate" else ["Nanga def?"]
    result = run(command, pair, "--task", "pos", *more)
    assert (result.code, result.out) == (code, "")
    assert result.err.startswith("error: ")


@pytest.mark.parametrize("more", [["--data", "nowhere"], ["--data", "ud:UD_Wolof-WTB"]])
def test_evaluate_without_data(run: Run, stack: tuple[Entry, Entry], more: list[str]) -> None:
    result = run("evaluate", "en-wo", "--task", "pos", *more)
    assert result.code == 1


def test_unknown_task(run: Run) -> None:
    assert run("evaluate", "en-wo", "--task", "nope", "--data", "x").code == 2
    assert run("predict", "en-wo", "--task", "nope", "text").code == 2


def test_predict_refuses_text_beside_a_file(run: Run, stack: tuple[Entry, Entry], tmp_path: Path) -> None:
    assert run("predict", "en-wo", "--task", "pos", "text", "--file", tmp_path / "f.txt").code == 2


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("latin.txt", b"Nanga def?\nd\xe9g\n", "latin.txt:2: not UTF-8"),
        ("broken.txt.gz", b"\x1f\x8b\x08\x00broken", "gzip"),
        ("nine.conllu", b"1\ta\t_\tX\t_\t_\t0\troot\t_\n\n", "nine.conllu:1"),
        (None, b"", "missing.txt"),
    ],
)
def test_predict_on_bad_files(
    run: Run, stack: tuple[Entry, Entry], tmp_path: Path, name: str | None, content: bytes, said: str
) -> None:
    file = tmp_path / (name or "missing.txt")
    if name:
        file.write_bytes(content)
    result = run("predict", "en-wo", "--task", "pos", "--file", file)
    assert (result.code, result.out) == (1, "")
    assert said in result.err


@pytest.mark.parametrize(("output", "expected"), [("tsv", ""), ("json", "[]\n"), ("conllu", "")])
def test_predict_on_nothing(run: Run, stack: tuple[Entry, Entry], tmp_path: Path, output: str, expected: str) -> None:
    file = tmp_path / "empty.txt"
    file.write_text("\n \n")
    result = run("predict", "en-wo", "--task", "pos", "--file", file, "--output", output)
    assert (result.code, result.out) == (0, expected)
    assert "nothing to predict" in result.err


def test_text_is_given_by_language() -> None:
    assert text_option("wol=a=b.txt") == ("wo", "a=b.txt")
    for option in ("wo", "=a.txt", "wo=", ""):
        with pytest.raises(UsageError, match="LANG=SOURCE"):
            text_option(option)

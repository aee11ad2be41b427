"""predict and evaluate on what is no sentence of words, and on labels that the head lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from badx_hub.modeling import bfloat16
from badx_hub.registry import LocalRegistry
from tests.cli.conftest import Run
from tests.made import made

PAIRS = "premise\thypothesis\tlabel\nA dog runs\tA dog moves\tENTAILMENT\nA dog\tA cat\tneutral\nA dog\tA bird\t-\n"
WORDS = "Ëmmë I-PER\ndem O\nDakar B-LOC\ntey B-DATE\n"


@pytest.fixture
def arguments(own: LocalRegistry, tiny_base: Path) -> list[str]:
    """What says which stack: a task adapter for NLI and one for NER, on the bare base."""
    for task in ("nli", "ner"):
        made(own, tiny_base, f"tiny/en/{task}@ta-only", seed=1)
    return ["en-wo", "--setup", "ta-only", "--base", str(tiny_base)]


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_pairs_are_predicted_a_row_each(run: Run, arguments: list[str], tmp_path: Path) -> None:
    file = written(tmp_path / "pairs.txt", "A dog runs\tA dog moves\n\nA dog\tA cat\n")
    rows = [line.split("\t") for line in run("predict", *arguments, "--task", "nli", "--file", file).out.splitlines()]
    assert [row[:2] for row in rows] == [["A dog runs", "A dog moves"], ["A dog", "A cat"]]
    assert {row[2] for row in rows} <= {"entailment", "neutral", "contradiction"}
    records = run("predict", *arguments, "--task", "nli", "--file", file, "--output", "json").json
    assert [[record["premise"], record["hypothesis"], record["label"]] for record in records] == rows


def test_entities_are_predicted_in_columns(run: Run, arguments: list[str]) -> None:
    done = run("predict", *arguments, "--task", "ner", "Ëmmë dem Dakar")
    rows = [line.split("\t") for line in done.out.splitlines()]
    assert [row[0] for row in rows] == ["Ëmmë", "dem", "Dakar", ""]
    assert all(row[1] == "O" or row[1][:2] in ("B-", "I-") for row in rows[:-1])


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--task", "nli", "A dog runs"], "expected a premise and a hypothesis with one tab between them"),
        (["--task", "nli", "a\tb", "--output", "conllu"], "What nli predicts has no place in CoNLL-U"),
        (["--task", "nli", "--file", "x.conllu"], "nli reads no CoNLL-U"),
    ],
)
def test_what_does_not_fit_the_task(run: Run, arguments: list[str], more: list[str], said: str) -> None:
    result = run("predict", *arguments, *more)
    assert (result.code, result.out) == (2, "")
    assert said in result.err


def test_a_confusion_matrix_is_shown_and_recorded(run: Run, arguments: list[str], tmp_path: Path) -> None:
    flags = [*arguments, "--task", "nli", "--data", str(written(tmp_path / "gn.test.tsv", PAIRS))]
    table = run("evaluate", *flags)
    assert "gold \\ predicted" in table.out
    assert "warning: " in table.err and "1 of 3 pairs have no gold label" in table.err
    document = run("evaluate", *flags, "--format", "json").json
    assert document["confusion"]["labels"] == ["entailment", "neutral", "contradiction"]
    assert [sum(row) for row in document["confusion"]["counts"]] == [1, 1, 0]
    assert set(document["metrics"]) == {"accuracy", "macro_f1"}


def test_types_that_the_head_lacks_need_an_option(run: Run, arguments: list[str], tmp_path: Path) -> None:
    flags = [*arguments, "--task", "ner", "--data", str(written(tmp_path / "wo.test.txt", WORDS)), "--format", "json"]
    refused = run("evaluate", *flags)
    assert refused.code == 1
    assert refused.err.splitlines()[-1].endswith("`--option ignore=DATE`.")
    assert "warning: " in refused.err and "1 tags I-" in refused.err
    done = run("evaluate", *flags, "--option", "ignore=DATE")
    assert [row["label"] for row in done.json["labels"] if row["support"]] == ["LOC", "PER"]
    assert done.json["confusion"] is None


@pytest.mark.parametrize(("flags", "held"), [((), True), (("--precision", "fp32"), False)])
def test_precision_decides_in_place_of_the_machine(
    run: Run, arguments: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flags: tuple[str, ...], held: bool
) -> None:
    monkeypatch.setenv("BADX_HUB_PRECISION", "bf16")
    calls: list[object] = []
    monkeypatch.setattr(bfloat16, "hold", lambda model, **_: calls.append(model))
    words = written(tmp_path / "wo.test.txt", WORDS.replace("DATE", "LOC"))
    data = ["--task", "ner", "--data", str(words), *flags]
    for command in (
        ["predict", *arguments, "--task", "ner", "Ëmmë", *flags],
        ["annotate", *arguments, "--tasks", "ner", written(tmp_path / "in.txt", "Ëmmë\n"), *flags],
        ["evaluate", *arguments, *data],
        ["compare", "en-wo", "--setups", "ta-only", *data],
    ):
        calls.clear()
        done = run(*command)
        assert done.code == 0, done.err
        assert bool(calls) is held, command[0]

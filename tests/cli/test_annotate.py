"""annotate through the program: where output goes, what is refused before work is spent, what a stop leaves."""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from badx_hub.annotation import certainty
from badx_hub.data.conllu import RawSentence, read_raw_conllu
from badx_hub.registry import LocalRegistry
from tests.cli.conftest import Run
from tests.made import made

TREEBANK = "# a = b\r\n1-2\tdafa\t_\t_\t_\t_\t_\t_\t_\t_\r\n" + "".join(
    f"{number}\tw\tl\t{tag}\tx\t_\t_\t_\t_\t_\r\n" for number, tag in enumerate(("_", "X", "_"), start=1)
)


@pytest.fixture
def arguments(own: LocalRegistry, tiny_base: Path) -> list[str]:
    """Task adapters for POS and NER on the bare base."""
    for task in ("pos", "ner", "nli"):
        made(own, tiny_base, f"tiny/en/{task}@ta-only", seed=1)
    return ["annotate", "en-wo", "--setup", "ta-only", "--base", str(tiny_base), "--tasks", "pos,ner"]


@pytest.fixture
def treebank(tmp_path: Path) -> Path:
    path = tmp_path / "in.conllu"
    path.write_bytes(TREEBANK.encode())
    return path


def test_a_file_is_filled_into_another(run: Run, arguments: list[str], treebank: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out.conllu"
    done = run(*arguments, treebank, "-o", out)
    assert (done.code, done.out, done.err) == (0, "", f"wrote {out}\n")
    (given,), (found,) = read_raw_conllu(treebank), read_raw_conllu(out)
    assert found.cells("UPOS")[1] == "X" and "_" not in found.cells("UPOS")
    assert "_" not in found.cells("MISC.name")
    assert found.replaced({name: given.cells(name) for name in ("UPOS", "MISC")}) == given
    assert sorted(path.name for path in out.parent.iterdir()) == ["out.conllu"]


def test_trees_and_tags_are_printed_to_look_at(run: Run, arguments: list[str], treebank: Path, tmp_path: Path) -> None:
    done = run(*arguments, treebank, "--show", "--confidence")
    assert done.code == 0, done.err
    first, *_, last = done.out.split("\n")
    assert re.fullmatch(r"w  \S+ 0\.\d{3} +\S+ 0\.\d{3}", first) and last == "" and "\t" not in done.out
    out = tmp_path / "out.conllu"
    written = run(*arguments, treebank, "--show", "-o", out)
    assert written.out.startswith("w  ") and written.err == f"wrote {out}\n"
    assert "_" not in next(read_raw_conllu(out)).cells("UPOS")


def test_a_file_may_be_filled_in_place(run: Run, arguments: list[str], treebank: Path) -> None:
    assert run(*arguments, treebank, "-o", treebank).code == 0
    (found,) = read_raw_conllu(treebank)
    assert "_" not in found.cells("UPOS")


def test_a_link_stays_one_and_a_folder_may_be_new(
    run: Run, arguments: list[str], treebank: Path, tmp_path: Path
) -> None:
    link = tmp_path / "link.conllu"
    link.symlink_to(treebank.name)
    assert run(*arguments, treebank, "-o", link).code == 0
    assert link.is_symlink() and "_" not in next(read_raw_conllu(treebank)).cells("UPOS")
    done = run(*arguments, treebank, "-o", f"{tmp_path / 'new'}/", "--review", "1")
    assert (done.code, (tmp_path / "new" / treebank.name).read_bytes()) == (0, treebank.read_bytes())
    assert "review.conllu, which is empty" in done.err
    assert run(*arguments, treebank, "-o", "-").out.encode() == treebank.read_bytes()


def test_several_files_go_into_a_folder(run: Run, arguments: list[str], treebank: Path, tmp_path: Path) -> None:
    text = tmp_path / "b.txt.gz"
    text.write_bytes(gzip.compress(b"Nanga def?\n"))
    done = run(*arguments, treebank, text, "-o", tmp_path / "out")
    assert done.code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["b.conllu.gz", "in.conllu"]
    (raw,) = read_raw_conllu(tmp_path / "out" / "b.conllu.gz")
    assert raw.sentence is not None and raw.sentence.words == ("Nanga", "def", "?")


def test_stdin_goes_to_stdout(run: Run, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(TREEBANK.encode())))
    done = run(*arguments)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("# a = b\r\n1-2\tdafa\t") and done.out.endswith("\r\n")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\n")))
    done = run(*arguments)
    assert (done.code, done.out) == (0, "") and "no line of stdin has a word" in done.err


def test_overwriting_takes_the_prediction(run: Run, arguments: list[str], treebank: Path) -> None:
    full = TREEBANK.replace("\t_\tx\t", "\tX\tx\t")
    treebank.write_bytes(full.encode())
    kept = run(*arguments[:-1], "pos", treebank)
    assert kept.out == full
    replaced = run(*arguments[:-1], "pos", treebank, "--overwrite")
    assert (
        replaced.out == run("predict", *arguments[1:-2], "--task", "pos", "--file", treebank, "--output", "conllu").out
    )
    assert replaced.out.replace("\r", "").count("\n") == full.count("\n")


def test_what_to_look_at_first_goes_into_a_file_of_its_own(run: Run, arguments: list[str], tmp_path: Path) -> None:
    text = tmp_path / "wo.txt"
    text.write_text("Nanga def?\nNdox mi sedd na.\nXanaa leeral ne.\n", encoding="utf-8")
    out = tmp_path / "out.conllu.gz"
    done = run(*arguments, text, "-o", out, "--review", "2")
    assert done.err.splitlines() == [f"wrote {out}", f"wrote {tmp_path / 'out.review.conllu'}"]
    every, worst = ([str(raw) for raw in read_raw_conllu(path)] for path in (out, tmp_path / "out.review.conllu"))
    columns = ("MISC.UposProb", "MISC.NameProb")
    means = [certainty(raw, columns) for raw in read_raw_conllu(out)]
    assert worst == [every[index] for index in sorted(range(3), key=lambda index: means[index] or 0)][:2]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["a.conllu", "--review", "3"], "--review writes a file beside OUT"),
        (["a.conllu", "b.conllu"], "Several files need a folder"),
        (["a.conllu", "b.conllu", "-o", "a.conllu"], "-o has to be a folder"),
        (["a.conllu", "x/a.conllu", "-o", "out"], "would both become out"),
        (["-o", "."], "has no name. Give -o a file"),
        (["-o", "new/"], "has no name. Give -o a file"),
        (["a.conllu", "-o", ""], "-o is empty"),
        (["a.conllu", "-o", "b.conllu/"], "-o has to be a folder"),
        (["a.review.conllu", "-o", "a.conllu", "--review", "1"], "--review would write over a.review.conllu"),
        (["a.conllu", "a.review.conllu", "-o", "out", "--review", "1"], "--review would write over out"),
        (["a.conllu", "-o", "/dev/null"], "no regular file"),
        (["a.conllu", "--option", "decoding=greedy"], "None of the tasks pos, ner has an option 'decoding'"),
        (["a.conllu", "--tasks", "pos,nli"], "What nli predicts has no place in CoNLL-U"),
        (["a.conllu", "--tasks", "pos,,ner"], "There is no task ''"),
    ],
)
def test_what_makes_no_sense_is_refused(
    run: Run, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in (tmp_path, tmp_path / "x"):
        folder.mkdir(exist_ok=True)
        for name in ("a.conllu", "b.conllu", "a.review.conllu"):
            (folder / name).write_bytes(TREEBANK.encode())
    refused = run(*arguments, *more)
    assert (refused.code, refused.out) == (2, "")
    assert said in refused.err


@pytest.mark.parametrize(
    ("late", "said"), [(b"1\td\xe9g\n", "in.conllu:7: not UTF-8"), (b"1 x\n", "in.conllu:7: 1 tab")]
)
def test_a_late_fault_is_found_before_anything_is_loaded(
    run: Run,
    arguments: list[str],
    treebank: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    late: bytes,
    said: str,
) -> None:
    monkeypatch.setattr("badx_hub.stack.load_together", lambda *_, **__: pytest.fail("loaded"))
    treebank.write_bytes(f"{TREEBANK}\r\n".encode() + late)
    refused = run(*arguments, treebank, "-o", tmp_path / "out.conllu")
    assert refused.code == 1
    assert said in refused.err
    assert not (tmp_path / "out.conllu").exists()


def test_a_file_without_a_word_is_refused(run: Run, arguments: list[str], treebank: Path) -> None:
    treebank.write_text("# nothing\n\n")
    refused = run(*arguments, treebank)
    assert (refused.code, refused.out) == (1, "")
    assert "has no word" in refused.err


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "id,text\n1,Nanga\n", "is .csv, neither CoNLL-U nor text"),
        ("a.jsonl.gz", "", "is .jsonl, neither"),
        ("a.conllup", "# global.columns = ID FORM\n1\tNanga\n", "is .conllup, neither"),
        ("a.conllu", "# global.columns = ID FORM\n1\tNanga\n", "a.conllu:1: CoNLL-U Plus; expected"),
        ("a.txt", "1 Nanga _ _ _ _ 0 root _ _\n", "a table of words like CoNLL-U"),
        ("a.txt", "# text = Nanga\n1\tNanga\tINTJ\n", "a table of words like CoNLL-U"),
        ("a.txt", "Nanga\tINTJ\ndef\tVERB\n\n", "columns of words and their tags"),
        ("a.txt", "Nanga def?\rMaa ngi fi.\r", "a.txt:1: a carriage return inside a line"),
        (".", "", "Name a file in it"),
    ],
)
def test_what_is_neither_conllu_nor_text_is_refused(
    run: Run, arguments: list[str], tmp_path: Path, name: str, content: str, said: str
) -> None:
    packed = gzip.compress(b'{"text": "Nanga"}\n') if name.endswith(".gz") else content.encode()
    if name != ".":
        (tmp_path / name).write_bytes(packed)
    refused = run(*arguments, tmp_path / name)
    assert (refused.code, refused.out) == (1, "") and said in refused.err


def test_what_is_stopped_leaves_what_was_there(
    run: Run, arguments: list[str], treebank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> Iterator[RawSentence]:
        yield RawSentence(("half",))
        raise KeyboardInterrupt

    monkeypatch.setattr("badx_hub.annotation.annotated", stopped)
    out = tmp_path / "out" / "out.conllu"
    out.parent.mkdir()
    out.write_text("before")
    done = run(*arguments, treebank, "-o", out)
    assert done.code == 130
    assert [(path.name, path.read_text()) for path in out.parent.iterdir()] == [("out.conllu", "before")]

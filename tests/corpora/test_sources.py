from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests
from huggingface_hub import HfApi
from huggingface_hub.errors import RepositoryNotFoundError

from badx_hub.corpora.sources import default_source, open_source
from badx_hub.data import lines
from badx_hub.data.splits import DataReference
from badx_hub.errors import DataError, NotFoundError, StorageError, UsageError
from tests.refusals import refused

CONLLU = "# text = Dem naa.\n1\tDem\t_\tVERB\t_\t_\t0\troot\t_\t_\n2\tnaa\t_\tAUX\t_\t_\t1\taux\t_\t_\n\n"
CONLLU_WITHOUT_TEXT = CONLLU.partition("\n")[2]


def lines_of(path: Path) -> list[str]:
    return [line.strip() for line in open_source("wo", str(path)).lines()]


def write(path: Path, content: str | bytes) -> Path:
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def test_the_default_is_the_wikipedia_of_the_language() -> None:
    assert default_source("wo") == "hf:wikimedia/wikipedia:20231101.wo"


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "A.TXT"])
def test_plain_text(tmp_path: Path, name: str) -> None:
    assert lines_of(write(tmp_path / name, "one\r\n\r\ntwo\x85\nthree")) == ["one", "", "two", "three"]


def test_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    assert lines_of(write(tmp_path / "a.txt", b"\xef\xbb\xbfone\n")) == ["one"]


@pytest.mark.parametrize("name", ["a.conllu", "a.conllu.gz"])
def test_conllu_gives_the_text_or_the_words(tmp_path: Path, name: str) -> None:
    assert lines_of(write(tmp_path / name, CONLLU + CONLLU_WITHOUT_TEXT)) == ["Dem naa.", "Dem naa"]


def test_conllu_errors_name_the_line(tmp_path: Path) -> None:
    path = write(tmp_path / "a.conllu", CONLLU + "1\tDem\n\n")
    with pytest.raises(DataError, match=r"a\.conllu:5"):
        lines_of(path)


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_jsonl_documents_become_lines(tmp_path: Path, name: str) -> None:
    records = [{"text": "one\ntwo", "id": 1}, {"text": None}, {"text": "three"}]
    text = "\n".join(json.dumps(record) for record in records) + "\n\n"
    assert lines_of(write(tmp_path / name, text)) == ["one", "two", "", "three"]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"body": "x"}', 'no "text" field'),
        ('{"text": 3}', "expected text, got int"),
        (r'{"text": "\ud800"}', "surrogate"),
    ],
)
def test_jsonl_errors_name_the_line(tmp_path: Path, line: str, complaint: str) -> None:
    path = write(tmp_path / "a.jsonl", '{"text": "fine"}\n' + line + "\n")
    with pytest.raises(DataError, match=rf"a\.jsonl:2: .*{complaint}"):
        lines_of(path)


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": [1, 2, 3], "text": ["one\ntwo", None, "three"]}), path, row_group_size=1)
    assert lines_of(path) == ["one", "two", "", "three"]


def test_parquet_errors(tmp_path: Path) -> None:
    pq.write_table(pa.table({"body": ["one"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match='no column "text"; its columns are body'):
        lines_of(tmp_path / "a.parquet")
    pq.write_table(pa.table({"text": [1]}), tmp_path / "b.parquet")
    with pytest.raises(DataError, match="row 1: expected text, got int"):
        lines_of(tmp_path / "b.parquet")
    with pytest.raises(DataError, match="not a sound parquet file"):
        lines_of(write(tmp_path / "c.parquet", b"PAR1 but no more"))


def test_a_folder_is_read_in_sorted_order(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    (folder / "b").mkdir(parents=True)
    write(folder / "b" / "x.txt", "three\n")
    write(folder / "a.jsonl", '{"text": "one"}\n')
    write(folder / "a.txt", "two\n")
    write(folder / "empty.txt", "")
    write(folder / ".hidden.txt", "hidden")
    write(folder / "README.md", "no corpus")
    source = open_source("wo", str(folder))
    assert [line.strip() for line in source.lines()] == ["one", "two", "three"]
    assert source.name == "corpus"


def test_digest_follows_content_and_kind_not_the_name(tmp_path: Path) -> None:
    def digest(name: str, content: str) -> str:
        return open_source("wo", str(write(tmp_path / name, content))).digest

    one, other = '{"text": "a"}\n', '{"text":  "a"}\n'
    assert digest("a.txt", one) == digest("b.txt", one)
    assert len({digest("a.txt", one), digest("a.txt", other), digest("a.jsonl", one)}) == 3


def test_a_name_that_no_manifest_holds_is_escaped(tmp_path: Path) -> None:
    assert open_source("wo", str(write(tmp_path / "a\n\x1b\udce9.txt", "text\n"))).name == r"a\u000a\u001b\udce9.txt"
    assert DataReference.of(tmp_path / "a\n\x1b\udce9.txt").name == r"a\u000a\u001b\udce9.txt"


def test_missing_paths_and_unknown_kinds(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"No such file or folder: .*nowhere\.txt"):
        open_source("wo", str(tmp_path / "nowhere.txt"))
    with pytest.raises(UsageError, match=r"unknown kind; expected \.txt"):
        open_source("wo", str(write(tmp_path / "a.docx", "text")))
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="holds no text file"):
        open_source("wo", str(tmp_path / "folder"))


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.txt")
    with pytest.raises(DataError, match="not a regular file"):
        open_source("wo", str(tmp_path / "a.txt"))


def test_empty_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.txt is empty"):
        open_source("wo", str(write(tmp_path / "a.txt", "")))


@pytest.mark.parametrize(
    "content",
    [
        bytes(1000),
        os.urandom(4096) + b"\xff\x00\x01",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0",
        bytes(range(256)),
    ],
)
@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "a.jsonl", "a.conllu"])
def test_binary_files(tmp_path: Path, content: bytes, name: str) -> None:
    with pytest.raises(DataError, match=rf"{name} is a binary file"):
        open_source("wo", str(write(tmp_path / name, content)))


def test_utf16_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "wolof".encode("utf-16"))
    with pytest.raises(DataError, match=rf"iconv -f utf-16 -t utf-8 {path} > utf8-a\.txt$"):
        open_source("wo", str(path))


@pytest.mark.parametrize("text", ["un\nété\n", "café\n" * 2000])
def test_latin1_names_file_and_line(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "a.txt", text.encode("latin-1"))
    line = 2 if text.startswith("un") else 1
    with pytest.raises(DataError, match=rf"a\.txt:{line}: not UTF-8 \(byte 0xe9\).*iconv -f latin1 -t utf-8"):
        lines_of(path)


def test_a_late_latin1_line_is_found(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "fine é\n".encode() * 5000 + b"caf\xe9\n")
    with pytest.raises(DataError, match=r"a\.txt:5001: not UTF-8"):
        lines_of(path)


def test_stray_nul_characters_are_still_text(tmp_path: Path) -> None:
    assert lines_of(write(tmp_path / "a.txt", "a\0b\n\0c\0\n")) == ["a\0b", "\0c\0"]


def test_a_multibyte_character_across_the_sniffed_border_is_text(tmp_path: Path) -> None:
    assert len(lines_of(write(tmp_path / "a.txt", "a" + "é" * 5000 + "\n"))[0]) == 5001


def test_truncated_and_false_gzip(tmp_path: Path) -> None:
    noise = "".join(f"{number * 7919 % 10007}\n" for number in range(40000)).encode()
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(noise)[:-5000])
    with pytest.raises(DataError, match=r"a\.txt\.gz:\d+: damaged gzip file"):
        lines_of(tmp_path / "a.txt.gz")
    (tmp_path / "b.txt.gz").write_bytes(b"plain text\n")
    with pytest.raises(DataError, match=r"b\.txt\.gz: damaged gzip file"):
        lines_of(tmp_path / "b.txt.gz")


def test_unreadable_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = write(tmp_path / "a.txt", "text\n")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(StorageError, match=r"a\.txt cannot be read: Permission denied"):
        open_source("wo", str(path))


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 100)
    with pytest.raises(DataError, match=r"a\.txt:2: a line of more than"):
        lines_of(write(tmp_path / "a.txt", "short\n" + "long " * 30))


def test_a_file_that_changes_after_opening_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "one\ntwo\n")
    source = open_source("wo", str(path))
    reader = source.lines()
    next(reader)
    with path.open("a") as stream:
        stream.write("three\n")
    with pytest.raises(DataError, match="changed while it was being read"):
        list(reader)
    with pytest.raises(DataError, match="changed while it was being read"):
        next(source.lines())


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "dataset"
    folder.mkdir()
    for split in ("train", "test"):
        rows = [
            {"text": f"{split} one\n{split} two", "body": "other"},
            {"text": f"{split} three", "body": "b"},
        ]
        write(folder / f"{split}.jsonl", "\n".join(json.dumps(row) for row in rows))
    return folder


def test_dataset_is_streamed(dataset: Path) -> None:
    source = open_source("wo", f"hf:{dataset}")
    assert list(source.lines()) == ["train one", "train two", "train three"]
    assert list(source.lines()) == list(source.lines())
    assert source.name == "hf:dataset"
    other = open_source("wo", f"hf:{dataset}::test:body")
    assert list(other.lines()) == ["other", "b"]
    assert other.name == "hf:dataset::test:body"
    assert other.digest != source.digest == open_source("wo", f"hf:{dataset}").digest


def test_dataset_digest_follows_the_content(dataset: Path) -> None:
    before = open_source("wo", f"hf:{dataset}").digest
    write(dataset / "train.jsonl", '{"text": "new", "body": ""}')
    assert open_source("wo", f"hf:{dataset}").digest != before


def test_dataset_errors(dataset: Path) -> None:
    with pytest.raises(DataError, match='no column "nope"; its columns are text, body'):
        open_source("wo", f"hf:{dataset}:::nope")
    with refused(NotFoundError, r"Bad split: dev.*--text wo=FILE"):
        open_source("wo", f"hf:{dataset}::dev")
    with pytest.raises(NotFoundError, match="BuilderConfig 'cfg' not found"):
        open_source("wo", f"hf:{dataset}:cfg")
    with pytest.raises(UsageError, match="names no dataset"):
        open_source("wo", "hf:")


@pytest.mark.parametrize("name", ["hf:wikimedia/wikipedia:20231101.wo", "hf:nope", "hf:a/b/c", "hf:/no/such"])
def test_datasets_out_of_reach_offer_a_file(name: str) -> None:
    with refused(NotFoundError, r"--text wo=FILE") as caught:
        open_source("wo", name)
    assert name[3:].partition(":")[0] in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (RepositoryNotFoundError("404", response=requests.Response()), "no such dataset on the Hub"),
        (requests.ConnectionError("a long story"), "the Hub cannot be reached"),
    ],
)
def test_trouble_with_the_hub_is_named(monkeypatch: pytest.MonkeyPatch, trouble: Exception, reason: str) -> None:
    def fail(*_: object, **__: object) -> None:
        raise trouble

    monkeypatch.setattr(HfApi, "dataset_info", fail)
    with refused(NotFoundError, rf"wikimedia/wikipedia:20231101\.wo:train .*{reason}.*--text wo=FILE"):
        open_source("wo", "hf:wikimedia/wikipedia:20231101.wo")


def test_nothing_heavy_is_imported() -> None:
    heavy = "{'torch', 'transformers', 'datasets', 'adapters', 'pyarrow'}"
    script = (
        "import sys, badx_hub.corpora.sources, badx_hub.corpora.packing, badx_hub.corpora.schedule\n"
        f"sys.exit(repr({heavy} & set(sys.modules)) if {heavy} & set(sys.modules) else 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_folder_leaves_out_what_adapters_are_scored_on_and_what_is_no_text(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "UD_Wolof-X"
    for inner in ("test", ".git", "__MACOSX", "more", "not-to-release"):
        (folder / inner).mkdir(parents=True)
    for name in ("wo_x-ud-train.conllu", "wo_x-ud-test.CONLLU", "wo_x-ud-dev.conll"):
        write(folder / name, CONLLU)
    for name in (
        "more/a.txt",
        "wiki.valid.txt",
        "test/b.txt",
        "LICENSE.txt",
        "README-wo.txt",
        "licence.txt",
        "dev.txt",
        "wiki.val.txt",
        "devtest.txt",
        "not-to-release/old.txt",
    ):
        write(folder / name, "text\n")
    for name in (".git/c.txt", "__MACOSX/d.txt", "._a.txt", ".nfs01.txt", "notes.pdf"):
        write(folder / name, "rubbish\n")
    source = open_source("wo", str(folder))
    assert [line.strip() for line in source.lines()] == ["text", "Dem naa."]
    assert all(name in caplog.text for name in ("devtest.txt", "test/b.txt", "LICENSE.txt", "not-to-release"))
    only = tmp_path / "only"
    only.mkdir()
    write(only / "test.txt", "text\n")
    with pytest.raises(DataError, match="only dev and test splits and notes"):
        open_source("wo", str(only))
    assert lines_of(only / "test.txt") == ["text"]


@pytest.mark.parametrize("others", [["en.txt"], ["fra_Latn.txt.gz", "Gn.jsonl"], ["en/a.txt"]], ids=str)
def test_a_folder_of_several_languages_asks_which(tmp_path: Path, others: list[str]) -> None:
    for name in ("wol.txt", *others):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path / name, '{"text": "a"}' if "json" in name else "text\n")
    with pytest.raises(UsageError, match=r"several languages .*, wo\)\. Say which is meant: .*wol\.txt"):
        open_source("wo", str(tmp_path))
    assert len(lines_of(tmp_path / "wol.txt")) == 1
    with pytest.raises(UsageError, match="The text of wo is 'None'; expected a path"):
        open_source("wo", None)  # type: ignore[arg-type]


def test_names_that_only_look_like_languages_are_one_text(tmp_path: Path) -> None:
    for name in ("wo.txt", "old.txt", "a.txt", "part.txt"):
        write(tmp_path / name, "text\n")
    assert len(list(open_source("wo", str(tmp_path)).lines())) == 4


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (CONLLU, r"is CoNLL-U, not text\. Give it a name"),
        ("Dakar B-LOC\ndem O\n\n" * 20, "columns of words and their tags"),
        ("Dakar B-LOC\ndem O\n\nO O", "columns of words and their tags"),
        (CONLLU.replace("\t", " "), "a table of words like CoNLL-U"),
        ("1\tNanga\tnanga\tADV\tADV\t_\t2\tadvmod\n", "a table of words like CoNLL-U"),
        ("# global.columns = ID FORM\n1\tNanga\n", "CoNLL-U Plus"),
        ('[{"text": "Nanga def?"}]\n', "is JSON"),
        ('{"text": "Nanga"}\n{"text": "def?"}\n', "is JSON"),
        ("\n<!DOCTYPE html>\n<p>Nanga def?\n", "is XML or HTML"),
    ],
)
def test_annotated_files_under_the_name_of_a_text_are_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        open_source("wo", str(write(tmp_path / "a.txt", text)))


def test_text_of_short_lines_is_text(tmp_path: Path) -> None:
    assert len(lines_of(write(tmp_path / "a.txt", "vitamin B-12\nO O\nNanga def?\n" * 20))) == 60
    for text in ("1 of the very best of all of them _ .\n", "[...] {x}\n<3 ok\n", "a O\nb B-12\nc O\n"):
        assert lines_of(write(tmp_path / "a.txt", text)) == text.splitlines()

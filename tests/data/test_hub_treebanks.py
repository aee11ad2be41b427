"""Treebanks from the data set of UD on the Hub: the same CoNLL-U as in a release, kept and pinned."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from badx_hub.data.conllu import RawSentence, read_raw_conllu
from badx_hub.data.demo_data import embedded
from badx_hub.data.treebanks import split_files
from badx_hub.errors import DataError, NotFoundError
from badx_hub.tasks.dp import DpTask
from badx_hub.tasks.ner import NerTask
from badx_hub.tasks.pos import UPOS, PosTask
from tests.hub.fixture import hub
from tests.hub.server import HubServer

__all__ = ["hub"]

WTB = Path(embedded("demo:ud/UD_Wolof-WTB"))
NASTY = """\
# newdoc id = a
# sent_id = a-1
# text = du None
1-2\tdu\t_\t_\t_\t_\t_\t_\t_\tSpaceAfter=No
1\tde\tde\tADP\t_\t_\t3\tcase\t3:case\t_
2\tle\tle\tDET\t_\tDefinite=Def|Number=Sing\t3\tdet\t3:det\t_
2.1\tx\t_\t_\t_\t_\t_\t_\t3:dep\t_
3\tNone\tNone\tNOUN\tN\t_\t0\troot\t0:root\tA=1|B

"""
LISTS = ("tokens", "lemmas", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
COLUMNS = ("FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")


def row(raw: RawSentence) -> dict[str, Any]:
    """A sentence as the data set has it."""
    cells = [line.rstrip("\n").split("\t") for line in raw.lines]
    others = [
        dict(zip(("id", "form", *LISTS[1:]), one, strict=True)) for one in cells if not one[0].isdigit() and one[1:]
    ]
    assert raw.sentence is not None
    return {
        "sent_id": raw.sentence.sent_id,
        "text": raw.sentence.text,
        "comments": [line.rstrip("\n") for line in raw.lines if line.startswith("#")],
        **{name: list(raw.cells(column)) for name, column in zip(LISTS, COLUMNS, strict=True)},
        "mwt": [one for one in others if "-" in one["id"]],
        "empty_nodes": [one for one in others if "." in one["id"]],
    }


def parquet(rows: list[dict[str, Any]], metadata: dict[str, str] | None = None) -> bytes:
    table = pa.Table.from_pylist(rows)
    stream = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(metadata), stream)
    return stream.getvalue()


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [row(raw) for raw in read_raw_conllu(path) if raw.sentence is not None]


@pytest.fixture
def treebanks(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A data set with two treebanks on the Hub; the commit."""
    monkeypatch.setenv("BADX_HUB_UD", "acme/ud")
    (tmp_path / "nasty.conllu").write_text(NASTY, encoding="utf-8")
    numbers = [
        {"idx": "a", "tokens": ["Dem", "naa"], "upos": [UPOS.index("VERB"), UPOS.index("AUX")], "feats": ["None"] * 2}
    ]
    features = {"info": {"features": {"upos": {"feature": {"names": list(UPOS), "_type": "ClassLabel"}}}}}
    return hub.put(
        "acme/ud",
        {
            "README.md": "---\nlicense: other\n---\n",
            "parquet/fr_gsd/train.parquet": parquet(rows_of(tmp_path / "nasty.conllu")),
            "parquet/de_gsd/train.parquet": parquet(rows_of(tmp_path / "nasty.conllu")),
            "parquet/wo_wtb/test.parquet": parquet(rows_of(next(WTB.glob("*test*")))),
            "wo_old/validation-00000-of-00001.parquet": parquet(numbers, {"huggingface": json.dumps(features)}),
        },
        kind="dataset",
    )


def test_a_treebank_is_fetched_once_and_is_what_was_released(treebanks: str, hub: HubServer, home: Path) -> None:
    task = DpTask()
    assert task.read("ud:UD_Wolof-WTB", "test") == task.read(str(WTB), "test")
    (path,) = split_files("ud:UD_Wolof-WTB", "test")
    assert home in path.parents and path.name == "wo_wtb-ud-test.conllu"
    names = {f"hf:acme/ud@{treebanks}/UD_Wolof-WTB/wo_wtb-ud-test.conllu"}
    assert {one.name for one in task.references("ud:UD_Wolof-WTB", "test")} == names
    assert {one.name for one in PosTask().references(f"ud:UD_Wolof-WTB@{treebanks}", "test")} == names
    hub.requests.clear()
    assert split_files("ud:UD_Wolof-WTB", "test") == (path,)
    assert not hub.requests


def test_all_columns_ranges_and_empty_nodes_are_there(treebanks: str) -> None:
    (path,) = split_files("ud:UD_French-GSD", "train")
    assert path.read_text(encoding="utf-8") == NASTY


def test_labels_stored_as_numbers_have_their_names(treebanks: str) -> None:
    (sentence,) = PosTask().read("ud:UD_Wolof-OLD", "dev")
    assert (sentence.words, sentence.upos, sentence.sent_id) == (("Dem", "naa"), ("VERB", "AUX"), "a")


def test_what_the_data_set_does_not_have(treebanks: str, hub: HubServer) -> None:
    with pytest.raises(NotFoundError, match="has no treebank UD_Wolof-NONE; set BADX_HUB_UD to another"):
        split_files("ud:UD_Wolof-NONE", "test")
    with pytest.raises(NotFoundError, match="has no treebank UD_English-WTB"):
        split_files("ud:UD_English-WTB", "test")
    hub.put("acme/ud", {"parquet/wo_bad/test.parquet": parquet([{"text": "a"}])}, kind="dataset")
    with pytest.raises(DataError, match=r"acme/ud: parquet/wo_bad/test\.parquet has no column tokens"):
        split_files("ud:UD_Wolof-BAD", "test")


def test_rows_of_any_data_set_are_read(tmp_path: Path) -> None:
    words = [{"tokens": ["Amina", "dem"], "ner_tags": ["B-PER", "O"], "upos": ["PROPN", "VERB"]}] * 2
    folder = tmp_path / "rows"
    folder.mkdir()
    (folder / "test.jsonl").write_text("".join(json.dumps(one) + "\n" for one in words), encoding="utf-8")
    assert [one.tags for one in NerTask().read(f"hf:{folder}", "test")] == [("B-PER", "O")] * 2
    assert [one.upos for one in PosTask().read(f"hf:{folder}", "test")] == [("PROPN", "VERB")] * 2
    (reference,) = NerTask().references(f"hf:{folder}", "test")
    assert reference.name.startswith("hf:rows@") and reference.name.endswith("/test.txt/test.txt")
    with pytest.raises(NotFoundError):
        NerTask().read(f"hf:{folder}", "train")
    with pytest.raises(DataError, match="no word with a head"):
        DpTask().read(f"hf:{folder}", "test")

"""The table of what is published."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest

from badx_hub.errors import UsageError
from badx_hub.evaluation.zoo import rendered, weight_bytes, zoo_table
from badx_hub.hub.client import HubClient
from badx_hub.registry import Entry, LocalRegistry, copy
from badx_hub.registry.hub import HubRegistry
from badx_hub.table import Table
from tests.hub.fixture import hub as hub
from tests.hub.machine import Machine
from tests.hub.server import HubServer
from tests.registry.conftest import make as make
from tests.registry.conftest import put as put
from tests.registry.conftest import registry as registry
from tests.registry.hubs import QUICK
from tests.registry.hubs import org as org

SCORES = {
    "dev": {"en/accuracy": 0.91, "wo/accuracy": 0.3},
    "test": {"wo/accuracy": 0.459, "wo/macro_f1": 0.298, "wo/f1/NOUN": 0.5},
}


@pytest.fixture
def entries(put: Any) -> tuple[Entry, ...]:
    ba = put("mbert/en-wo", metrics={"dev": {"wo/perplexity": 33.46, "en/perplexity": 9.0}}, licence=None)
    ta = put("mbert/en-wo/pos", on=ba, metrics=SCORES, licence="cc-by-4.0")
    both = {"test": {"wo/las": 0.2, "bm/las": 0.1}}
    return ta, ba, put("xlmr-base/en+bm+wo/dp", metrics=both)


def column(table: Table, title: str) -> list[str]:
    index = table.header.index(title)
    return [row[index].text for row in table.rows]


def test_rows_and_columns(entries: tuple[Entry, ...]) -> None:
    table = zoo_table(entries, lambda entry: weight_bytes(entry, None))
    assert table.header == (
        *("base", "languages", "task", "setup"),
        *("zero-shot LAS (%)", "zero-shot accuracy (%)", "zero-shot macro F1 (%)", "source accuracy (%)"),
        *("target perplexity", "size", "licence", "where"),
    )
    assert column(table, "where") == ["mbert/en-wo", "mbert/en-wo/pos", "xlmr-base/en+bm+wo/dp"]
    assert column(table, "task") == ["bilingual", "pos", "dp"]
    assert column(table, "zero-shot accuracy (%)") == ["–", "45.9", "–"]  # noqa: RUF001
    assert column(table, "source accuracy (%)")[1] == "91.0"
    assert column(table, "zero-shot LAS (%)")[2] == "15.0"
    assert column(table, "target perplexity")[0] == "33.5"
    assert column(table, "licence") == ["", "cc-by-4.0", "mit"]
    paths = [path for path in Path(entries[1].location).iterdir() if path.name.startswith("adapter")]
    assert column(table, "size")[0] == f"{sum(path.stat().st_size for path in paths):,}"


def test_forms(entries: tuple[Entry, ...]) -> None:
    table = zoo_table(entries, lambda _: None)
    assert rendered(table, ".md").startswith("| base | languages | task | setup | zero-shot LAS")
    rows = list(csv.DictReader(io.StringIO(rendered(table, ".csv"))))
    assert rows[1]["zero-shot accuracy (%)"] == "45.9" and rows[0]["zero-shot accuracy (%)"] == ""
    page = rendered(table, ".html")
    assert "<caption>Published adapters</caption>" in page and "cc-by-4.0" in page
    assert not re.search(r"<script|<link|src=|https?://", page)
    with pytest.raises(UsageError, match=r"\*\.md, \*\.html or \*\.csv"):
        rendered(table, ".pdf")
    assert zoo_table((), lambda _: 0).rows == ()


def test_of_an_organisation(
    hub: HubServer, org: HubRegistry, registry: LocalRegistry, entries: tuple[Entry, ...], tmp_path: Path
) -> None:
    copy(entries[0], registry, org)
    table = zoo_table(org.list(), lambda entry: weight_bytes(entry, HubClient(retries=QUICK)))
    assert column(table, "where") == ["acme/mbert.en-wo", "acme/mbert.en-wo.pos"]
    assert column(table, "size") == column(zoo_table(entries[:2], lambda e: weight_bytes(e, None)), "size")
    machine = Machine(tmp_path / "machine")
    printed = machine.run("zoo", "--org", "acme")
    assert (printed.code, printed.out) == (0, rendered(table, ".md"))
    written = machine.run("zoo", "--org", "acme", "-o", tmp_path / "zoo.html")
    assert written.code == 0 and "2 adapters of hf:acme" in written.err[-1]
    assert (tmp_path / "zoo.html").read_text() == rendered(table, ".html")
    assert machine.run("zoo", "--org", "acme", "--registry", "demo").code == 2
    assert machine.run("zoo", "-o", tmp_path / "zoo.pdf").code == 2

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from badx_hub.errors import UsageError
from badx_hub.evaluation.published_differences import ADDRESS
from badx_hub.evaluation.results import Result
from badx_hub.studies.report import write_report
from tests.evaluation.made import made

TITLE = "A <small> study & more"
RESULTS = tuple(
    made(name, target, score + shift, more={"macro_f1": score - 0.1})
    for target, shift in (("wo", 0.0), ("fo", 0.02))
    for name, score in (("bad-x", 0.66), ("bad-x@5:1", 0.6), ("mad-x", 0.62), ("ma", 0.58))
)
NOTE = "Tried *much*.\n\nSee below."
CURVES = {
    "mini/en-wo": [{"step": step, "loss": 1.0, "wo/perplexity": 500 - step} for step in (100.0, 200.0)],
    "mini/en-wo/pos": [{"step": step, "loss": 1.0, "en/accuracy": step / 300} for step in (100.0, 200.0)],
}
VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """Checks that elements nest; collects ids, addresses and the text people see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[tuple[str, str]] = []
        self.tags: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for key, value in attrs:
            if key == "id":
                self.ids.append(value or "")
            if key in ("src", "href", "xlink:href", "data", "srcset", "action"):
                self.addresses.append((tag, value or ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    return write_report(tmp_path_factory.mktemp("report"), RESULTS, title=TITLE, curves=CURVES, note=NOTE)


@pytest.fixture(scope="module")
def folder(written: tuple[Path, ...]) -> Path:
    return written[0].parent


def test_all_files_are_there_and_named_in_the_answer(written: tuple[Path, ...], folder: Path) -> None:
    assert set(written) == {path for path in folder.rglob("*") if path.is_file()}
    names = {path.name for path in written}
    assert {"index.html", "README.md", "results.json", "ratios.svg", "gains-pos.png", "curves-pos.svg"} <= names
    assert {"pos-accuracy.md", "pos-accuracy.csv", "pos-accuracy.tex", "published.md", "pos-cost.csv"} <= names


def test_the_page_needs_nothing_else(folder: Path) -> None:
    text = (folder / "index.html").read_text(encoding="utf-8")
    page = Page(text)
    outside = [(tag, address) for tag, address in page.addresses if not address.startswith("#")]
    assert outside == [("a", ADDRESS)]
    assert re.findall(r"https?:[^\"<\s]*", text) == [ADDRESS]
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert "@import" not in text


def test_the_page_is_well_formed_and_its_anchors_meet(folder: Path) -> None:
    page = Page((folder / "index.html").read_text(encoding="utf-8"))
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert {address[1:] for _, address in page.addresses if address.startswith("#")} <= set(page.ids)
    assert page.tags.count("figure") == 4


def test_the_page_says_what_the_report_says(folder: Path) -> None:
    text = (folder / "index.html").read_text(encoding="utf-8")
    assert "<h1>A &lt;small&gt; study &amp; more</h1>" in text
    assert "<p>Tried *much*.</p>" in text
    assert "Published (mBERT, its languages)" in text
    assert 'name="viewport"' in text


def test_every_clip_path_in_the_page_is_there(folder: Path) -> None:
    text = (folder / "index.html").read_text(encoding="utf-8")
    used = set(re.findall(r"url\(#([^)]+)\)", text))
    assert used
    assert used <= set(Page(text).ids)


def test_the_readme_shows_files_that_are_there(folder: Path) -> None:
    text = (folder / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(((?:figures|tables)/[^)]+)\)", text)
    assert "figures/ratios.png" in links
    assert all((folder / link).is_file() for link in links)
    assert text.startswith("# A &#60;small&#62; study &#38; more\n")
    assert "*much*" not in text


def test_results_can_be_read_back(folder: Path) -> None:
    records = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    read = [Result.model_validate(record) for record in records]
    assert sorted(read, key=repr) == sorted(RESULTS, key=repr)


def test_the_same_results_in_any_order_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    write_report(tmp_path, RESULTS[::-1], title=TITLE, curves=CURVES, note=NOTE)
    for path in folder.rglob("*"):
        if path.is_file():
            assert (tmp_path / path.relative_to(folder)).read_bytes() == path.read_bytes(), path.name


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    written = write_report(tmp_path, RESULTS[:1], title="One result")
    assert not [path for path in written if path.parent.name == "figures"]
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    for what in ("map of gains", "test of significance", "figure of ratios", "learning curves"):
        assert f"No {what}" in text


def test_nothing_to_report_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no results"):
        write_report(tmp_path / "report", [], title="Empty")
    assert not (tmp_path / "report").exists()

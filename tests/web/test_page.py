"""The page in a real browser: paste, see the tree, correct by mouse and by keyboard, undo, download, compare."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser import browser as browser
from tests.web.browser import opened
from tests.web.client import Client

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

TEXT = "Nanga def?\nXanaa leeral ne lëlu bi.\n"
FILE = (
    "\ufeff# sent_id = 1\n# a comment\tof ours\n1-2\tdalaa\t_\t_\t_\t_\t_\t_\t_\tGloss=x\n"
    "1\tdal\tdal\tVERB\tV:x\tA=B\t0\troot\t0:root\tHeadProb=0.4|K=\u2028v\r\n"
    "2\taa\t_\tX\t_\t_\t1\tdep\t_\tGloss=FOC|UposProb=0.3\n2.1\tz\t_\t_\t_\t_\t_\t_\t_\t_\n"
    "3\t.\t_\tPUNCT\t_\t_\t2\tpunct\t_\t_\n\n\n# alone\n\n1\tba\t_\tNOUN\t_\t_\t0\troot\t_\t_"
)


@pytest.fixture
def page(browser: Browser, web: Client) -> Iterator[Page]:
    with opened(browser, web.address) as one:
        one.select_option("#stack", "tiny.en-wo")
        yield one


def annotate(page: Page, text: str = TEXT) -> None:
    page.fill("#text", text)
    page.click("#annotate")
    page.wait_for_selector("#status:text('Annotated:')")


def show(page: Page, tmp_path: Path, text: str = FILE) -> None:
    """Open a file without a model."""
    (tmp_path / "field.conllu").write_bytes(text.encode())
    page.set_input_files("#file", tmp_path / "field.conllu")
    page.click("#show")
    page.wait_for_selector("#document:not([hidden]) svg")


def downloaded(page: Page) -> str:
    with page.expect_download() as waited:
        page.click("#download")
    assert waited.value.suggested_filename.endswith(".conllu")
    return Path(waited.value.path()).read_bytes().decode()


def status(page: Page) -> str:
    return page.text_content("#status") or ""


def test_a_pasted_text_is_annotated_and_downloaded(page: Page, web: Client) -> None:
    annotate(page)
    expected = web.post("/api/annotate", {"stack": "tiny.en-wo", "text": TEXT, "output": "conllu"}).body.decode()
    assert downloaded(page) == expected
    assert page.text_content("[data-word='1'] .tree-form") == "Nanga" and page.locator("[data-arc]").count() == 3
    page.click("#next")
    assert page.input_value("#number") == "2" and page.locator("[data-word]").count() == 6


def test_without_a_correction_a_file_is_the_same(page: Page, tmp_path: Path) -> None:
    show(page, tmp_path)
    assert downloaded(page) == FILE


def test_an_arc_is_corrected_by_mouse(page: Page, tmp_path: Path) -> None:
    show(page, tmp_path)
    page.click("[data-arc='3'] text")
    assert "Choose the head of 3 ." in status(page)
    page.click("[data-word='1']")
    expected = FILE.replace("3\t.\t_\tPUNCT\t_\t_\t2\t", "3\t.\t_\tPUNCT\t_\t_\t1\t")
    assert expected != FILE and downloaded(page) == expected
    page.click("#undo")
    assert downloaded(page) == FILE and page.is_disabled("#undo")
    page.click("#redo")
    assert downloaded(page) == expected


def test_an_arc_is_corrected_by_keyboard(page: Page, tmp_path: Path) -> None:
    """From the tree's one Tab stop, without a mouse: the head of word 3, its relation, then all of it undone."""
    show(page, tmp_path)
    page.focus("#download")
    page.keyboard.press("Tab")
    for key in ("End", "ArrowUp", "Enter"):  # the last word, its arc, choose
        page.keyboard.press(key)
    assert "Choose the head of 3 ." in status(page)
    for key in ("ArrowDown", "Home", "Enter"):
        page.keyboard.press(key)
    expected = FILE.replace("PUNCT\t_\t_\t2\t", "PUNCT\t_\t_\t1\t")
    assert downloaded(page) == expected
    page.focus("[data-word='3']")
    page.keyboard.press("r")
    page.keyboard.press("Control+A")
    page.keyboard.type("discourse")
    page.keyboard.press("Enter")
    assert downloaded(page) == expected.replace("\tpunct\t", "\tdiscourse\t")
    page.focus("[data-word='1']")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    assert downloaded(page) == FILE


def test_choosing_a_head_can_be_given_up_and_the_root_chosen(page: Page, tmp_path: Path) -> None:
    show(page, tmp_path)
    page.focus("[data-word='2']")
    page.keyboard.press("h")
    page.keyboard.press("Escape")
    assert status(page) == "" and page.is_disabled("#undo")
    page.keyboard.press("h")
    page.keyboard.press("0")
    assert "2\taa\t_\tX\t_\t_\t0\troot\t_\tGloss=FOC|UposProb=0.3\n" in downloaded(page)
    assert "Several roots: 1, 2." in (page.text_content("#faults") or "")


def test_a_tag_and_a_head_are_corrected_in_the_fields(page: Page, tmp_path: Path) -> None:
    """A probability is one of what the model said: it goes with it, and comes back with it."""
    show(page, tmp_path)
    page.click("[data-word='2']")
    assert page.text_content("#word") == "2 aa" and page.text_content("#upos-chance") == "30 %"
    page.select_option("#upos", "PART")
    tagged = FILE.replace("\tX\t", "\tPART\t").replace("|UposProb=0.3", "")
    assert downloaded(page) == tagged and page.text_content("#upos-chance") == ""
    for wrong, said in (("9", "from 1 to 3"), ("2", "not its own head")):
        page.fill("#head", wrong)
        page.press("#head", "Enter")
        assert said in (page.text_content("#error") or "") and page.input_value("#head") == "1"
    page.fill("#head", "3")
    page.press("#head", "Enter")
    assert "In a circle: 2, 3." in (page.text_content("#faults") or "")
    for _ in range(2):
        page.click("#undo")
    assert downloaded(page) == FILE


def test_the_least_certain_sentence_comes_first_if_asked(page: Page) -> None:
    annotate(page)
    both = [percent(page)]
    page.click("#next")
    both.append(percent(page))
    page.check("#worst")
    assert percent(page) == min(both)
    assert downloaded(page).startswith("# text = Nanga def?\n")  # the file keeps its order


def percent(page: Page) -> int:
    return int((page.text_content("#sentence-text") or "").rpartition("certainty ")[2].partition(" ")[0])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.conllu", b"1\ta\n", "the text:1: 2 tab-separated columns"),
        ("a.txt", "caf\xe9".encode("latin-1"), "a.txt is not UTF-8"),
        ("a.conllu.gz", b"x", "gunzip"),
        ("a.txt", b" \n", "There is no text"),
        ("a.conllu", b"# a\n\n", "There is no word"),
    ],
)
def test_what_cannot_be_read_is_told(page: Page, tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    page.set_input_files("#file", tmp_path / name)
    page.click("#show")
    page.wait_for_selector("#error:not([hidden])")
    assert said in (page.text_content("#error") or "")


HOSTILE = '<img src=x onerror="document.title=1">'


def test_text_stays_text(page: Page, tmp_path: Path) -> None:
    row = f"1\t{HOSTILE}\t_\t{HOSTILE}\t_\t_\t0\t{HOSTILE}\t_\tname=B-{HOSTILE}\n\n"
    show(page, tmp_path, f"# text = {HOSTILE}\u202e\n{row}")
    page.click("[data-word='1']")
    assert page.title() == "badx_hub: annotate" and page.locator("img").count() == 0
    assert "\\u202e" in (page.text_content("#sentence-text") or "")


def test_it_fits_into_400_pixels_and_every_field_has_a_name(browser: Browser, web: Client) -> None:
    with opened(browser, web.address, width=400) as page:
        page.select_option("#stack", "tiny.en-wo")
        annotate(page, "Xanaa leeral ne lëlu waxtaanu Sutsas bi moom la gëm ci réew mi.")
        page.click("[data-word='2']")
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        nameless = page.eval_on_selector_all(
            "input, select, textarea, button",
            "all => all.filter(one => !(one.labels?.length || one.textContent.trim())).map(one => one.id)",
        )
        assert nameless == []

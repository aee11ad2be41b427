"""The page of `badx-hub view`: what is written, and what it does in a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from badx_hub.errors import DataError, UsageError
from badx_hub.pages import view
from badx_hub.pages.view import view_page, write_view
from tests.browser import browser as browser
from tests.pages.test_tree import HEBREW, HOSTILE
from tests.refusals import refused
from tests.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WORD = "{}\t{}\t_\t{}\t_\t_\t{}\t{}\t_\t{}\n"


def sentence(number: int, *, tag: str = "NOUN", head: int = 2, sure: float | None = None) -> str:
    """Two words; the first one is the number, tagged and attached as told."""
    misc = "_" if sure is None else f"UposProb={sure:.3f}"
    words = WORD.format(1, f"w{number}", tag, head, "nsubj", misc), WORD.format(2, "def", "VERB", 0, "root", "_")
    return f"# sent_id = s{number}\n# text = w{number} def\n{''.join(words)}\n"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A file of 400 sentences, less certain from one to the next, and gold, which has another tag in every tenth."""
    ours, gold = tmp_path / "wo.conllu", tmp_path / "gold.conllu"
    ours.write_text("".join(sentence(number, sure=1 - number / 1000) for number in range(400)), encoding="utf-8")
    gold.write_text(
        "".join(sentence(number, tag="NOUN" if number % 10 else "PRON") for number in range(400)), encoding="utf-8"
    )
    return ours, gold


@contextmanager
def opened(browser: Browser, path: Path, width: int = 1000) -> Iterator[Page]:
    """The page, in a window; it asks for nothing else and raises nothing."""
    page = browser.new_page(viewport={"width": width, "height": 700})
    faults: list[str] = []
    asked: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    yield page
    page.close()
    assert (faults, asked) == ([], [path.as_uri()])


def test_a_file_whose_name_is_not_utf_8_has_a_page_too(tmp_path: Path) -> None:
    path = tmp_path / "caf\udce9.conllu"
    path.write_text(sentence(1), encoding="utf-8")
    assert "caf\\udce9.conllu" in write_view(path).read_text(encoding="utf-8")


def test_the_page_goes_beside_the_file_or_where_it_is_told(files: tuple[Path, Path], tmp_path: Path) -> None:
    ours, _ = files
    assert write_view(ours) == tmp_path / "wo.html"
    assert write_view(ours) == tmp_path / "wo.html"
    (tmp_path / "pages").mkdir()
    assert write_view(ours, output=tmp_path / "pages") == tmp_path / "pages" / "wo.html"
    assert write_view(ours, output=tmp_path / "new" / "x.HTML").is_file()
    assert {path.name for path in tmp_path.iterdir()} >= {"wo.conllu", "gold.conllu", "wo.html", "pages", "new"}
    assert not list(tmp_path.glob(".*"))


def test_what_is_no_page_of_ours_is_not_replaced(files: tuple[Path, Path], tmp_path: Path) -> None:
    ours, _ = files
    other = tmp_path / "wo.html"
    other.write_text("<p>my own page", encoding="utf-8")
    with refused(
        UsageError, "wo.html is there already and is no page of trees. Give another name: `?--output page.html"
    ):
        write_view(ours)
    assert other.read_text(encoding="utf-8") == "<p>my own page"
    for output in (ours, tmp_path / "page.txt", tmp_path / "page"):
        with refused(UsageError, "does not end in .html"):
            write_view(ours, output=output)


def test_files_that_make_no_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = tmp_path / "empty.conllu"
    empty.write_text("# nothing\n\n", encoding="utf-8")
    with refused(DataError, "has no sentence"):
        write_view(empty)
    long = tmp_path / "long.conllu"
    long.write_text(sentence(1) * 3, encoding="utf-8")
    monkeypatch.setattr(view, "MAX_CHARACTERS", 2 * len(sentence(1)))
    with refused(DataError, "too many for one page"):
        write_view(long)
    assert not list(tmp_path.glob("*.html"))


def test_no_file_can_write_markup(tmp_path: Path) -> None:
    path = tmp_path / "<b>&'\".conllu"
    path.write_text(f"# text = {HOSTILE}\n{WORD.format(1, HOSTILE, 'X', 0, HOSTILE, '_')}\n", encoding="utf-8")
    page = view_page(path)
    assert page.count("<script") == page.count("</script>") == 2 and "<img" not in page and "<b>" not in page
    policy = re.search(r'Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert policy[1].replace("&#39;", "'").startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy[1]


def test_trees_are_drawn_where_one_looks(browser: Browser, files: tuple[Path, Path]) -> None:
    with opened(browser, write_view(files[0])) as page:
        page.wait_for_selector("article svg")
        assert page.inner_text("#status") == "400 of 400 sentences"
        assert page.locator("article").count() < 60
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        until(lambda: "400 s399" in page.locator("article h2").all_inner_texts())
        assert page.locator("article").count() < 60
        assert page.locator("article svg").count() == page.locator("article").count()


def test_search_and_filters_choose_sentences(browser: Browser, files: tuple[Path, Path]) -> None:
    with opened(browser, write_view(*files)) as page:

        def shown(told: str, *first: str) -> None:
            """These are the first of what is chosen."""
            headings = page.locator("article h2")
            until(
                lambda: (
                    page.inner_text("#status").startswith(told)
                    and [text.split()[1] for text in headings.all_inner_texts()][: len(first)] == [*first]
                )
            )

        page.keyboard.press("/")
        page.keyboard.type("W39")
        shown("11 of 400", "s39", "s390", "s391")
        page.fill("#search", "upos=noun form=w7")
        shown("1 of 400", "s7")
        page.fill("#search", "form=def upos=noun")
        shown("0 of 400")
        page.click("[type=reset]")
        page.select_option("#errors", "0")
        shown("40 of 400", "s0", "s10")
        page.fill("#doubt", "0.7")
        page.check("#doubtful")
        shown("9 of 400", "s310", "s320")
        page.select_option("#order", "certainty")
        shown("9 of 400", "s390", "s380")


def test_differences_are_marked_and_counted(browser: Browser, files: tuple[Path, Path]) -> None:
    with opened(browser, write_view(*files)) as page:
        assert "UPOS 95.0, UAS 100.0, LAS 100.0" in page.inner_text("header")
        page.wait_for_selector("article svg")
        assert page.locator("article").first.locator(".tree-gold-upos").all_text_contents() == ["✓ PRON"]
        assert "1 wrong tag" in page.locator("article .heading").first.inner_text()
        page.click("#confusions summary")
        until(lambda: page.locator("#common button").all_inner_texts() == ["PRON → NOUN: 40"])
        page.click("#table td button")
        until(lambda: page.inner_text("#status") == "40 of 400 sentences, where gold has PRON and the file NOUN")


def test_keys_lead_from_sentence_to_sentence_and_into_the_tree(browser: Browser, files: tuple[Path, Path]) -> None:
    with opened(browser, write_view(files[0])) as page:
        page.wait_for_selector("article svg")
        for _ in range(8):
            page.keyboard.press("n")
        page.keyboard.press("p")
        assert page.evaluate("document.activeElement.querySelector('h2').textContent") == "7 s6"
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        told = page.locator("article:focus-within .told").inner_text()
        assert told == "1 w6 · UPOS NOUN · HEAD 2 · DEPREL nsubj · MISC UposProb=0.994"


def test_a_narrow_window_shows_all(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "x.conllu"
    long = "".join(WORD.format(number, "mbooleem", "NOUN", 0, "root", "_") for number in range(1, 60))
    path.write_text(
        f"{long}\n{HEBREW}\n# text = {'w' * 300}\n{WORD.format(1, 'w' * 300, 'X', 0, 'root', '_')}\n", "utf-8"
    )
    with opened(browser, write_view(path, path), width=400) as page:
        page.wait_for_selector("article svg")
        assert page.evaluate("document.documentElement.scrollWidth") == 400
        assert page.locator(".tree-scroll").first.evaluate("one => one.scrollWidth > one.clientWidth")


def test_a_hostile_file_is_shown_as_it_is(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "x.conllu"
    word = HOSTILE.replace("\u2028", "\u202e")
    row = WORD.format(1, word, word, 0, word, f"name=B-{word}")
    path.write_text(f"# sent_id = {word}\n# text = {word}\n# text_en = {word}\n{row}\n", encoding="utf-8")
    with opened(browser, write_view(path, path)) as page:
        page.wait_for_selector("article svg")
        assert page.title() == "x.conllu"
        assert page.locator("img").count() == 0 and page.locator("script").count() == 1
        assert page.inner_text("article .text") == word.replace("\u202e", "\\u202e")

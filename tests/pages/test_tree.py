"""The drawing of a tree, as a browser shows it and as keys move through it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from badx_hub import control_characters
from badx_hub.pages import asset, json_in_html
from tests.browser import browser as browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HOSTILE = "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\"> & \u2028"

ENGLISH = """# text = The café owner doesn't sleep.
1\tThe\tthe\tDET\t_\tDefinite=Def\t3\tdet\t_\tUposProb=0.990|HeadProb=0.900
2\tcafé\t_\tNOUN\t_\t_\t3\tcompound\t_\tUposProb=0.310|HeadProb=0.220
3\towner\t_\tNOUN\t_\t_\t6\tnsubj\t_\tname=B-PER
4-5\tdoesn't\t_\t_\t_\t_\t_\t_\t_\t_
4\tdoes\t_\tAUX\t_\t_\t6\taux\t_\t_
5\tn't\t_\tPART\t_\t_\t6\tadvmod\t_\t_
6\tsleep\t_\tVERB\t_\t_\t0\troot\t_\t_
6.1\tsoundly\t_\tADV\t_\t_\t_\t_\t6:advmod\t_
7\t.\t_\tPUNCT\t_\t_\t6\tpunct\t_\t_
"""
HEBREW = """1\tהַיֶּלֶד\t_\tNOUN\t_\t_\t3\tnsubj\t_\t_
2\tהקטן\t_\tADJ\t_\t_\t1\tamod\t_\t_
3\tאכל\t_\tVERB\t_\t_\t0\troot\t_\t_
4\tתפוח\t_\tNOUN\t_\t_\t3\tobj\t_\t_
"""  # noqa: RUF001
DRAW = """([text, options]) => {
  const holder = document.createElement("div");
  document.body.replaceChildren(holder);
  window.told = [];
  const said = {onSelectWord: (row) => told.push(`word ${row.id}`), onSelectArc: (row) => told.push(`arc ${row.id}`)};
  window.tree = badxTree.drawTree(holder, badxTree.parseSentence(text), {...said, ...options});
}"""
CENTRES = """() => Object.fromEntries([...document.querySelectorAll("[data-word]")].map(
  (one) => { const box = one.getBoundingClientRect(); return [one.dataset.word, (box.left + box.right) / 2]; }))"""
FOCUS = """() => { const {word, arc} = document.activeElement.dataset; return word ? `word ${word}` : `arc ${arc}`; }"""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.set_content(f"<style>{asset('tree.css')}</style>")
    page.add_script_tag(content=asset("tree.js"))
    yield page
    page.close()
    assert failures == []


def drawn(page: Page, text: str, **options: Any) -> None:
    page.evaluate(DRAW, [text, options])


def test_a_value_in_a_page_cannot_leave_its_element() -> None:
    written = json_in_html({HOSTILE: [HOSTILE]})
    assert json.loads(written) == {HOSTILE: [HOSTILE]}
    assert not re.search("[<>&\u2028\u2029]", written)


def test_the_page_hides_the_characters_that_a_terminal_does_not_get() -> None:
    found = re.search(r"const STEERING = /(\[.*\])/g;", asset("tree.js"))
    assert found is not None
    assert found[1] == f"[{control_characters._STEERING}]".replace(
        "x00-\\x1f\\x7f-\\x9f", "u0000-\\u001f\\u007f-\\u009f"
    )


@pytest.mark.parametrize("name", ["tree.js", "tree.css", "view.js", "view.css", "view.html.j2"])
def test_it_needs_no_network_and_sets_no_markup(name: str) -> None:
    text = asset(name).replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|//\w|innerHTML|insertAdjacentHTML|import |@import|url\(", text)


def test_words_arcs_ranges_and_entities_are_there(page: Page) -> None:
    drawn(page, ENGLISH, doubt=0.5)
    assert page.locator(".tree-form").all_text_contents() == [
        *("The", "café", "owner", "does", "n't", "sleep", "soundly", ".")
    ]
    relations = page.locator(".tree-arc").evaluate_all("all => all.map((one) => [one.dataset.arc, one.textContent])")
    assert dict(relations) == {
        **{"1": "det", "2": "compound ?", "3": "nsubj", "4": "aux", "5": "advmod", "6": "root", "7": "punct"}
    }
    assert page.locator(".tree-doubted .tree-upos").all_text_contents() == ["NOUN ?"]
    assert page.locator(".tree-bracket-name").all_text_contents() == ["doesn't", "PER"]
    assert page.locator("[role=group]").get_attribute("aria-label") == "The café owner doesn't sleep."


def test_labels_do_not_lie_on_each_other_and_all_is_in_the_picture(page: Page) -> None:
    drawn(page, ENGLISH, gold={"2": {"upos": "PROPN", "head": 6, "deprel": "obl"}})
    boxes = page.locator("text").evaluate_all(
        "all => all.map((one) => { const {x, y, width, height} = one.getBBox(); return [x, y, width, height]; })"
    )
    width, height = page.locator("svg.badx-tree").evaluate("one => [one.width.baseVal.value, one.height.baseVal.value]")
    assert all(x >= 0 and y >= 0 and x + w <= width and y + h <= height for x, y, w, h in boxes)
    for number, (x, y, w, h) in enumerate(boxes):
        # Half a pixel up and down: the boxes of lines of text touch.
        apart = [x + w <= a or a + c <= x or y + h <= b + 2 or b + d <= y + 2 for a, b, c, d in boxes[number + 1 :]]
        assert all(apart), number


def test_right_to_left_is_mirrored(page: Page) -> None:
    drawn(page, HEBREW)
    centres = page.evaluate(CENTRES)
    assert centres["1"] > centres["2"] > centres["3"] > centres["4"]
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(FOCUS) == "word 2"
    drawn(page, ENGLISH)
    assert (english := page.evaluate(CENTRES))["1"] < english["2"] < english["7"]


def test_keys_reach_words_and_arcs(page: Page) -> None:
    drawn(page, ENGLISH)
    walked = []
    for key in (
        "Tab",
        "ArrowRight",
        "ArrowUp",
        "ArrowUp",
        "Enter",
        "ArrowUp",
        " ",
        "ArrowDown",
        "End",
        "Home",
        "ArrowLeft",
    ):
        page.keyboard.press(key)
        walked.append(page.evaluate(FOCUS))
    assert walked == [
        *("word 1", "word 2", "arc 2", "word 3", "word 3", "arc 3", "arc 3", "word 3", "word 7", "word 1", "word 1")
    ]
    assert page.evaluate("told") == ["word 3", "arc 3"]


def test_a_click_chooses_and_a_redrawn_tree_keeps_the_focus(page: Page) -> None:
    drawn(page, ENGLISH)
    page.click("[data-word='3'] .tree-form")
    page.click("[data-arc='1'] .tree-back", force=True)
    assert page.evaluate("told") == ["word 3", "arc 1"]
    page.evaluate("tree.mark({word: 2, arc: 1})")
    page.evaluate("(text) => tree.redraw(badxTree.parseSentence(text))", ENGLISH.replace("3\tdet", "2\tamod"))
    assert page.evaluate(FOCUS) == "arc 1"
    assert page.locator(".tree-marked").evaluate_all("all => all.map((one) => one.textContent)")[0] == "amod"


def test_what_gold_has_is_drawn_beside_what_is_wrong(page: Page) -> None:
    gold = {
        "1": {"upos": "PRON", "head": None, "deprel": "_"},
        "2": {"upos": "_", "head": 6, "deprel": "obl"},
        "4": {"upos": "_", "head": None, "deprel": "cop"},
    }
    drawn(page, ENGLISH, gold=gold)
    assert page.locator(".tree-word.tree-wrong .tree-upos, .tree-gold-upos").all_text_contents() == ["✗ DET", "✓ PRON"]
    assert page.locator(".tree-wrong-head .tree-relation").all_text_contents() == ["✗ compound"]
    assert page.locator(".tree-gold .tree-relation").all_text_contents() == ["✓ obl"]
    assert page.locator(".tree-wrong-relation .tree-relation").all_text_contents() == ["✗ aux ✓ cop"]
    dashes = [
        page.locator(f"{one} .tree-line").evaluate("one => getComputedStyle(one).strokeDasharray")
        for one in (".tree-wrong-head", ".tree-gold", "[data-arc='3']")
    ]
    assert len({*dashes}) == 3 and dashes[2] == "none"


def test_a_file_is_data_and_nothing_else(page: Page) -> None:
    word = HOSTILE.replace("\u2028", "\u202e")
    drawn(
        page,
        f"# text = {word}\n1\t{word}\t_\t{word}\t_\t_\t0\t{word}\t_\tname=B-{word}\n2\tx\t_\t_\t_\t_\t9\t_\t_\t_\n",
    )
    assert page.locator("svg script, svg img, svg image").count() == 0
    assert page.title() == ""
    assert page.locator(".tree-form").first.text_content() == word.replace("\u202e", "\\u202e")
    drawn(
        page,
        "1\ta\t_\t_\t_\t_\t2\tx\t_\t_\n2\tb\t_\t_\t_\t_\t1\ty\t_\t_\n3\tc\t_\t_\t_\t_\t0\tr\t_\t_\n4\td\t_\t_\t_\t_\t0\tr\t_\t_\n",
    )
    assert page.locator(".tree-arc").count() == 4

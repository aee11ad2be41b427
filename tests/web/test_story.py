"""The story of docs/annotate.md: annotate raw text, correct three arcs on the page, train on the file, score higher."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from badx_hub import load_bilingual_stack, train_language_adapter, train_task_adapter
from badx_hub.data.conllu import RawSentence, read_raw_conllu
from badx_hub.languages import pair
from badx_hub.recipes import load_recipe, override
from badx_hub.registry import LocalRegistry
from badx_hub.stack import BilingualStack
from tests.browser import browser as browser
from tests.tiny import demo_data, demo_lines, write_tiny_base
from tests.web.browser import opened
from tests.web.client import serving
from tests.web.conftest import served_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PAIR = pair("en", "wo")
STEPS = 30


def sentences(treebank: str, file: str, longest: int) -> list[RawSentence]:
    """Those of 3 to `longest` words that are written without ranges."""
    read = read_raw_conllu(demo_data() / "ud" / treebank / file)
    return [raw for raw in read if 3 <= len(raw.words) <= longest and not any("-" in cell for cell in ids(raw))]


def ids(raw: RawSentence) -> list[str]:
    return [line.split("\t")[0] for line in raw.lines if not line.startswith("#")]


@dataclass(frozen=True)
class Stranger:
    """Somebody with a small base, some English trees, and nothing annotated in Wolof."""

    folder: Path
    base: Path

    @property
    def registry(self) -> LocalRegistry:
        return LocalRegistry(self.folder / "registry")

    def prepare(self) -> None:
        (self.folder / "en").mkdir()
        for split, count in (("train", 300), ("dev", 40)):
            chosen = sentences("UD_English-EWT", f"en_ewt-ud-{split}.conllu.gz", 12)[:count]
            (self.folder / "en" / f"en-ud-{split}.conllu").write_text("".join(map(str, chosen)), encoding="utf-8")
        text = {}
        for language in PAIR.languages:
            text[language] = str(self.folder / f"{language}.txt")
            Path(text[language]).write_text("\n".join(demo_lines(language, 400)), encoding="utf-8")
        small = {"steps": 4, "batch_size": 4, "max_length": 32, "eval_every": 4, "eval_blocks": 4}
        recipe = override(load_recipe("demo").language, small)
        train_language_adapter(PAIR, recipe, registry=self.registry, base=str(self.base), text=text)

    def parser(self, **corrected: str) -> BilingualStack:
        """A parser trained on the English trees, and on a file of the target if there is one."""
        data = {"en": str(self.folder / "en"), **corrected}
        recipe = override(
            load_recipe("demo").tasks["dp"], {"steps": STEPS, "batch_size": 8, "eval_every": STEPS, "save_every": 0}
        )
        made = train_task_adapter(PAIR, "dp", recipe, data=data, registry=self.registry)
        label = made.entry.name.label
        return load_bilingual_stack("en", "wo", "dp", registry=self.registry, base=str(self.base), label=label)


def score(stack: BilingualStack, gold: Sequence[RawSentence]) -> float:
    """LAS, in per cent."""
    examples = [raw.sentence for raw in gold]
    return 100 * stack.task.score(examples, stack.predict_examples(examples)).metrics["las"]


def by_mouse(page: Page, word: int, head: int) -> None:
    page.click(f"[data-arc='{word}'] text")
    page.click(f"[data-word='{head}']")


def by_keyboard(page: Page, word: int, head: int) -> None:
    page.focus(f"[data-word='{word}']")
    page.keyboard.press("h")
    page.focus(f"[data-word='{head}']")
    page.keyboard.press("Enter")


def in_the_field(page: Page, word: int, head: int) -> None:
    page.click(f"[data-word='{word}']")
    page.fill("#head", str(head))
    page.press("#head", "Enter")


WAYS: tuple[Callable[[Page, int, int], None], ...] = (by_mouse, by_keyboard, in_the_field)


def correct(page: Page, gold: RawSentence, guess: RawSentence) -> None:
    """Give each word with a wrong head the right one, in each way once, and its relation."""
    pairs = zip(gold.cells("HEAD"), guess.cells("HEAD"), gold.cells("DEPREL"), strict=True)
    wrong = [(word, int(head), name) for word, (head, other, name) in enumerate(pairs, start=1) if head != other]
    assert len(wrong) == 3
    wrong.sort(key=lambda one: one[1] == 0)  # the root is no word to click on
    for way, (word, head, name) in zip(WAYS, wrong, strict=True):
        way(page, word, head)
        page.click(f"[data-word='{word}']")
        page.fill("#deprel", name)
        page.press("#deprel", "Enter")


def test_three_corrected_arcs_raise_the_score(browser: Browser, tmp_path: Path) -> None:
    base = write_tiny_base(tmp_path / "tiny", steady=True)
    stranger = Stranger(tmp_path, base)
    stranger.prepare()
    zero_shot = stranger.parser()
    gold = sentences("UD_Wolof-WTB", "wo_wtb-ud-dev.conllu.gz", 7)
    guesses = zero_shot.predict([raw.sentence.words for raw in gold if raw.sentence])
    heads = [tuple(str(head) for head in tree.heads) for tree in guesses]
    errors = [
        sum(one != other for one, other in zip(raw.cells("HEAD"), mine, strict=True))
        for raw, mine in zip(gold, heads, strict=True)
    ]
    chosen = gold[errors.index(3)]
    text = " ".join(chosen.cells("FORM"))
    with serving(served_of(stranger.registry, base)) as client, opened(browser, client.address) as page:
        page.fill("#text", text)
        page.click("#annotate")
        page.wait_for_selector("#status:text('Annotated:')")
        asked = {"text": text, "output": "conllu"}
        raw = client.post("/api/annotate", asked).body.decode()
        guess = chosen.replaced({name: column(raw, at) for name, at in (("HEAD", 6), ("DEPREL", 7))})
        correct(page, chosen, guess)
        with page.expect_download() as waited:
            page.click("#download")
        corrected = tmp_path / "corrected.conllu"
        waited.value.save_as(corrected)
    rows = zip(column(corrected.read_text("utf-8"), 6), column(raw, 6), chosen.cells("HEAD"), strict=True)
    assert sum(mine != before for mine, before, _ in rows) == 3
    assert column(corrected.read_text("utf-8"), 6) == list(chosen.cells("HEAD"))
    held_out = [one for one in read_short_test() if one.sentence]
    before, after = score(zero_shot, held_out), score(stranger.parser(wo=str(corrected)), held_out)
    assert after > before, (before, after)


def read_short_test() -> list[RawSentence]:
    path = demo_data() / "ud" / "UD_Wolof-WTB" / "wo_wtb-ud-test.conllu.gz"
    return [raw for raw in read_raw_conllu(path) if 3 <= len(raw.words) <= 7]


def column(text: str, at: int) -> list[str]:
    """A column of the only sentence of a file."""
    return [line.split("\t")[at] for line in text.splitlines() if "\t" in line and not line.startswith("#")]

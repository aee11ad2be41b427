"""Annotating: several stacks on one base, what is filled and what stays, and what the official evaluator says of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from udtools.udeval import evaluate as udeval
from udtools.udeval import load_conllu_file

from badx_hub.annotation import LeastCertain, annotated, certainty, output_name, read_sentences, sentences_in
from badx_hub.data.conllu import RawSentence, Sentence, read_raw_conllu
from badx_hub.evaluation import evaluate
from badx_hub.registry import Entry, LocalRegistry
from badx_hub.stack import BilingualStack, StackParts, load_bilingual_stack, load_entries, load_together
from badx_hub.tasks.labels import UNIVERSAL
from badx_hub.tasks.pos import UPOS
from badx_hub.tasks.trees import is_tree
from tests.made import made

SENTENCES = ["Xanaa leeral ne lëlu waxtaanu Sutsas bi.", "Nanga def?", "Ndox mi sedd na."]
TASKS = ("pos", "dp", "ner")


@dataclass(frozen=True)
class World:
    """A BA with a task adapter for each of `TASKS` on it, and a later BA of the same name with one for dp."""

    registry: LocalRegistry
    base: Path
    entries: dict[str, tuple[Entry, ...]]
    later: tuple[Entry, ...]

    def parts(self, *entries: tuple[Entry, ...]) -> list[StackParts]:
        return [StackParts(one, self.registry) for one in entries]

    def together(self, *tasks: str) -> tuple[BilingualStack, ...]:
        return load_together(self.parts(*(self.entries[task] for task in tasks)), base=str(self.base))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Iterator[World]:
    registry = LocalRegistry(tmp_path_factory.mktemp("annotation") / "registry")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BADX_HUB_HOME", str(tmp_path_factory.mktemp("annotation-home")))
        below = made(registry, tiny_base, "tiny/en-wo", seed=1, invertible=True)
        entries = {
            task: (below, made(registry, tiny_base, f"tiny/en-wo/{task}", seed=seed, on=below))
            for seed, task in enumerate(TASKS, start=2)
        }
        newer = made(registry, tiny_base, "tiny/en-wo", seed=8, day=2)
        later = (newer, made(registry, tiny_base, "tiny/en-wo/dp", seed=9, on=newer, day=2))
    yield World(registry, tiny_base, entries, later)


@pytest.fixture(scope="module")
def stacks(world: World) -> tuple[BilingualStack, ...]:
    return world.together(*TASKS)


def pieces(text: str) -> list[RawSentence]:
    return list(sentences_in(enumerate(re.findall(r"[^\n]*\n", text), start=1), "test"))


def rows(*cells: str) -> str:
    """A sentence, each word as UPOS, HEAD, DEPREL and MISC separated by spaces."""
    lines = [
        f"{number}\tw{number}\tl\t{upos}\tx\tf=1\t{head}\t{name}\t_\t{misc}\n"
        for number, (upos, head, name, misc) in enumerate((one.split() for one in cells), start=1)
    ]
    return "".join(lines) + "\n"


def filled(stacks: Sequence[BilingualStack], text: str, *, overwrite: bool = False) -> str:
    return "".join(map(str, annotated(stacks, pieces(text), overwrite=overwrite)))


# Several stacks on one base


def test_stacks_on_one_base_share_a_model_and_predict_what_each_does_alone(
    world: World, stacks: tuple[BilingualStack, ...]
) -> None:
    import torch

    assert len({id(stack.model) for stack in stacks}) == 1
    ids = torch.arange(5, 25).unsqueeze(0)
    for stack in (*stacks, *stacks[::-1]):
        alone = load_entries(stack.entries, world.registry, base=str(world.base))
        assert stack.predict(SENTENCES) == alone.predict(SENTENCES)
        with torch.no_grad():
            expected = alone.model.base_model(ids).last_hidden_state
            assert torch.equal(stack.model.base_model(ids).last_hidden_state, expected)


def test_another_version_of_an_adapter_gets_a_model_of_its_own(world: World) -> None:
    parts = world.parts(world.entries["pos"], world.later, world.entries["ner"])
    tagger, parser, entities = load_together(parts, base=str(world.base))
    assert tagger.model is entities.model is not parser.model
    alone = load_entries(world.later, world.registry, base=str(world.base))
    assert parser.predict(SENTENCES) == alone.predict(SENTENCES)
    assert parser.predict(SENTENCES) != world.together("dp")[0].predict(SENTENCES)


# What is filled


def test_text_becomes_conllu_with_every_column_of_the_tasks(stacks: tuple[BilingualStack, ...], tmp_path: Path) -> None:
    path = tmp_path / "a.conllu"
    path.write_text(filled(stacks, "Nanga def?\n\n  \nNdox mi sedd na.\n"), encoding="utf-8")
    first, second = read_raw_conllu(path)
    assert (first.surface(), second.surface()) == ("Nanga def?", "Ndox mi sedd na.")
    for raw in (first, second):
        assert raw.sentence is not None
        assert raw.sentence.text == raw.surface()
        assert set(raw.cells("UPOS")) <= set(UPOS)
        assert set(raw.cells("DEPREL")) <= set(UNIVERSAL)
        assert is_tree([head for head in raw.sentence.heads if head is not None])
        assert all(re.fullmatch(r"O|[BI]-(LOC|PER)", name) for name in raw.cells("MISC.name"))
    load_conllu_file(str(path))


def test_only_what_is_empty_is_filled(stacks: tuple[BilingualStack, ...]) -> None:
    given = rows("X _ _ _", "_ _ _ name=B-ORG", "_ _ _ SpaceAfter=No")
    (raw,) = pieces(filled(stacks, given))
    assert raw.cells("UPOS")[0] == "X"
    assert "_" not in raw.cells("UPOS")
    assert raw.cells("MISC.name")[1] == "B-ORG"
    assert raw.cells("MISC")[2].startswith("SpaceAfter=No|name=")
    (parsed,) = pieces(filled(stacks[1:2], given))
    assert parsed.cells("UPOS") == ("X", "_", "_")
    assert "_" not in parsed.cells("HEAD")


def test_a_finished_file_stays_as_it_is_unless_overwritten(stacks: tuple[BilingualStack, ...]) -> None:
    finished = rows("X 0 root name=B-ORG", "X 1 dep name=O", "X 2 dep a=b|name=O")
    assert filled(stacks, finished) == finished
    (raw,) = pieces(filled(stacks, finished, overwrite=True))
    (blank,) = pieces(filled(stacks, rows("_ _ _ _", "_ _ _ _", "_ _ _ a=b")))
    assert str(raw) == str(blank)


def test_heads_that_make_no_tree_with_the_given_ones_are_reported(
    stacks: tuple[BilingualStack, ...], caplog: pytest.LogCaptureFixture
) -> None:
    (raw,) = pieces(filled(stacks, rows("_ 2 dep _", "_ 1 dep _", "_ _ _ _")))
    assert raw.cells("HEAD")[:2] == ("2", "1")
    assert "in 1 sentences that had heads for some words only" in caplog.text


def test_annotating_twice_changes_nothing(stacks: tuple[BilingualStack, ...]) -> None:
    once = filled(stacks, "\n".join([*SENTENCES, ""]))
    assert filled(stacks, once) == once


def test_what_has_no_word_passes_through(stacks: tuple[BilingualStack, ...]) -> None:
    text = "\ufeff# a licence\r\n\r\n" + rows("_ _ _ _") + " \n# the end"
    out = "".join(map(str, annotated(stacks, sentences_in(enumerate(text.splitlines(keepends=True), 1), "t"))))
    assert out.startswith("\ufeff# a licence\r\n\r\n1\t") and out.endswith("\n \n# the end")


# Files


@pytest.mark.parametrize(
    ("name", "made_of_it"),
    [
        ("a.txt", "a.conllu"),
        ("a.b.txt.gz", "a.b.conllu.gz"),
        ("a", "a.conllu"),
        ("a.CONLLU", "a.CONLLU"),
        ("a.conllu.gz", "a.conllu.gz"),
    ],
)
def test_names_of_what_is_made(name: str, made_of_it: str) -> None:
    assert output_name(Path("folder") / name) == made_of_it


@pytest.mark.parametrize("head", ["", "# text = Ndox\n", "\n\n"])
def test_a_row_tells_conllu_from_text(tmp_path: Path, head: str) -> None:
    path = tmp_path / "unknown"
    path.write_text(head + rows("_ _ _ _"), encoding="utf-8")
    assert "".join(map(str, read_sentences(path))) == path.read_text(encoding="utf-8")
    path.write_text(head + "# Ndox\n1 2 3\n", encoding="utf-8")
    texts = [raw.sentence.text for raw in read_sentences(path) if raw.sentence is not None]
    assert texts[-2:] == ["# Ndox", "1 2 3"]


# How certain


def test_probabilities_stand_beside_what_was_filled_in(stacks: tuple[BilingualStack, ...]) -> None:
    import torch

    given = rows("X _ _ _", "_ _ _ _", "_ _ _ SpaceAfter=No|UposProb=0.5")
    (raw,) = annotated(stacks, pieces(given), confidence=True)
    assert raw.cells("MISC.UposProb")[0] == "_"
    for column, count in (("UposProb", 2), ("HeadProb", 3), ("NameProb", 3)):
        found = [float(cell) for cell in raw.cells(f"MISC.{column}") if cell != "_"]
        assert len(found) == count
        assert all(0 < probability <= 1 for probability in found)
    (without,) = annotated(stacks, pieces(given))
    bare = {f"MISC.{key}": ["_"] * 3 for key in ("UposProb", "HeadProb", "NameProb")}
    assert raw.replaced(bare) == without.replaced(bare)
    assert without.cells("MISC.UposProb") == ("_", "_", "0.5")
    tagger = stacks[0]
    tagger.activate()
    (window,) = tagger.task.encode([raw.sentence], tagger.tokenizer, tagger.max_length)
    with torch.no_grad():
        logits = tagger.model(**tagger.task.collate([window], None, 0)).logits[0, list(window.positions)]
    expected = logits.softmax(-1).max(-1).values.tolist()
    assert [float(cell) for cell in raw.cells("MISC.UposProb")[1:]] == pytest.approx(expected[1:], abs=6e-4)


def test_heads_are_as_probable_in_windows_as_their_scores_say(stacks: tuple[BilingualStack, ...]) -> None:
    parser = stacks[1]
    words = [f"{word}" for word in " ".join(SENTENCES * 12).split()]
    examples = [parser.task.prepare(words), parser.task.prepare(words[:5])]
    trees, chances = parser.predict_with_probabilities(examples)
    assert trees == parser.predict_examples(examples)
    assert [len(one) for one in chances] == [len(words), 5]
    assert len(parser.task.encode(examples, parser.tokenizer, parser.max_length)) > 2
    assert all(0 <= chance <= 1 for one in chances for chance in one)


def test_the_least_certain_sentences_come_first() -> None:
    probabilities = ("0.900", "0.100", "0.500", "0.300", "_", "0.100")
    given = [
        RawSentence.of(Sentence.of(["w", "v"], sent_id=str(number))).replaced({"MISC.UposProb": [cell, "1.000"]})
        for number, cell in enumerate(probabilities)
    ]
    assert certainty(given[0], ["MISC.UposProb", "MISC.HeadProb"]) == pytest.approx(0.95)
    review = LeastCertain(3, ["MISC.UposProb"])
    for raw in given:
        review.add(raw)
    found = [raw.sentence.sent_id for raw in pieces(review.text()) if raw.sentence is not None]
    assert found == ["1", "5", "3"]
    assert LeastCertain(3, ["MISC.UposProb"]).text() == ""


# Against other programs


def blanked(text: str, columns: Sequence[int]) -> str:
    """CoNLL-U with "_" in these columns of its words, by lines alone."""
    lines = text.split("\n")
    for index, line in enumerate(lines):
        if re.match(r"\d+\t", line):
            row = line.split("\t")
            lines[index] = "\t".join("_" if column in columns else cell for column, cell in enumerate(row))
    return "\n".join(lines)


def test_scores_are_those_of_the_official_evaluator(shared: Path, world: World, tmp_path: Path) -> None:
    gold = next(shared.glob("data/ud/UD_Wolof-WTB/*-test.conllu"))
    empty, system = tmp_path / "empty.conllu", tmp_path / "system.conllu"
    empty.write_text(blanked(gold.read_text(encoding="utf-8"), (3, 6, 7)), encoding="utf-8")
    tagger = load_bilingual_stack("en", "wo", "pos", registry="demo")
    (parser,) = world.together("dp")
    with system.open("w", encoding="utf-8") as out:
        out.writelines(map(str, annotated([tagger, parser], read_sentences(empty))))
    official = udeval(load_conllu_file(str(gold)), load_conllu_file(str(system)))
    ours = {
        **evaluate(tagger, str(gold), split="test").scores.metrics,
        **evaluate(parser, str(gold), split="test").scores.metrics,
    }
    assert official["UPOS"].f1 == ours["accuracy"] > 0.3
    assert (official["UAS"].f1, official["LAS"].f1) == (ours["uas"], ours["las"])
    assert all(official[name].f1 == 1 for name in ("Words", "Sentences", "XPOS", "UFeats", "Lemmas"))


def test_all_other_columns_of_the_shared_treebanks_are_kept(
    shared: Path, stacks: tuple[BilingualStack, ...], tmp_path: Path
) -> None:
    files = sorted(shared.glob("data/ud/*/*.conllu"))
    assert len(files) == 12
    for path in files:
        sentences = path.read_text(encoding="utf-8").split("\n\n")
        sampled = "\n\n".join([*sentences[:-1][:: len(sentences) // 25], ""])
        sample = tmp_path / path.name
        sample.write_text(blanked(sampled, (3, 6, 7)), encoding="utf-8")
        found = "".join(map(str, annotated(stacks, read_sentences(sample))))
        without = re.sub(r"(?m)(?:\|name=|(?<=\t)name=)[^|\t\n]+$", "", blanked(found, (3, 6, 7)))
        assert re.sub(r"(?m)\t$", "\t_", without) == sample.read_text(encoding="utf-8")
        assert len(re.findall(r"(?m)name=(?:O|[BI]-\w+)$", found)) == len(re.findall(r"(?m)^\d+\t", found))

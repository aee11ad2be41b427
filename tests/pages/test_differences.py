"""A file against its gold: what differs, and scores that are those of `badx-hub evaluate`."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from badx_hub.data.conllu import Sentence
from badx_hub.errors import DataError
from badx_hub.pages.differences import GoldDifference, LabelPair, compared, matched
from badx_hub.tasks.dp import DpTask
from badx_hub.tasks.parsing import Tree
from badx_hub.tasks.pos import PosTask
from tests.refusals import refused

GOLD = Sentence(("a", "b", "c"), ("DET", "NOUN", "_"), (2, 0, None), ("det", "root", "_"), sent_id="s1", line=7)
NAMES = ("ours.conllu", "gold.conllu")


@st.composite
def annotated(draw: st.DrawFn) -> tuple[Sentence, Sentence]:
    """Two annotations of the same words; gold has a tag and a head at least."""
    length = draw(st.integers(2, 5))

    def layer(whole: bool) -> Sentence:
        head = st.integers(0, length) if whole else st.none() | st.integers(0, length)
        tag = st.sampled_from(("NOUN", "VERB")) if whole else st.sampled_from(("NOUN", "VERB", "_"))
        columns = [draw(st.tuples(tag, head, st.sampled_from(("obj", "nsubj", "nsubj:pass")))) for _ in range(length)]
        tags, heads, relations = zip(*columns, strict=True)
        return Sentence(("w",) * length, tags, heads, relations)

    ours, gold = layer(True), layer(False)
    return ours, replace(gold, upos=("NOUN", *gold.upos[1:]), heads=(2, *gold.heads[1:]))


@settings(max_examples=30)
@given(st.lists(annotated(), min_size=1, max_size=4))
def test_scores_are_those_of_evaluate(pairs: list[tuple[Sentence, Sentence]]) -> None:
    found = compared(pairs).scores
    gold = [one for _, one in pairs]
    tags = PosTask().score(gold, [ours.upos for ours, _ in pairs]).metrics
    trees = [Tree(tuple(head or 0 for head in ours.heads), ours.deprels) for ours, _ in pairs]
    arcs = DpTask().score(gold, trees).metrics
    assert found == pytest.approx({"UPOS": tags["accuracy"], "UAS": arcs["uas"], "LAS": arcs["las"]})


def test_differences_name_what_a_word_should_have() -> None:
    ours = replace(GOLD, upos=("NOUN", "NOUN", "X"), heads=(3, 0, 2), deprels=("det:poss", "root", "dep"))
    found = compared([(ours, GOLD), (GOLD, GOLD)])
    assert found.differences == ({1: GoldDifference("DET", 2, "det")}, {})
    assert found.wrong == ((1, 1, 0), (0, 0, 0))
    assert found.labels["UPOS"] == {
        LabelPair("DET", "NOUN"): [0],
        LabelPair("NOUN", "NOUN"): [0, 1],
        LabelPair("DET", "DET"): [1],
    }
    assert set(found.labels["DEPREL"]) == {LabelPair("det", "det"), LabelPair("root", "root")}


def test_a_subtype_is_no_difference_but_another_relation_is() -> None:
    def difference(relation: str) -> object:
        return compared([(replace(GOLD, deprels=(relation, "root", "_")), GOLD)]).differences[0]

    assert difference("det:poss") == {}
    assert difference("amod") == {1: GoldDifference(deprel="det")}


def test_a_column_that_the_file_does_not_have_is_not_compared() -> None:
    blank = Sentence.of(GOLD.words, ("DET", "_", "_"))
    assert compared([(blank, GOLD)]).differences == ({2: GoldDifference("NOUN")},)
    assert set(compared([(blank, GOLD)]).scores) == {"UPOS"}
    untagged = replace(GOLD, upos=("_", "_", "_"))
    assert compared([(untagged, GOLD)]).scores == {"UAS": 1.0, "LAS": 1.0}


@pytest.mark.parametrize(
    ("ours", "said"),
    [
        (
            [GOLD, replace(GOLD, words=("a", "x", "c"), line=3)],
            r"Sentence 2 \(s1\) .*ours.conllu:3 than in gold.conllu:7: word 2 is 'x'",
        ),
        ([GOLD, Sentence.of(("a", "b"))], "2 words against 3. Gold has to"),
        ([GOLD], r"ours.conllu ends after 1 sentences, but gold.conllu:7 has one more \(s1\)"),
        ([GOLD, GOLD, GOLD], "gold.conllu ends after 2 sentences, but ours.conllu:7"),
    ],
)
def test_other_words_are_refused(ours: list[Sentence], said: str) -> None:
    with refused(DataError, said):
        matched(ours, [GOLD, GOLD], NAMES)

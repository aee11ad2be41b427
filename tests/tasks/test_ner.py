from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from badx_hub.data.conllu import Sentence
from badx_hub.data.entity_columns import Tagged, entities_of, read_columns, repaired
from badx_hub.errors import DataError, NotFoundError
from badx_hub.tasks import task_named
from badx_hub.tasks.ner import NerTask
from tests.refusals import refused

TASK = NerTask()
LABELS = ("O", "B-LOC", "B-PER", "I-LOC", "I-PER")


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def tagged(*pairs: str) -> Tagged:
    """ "Seen/I-PER" -> a sentence of such words."""
    split = [pair.rsplit("/", 1) for pair in pairs]
    return Tagged(tuple(word for word, _ in split), tuple(tag for _, tag in split))


# --- reading ---


@pytest.mark.parametrize(
    "text",
    [
        "Ëmmë\tB-PER\nSeen\tI-PER\ndem\tO\n\nDakar\tB-LOC\n",
        "-DOCSTART- O\n\nËmmë B-PER\nSeen I-PER\ndem O\n\n-DOCSTART- O\n\nDakar B-LOC",
        "-DOCSTART- -X- -X- O\n\nËmmë NNP B-NP B-PER\nSeen NNP I-NP I-PER\ndem VB B-VP O\n\n\nDakar NNP B-NP B-LOC\n\n",
        "Ëmmë  B-PER\r\nSeen E-PER\r\ndem O\r\n \r\nDakar U-LOC\r\n",
    ],
    ids=["tabs", "documents", "CoNLL-2003", "other schemes"],
)
def test_the_word_comes_first_and_its_tag_last(tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    expected = (tagged("Ëmmë/B-PER", "Seen/I-PER", "dem/O"), tagged("Dakar/B-LOC"))
    assert TASK.read(str(write(tmp_path / "a.txt", text)), "test") == expected
    assert not caplog.text


def test_a_no_break_space_is_part_of_a_word(tmp_path: Path) -> None:
    assert read_columns(write(tmp_path / "a.txt", "a\u00a0b O\n"))[0].words == ("a\u00a0b",)


def test_what_continues_nothing_begins_and_a_warning_says_where(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "a.txt", "a O\nb I-PER\nc I-PER\nd I-LOC\n\ne I-LOC\n")
    with caplog.at_level(logging.WARNING, logger="badx_hub"):
        sentences = read_columns(path)
    assert [sentence.tags for sentence in sentences] == [("O", "B-PER", "I-PER", "B-LOC"), ("B-LOC",)]
    assert [sentence.line for sentence in sentences] == [1, 6]
    assert (
        f"{path}: 3 tags I- that continue no entity of their type were read as B-, the first in line 2" in caplog.text
    )


tags = st.sampled_from(["O", *(f"{mark}-{kind}" for mark in "BI" for kind in ("PER", "LOC", "DATE"))])


@given(st.lists(tags, max_size=12))
def test_a_repair_changes_no_entity_and_is_done_once(given_tags: list[str]) -> None:
    from seqeval.metrics.sequence_labeling import get_entities

    once = repaired(given_tags)
    assert repaired(once) == once
    assert list(entities_of(once)) == list(entities_of(given_tags)) == get_entities(given_tags)
    assert [tag[2:] for tag in once] == [tag[2:] for tag in given_tags]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a\n", r"a\.txt:1: 1 columns, expected 2, the word first and its tag last: 'a'"),
        ("a O\nb X O\n", r"a\.txt:2: 3 columns, expected 2"),
        ("a O\nb PER\n", r"a\.txt:2: 'PER' is no tag; expected O, or B- or I- and a type, such as B-PER"),
        ("a O\nb B-\n", r"a\.txt:2: 'B-' is no tag"),
        ("a O\n", r"a\.txt: no word is part of an entity"),
        ("", r"a\.txt: no word is part of an entity"),
    ],
)
def test_what_is_not_in_columns(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        TASK.read(str(write(tmp_path / "a.txt", text)), "test")


def test_a_sentence_checks_itself() -> None:
    with pytest.raises(DataError, match="one tag for each"):
        Tagged(("a", "b"), ("O",))
    with pytest.raises(DataError, match="is no word"):
        Tagged(("",), ("O",))


def test_the_data_of_one_language(tmp_path: Path) -> None:
    for name in ("wo.train.txt", "wo.dev.txt", "yo.dev.txt"):
        write(tmp_path / name, f"{name} B-PER\n")
    assert TASK.read(str(tmp_path / "wo"), "dev")[0].words == ("wo.dev.txt",)
    assert [file.name for file in TASK.references(str(tmp_path / "wo"), "train")] == ["wo.train.txt"]
    with pytest.raises(NotFoundError, match="no train split"):
        TASK.read(str(tmp_path / "yo"), "train")


# --- labels ---

DATED = (tagged("a/B-PER", "b/I-PER", "c/O", "d/B-DATE", "e/I-DATE", "f/B-PER"), tagged("g/B-DATE"))


def test_labels_are_those_that_occur_each_with_both_marks() -> None:
    assert TASK.labels(DATED) == ("O", "B-DATE", "B-PER", "I-DATE", "I-PER")
    assert NerTask("DATE").labels(DATED) == ("O", "B-PER", "I-PER")


def test_types_that_the_head_lacks_are_listed_and_may_be_ignored() -> None:
    with refused(DataError, r"gold labels DATE \(2\); it knows LOC, PER\. .*--option ignore=DATE`\.$"):
        TASK.aligned(DATED, LABELS)
    with refused(DataError, r"DATE \(2\); it knows LOC\. .*--option ignore=PER,DATE`\.$"):
        NerTask("PER").aligned(DATED, ("O", "B-LOC", "I-LOC"))
    ignoring = task_named("ner", {"ignore": " DATE, MISC"})
    assert isinstance(ignoring, NerTask)
    aligned = ignoring.aligned(DATED, LABELS)
    assert [sentence.tags for sentence in aligned] == [("B-PER", "I-PER", "O", "O", "O", "B-PER"), ("O",)]
    guesses = (("B-PER", "I-PER", "B-DATE", "O", "O", "O"), ("B-DATE",))
    assert ignoring.score(DATED, guesses).metrics == pytest.approx({"f1": 2 / 3, "precision": 1, "recall": 1 / 2})
    assert ignoring.score(DATED, guesses) == ignoring.score(aligned, guesses)
    assert [ignoring.counts(*pair) for pair in zip(DATED, guesses, strict=True)] == [(2, 3), (0, 0)]


# --- scores ---


def test_scores_by_hand() -> None:
    """PER: one of two found, and one guess too long. LOC: the end is wrong. ORG: guessed once, never gold."""
    gold = (tagged("a/B-PER", "b/I-PER", "c/O", "d/B-LOC"), tagged("e/B-PER", "f/O"))
    scores = TASK.score(gold, (("B-PER", "I-PER", "O", "B-ORG"), ("B-PER", "I-PER")))
    assert scores.metrics == pytest.approx({"f1": 1 / 3, "precision": 1 / 3, "recall": 1 / 3})
    assert [(row.label, row.f1, row.support) for row in scores.table] == [("LOC", 0, 1), ("ORG", 0, 0), ("PER", 0.5, 2)]
    assert tuple(scores.metrics) == TASK.metrics
    with pytest.raises(DataError, match="nothing to score"):
        TASK.score((tagged("a/O"),), (("B-PER",),))
    with pytest.raises(ValueError, match="zip"):
        TASK.score(gold, (("O",), ("O", "O")))


sentences = st.lists(st.lists(st.tuples(tags, tags), min_size=1, max_size=8), min_size=1, max_size=6)


@settings(deadline=None, max_examples=60)
@given(sentences)
def test_scores_are_those_of_seqeval(drawn: list[list[tuple[str, str]]]) -> None:
    """For predictions of any kind, also those that are no sound BIO."""
    from seqeval.metrics import classification_report

    gold = [list(repaired([true for true, _ in sentence])) for sentence in drawn]
    guesses = [[guess for _, guess in sentence] for sentence in drawn]
    if not any(tag != "O" for sentence in gold for tag in sentence):
        return
    examples = [Tagged(("x",) * len(one), tuple(one)) for one in gold]
    report = classification_report(gold, guesses, output_dict=True, zero_division=0)
    scores = TASK.score(examples, guesses)
    micro = report["micro avg"]
    expected = {"f1": micro["f1-score"], "precision": micro["precision"], "recall": micro["recall"]}
    assert scores.metrics == pytest.approx(expected)
    for row in scores.table:
        theirs = report[row.label]
        assert (row.precision, row.recall, row.f1, row.support) == pytest.approx(
            (theirs["precision"], theirs["recall"], theirs["f1-score"], theirs["support"])
        )


# --- in and out ---


def test_sentences_from_text_words_and_conllu() -> None:
    assert TASK.prepare("Dem naa.") == Tagged(("Dem", "naa", "."), (None,) * 3, "Dem naa.")
    assert TASK.prepare(["Dem", "naa"]) == Tagged(("Dem", "naa"), (None, None))
    assert TASK.prepare(Sentence.of(["Dem"], ["VERB"], text="Dem")) == Tagged(("Dem",), (None,), "Dem")
    assert TASK.aligned([TASK.prepare("Dem naa.")], LABELS) == (TASK.prepare("Dem naa."),)


def test_predictions_as_rows_and_record() -> None:
    example, guess = TASK.prepare(["Ëmmë", "Seen", "dem", "Dakar"]), ("B-PER", "I-PER", "O", "B-LOC")
    assert TASK.rows(example, guess)[:2] == (("Ëmmë", "B-PER"), ("Seen", "I-PER"))
    record = json.loads(json.dumps(TASK.record(example, guess)))
    assert record["entities"] == [
        {"type": "PER", "start": 0, "end": 2, "words": ["Ëmmë", "Seen"]},
        {"type": "LOC", "start": 3, "end": 4, "words": ["Dakar"]},
    ]
    assert record["tags"] == list(guess)
    assert TASK.record(TASK.prepare("Dem"), ("O",))["text"] == "Dem"


def oracle(examples: Sequence[Tagged], base: Path, labels: Sequence[str], longest: int) -> tuple[tuple[str, ...], ...]:
    """Gold ids as logits, through windows and back."""
    windows = TASK.encode(examples, AutoTokenizer.from_pretrained(base), longest)
    parts = []
    for start in range(0, len(windows), 64):
        chosen = windows[start : start + 64]
        ids = TASK.collate(chosen, labels, 1)["labels"].clamp(min=0)
        logits = torch.nn.functional.one_hot(ids, len(labels))
        parts.extend(TASK.decode(SimpleNamespace(logits=logits), chosen, labels))
    return TASK.merge(examples, parts)


def test_every_shared_file_comes_back_and_scores_as_seqeval_has_it(
    shared: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from seqeval.metrics import f1_score

    data = str(shared / "data" / "ner" / "masakhaner2")
    train = TASK.read(data, "train")
    labels = TASK.labels(train)
    assert labels == ("O", *(f"{mark}-{kind}" for mark in "BI" for kind in ("DATE", "LOC", "ORG", "PER")))
    dev, test = TASK.read(data, "dev"), TASK.read(data, "test")
    for examples in (train, dev, test):
        assert TASK.aligned(examples, labels) == examples
        assert oracle(examples, shared / "models" / "mini-mmt", labels, 64) == tuple(one.tags for one in examples)
    gold = [[str(tag) for tag in one.tags] for one in test]
    worse = [["I-PER" if tag == "I-LOC" else tag for tag in one] for one in gold]
    assert TASK.score(test, worse).metrics["f1"] == pytest.approx(f1_score(gold, worse))
    assert set(TASK.score(test, gold).metrics.values()) == {1.0}

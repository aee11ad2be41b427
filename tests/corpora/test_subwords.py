"""Sub-words learned from a text for each kind of tokenizer, and lists of them as strangers may write them."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from badx_hub.corpora.coverage import coverage_of
from badx_hub.corpora.subword_learning import learn_subwords, pieces_of
from badx_hub.corpora.subword_list import SubWords, extend_tokenizer
from badx_hub.errors import DataError, IntegrityError, UsageError
from tests.bases import byte_pairs, gemma_pairs, unigrams, word_pieces
from tests.tiny import demo_lines

KINDS: Mapping[str, Callable[[], Tokenizer]] = {
    "WordPiece": word_pieces,
    "Unigram": unigrams,
    "bytes": byte_pairs,
    "Gemma": gemma_pairs,
}
TEXT = [codecs.encode(line, "rot13") for line in demo_lines("wo", 400)]
"""A language that no tokenizer here has seen, in letters that they know."""


def opened(kind: str) -> PreTrainedTokenizerFast:
    made = KINDS[kind]()
    names = {"unk_token": "[UNK]" if kind == "WordPiece" else "<unk>", "mask_token": "[MASK]", "cls_token": "[CLS]"}
    if kind != "WordPiece":
        names |= {"mask_token": "<mask>", "cls_token": "<bos>" if kind == "Gemma" else "<s>"}
    names |= {"sep_token": {"WordPiece": "[SEP]", "Gemma": "<eos>"}.get(kind, "</s>")}
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(made.to_str()), **names)


def joined(tokenizer: PreTrainedTokenizerFast, line: str) -> str:
    return "".join(tokenizer.tokenize(line)).replace("##", "")


@pytest.mark.parametrize("kind", KINDS)
def test_new_subwords_shorten_their_text_and_leave_other_text_alone(kind: str, tmp_path: Path) -> None:
    tokenizer, plain = opened(kind), opened(kind)
    found = learn_subwords(tokenizer, TEXT, 100)
    assert len(found.words) == 100 and found.first == len(plain)
    found.write(tmp_path / "vocabulary.json")
    extend_tokenizer(tokenizer, SubWords.read(tmp_path / "vocabulary.json"))
    assert len(tokenizer) == found.size
    assert coverage_of(tokenizer, TEXT).pieces < 0.93 * coverage_of(plain, TEXT).pieces
    used = {number for line in TEXT for number in tokenizer(line)["input_ids"] if number >= found.first}
    assert len(used) > 60
    english = demo_lines("en", 100)
    changed = [line for line in english if tokenizer(line)["input_ids"] != plain(line)["input_ids"]]
    assert len(changed) < 60
    assert tokenizer.all_special_ids == plain.all_special_ids
    for line in (*TEXT[:50], *english[:50]):
        if plain.unk_token_id not in plain(line)["input_ids"]:
            assert joined(tokenizer, line) == joined(plain, line)


@pytest.mark.parametrize("kind", KINDS)
def test_the_pieces_of_a_new_subword_are_those_that_the_base_makes_of_it(kind: str) -> None:
    tokenizer = opened(kind)
    for word in learn_subwords(tokenizer, TEXT, 30).words:
        pieces = tokenizer.convert_ids_to_tokens(pieces_of(tokenizer, word))
        assert "".join(piece if not index else piece.removeprefix("##") for index, piece in enumerate(pieces)) == word


def test_what_cannot_be_learned_is_told() -> None:
    with pytest.raises(DataError, match="nothing to learn"):
        learn_subwords(opened("WordPiece"), ["a"], 10)
    words = Tokenizer.from_str(
        json.dumps(
            {
                **json.loads(word_pieces().to_str()),
                "model": {"type": "WordLevel", "vocab": {"[UNK]": 0}, "unk_token": "[UNK]"},
            }
        )
    )
    with pytest.raises(UsageError, match="takes no more sub-words"):
        learn_subwords(PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]"), TEXT, 10)


GOOD: dict[str, Any] = {
    "format": 1,
    "kind": "BPE",
    "first": 500,
    "words": ["ab", "abc"],
    "scores": [],
    "merges": [["a", "b"]],
}


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"kind": "WordLevel"},
        {"first": 0},
        {"first": "500"},
        {"words": []},
        {"words": ["ab", "ab"]},
        {"words": ["ab", "a\u202eb"]},
        {"words": ["ab", "x" * 101]},
        {"words": [f"w{n}" for n in range(2**15 + 1)], "merges": []},
        {"scores": [-1.0]},
        {"kind": "Unigram", "merges": []},
        {"kind": "Unigram", "merges": [], "scores": [-1.0, 1e400]},
        {"merges": [["a", "x"]]},
        {"merges": [["a", "b", "c"]]},
        {"normalizer": {"type": "Replace"}},
    ],
    ids=lambda change: "-".join(change),
)
def test_lists_that_are_none_are_refused(change: Mapping[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "vocabulary.json"
    file.write_text(json.dumps(GOOD), encoding="utf-8")
    assert SubWords.read(file).merges == (("a", "b"),)
    file.write_text(json.dumps({**GOOD, **change}).replace("Infinity", "1e400"), encoding="utf-8")
    with pytest.raises(DataError, match=r"vocabulary\.json"):
        SubWords.read(file)


def test_subwords_of_another_tokenizer_are_refused() -> None:
    found = learn_subwords(opened("bytes"), TEXT, 10)
    known = opened("bytes").convert_ids_to_tokens(7)
    for wrong in (
        found.model_copy(update={"first": found.first + 1}),
        found.model_copy(update={"kind": "WordPiece", "merges": ()}),
        found.model_copy(update={"words": (known, *found.words[1:])}),
        found.model_copy(update={"merges": (("nobody", "knows"), *found.merges)}),
    ):
        with pytest.raises(IntegrityError, match="made for another tokenizer"):
            extend_tokenizer(opened("bytes"), wrong)

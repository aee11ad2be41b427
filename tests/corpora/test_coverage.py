from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from badx_hub.corpora.coverage import coverage_of
from badx_hub.modeling.base import resolve_base
from badx_hub.modeling.loading import load_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BADX_HUB_HOME", str(tmp_path_factory.mktemp("home")))
        return load_tokenizer(resolve_base(str(tiny_base)))


def test_words_and_their_pieces_are_counted(tokenizer: Any) -> None:
    read = coverage_of(tokenizer, ["the people  of", "", "\u3042\u4f60\u597d\u5417 \U00010330\U00010331\U00010332"])
    assert read.words == 5
    assert read.long == 3  # not "of", and not the one in a script without spaces
    assert read.unknown >= 1
    assert read.pieces == sum(
        len(tokenizer(line, add_special_tokens=False)["input_ids"])
        for line in ("the people  of", "\u3042\u4f60\u597d\u5417 \U00010330\U00010331\U00010332")
    )


def test_a_word_that_falls_into_characters_is_cut(tokenizer: Any) -> None:
    assert coverage_of(tokenizer, ["zzz qqq"]).cut_share == 1.0
    assert coverage_of(tokenizer, ["the and"]).cut_share == 0.0
    assert coverage_of(tokenizer, ["zzz " * 50]).is_poor
    assert not coverage_of(tokenizer, ["the people of the world"]).is_poor


def test_a_beginning_is_enough(tokenizer: Any) -> None:
    assert coverage_of(tokenizer, ["the people"] * 100, most_words=10).words == 10

"""Learning sub-words that a tokenizer lacks from a text, with the trainer of its own kind.

A Unigram or WordPiece model is trained on the text alone, and what the base has not is ranked by the pieces that it
saves: how often it is used, times the base's pieces for it less one. A BPE model goes on where the base's merges end:
its trainer reads the base's tokens as its letters, so the new merges apply to what the base makes of a text.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from statistics import median
from typing import TYPE_CHECKING, Any

from badx_hub.control_characters import steering
from badx_hub.corpora.packing import PackingRules
from badx_hub.corpora.subword_list import LONGEST, SubWords, first_free, model_of
from badx_hub.errors import DataError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_MOST_CHARACTERS = 2**25
"""Of the text, from its beginning: enough for the frequencies of some thousand sub-words."""

_LINES = 1000
_ROOM = 1.2
_FIRST_LETTER = 0x10000  # no white space and no half of a pair from here on
_WORD_STARTS = ("▁", "Ġ")
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")


def learn_subwords(tokenizer: PreTrainedTokenizerFast, lines: Iterable[str], count: int) -> SubWords:
    """Up to `count` sub-words that `tokenizer` lacks, the most useful ones for the text first.

    Raises UsageError (a kind of tokenizer that takes none), DataError (there is nothing to learn in the text).
    """
    model, text = model_of(tokenizer), list(_beginning(lines))
    learner = {"Unigram": _unigrams, "WordPiece": _word_pieces, "BPE": _byte_pairs}[model["type"]]
    found = learner(tokenizer, model, text, count)
    if found is None:
        raise DataError(
            "There is nothing to learn for extend_vocabulary: the base has all sub-words that the text would need, or "
            "the text is too short. Leave it out, or give more text."
        )
    return found


def _beginning(lines: Iterable[str]) -> Iterator[str]:
    left = _MOST_CHARACTERS
    for line in lines:
        yield line
        left -= len(line)
        if left < 0:
            return


def _unigrams(tokenizer: Any, model: dict[str, Any], text: Sequence[str], count: int) -> SubWords | None:
    from tokenizers import Tokenizer, models, trainers

    trainer = trainers.UnigramTrainer(
        vocab_size=int(_ROOM * count) + 500, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False
    )
    learner = _trained(Tokenizer(models.Unigram()), trainer, tokenizer, text)
    scores, known = dict(json.loads(learner.to_str())["model"]["vocab"]), dict(model["vocab"])
    shared = [known[word] - score for word, score in scores.items() if word in known and known[word] < 0]
    # On the scale of the base, where a language has its share among a hundred: other text reads as before.
    shift = median(shared) if shared else 0.0
    words = _most_useful(learner, tokenizer, text, count)
    if not words:
        return None
    shifted = tuple(round(min(0.0, scores[word] + shift), 6) for word in words)
    return SubWords(kind="Unigram", first=first_free(tokenizer), words=words, scores=shifted)


def _word_pieces(tokenizer: Any, model: dict[str, Any], text: Sequence[str], count: int) -> SubWords | None:
    from tokenizers import Tokenizer, models, trainers

    prefix = model["continuing_subword_prefix"]
    trainer = trainers.WordPieceTrainer(
        vocab_size=int(_ROOM * count) + 500,
        special_tokens=[model["unk_token"]],
        continuing_subword_prefix=prefix,
        show_progress=False,
    )
    empty = models.WordPiece(unk_token=model["unk_token"], continuing_subword_prefix=prefix)
    words = _most_useful(_trained(Tokenizer(empty), trainer, tokenizer, text), tokenizer, text, count)
    return SubWords(kind="WordPiece", first=first_free(tokenizer), words=words) if words else None


def _trained(learner: Any, trainer: Any, tokenizer: Any, text: Sequence[str]) -> Any:
    """The learner, which sees the text as the base's own model does."""
    learner.normalizer = tokenizer.backend_tokenizer.normalizer
    learner.pre_tokenizer = tokenizer.backend_tokenizer.pre_tokenizer
    learner.train_from_iterator(text, trainer)
    return learner


def _most_useful(learner: Any, tokenizer: Any, text: Sequence[str], count: int) -> tuple[str, ...]:
    """What saves most pieces, in that order; at equal savings, in the order of the alphabet."""
    known, uses = tokenizer.backend_tokenizer.get_vocab(with_added_tokens=True), Counter[str]()
    for encodings in _read(learner, text):
        for encoding in encodings:
            uses.update(encoding.tokens)
    saved = {
        word: times * (len(pieces_of(tokenizer, word)) - 1)
        for word, times in uses.items()
        if times > 1 and word not in known and len(word) <= LONGEST and steering(word) is None
    }
    ranked = sorted((-pieces, word) for word, pieces in saved.items() if pieces > 0)
    return tuple(word for _, word in ranked[:count])


def _read(tokenizer: Any, text: Sequence[str]) -> Iterator[Any]:
    for start in range(0, len(text), _LINES):
        yield tokenizer.encode_batch(text[start : start + _LINES], add_special_tokens=False)


def pieces_of(tokenizer: PreTrainedTokenizerFast, word: str) -> list[int]:
    """The numbers of the pieces that a tokenizer makes of a sub-word, written as its model writes them.

    What it does not know at all counts as a piece for each character.
    """
    backend = tokenizer.backend_tokenizer
    prefix = getattr(backend.model, "continuing_subword_prefix", None) or ""
    inside = bool(prefix) and word.startswith(prefix)
    pieces = backend.model.tokenize(word.removeprefix(prefix) if inside else word)
    numbers = [int(piece.id) for piece in pieces]
    if inside and pieces and (number := backend.token_to_id(prefix + pieces[0].value)) is not None:
        numbers[0] = int(number)
    unknown = tokenizer.unk_token_id
    return [number for number in numbers for _ in range(len(word) if number == unknown else 1)]


def _byte_pairs(tokenizer: Any, model: dict[str, Any], text: Sequence[str], count: int) -> SubWords | None:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    letters: dict[str, str] = {}
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = frozenset(tokenizer.all_special_tokens)
    written = [
        " ".join(_as_letters(encoding, special, letters))
        for encodings in _read(PackingRules.of(tokenizer).encoder, text)
        for encoding in encodings
    ]
    trainer = trainers.BpeTrainer(vocab_size=len(letters) + 2 * count, min_frequency=2, show_progress=False)
    learner.train_from_iterator(written, trainer)
    tokens = {letter: token for token, letter in letters.items()}
    known, words, merges = set(model["vocab"]), dict[str, None](), []
    for pair in json.loads(learner.to_str())["model"]["merges"]:
        one, other = ("".join(map(tokens.__getitem__, part)) for part in pair)
        word = one + other
        if word in known or len(word) > LONGEST or steering(word) or not {one, other} <= known | words.keys():
            continue
        words[word] = None
        merges.append((one, other))
    chosen = tuple(islice(words, count))
    wanted = set(chosen)
    kept = tuple(merge for merge in merges if "".join(merge) in wanted)
    return SubWords(kind="BPE", first=first_free(tokenizer), words=chosen, merges=kept) if chosen else None


def _as_letters(encoding: Any, special: frozenset[str], letters: dict[str, str]) -> Iterator[str]:
    """The words of a line, with a letter for each token; `letters` gets the new ones.

    Special tokens and single bytes of characters that the base does not know end a word and belong to none.
    """
    word, before = "", None
    for token, number in zip(encoding.tokens, encoding.word_ids, strict=True):
        barrier = token in special or _BYTE.fullmatch(token) is not None
        if word and (barrier or number != before or token.startswith(_WORD_STARTS)):
            yield word
            word = ""
        before = number
        if not barrier:
            word += letters.setdefault(token, chr(_FIRST_LETTER + len(letters)))
    if word:
        yield word

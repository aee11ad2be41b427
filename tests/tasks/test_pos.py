from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from udtools.udeval import evaluate, load_conllu_file

from badx_hub.data.conllu import Sentence, to_conllu
from badx_hub.errors import DataError, IntegrityError, NotFoundError, UsageError
from badx_hub.tasks.batching import bucketed
from badx_hub.tasks.pos import UPOS, PosTask
from badx_hub.tasks.tagging import WordWindow
from tests.tiny import demo_data

TASK = PosTask()
PAD, UNK, CLS, SEP = range(4)
SPECIAL = ["<pad>", "<unk>", "<s>", "</s>"]
TEXT = "the quick brown foxes jumped over lazy dogs ; pack my box with five dozen liquor jugs , unbelievable"


def wrapped(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", cls_token="<s>", sep_token="</s>"
    )


def word_piece() -> PreTrainedTokenizerFast:
    """BERT's way; as BERT's it drops control characters, so a word may come to nothing."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator([TEXT], trainers.WordPieceTrainer(vocab_size=60, special_tokens=SPECIAL))
    return wrapped(tokenizer)


def unigram() -> PreTrainedTokenizerFast:
    """XLM-R's way."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=60, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator([TEXT], trainer)
    return wrapped(tokenizer)


def byte_level() -> PreTrainedTokenizerFast:
    """RoBERTa's way, without its own prefix space."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    return wrapped(tokenizer)


MAKERS: tuple[Callable[[], PreTrainedTokenizerFast], ...] = (word_piece, unigram, byte_level)


@pytest.fixture(scope="module", params=MAKERS, ids=lambda maker: maker.__name__)
def tokenizer(request: pytest.FixtureRequest) -> Any:
    return request.param()


def tagged(*pairs: str) -> Sentence:
    """ "dogs/NOUN" -> a sentence of such words."""
    split = [pair.rsplit("/", 1) for pair in pairs]
    return Sentence.of([word for word, _ in split], [tag for _, tag in split])


def output(logits: torch.Tensor) -> SimpleNamespace:
    """What a model returns, as far as decoding is concerned."""
    return SimpleNamespace(logits=logits)


def decoded(windows: Sequence[WordWindow], examples: Sequence[Sentence], size: int) -> tuple[tuple[str, ...], ...]:
    """Gold ids as logits, through batches and back."""
    parts: list[Any] = []
    for indices in bucketed(windows, size):
        chosen = [windows[index] for index in indices]
        ids = TASK.collate(chosen, UPOS, PAD)["labels"].clamp(min=0)
        parts.extend(TASK.decode(output(torch.nn.functional.one_hot(ids, len(UPOS)).float()), chosen, UPOS))
    return TASK.merge(examples, parts)


words = st.sampled_from(TEXT.split()) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\t\n\r"), min_size=1, max_size=12
)
sentences = st.lists(st.tuples(words, st.sampled_from([*UPOS, "_"])), max_size=40).map(
    lambda pairs: Sentence.of([word for word, _ in pairs], [tag for _, tag in pairs])
)
relaxed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)


@relaxed
@given(st.lists(sentences, max_size=5), st.integers(3, 20))
def test_windows_fit_and_own_each_word_once(tokenizer: Any, examples: list[Sentence], longest: int) -> None:
    windows = TASK.encode(examples, tokenizer, longest)
    assert [window.example for window in windows] == sorted(window.example for window in windows)
    owned = sorted((window.example, word) for window in windows for word in window.words)
    assert owned == [(index, word) for index, one in enumerate(examples) for word in range(len(one.words))]
    for window in windows:
        assert 3 <= len(window) <= longest
        assert (window.input_ids[0], window.input_ids[-1]) == (CLS, SEP)
        assert all(0 < position < len(window) - 1 for position in window.positions)
        gold = [examples[window.example].upos[word] for word in window.words]
        assert [tag or "_" for tag in window.gold] == gold


@relaxed
@given(st.lists(words, min_size=1, max_size=20))
def test_a_short_sentence_is_its_words_tokenised_one_by_one(tokenizer: Any, drawn: list[str]) -> None:
    (window,) = TASK.encode([Sentence.of(drawn)], tokenizer, 10_000)
    special = set(tokenizer.all_special_ids)
    pieces = [
        [UNK if piece in special else piece for piece in tokenizer(f" {word}", add_special_tokens=False).input_ids]
        for word in drawn
    ]
    assert list(window.input_ids) == [CLS, *chain.from_iterable(piece or [UNK] for piece in pieces), SEP]


@relaxed
@given(st.lists(sentences, max_size=5), st.integers(3, 20), st.integers(1, 4))
def test_gold_goes_through_batches_and_comes_back(
    tokenizer: Any, examples: list[Sentence], longest: int, size: int
) -> None:
    back = decoded(TASK.encode(examples, tokenizer, longest), examples, size)
    expected = [tuple(UPOS[0] if tag == "_" else tag for tag in example.upos) for example in examples]
    assert back == tuple(expected)


def test_words_that_come_to_nothing_or_spell_a_special_token_are_unknown() -> None:
    (window,) = TASK.encode([Sentence.of(["\u0001", "</s>", "the"])], word_piece(), 16)
    assert window.input_ids[1:3] == (UNK, UNK)
    assert window.positions == (1, 2, 3)


def test_a_word_longer_than_the_window_keeps_its_first_sub_words() -> None:
    tokenizer = byte_level()
    long = "zqzqzqzqzqzqzq"
    whole = tokenizer(f" {long}", add_special_tokens=False).input_ids
    windows = TASK.encode([Sentence.of(["the", long, "dogs"])], tokenizer, 6)
    (window,) = [window for window in windows if 1 in window.words]
    assert window.input_ids == (CLS, *whole[:4], SEP)


def test_a_tokenizer_or_a_length_that_cannot_work() -> None:
    with pytest.raises(UsageError, match="leaves no room"):
        TASK.encode([tagged("dogs/NOUN")], unigram(), 2)
    bare = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>")))
    with pytest.raises(UsageError, match="no CLS, SEP or unknown token"):
        TASK.encode([tagged("dogs/NOUN")], bare, 16)


def test_a_batch_by_hand() -> None:
    windows = (
        WordWindow((CLS, 7, 8, 9, SEP), 0, (0, 1), (1, 3), ("NOUN", None)),
        WordWindow((CLS, 5, SEP), 1, (0,), (1,), ("ADJ",)),
    )
    batch = TASK.collate(windows, UPOS, pad_id=11)
    assert batch["input_ids"].tolist() == [[CLS, 7, 8, 9, SEP], [CLS, 5, SEP, 11, 11]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]
    noun, ignored = UPOS.index("NOUN"), -100
    assert batch["labels"].tolist() == [[ignored, noun, *[ignored] * 3], [ignored, 0, *[ignored] * 3]]
    assert {value.dtype for value in batch.values()} == {torch.int64}
    assert set(TASK.collate(windows, None, pad_id=11)) == {"input_ids", "attention_mask"}
    with pytest.raises(DataError, match="no label for the gold label 'ADJ'; it knows NOUN, VERB"):
        TASK.collate(windows, ("NOUN", "VERB"), pad_id=11)


def test_decoding_checks_the_head_and_merging_that_nothing_is_missing() -> None:
    window = WordWindow((CLS, 5, SEP), 0, (0,), (1,), (None,))
    with pytest.raises(IntegrityError, match="2 labels apart, its adapter names 17"):
        TASK.decode(output(torch.zeros(1, 3, 2)), [window], UPOS)
    with pytest.raises(KeyError):
        TASK.merge([tagged("a/_", "b/_")], TASK.decode(output(torch.zeros(1, 3, 17)), [window], UPOS))


def test_the_head_is_adapters_own_and_names_its_labels() -> None:
    from adapters import BertAdapterModel
    from transformers import BertConfig

    config = BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    model = BertAdapterModel(config)
    TASK.add_head(model, "pos", UPOS)
    assert model.get_labels_dict("pos") == dict(enumerate(UPOS))
    assert model.heads["pos"].config["head_type"] == "tagging"
    assert [tuple(weight.shape) for weight in model.heads["pos"].parameters()] == [(17, 8), (17,)]
    with pytest.raises(ValueError, match="already contains"):
        TASK.add_head(model, "pos", UPOS)


GOLD = (tagged("the/DET", "dogs/NOUN", "jumped/VERB"), tagged("foxes/NOUN", "x/_"))


def test_scores_by_hand() -> None:
    """DET: found. NOUN: 1 of 2 found, 1 of 2 guesses right. VERB: guessed NOUN. ADJ: guessed once, never gold."""
    scores = TASK.score(GOLD, (("DET", "NOUN", "NOUN"), ("ADJ", "VERB")))
    assert scores.metrics == pytest.approx({"accuracy": 2 / 4, "macro_f1": (1 + 0.5 + 0) / 3})
    assert [(row.label, row.support) for row in scores.table] == [("ADJ", 0), ("DET", 1), ("NOUN", 2), ("VERB", 1)]
    assert tuple(scores.metrics) == TASK.metrics


def test_gold_against_itself_is_perfect_and_untagged_words_do_not_count() -> None:
    assert TASK.score(GOLD, (GOLD[0].upos, ("NOUN", "SYM"))).metrics == {"accuracy": 1.0, "macro_f1": 1.0}
    with pytest.raises(DataError, match="nothing to score"):
        TASK.score([tagged("x/_")], [("NOUN",)])
    with pytest.raises(ValueError, match="zip"):
        TASK.score(GOLD, (GOLD[0].upos, ("NOUN",)))


def written(folder: Path, *examples: Sentence) -> Path:
    path = folder / "x-ud-test.conllu"
    path.write_text("".join(map(to_conllu, examples)), encoding="utf-8")
    return path


def test_reads_what_is_there_and_says_which_file_it_was(tmp_path: Path) -> None:
    path = written(tmp_path, *GOLD)
    assert TASK.read(str(path), "test") == TASK.read(str(tmp_path), "test") == GOLD
    (reference,) = TASK.references(str(tmp_path), "test")
    assert reference.name == path.name
    assert len(reference.digest) == 64
    with pytest.raises(NotFoundError, match=r"no train split.*x-ud-test\.conllu"):
        TASK.read(str(tmp_path), "train")


def test_tags_outside_upos_are_listed(tmp_path: Path) -> None:
    path = written(tmp_path, *GOLD, tagged("a/NN", "b/XX"), tagged("c/NN"))
    with pytest.raises(DataError, match=r"x-ud-test\.conllu:8: tags outside UPOS, with counts: NN \(2\), XX \(1\)"):
        TASK.read(str(path), "test")
    with pytest.raises(DataError, match=r"CONJ \(1\); expected ADJ, "):
        TASK.labels([tagged("and/CONJ")])
    assert TASK.labels(GOLD) == UPOS == tuple(sorted(UPOS))


@pytest.mark.parametrize("examples", [(), (tagged("x/_"),)])
def test_a_file_without_tags_is_no_treebank(tmp_path: Path, examples: tuple[Sentence, ...]) -> None:
    with pytest.raises(DataError, match="no word with a UPOS tag"):
        TASK.read(str(written(tmp_path, *examples)), "test")


def test_predictions_as_rows_record_and_conllu(tmp_path: Path) -> None:
    example = TASK.prepare("Dogs jumped.")
    tags = ("NOUN", "VERB", "PUNCT")
    assert TASK.rows(example, tags) == (("Dogs", "NOUN"), ("jumped", "VERB"), (".", "PUNCT"))
    record = {"text": "Dogs jumped.", "words": ["Dogs", "jumped", "."], "upos": list(tags)}
    assert json.loads(json.dumps(TASK.record(example, tags))) == record
    assert (TASK.columns, TASK.cells(example, tags)) == (("UPOS",), (tags,))


def test_split_sentences_are_taken_as_they_are() -> None:
    assert TASK.prepare(["can't", "."]).words == ("can't", ".")
    assert TASK.prepare(" ").words == ()
    with pytest.raises(DataError, match="is no word"):
        TASK.prepare(["a", ""])


def test_gold_survives_the_real_tokenizer_on_every_shared_treebank(shared: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(shared / "models" / "mini-mmt")
    for path in sorted(shared.glob("data/ud/*/*-ud-test.conllu")):
        examples = TASK.read(str(path), "test")
        packed = tmp_path / f"{path.name}.gz"
        packed.write_bytes(gzip.compress(path.read_bytes(), 1))
        assert TASK.read(str(packed), "test") == examples
        for longest in (24, 256):
            windows = TASK.encode(examples, tokenizer, longest)
            assert max(map(len, windows)) <= longest
            predictions = decoded(windows, examples, 32)
            assert predictions == tuple(example.upos for example in examples)
            assert TASK.score(examples, predictions).metrics == {"accuracy": 1.0, "macro_f1": 1.0}


def test_sub_words_are_those_of_the_sentence_as_one_input(shared: Path) -> None:
    """With XLM-R's kind of tokenizer, as `is_split_into_words=True` has it."""
    tokenizer = AutoTokenizer.from_pretrained(shared / "models" / "mini-mmt")
    examples = TASK.read(str(shared / "data" / "ud" / "UD_Uyghur-UDT"), "test")
    windows = TASK.encode(examples, tokenizer, 512)
    whole = tokenizer([list(example.words) for example in examples], is_split_into_words=True)
    assert [list(window.input_ids) for window in windows] == whole.input_ids


def test_scores_are_the_official_ones(tmp_path: Path) -> None:
    """The CoNLL 2018 evaluator's UPOS and scikit-learn's macro F1, with every third tag wrong and with none."""
    path, system = tmp_path / "gold.conllu", tmp_path / "system.conllu"
    path.write_bytes(gzip.decompress((demo_data() / "ud" / "UD_Wolof-WTB" / "wo_wtb-ud-dev.conllu.gz").read_bytes()))
    examples = TASK.read(str(path), "test")
    gold = [tag for example in examples for tag in example.upos]
    tags = ["X" if number % 3 == 0 else tag for number, tag in enumerate(gold)]
    system.write_text("\n".join([*with_tags(path, iter(tags)), ""]), encoding="utf-8")
    rest = iter(tags)
    predictions = [tuple(next(rest) for _ in example.words) for example in examples]
    ours = TASK.score(examples, predictions).metrics
    official = evaluate(load_conllu_file(str(path)), load_conllu_file(str(system)))["UPOS"].f1
    assert 0.6 < ours["accuracy"] < 0.7
    assert ours["accuracy"] == pytest.approx(official)
    assert ours["macro_f1"] == pytest.approx(f1_score(gold, tags, labels=sorted(set(gold)), average="macro"))
    assert TASK.score(examples, [example.upos for example in examples]).metrics == {"accuracy": 1.0, "macro_f1": 1.0}


def with_tags(path: Path, tags: Iterator[str]) -> Iterator[str]:
    """The lines of a CoNLL-U file, with these tags on its words."""
    for line in path.read_text(encoding="utf-8").splitlines():
        columns = line.split("\t")
        yield "\t".join([*columns[:3], next(tags), *columns[4:]]) if columns[0].isdigit() else line

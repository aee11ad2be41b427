from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from badx_hub import storage
from badx_hub.corpora import blocks as block_store
from badx_hub.corpora import packing
from badx_hub.corpora.blocks import BlockStore
from badx_hub.corpora.packing import held_out
from badx_hub.corpora.sources import open_source
from badx_hub.errors import DataError, StorageError, UsageError
from tests.refusals import refused

WORDS = tuple(f"w{number}" for number in range(200))
CLS, SEP = 1, 2


def word_tokenizer(*extra: str, **special: str) -> Any:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate(("[UNK]", "[CLS]", "[SEP]", *WORDS, *extra))}
    rules = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    rules.pre_tokenizer = WhitespaceSplit()
    names = special or {"cls_token": "[CLS]", "sep_token": "[SEP]"}
    return PreTrainedTokenizerFast(tokenizer_object=rules, unk_token="[UNK]", model_max_length=8, **names)


TOKENIZER = word_tokenizer()


@dataclass
class Lines:
    """A source in memory that counts what was read of it."""

    content: list[str]
    digest: str = "some digest"
    name: str = "lines"
    read: int = field(default=0)

    def lines(self) -> Iterator[str]:
        for line in self.content:
            self.read += 1
            yield line


def text(count: int, first: int = 0) -> list[str]:
    return [
        " ".join(WORDS[(number * 31 + step * 7) % 200] for step in range(3 + number % 5)) + f" w{number % 200}"
        for number in range(first, first + count)
    ]


def stream(lines: list[str], held: bool, fraction: float = 0.05) -> list[int]:
    """The token stream, the slow and obvious way."""
    ids: list[int] = []
    for line in dict.fromkeys(line.replace("\0", "").strip() for line in lines):
        words = [word for word in line.split() if word != "[SEP]"]
        if words and held_out(line, fraction) is held:
            ids += [*(TOKENIZER.convert_tokens_to_ids(word) for word in words), SEP]
    return ids


def blocks(ids: list[int], length: int) -> list[list[int]]:
    width = length - 1
    return [[CLS, *ids[start : start + width]] for start in range(0, len(ids) - width + 1, width)]


def epoch_of(store: BlockStore, seed: int = 0) -> list[list[int]]:
    """All training blocks, once."""
    store._reach(10_000)
    rows: list[list[int]] = store.train_batch(range(sum(span.blocks for span in store._spans)), seed).tolist()
    return rows


def test_blocks_hold_the_token_stream_and_nothing_else() -> None:
    lines = text(400)
    store = BlockStore(Lines(lines), TOKENIZER, 16, shard_tokens=160)
    assert sorted(epoch_of(store)) == sorted(blocks(stream(lines, held=False), 16))
    assert store.held_out_blocks().tolist() == blocks(stream(lines, held=True), 16)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(st.lists(st.sampled_from([*WORDS, "[SEP]", "\0", "other"]), max_size=40).map(" ".join), max_size=60),
    length=st.integers(2, 12),
    shard_tokens=st.integers(1, 60),
    fraction=st.sampled_from([0.0, 0.05, 0.5]),
    lines_at_once=st.integers(1, 7),
)
def test_packing_reproduces_the_stream(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    lines: list[str],
    length: int,
    shard_tokens: int,
    fraction: float,
    lines_at_once: int,
) -> None:
    monkeypatch.setenv("BADX_HUB_HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setattr(packing, "_BATCH_LINES", lines_at_once)
    # Shuffles off: the order of the stream itself is looked at.
    monkeypatch.setattr(block_store, "_permutation", lambda size, *_: np.arange(size))
    store = BlockStore(Lines(lines), TOKENIZER, length, fraction, shard_tokens=shard_tokens)
    train, held = (blocks(stream(lines, part, fraction), length) for part in (False, True))
    if train:
        assert store.train_batch(range(len(train)), 0).tolist() == train
        assert store.train_batch(range(len(train), len(train) + 1), 0).tolist() == train[:1]
    if held:
        assert store.held_out_blocks().tolist() == held
        assert store.held_out_blocks(1).tolist() == held[:1]
    # A second object reads the cache, whatever its own pace.
    again = BlockStore(Lines([]), TOKENIZER, length, fraction, shard_tokens=shard_tokens)
    if train:
        assert again.train_batch(range(len(train)), 0).tolist() == train


def test_literal_special_tokens_are_left_out() -> None:
    store = BlockStore(Lines(["w1 [SEP] [CLS] w2 [UNK] [SEP]", "[SEP]", "w3"]), TOKENIZER, 7, 0.0)
    ids = TOKENIZER.convert_tokens_to_ids(["w1", "w2", "[UNK]", "[SEP]", "w3", "[SEP]"])
    assert store.train_batch(range(1), 0).tolist() == [[CLS, *ids]]


def test_order_is_a_function_of_seed_and_index() -> None:
    lines = text(400)
    one = BlockStore(Lines(lines), TOKENIZER, 16, shard_tokens=160)
    two = BlockStore(Lines(lines), TOKENIZER, 16, shard_tokens=160)
    total = len(blocks(stream(lines, held=False), 16))
    whole = one.train_batch(range(3 * total), 7).tolist()
    assert two.train_batch(range(2 * total + 5, 2 * total + 25), 7).tolist() == whole[2 * total + 5 :][:20]
    assert two.train_batch(range(5), 7).tolist() == whole[:5]
    assert [one.train_batch(range(i, i + 1), 7)[0].tolist() for i in range(40)] == whole[:40]
    epochs = [whole[:total], whole[total : 2 * total], whole[2 * total :]]
    assert all(sorted(epoch) == sorted(epochs[0]) for epoch in epochs)
    assert all(earlier != later for earlier, later in pairwise(epochs))
    assert one.train_batch(range(total), 8).tolist() != epochs[0]


def test_order_does_not_depend_on_how_far_an_earlier_run_got(home: Path) -> None:
    lines = text(600)
    expected = BlockStore(Lines(lines), TOKENIZER, 16, shard_tokens=160).train_batch(range(300), 1).tolist()
    for steps in ([1], [25, 1, 60], [300], [0, 90, 10]):
        shutil.rmtree(storage.home() / "cache" / "blocks")
        for step in steps:
            BlockStore(Lines(lines), TOKENIZER, 16, shard_tokens=160).train_batch(range(step, step + 3), 1)
        later = BlockStore(Lines(lines), TOKENIZER, 16, shard_tokens=160)
        assert later.train_batch(range(300), 1).tolist() == expected


@pytest.mark.parametrize("name", ["span.json", "train.npy", "held.npy", "seen.npy", "train_rest.npy"])
@pytest.mark.parametrize("damage", [b"", b"{}", b"garbage"])
def test_a_damaged_span_is_made_again(home: Path, name: str, damage: bytes) -> None:
    lines = text(200)
    expected = BlockStore(Lines(lines), TOKENIZER, 16, shard_tokens=160).train_batch(range(60), 1).tolist()
    for path in (home / "cache" / "blocks").glob(f"*/*/{name}"):
        path.write_bytes(damage)
    again = BlockStore(Lines(lines), TOKENIZER, 16, shard_tokens=160)
    assert again.train_batch(range(60), 1).tolist() == expected


@pytest.mark.parametrize("name", ["train.npy", "held.npy", "seen.npy", "train_rest.npy", "held_rest.npy"])
def test_a_span_with_a_flipped_bit_is_made_again(home: Path, name: str) -> None:
    """Its numbers have no sign of it: digests do. One of before there were digests is made again too."""
    lines = text(200)
    first = BlockStore(Lines(lines), TOKENIZER, 16, shard_tokens=160)
    expected = first.train_batch(range(60), 1).tolist(), first.held_out_blocks().tolist()
    paths = list((home / "cache" / "blocks").glob(f"*/*/{name}"))
    sound = [path.read_bytes() for path in paths]
    for path, content in zip(paths, sound, strict=True):
        path.write_bytes(content[:-4] + bytes([content[-4] ^ 1]) + content[-3:])
    old = paths[0].with_name("span.json")
    facts = json.loads(old.read_text())
    del facts["digests"]
    old.write_text(json.dumps(facts))
    again = BlockStore(Lines(lines), TOKENIZER, 16, shard_tokens=160)
    assert (again.train_batch(range(60), 1).tolist(), again.held_out_blocks().tolist()) == expected
    assert [path.read_bytes() for path in paths] == sound


def test_reading_is_lazy_and_finished_shards_are_not_tokenised_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "_BATCH_LINES", 10)
    lines = text(5000)
    source = Lines(lines)
    store = BlockStore(source, TOKENIZER, 16, shard_tokens=160)
    assert source.read == 0
    store.train_batch(range(2), 0)
    first = source.read
    assert 0 < first <= 60
    store.held_out_blocks(1)
    assert source.read < 600

    again = Lines(lines)
    store = BlockStore(again, TOKENIZER, 16, shard_tokens=160)
    store.train_batch(range(2), 0)
    assert again.read == 0
    tokenised: list[str] = []
    encode = packing.Packer._encode

    def spy(self: Any, texts: list[str], held: list[bool]) -> Any:
        tokenised.extend(texts)
        return encode(self, texts, held)

    monkeypatch.setattr(packing.Packer, "_encode", spy)
    known = len(store._spans)
    while store._load_span(known):
        store._reach(known)
        known += 1
    done = store.counts["lines"]
    store._reach(known)
    assert tokenised
    assert set(tokenised) <= set(lines[done:])


def test_duplicates_are_known_across_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "_BATCH_LINES", 10)
    lines = text(300)
    lines = [*lines, *lines, *text(100, first=1000)]
    for index in range(0, 1000, 7):
        BlockStore(Lines(lines), TOKENIZER, 16, shard_tokens=160).train_batch(range(index, index + 1), 0)
    store = BlockStore(Lines(lines), TOKENIZER, 16, shard_tokens=160)
    assert sorted(epoch_of(store)) == sorted(blocks(stream(lines, held=False), 16))
    assert store.counts["duplicates"] == len(lines) - len(set(lines))


def test_counts() -> None:
    lines = ["w1 w2 w3", "", "w1 w2 w3 ", "w\x004 w5", "w6"]
    store = BlockStore(Lines(lines), TOKENIZER, 3, 0.0)
    assert store.counts == dict.fromkeys(packing.COUNTS, 0)
    store.train_batch(range(1), 0)
    assert store.counts == {
        "lines": 5,
        "kept": 3,
        "duplicates": 1,
        "empty": 1,
        "nul": 1,
        "held_out": 0,
        "tokens": 9,
        "held_out_tokens": 0,
    }


@given(st.text(), st.floats(0, 1), st.floats(0, 1))
def test_the_split_is_a_function_of_content_and_nested(content: str, one: float, other: float) -> None:
    small, large = sorted((one, other))
    assert not held_out(content, 0.0)
    assert held_out(content, 1.0)
    assert held_out(content, large) >= held_out(content, small)


def test_five_percent_are_held_out() -> None:
    share = sum(held_out(f"line {number}") for number in range(20_000)) / 20_000
    assert share == pytest.approx(0.05, abs=0.005)


def test_too_little_text_says_how_much_there_is() -> None:
    with refused(DataError, r"lines has 6 tokens of text for training.*one block of 16.*--max-length"):
        BlockStore(Lines(["w1 w2 w3", "w4"]), TOKENIZER, 16, 0.0).train_batch(range(1), 0)
    with pytest.raises(DataError, match="has 0 tokens of held-out text"):
        BlockStore(Lines(text(50)), TOKENIZER, 16, 0.0).held_out_blocks(3)


def test_impossible_requests() -> None:
    with refused(UsageError, "--max-length"):
        BlockStore(Lines([]), TOKENIZER, 1)
    with pytest.raises(UsageError, match="held-out share"):
        BlockStore(Lines([]), TOKENIZER, 16, 1.0)
    store = BlockStore(Lines(text(50)), TOKENIZER, 16)
    with pytest.raises(UsageError, match="in order"):
        store.train_batch(range(0, 10, 2), 0)
    with pytest.raises(UsageError, match="limit of 0"):
        store.held_out_blocks(0)
    assert store.train_batch(range(3, 3), 0).shape == (0, 16)


def test_tokenizers_without_frame_or_rules() -> None:
    with pytest.raises(UsageError, match="begins or ends a text"):
        BlockStore(Lines([]), word_tokenizer(pad_token="[UNK]"), 16)
    bos_eos = BlockStore(Lines(["w1 w2 w3 w4"]), word_tokenizer(bos_token="[CLS]", eos_token="[SEP]"), 3, 0.0)
    assert bos_eos.train_batch(range(1), 0)[0][0] == CLS
    with pytest.raises(UsageError, match="not a fast tokenizer"):
        BlockStore(Lines([]), object(), 16)  # type: ignore[arg-type]


def test_cache_key(home: Path) -> None:
    def folder(*args: Any, **options: Any) -> Path:
        return BlockStore(*args, **options)._folder

    used = word_tokenizer()
    used("w1 w2 w3 w4 w5", truncation=True, max_length=4)
    base = folder(Lines([]), TOKENIZER, 16)
    assert base == folder(Lines([]), used, 16)
    others = {
        folder(Lines([], "other digest"), TOKENIZER, 16),
        folder(Lines([]), word_tokenizer("new"), 16),
        folder(Lines([]), TOKENIZER, 17),
        folder(Lines([]), TOKENIZER, 16, 0.1),
        folder(Lines([]), TOKENIZER, 16, shard_tokens=64),
        folder(Lines([]), word_tokenizer(cls_token="[SEP]", sep_token="[CLS]"), 16),
    }
    assert len(others | {base}) == 7


def test_long_lines_neither_warn_nor_shrink(caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder) -> None:
    line = " ".join(WORDS * 20)
    with caplog.at_level(logging.WARNING):
        store = BlockStore(Lines([line]), TOKENIZER, 11, 0.0)
        assert len(store.train_batch(range(400), 0)) == 400
    assert store.counts["tokens"] == 4001
    assert not caplog.records
    assert not recwarn.list


def test_a_full_disk_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    store = BlockStore(Lines(text(100)), TOKENIZER, 16)
    full = Path("/dev/full").open("wb", 0)  # noqa: SIM115 - closed with the test's context below
    monkeypatch.setattr(Path, "write_bytes", lambda _, data: full.write(data))
    with full, pytest.raises(StorageError, match="No space left"):
        store.train_batch(range(1), 0)


@pytest.mark.parametrize("moment", ["encode", "save"])
def test_an_interruption_leaves_no_half_span(monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    monkeypatch.setattr(packing, "_BATCH_LINES", 3)
    lines = text(600)
    expected = stream(lines, held=False)
    store = BlockStore(Lines(lines), TOKENIZER, 16, shard_tokens=160)
    store.train_batch(range(1), 0)
    calls = 0

    def interrupted(original: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == 2:
                raise KeyboardInterrupt
            return original(*args, **options)

        return call

    with monkeypatch.context() as patch:
        if moment == "encode":
            patch.setattr(packing.Packer, "_encode", interrupted(packing.Packer._encode))
        else:
            patch.setattr(np, "save", interrupted(np.save))
        with pytest.raises(KeyboardInterrupt):
            store.train_batch(range(5000), 0)
    folders = [folder for folder in store._folder.iterdir() if folder.is_dir()]
    assert all((folder / "span.json").is_file() for folder in folders)
    for later in (store, BlockStore(Lines(lines), TOKENIZER, 16, shard_tokens=160)):
        assert sorted(epoch_of(later)) == sorted(blocks(expected, 16))


def test_two_builders_at_once_agree() -> None:
    lines = text(600)
    one = BlockStore(Lines(lines), TOKENIZER, 16, shard_tokens=160)
    two = BlockStore(Lines(lines), TOKENIZER, 16, shard_tokens=160)
    one._load_span = two._load_span = lambda number: None  # type: ignore[method-assign]  # neither sees the other
    for start in range(0, 200, 20):
        batch = range(start, start + 20)
        assert one.train_batch(batch, 0).tolist() == two.train_batch(batch, 0).tolist()
    assert one.counts == two.counts


def test_real_text_with_a_real_tokenizer(shared: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(shared / "models" / "mini-mmt")
    source = open_source("fo", str(shared / "data" / "text" / "fo.txt"))
    store = BlockStore(source, tokenizer, 64)
    batch = store.train_batch(range(16), 0)
    assert batch.dtype == np.int32
    assert (batch[:, 0] == tokenizer.cls_token_id).all()
    assert not (batch == tokenizer.pad_token_id).any()
    assert len(store.held_out_blocks(4)) == 4
    assert store.counts["lines"] == 1013

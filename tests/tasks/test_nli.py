from __future__ import annotations

import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, BertTokenizerFast, XLMRobertaTokenizerFast

from badx_hub.data.pairs import LABELS, Pair, pair_references, read_pairs
from badx_hub.errors import DataError, IntegrityError, NotFoundError, UsageError
from badx_hub.tasks.nli import NliTask, PairWindow, cut
from tests.refusals import refused

TASK = NliTask()
GOLD = (
    Pair("A dog runs", "An animal moves", "entailment"),
    Pair("A dog runs", "A cat sleeps", "neutral"),
    Pair("A dog runs", "No dog runs", "contradiction"),
    Pair("A dog", "A cat", None),
)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


# --- reading ---


@pytest.mark.parametrize(
    "header",
    ["premise\thypothesis\tlabel", "sentence1\tsentence2\tgold_label", "sentence_A\tsentence_B\tentailment_judgment"],
)
def test_tables_by_the_names_of_their_columns(tmp_path: Path, header: str) -> None:
    rows = 'A "dog\tIt\'s 5"\tEntailment\r\n\nB\tC\tcontradictory\nB\tC\tNEUTRAL\n'
    expected = (
        Pair('A "dog', "It's 5\"", "entailment"),
        Pair("B", "C", "contradiction"),
        Pair("B", "C", "neutral"),
    )
    assert read_pairs(str(write(tmp_path / "a.tsv", f"{header}\n{rows}")), "test") == expected
    columns = header.split("\t")
    swapped = "\n".join("\t".join(line.split("\t")[::-1]) for line in f"{header}\n{rows}".splitlines() if line)
    assert columns != swapped.partition("\n")[0].split("\t")
    assert read_pairs(str(write(tmp_path / "b.tsv", swapped)), "test") == expected


def test_json_lines_and_pairs_without_gold(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [
        {"gold_label": "neutral", "sentence1": "a", "sentence2": "b", "annotator_labels": ["neutral"]},
        {"gold_label": "-", "sentence1": "a\tc", "sentence2": "d"},
        {"gold_label": None, "sentence1": "", "sentence2": "d"},
    ]
    path = write(tmp_path / "anli.jsonl", '{"uid": "x", "context": "A", "hypothesis": "B", "label": "c", "tag": ""}\n')
    assert read_pairs(str(path), "test") == (Pair("A", "B", "contradiction"),)
    path = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)))
    with caplog.at_level(logging.WARNING, logger="badx_hub"):
        pairs = TASK.read(str(path), "test")
    assert pairs == (Pair("a", "b", "neutral"), Pair("a\tc", "d"), Pair("", "d"))
    assert "2 of 3 pairs have no gold label" in caplog.text
    with pytest.raises(DataError, match="no pair has a gold label"):
        TASK.read(str(write(tmp_path / "b.jsonl", json.dumps(rows[1]))), "test")


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("a.tsv", "premise\thypothesis\tlabel\na\tb\n", r"a\.tsv:2: 2 tab-separated columns, the first line has 3"),
        ("a.tsv", "premise\tb\tlabel\na\tb\tneutral\n", r"a\.tsv:2: no column hypothesis or .*; there is: premise, b"),
        ("a.tsv", "premise\thypothesis\tlabel\n", r"a\.tsv: no pair"),
        ("a.tsv", "", r"a\.tsv: no pair"),
        (
            "a.tsv",
            "premise\thypothesis\tlabel\na\tb\t2\na\tb\tmaybe\na\tb\tmaybe\n",
            r"Unknown labels: '2' \(1, first .*a\.tsv:2\), 'maybe' \(2, first .*a\.tsv:3\); expected entailment",
        ),
        (
            "a.tsv",
            "language\tpremise\thypothesis\tlabel\ngn\ta\tb\tneutral\naym\ta\tb\tneutral\n",
            "mixes the languages aym, gn",
        ),
        ("a.tsv", "premise\tpremise\thypothesis\tlabel\na\tb\tc\tneutral\n", ":1: two columns are called premise"),
        ("a.tsv", "premise\thypothesis\tlabel\ra\tb\tneutral\r", ":1: a carriage return inside"),
        ("a.jsonl", '{"premise": "\\ud83d"}', ":1: .* half a surrogate pair"),
        ("a.jsonl", "{", r"a\.jsonl:1: this line is not JSON"),
        ("a.jsonl", "[]", r"a\.jsonl:1: not a JSON object"),
        ("a.jsonl", '{"premise": "a", "hypothesis": "b", "label": 2}', r":1: the label is 2, and what a number means"),
        ("a.jsonl", '{"premise": {"de": "a"}, "hypothesis": "b", "label": "neutral"}', "expected a sentence, got dict"),
    ],
)
def test_what_is_no_table_of_pairs(tmp_path: Path, name: str, text: str, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        read_pairs(str(write(tmp_path / name, text)), "test")


def dataset(folder: Path, feature: dict[str, Any], labels: list[Any]) -> Path:
    """A folder as the Hub has it: a parquet file a split, whose schema tells what `datasets` makes of the columns."""
    folder.mkdir()
    text = {"dtype": "string", "_type": "Value"}
    info = {"info": {"features": {"premise": text, "hypothesis": text, "label": feature}}}
    table = pa.table({"premise": ["a"] * len(labels), "hypothesis": ["b"] * len(labels), "label": labels})
    for split in ("train", "validation"):
        pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(info)}), folder / f"{split}.parquet")
    return folder


def test_data_sets_name_their_classes_themselves(tmp_path: Path) -> None:
    """The order of the names differs between data sets; -1 is no label."""
    feature = {"names": ["contradiction", "neutral", "entailment"], "_type": "ClassLabel"}
    folder = dataset(tmp_path / "some", feature, [0, 2, 1, -1])
    found = read_pairs(f"hf:{folder}", "train")
    assert [pair.label for pair in found] == ["contradiction", "entailment", "neutral", None]
    assert read_pairs(f"hf:{folder}", "dev") == read_pairs(f"hf:{folder}::train", "test") == found
    (reference,) = pair_references(f"hf:{folder}", "dev")
    assert (reference.name, len(reference.digest)) == ("hf:some", 64)
    assert reference != pair_references(f"hf:{folder}", "train")[0]
    with pytest.raises(NotFoundError, match=r"has no dev split; leave out the name of the split, train"):
        read_pairs(f"hf:{folder}::train", "dev")
    with refused(NotFoundError, r"Bad split: test.*--data FILE"):
        read_pairs(f"hf:{folder}", "test")
    with pytest.raises(UsageError, match="names no dataset"):
        read_pairs("hf:", "test")


def test_numbers_without_names_are_no_classes(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "bare", {"dtype": "int64", "_type": "Value"}, [0, 1])
    with pytest.raises(DataError, match="hf:bare: row 1: the label is 0, and what a number means is not said"):
        read_pairs(f"hf:{folder}", "train")


# --- encoding ---


def bert(folder: Path) -> Any:
    path = write(folder / "vocab.txt", "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "dog", "##s"]))
    return BertTokenizerFast(str(path), do_lower_case=False)


@pytest.mark.parametrize("longest", [5, 6, 7, 8, 9, 12])
def test_bert_s_pairs_are_its_own(tmp_path: Path, longest: int) -> None:
    tokenizer = bert(tmp_path)
    pairs = [Pair("the dog", "the dogs the dog"), Pair("dogs dogs dogs", "the"), Pair("the dogs dogs", "dogs dog dogs")]
    assert_framed(pairs, tokenizer, longest)


@pytest.mark.parametrize("longest", [6, 9, 16, 128])
def test_xlm_r_s_pairs_are_its_own(shared: Path, longest: int) -> None:
    file = shared / "models" / "mini-mmt" / "tokenizer.json"
    pairs = list(read_pairs(str(shared / "data" / "nli" / "sick"), "dev"))[:50]
    assert_framed(pairs, XLMRobertaTokenizerFast(tokenizer_file=str(file)), longest)
    assert_framed(pairs, AutoTokenizer.from_pretrained(file.parent), longest)


def assert_framed(pairs: list[Pair], tokenizer: Any, longest: int) -> None:
    windows = TASK.encode(pairs, tokenizer, longest)
    for pair, window in zip(pairs, windows, strict=True):
        expected = tokenizer(pair.premise, pair.hypothesis, truncation="longest_first", max_length=longest)
        assert list(window.input_ids) == expected["input_ids"]
        assert list(window.token_type_ids) == expected.get("token_type_ids", [0] * len(window))


def test_a_tokenizer_without_a_frame_gets_bert_s_and_text_steers_nothing(tiny_base: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    (window,) = TASK.encode([Pair("A [SEP]", "")], tokenizer, 32)
    cls, sep, unknown = tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.unk_token_id
    assert (window.input_ids[0], window.input_ids[2:]) == (cls, (unknown, sep, sep))
    assert window.token_type_ids == (0, 0, 0, 0, 1)
    with pytest.raises(UsageError, match="leaves no room for a pair; expected 5 or more"):
        TASK.encode(GOLD, tokenizer, 4)


lists = st.lists(st.integers(0, 9), max_size=20)


@given(lists, lists, st.integers(2, 30))
def test_cutting_takes_from_the_longer(first: list[int], second: list[int], room: int) -> None:
    one, two = cut(first, second, room)
    assert (list(one), list(two)) == (first[: len(one)], second[: len(two)])
    assert len(one) + len(two) == min(len(first) + len(second), room)
    if len(one) < len(first):
        assert len(one) >= len(two) - 1
    if len(two) < len(second):
        assert len(two) >= len(one) - 1


def test_a_batch_by_hand() -> None:
    windows = (
        PairWindow((2, 7, 3, 8, 3), (0, 0, 0, 1, 1), 0, "neutral"),
        PairWindow((2, 3, 3), (0, 0, 1), 1, None),
    )
    batch = TASK.collate(windows, LABELS, pad_id=9)
    assert batch["input_ids"].tolist() == [[2, 7, 3, 8, 3], [2, 3, 3, 9, 9]]
    assert batch["attention_mask"].tolist() == [[1] * 5, [1, 1, 1, 0, 0]]
    assert batch["token_type_ids"].tolist() == [[0, 0, 0, 1, 1], [0, 0, 1, 0, 0]]
    assert batch["labels"].tolist() == [1, -100]
    assert TASK.gold_count(batch) == 1
    assert {value.dtype for value in batch.values()} == {torch.int64}
    untyped = (PairWindow((2, 3, 3), (0, 0, 0), 0, None),)
    assert set(TASK.collate(untyped, None, pad_id=9)) == {"input_ids", "attention_mask"}
    with pytest.raises(DataError, match="no label for the gold label 'neutral'"):
        TASK.collate(windows, ("entailment", "not_entailment"), pad_id=9)


# --- labels and scores ---


def test_labels_are_matched_by_name_in_whatever_order() -> None:
    order = ("contradiction", "entailment", "neutral")
    window = PairWindow((2, 3, 3), (0, 0, 0), 0, "neutral")
    assert TASK.collate([window], order, 0)["labels"].tolist() == [2]
    logits = SimpleNamespace(logits=torch.tensor([[0.0, 3.0, 1.0]]))
    assert TASK.merge(GOLD[:1], TASK.decode(logits, [window], order)) == ("entailment",)
    with pytest.raises(DataError, match=r"no label for the gold labels neutral \(1\), contradiction \(1\); it knows"):
        TASK.aligned(GOLD, ("entailment", "not_entailment"))
    with pytest.raises(IntegrityError, match="tells 3 labels apart, its adapter names 2"):
        TASK.decode(logits, [window], order[:2])


def test_scores_by_hand() -> None:
    scores = TASK.score(GOLD, ("entailment", "entailment", "contradiction", "neutral"))
    assert scores.metrics == pytest.approx({"accuracy": 2 / 3, "macro_f1": (2 / 3 + 0 + 1) / 3})
    assert [(row.label, row.support) for row in scores.table] == [(label, 1) for label in LABELS]
    assert scores.confusion is not None
    assert scores.confusion.labels == LABELS
    assert scores.confusion.counts == ((1, 0, 0), (1, 0, 0), (0, 0, 1))
    with pytest.raises(DataError, match="nothing to score"):
        TASK.score(GOLD[3:], ("neutral",))


labels = st.sampled_from(LABELS)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(labels, labels), min_size=1, max_size=30))
def test_scores_are_those_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

    gold, guess = [one for one, _ in pairs], [two for _, two in pairs]
    scores = TASK.score([Pair("a", "b", label) for label in gold], guess)
    f1 = f1_score(gold, guess, labels=sorted(set(gold)), average="macro", zero_division=0)
    assert scores.metrics == pytest.approx({"accuracy": accuracy_score(gold, guess), "macro_f1": f1})
    assert scores.confusion is not None
    matrix = confusion_matrix(gold, guess, labels=LABELS).tolist()
    assert [list(row) for row in scores.confusion.counts] == matrix


# --- heads ---


def model_of(base: Path) -> Any:
    from badx_hub.modeling.base import resolve_base
    from badx_hub.modeling.loading import load_encoder

    return load_encoder(resolve_base(str(base)))


def test_the_head_is_the_stock_one_and_survives_plain_adapters(tiny_base: Path, tmp_path: Path) -> None:
    from adapters import AutoAdapterModel

    model, batch = model_of(tiny_base), TASK.collate([PairWindow((2, 9, 3, 8, 3), (0, 0, 0, 1, 1), 0, None)], None, 0)
    TASK.add_head(model, "nli", LABELS)
    assert model.get_labels_dict("nli") == dict(enumerate(LABELS))
    model.save_head(str(tmp_path), "nli", use_safetensors=True)
    plain = AutoAdapterModel.from_pretrained(tiny_base).eval()
    plain.load_head(str(tmp_path), use_safetensors=True)
    plain.active_head = "nli"
    assert torch.equal(plain(**batch).logits, model(**batch).logits)


def test_mean_pooling_leaves_padding_out_and_keeps_the_names_of_weights(tiny_base: Path, tmp_path: Path) -> None:
    mean, model = NliTask("mean"), model_of(tiny_base)
    windows = [PairWindow((2, 9, 3, 8, 3), (0, 0, 0, 1, 1), 0, "neutral"), PairWindow((2, 3, 3), (0, 0, 1), 1, None)]
    mean.add_head(model, "nli", LABELS)
    both = model(**mean.collate(windows, LABELS, 0))
    for index, window in enumerate(windows):
        alone = model(**mean.collate([window], None, 0))
        torch.testing.assert_close(alone.logits[0], both.logits[index], rtol=1e-5, atol=1e-6)
    states = model.bert(**mean.collate(windows[1:], None, 0)).last_hidden_state.mean(dim=1)
    expected = torch.nn.Sequential(*model.heads["nli"].children())(states)
    torch.testing.assert_close(both.logits[1:], expected, rtol=1e-5, atol=1e-6)

    model.save_head(str(tmp_path), "nli", use_safetensors=True)
    loaded = model_of(tiny_base)
    loaded.load_head(str(tmp_path), use_safetensors=True)
    loaded.active_head = "nli"
    batch = mean.collate(windows, None, 0)
    assert not torch.allclose(loaded(**batch).logits, both.logits)
    mean.patch_head(loaded, "nli")
    assert torch.equal(loaded(**batch).logits, both.logits)
    TASK.add_head(model, "cls", LABELS)
    assert [*model.heads["cls"].state_dict()] == [*model.heads["nli"].state_dict()]


# --- in and out ---


def test_pairs_from_text_and_parts() -> None:
    assert TASK.prepare("A dog \tA cat") == TASK.prepare(["A dog", "A cat"]) == Pair("A dog", "A cat")
    for wrong in ("A dog", "a\tb\tc", "a\t ", ["a"], ["a", "b", "c"]):
        with pytest.raises(UsageError, match="is no pair; expected a premise and a hypothesis with one tab"):
            TASK.prepare(wrong)
    assert TASK.rows(GOLD[0], "neutral") == (("A dog runs", "An animal moves", "neutral"),)


def test_every_shared_file_is_read_and_its_gold_scores_as_scikit_learn_has_it(shared: Path) -> None:
    from sklearn.metrics import accuracy_score, f1_score

    tokenizer = AutoTokenizer.from_pretrained(shared / "models" / "mini-mmt")
    paths = sorted(shared.glob("data/nli/*/*.tsv"))
    assert len(paths) == 9
    for path in paths:
        examples = TASK.read(str(path), "test")
        assert len(examples) == len(path.read_text(encoding="utf-8").splitlines()) - 1
        gold = tuple(str(example.label) for example in examples)
        windows = TASK.encode(examples, tokenizer, 48)
        ids = TASK.collate(windows, LABELS, 1)["labels"]
        oracle = SimpleNamespace(logits=torch.nn.functional.one_hot(ids, len(LABELS)))
        assert TASK.merge(examples, reversed(TASK.decode(oracle, windows, LABELS))) == gold
        shifted = (*gold[1:], gold[0])
        expected = {"accuracy": accuracy_score(gold, shifted), "macro_f1": f1_score(gold, shifted, average="macro")}
        assert TASK.score(examples, shifted).metrics == pytest.approx(expected)
        assert TASK.score(examples, gold).metrics == {"accuracy": 1.0, "macro_f1": 1.0}
    assert TASK.read(str(shared / "data/nli/sick"), "dev") == TASK.read(str(shared / "data/nli/sick/en"), "dev")
    assert len(TASK.read(str(shared / "data/nli/americasnli/gn"), "test")) == 750


def test_xnli_s_languages_and_multinli_s_short_rows(tmp_path: Path) -> None:
    header = "language\tgold_label\tsentence1\tsentence2\tlabel1\tlabel2\n"
    rows = "ar\tneutral\tA\tB\tneutral\tneutral\nsw\tentailment\tC\tD\n"
    path = write(tmp_path / "xnli.test.tsv", header + rows)
    for called in ("sw", "Swahili", "swh_Latn"):
        assert NliTask(language=called).read(str(path), "test") == (Pair("C", "D", "entailment"),)
    with refused(DataError, r"mixes the languages ar, sw\. Say which is meant: --option language=ar\."):
        NliTask().read(str(path), "test")
    with refused(DataError, "has no rows in fr; there are: ar, sw"):
        NliTask(language="fr").read(str(path), "test")
    with refused(DataError, "no column language"):
        NliTask(language="fr").read(
            str(write(tmp_path / "a.tsv", "premise\thypothesis\tlabel\na\tb\tneutral\n")), "test"
        )


@pytest.mark.parametrize(
    "rows",
    [
        '"premise"\t"hypothesis"\t"label"\n"a"\t"b"\t"neutral"\n',
        'premise\thypothesis\tlabel\n"He said ""no""."\tb\tneutral\n',
        'premise\thypothesis\tlabel\n"a"\t"b"\t"neutral"\n',
        'premise\thypothesis\tlabel\n"a\nb"\tc\tneutral\n',
    ],
)
def test_tables_quoted_as_in_csv_are_noticed(tmp_path: Path, rows: str) -> None:
    with refused(DataError, r"\.tsv:[12]: .*QUOTE_NONE"):
        read_pairs(str(write(tmp_path / "a.test.tsv", rows)), "test")


def test_quotes_of_a_text_are_text(tmp_path: Path) -> None:
    path = write(tmp_path / "a.test.tsv", 'premise\thypothesis\tlabel\n"No" he said "no"\t"Quoted."\tneutral\n')
    assert read_pairs(str(path), "test")[0].premise == '"No" he said "no"'

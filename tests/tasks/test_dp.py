from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import AutoTokenizer
from udtools.udeval import evaluate, load_conllu_file

from badx_hub.data.conllu import RawSentence, Sentence, to_conllu
from badx_hub.data.splits import SPLITS
from badx_hub.errors import DataError, IntegrityError, UsageError
from badx_hub.modeling import IGNORED
from badx_hub.modeling.base import resolve_base
from badx_hub.modeling.loading import load_encoder
from badx_hub.tasks import task_named
from badx_hub.tasks.batching import bucketed, predict_windows
from badx_hub.tasks.dp import DpTask
from badx_hub.tasks.labels import UNIVERSAL, universal
from badx_hub.tasks.parsing import UNSCORED, Tree, TreeWindow
from badx_hub.tasks.trees import best_heads
from tests.tiny import demo_data

TASK = DpTask()
GREEDY = DpTask(decoding="greedy")
SUBTYPES = DpTask(subtypes=True)
HEAD = "dp"


def parsed(*rows: str) -> Sentence:
    """ "dogs 2 nsubj" -> a sentence of such words; "_" for no head."""
    words, heads, deprels = zip(*(row.split(" ") for row in rows), strict=True)
    return Sentence(
        words, ("_",) * len(words), tuple(None if head == "_" else int(head) for head in heads), tuple(deprels)
    )


BARK = parsed("The 2 det", "dogs 3 nsubj", "bark 0 root", ". 3 punct")
HALF = parsed("bark 0 root", "loudly _ _")


def tree_of(sentence: Sentence) -> Tree:
    return Tree(tuple(head or 0 for head in sentence.heads), sentence.deprels)


@dataclass
class GoldOutput:
    """What a head that knows the gold ids of a batch would say: 1 for what is gold, 0 for what may be, else -inf."""

    batch: dict[str, Tensor]
    labels: int

    @property
    def arc_preds(self) -> Tensor:
        heads = self.batch["labels_arcs"]
        words = (self.batch["word_starts"] != IGNORED).sum(1) - 1
        slots = torch.arange(heads.shape[1] + 1)
        possible = (slots <= words[:, None])[:, None] & (slots[1:, None] != slots)
        return (heads[:, :, None] == slots).float().masked_fill(~possible, -torch.inf)

    def relations(self, heads: Tensor) -> Tensor:
        chosen = heads != IGNORED
        right = heads[chosen] == self.batch["labels_arcs"][chosen]
        return torch.where(right[:, None], self._gold(self.batch["labels_rels"][chosen]), 0.0)

    def all_relations(self, row: int, words: int) -> Tensor:
        gold = self._gold(self.batch["labels_rels"][row, :words])
        right = self.batch["labels_arcs"][row, :words, None] == torch.arange(words + 1)
        return torch.where(right[..., None], gold[:, None], 0.0)

    def _gold(self, relations: Tensor) -> Tensor:
        return (relations[:, None] == torch.arange(self.labels)).float()


def from_gold(task: DpTask, examples: Sequence[Sentence], windows: Sequence[TreeWindow], size: int) -> tuple[Tree, ...]:
    """Gold trees as scores, through batches and back."""
    labels = task.labels(examples)
    parts: list[Any] = []
    for indices in bucketed(windows, size):
        chosen = [windows[index] for index in indices]
        output = GoldOutput(task.collate(chosen, labels, pad_id=0), len(labels))
        parts.extend(task.decode(output, chosen, labels))
    return task.merge(examples, parts)


@pytest.fixture(scope="module")
def tokenizer(tiny_base: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_base)


def written(folder: Path, *examples: Sentence) -> Path:
    path = folder / "x-ud-test.conllu"
    path.write_text("".join(map(to_conllu, examples)), encoding="utf-8")
    return path


# Reading and labels


def test_surface_tokens_and_empty_nodes_are_left_out_and_heads_stay_those_of_words(tmp_path: Path) -> None:
    path = tmp_path / "x-ud-test.conllu"
    rows = ["1-2 _ _", "1 Wëral 2 obl:appl", "2 xam 0 root", "2.1 node _", "3 nga 2 nsubj"]
    lines = [
        "\t".join([identifier, word, "_", "_", "_", "_", head, *(relation or ["_"]), "_", "_"])
        for identifier, word, head, *relation in (row.split(" ") for row in rows)
    ]
    path.write_text("\n".join([*lines, "", ""]), encoding="utf-8")
    assert TASK.read(str(path), "test") == (parsed("Wëral 2 obl", "xam 0 root", "nga 2 nsubj"),)
    assert SUBTYPES.read(str(path), "test") == (parsed("Wëral 2 obl:appl", "xam 0 root", "nga 2 nsubj"),)
    (reference,) = TASK.references(str(tmp_path), "test")
    assert reference.name == path.name


def test_labels_are_the_universal_relations_and_subtypes_by_choice() -> None:
    examples = [parsed("a 2 nsubj:pass", "b 0 root"), HALF]
    assert TASK.labels(examples) == UNIVERSAL == tuple(sorted(UNIVERSAL))
    assert len(UNIVERSAL) == 37
    assert SUBTYPES.labels(examples) == tuple(sorted([*UNIVERSAL, "nsubj:pass"]))


def test_a_subtype_that_the_head_does_not_know_becomes_the_universal_relation() -> None:
    labels = SUBTYPES.labels([parsed("a 2 nsubj:pass", "b 0 root")])
    target = parsed("a 2 nsubj:pass", "b 4 nsubj:outer", "c 2 _", "d 0 root")
    assert TASK.aligned([target], labels)[0].deprels == ("nsubj:pass", "nsubj", "_", "root")
    with pytest.raises(DataError, match=r"gold labels subj:x \(2\), obj \(1\); it knows nsubj, root"):
        TASK.aligned([parsed("a 2 subj:x", "b 0 root", "c 2 subj:x", "d 2 obj")], ("nsubj", "root"))


def test_relations_outside_ud_are_listed(tmp_path: Path) -> None:
    path = written(
        tmp_path, BARK, parsed("a 0 root", "b 1 SBJ"), parsed("a 0 root", "b 1 SBJ", "c 1 obj:x:y", "d 1 foo:x")
    )
    with pytest.raises(
        DataError, match=r"conllu:6: relations outside UD, with counts: SBJ \(2\), foo:x \(1\); expected"
    ):
        TASK.read(str(path), "test")
    with pytest.raises(DataError, match=r"the examples: relations outside UD, with counts: SBJ \(1\)"):
        TASK.labels([parsed("a 1 SBJ")])


@pytest.mark.parametrize("row, shown", [("b 1 _", "HEAD 1 and DEPREL _"), ("b _ obj", "HEAD _ and DEPREL obj")])
def test_half_an_annotation_is_an_error(tmp_path: Path, row: str, shown: str) -> None:
    with pytest.raises(DataError, match=rf"conllu:6: word 2 of this sentence has {shown}; expected both"):
        TASK.read(str(written(tmp_path, BARK, parsed("a 0 root", row))), "test")


@pytest.mark.parametrize("examples", [(), (parsed("x _ _"),)])
def test_a_file_without_trees_is_no_treebank(tmp_path: Path, examples: tuple[Sentence, ...]) -> None:
    with pytest.raises(DataError, match="no word with a head"):
        TASK.read(str(written(tmp_path, *examples)), "test")


def test_options_are_checked_by_name() -> None:
    assert task_named("dp", {"decoding": "greedy", "subtypes": True}) == DpTask("greedy", True)
    with pytest.raises(UsageError, match="option decoding of task dp is 'mst'"):
        task_named("dp", {"decoding": "mst"})


# Encoding, decoding and merging


def test_a_batch_by_hand(tokenizer: Any) -> None:
    windows = TASK.encode([BARK, HALF], tokenizer, 64)
    batch = TASK.collate(windows, UNIVERSAL, pad_id=11)
    first, second = (window.starts for window in windows)
    assert batch["word_starts"].tolist() == [list(first), [*second, IGNORED, IGNORED]]
    assert (first[0], first[-1], second[-1]) == (1, len(windows[0]) - 1, len(windows[1]) - 1)  # CLS before, SEP behind.
    assert batch["labels_arcs"].tolist() == [[2, 3, 0, 3], [0, IGNORED, IGNORED, IGNORED]]
    relations = [UNIVERSAL.index(name) for name in ("det", "nsubj", "root", "punct", "root")]
    assert batch["labels_rels"].tolist() == [relations[:4], [relations[4], *[IGNORED] * 3]]
    assert TASK.gold_count(batch) == 5
    assert {value.dtype for value in batch.values()} == {torch.int64}
    assert set(TASK.collate(windows, None, pad_id=11)) == {"input_ids", "attention_mask", "word_starts"}
    with pytest.raises(DataError, match="no label for the gold label 'punct'"):
        TASK.collate(windows, ("det", "nsubj", "root"), pad_id=11)


def long_sentence(words: int, seed: int) -> Sentence:
    """A sentence with a random single-root tree."""
    scores = np.random.default_rng(seed).normal(size=(words, words + 1))
    heads = best_heads(scores, "tree").tolist()
    return parsed(*(f"dogs {head} {'obj' if head else 'root'}" for head in heads))


@pytest.mark.parametrize("longest", [3, 8, 12, 40])
def test_every_word_of_a_long_sentence_gets_a_head(tokenizer: Any, longest: int) -> None:
    """Greedy finds each gold head that lies in the word's window and no other; the tree holds all words."""
    examples = [long_sentence(words, seed=words) for words in (1, 2, 25, 30)]
    windows = TASK.encode(examples, tokenizer, longest)
    assert max(map(len, windows)) <= longest
    reachable = sum(head is not None for window in windows for head in window.heads)
    assert reachable == TASK.gold_count(TASK.collate(windows, UNIVERSAL, 0))
    greedy = from_gold(GREEDY, examples, windows, 4)
    assert sum(GREEDY.counts(*pair)[0] for pair in zip(examples, greedy, strict=True)) == reachable
    trees = from_gold(TASK, examples, windows, 4)
    assert [len(tree.heads) for tree in trees] == [len(tree.deprels) for tree in greedy] == [1, 2, 25, 30]
    assert all(tree.heads.count(0) == 1 for tree in trees)
    if longest == 3:  # A word a window: no window has an arc between words.
        assert set(trees[2].deprels) == {"root", UNSCORED}


def test_a_sentence_without_words_has_no_tree_and_missing_parts_are_noticed(tokenizer: Any) -> None:
    empty = Sentence.of([])
    assert TASK.encode([empty], tokenizer, 16) == ()
    assert TASK.merge([empty], []) == (Tree((), ()),)
    with pytest.raises(KeyError):
        TASK.merge([BARK], [])


def test_only_the_root_word_is_called_root_and_other_heads_are_refused(tokenizer: Any) -> None:
    labels = ("nsubj", "root", "root:x")
    windows = TASK.encode([parsed("a 0 root", "b 1 nsubj")], tokenizer, 16)
    output = GoldOutput(TASK.collate(windows, labels, 0), 3)
    output.batch["labels_rels"] = torch.tensor([[0, 1]])  # nsubj on the root, root between words.
    (part,) = TASK.decode(output, windows, labels)
    assert TASK.merge([Sentence.of("ab")], [part]) == (Tree((0, 1), ("root", "nsubj")),)
    with pytest.raises(IntegrityError, match="3 labels apart, its adapter names 37"):
        TASK.decode(output, windows, UNIVERSAL)
    with pytest.raises(IntegrityError, match="needs 'root' and other relations; its adapter names a, b, c"):
        TASK.decode(output, windows, ("a", "b", "c"))


@pytest.mark.parametrize("split", SPLITS)
def test_gold_survives_the_real_tokenizer_on_every_shared_treebank(shared: Path, split: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(shared / "models" / "mini-mmt")
    for path in sorted(shared.glob(f"data/ud/*/*-ud-{split}.conllu")):
        examples = TASK.read(str(path), "test")
        assert TASK.aligned(examples, UNIVERSAL) == examples
        predictions = from_gold(TASK, examples, TASK.encode(examples, tokenizer, 512), 32)
        assert predictions == tuple(map(tree_of, examples))
        assert TASK.score(examples, predictions).metrics == {"las": 1.0, "uas": 1.0}
        examples = examples[:100]
        windows = TASK.encode(examples, tokenizer, 24)
        predictions = from_gold(GREEDY, examples, windows, 32)
        words = sum(len(example.words) for example in examples)
        reachable = sum(head is not None for window in windows for head in window.heads)
        assert GREEDY.score(examples, predictions).metrics["las"] == pytest.approx(reachable / words)


# Scores


def test_scores_by_hand() -> None:
    """Right heads: The, bark, "." and the second bark; "." has the wrong relation; "loudly" does not count."""
    predictions = (Tree((2, 1, 0, 3), ("det", "nsubj", "root", "det")), Tree((0, 1), ("root", "obj")))
    scores = TASK.score([BARK, HALF], predictions)
    assert scores.metrics == {"las": 3 / 5, "uas": 4 / 5}
    assert tuple(scores.metrics) == TASK.metrics
    table = {row.label: (row.precision, row.recall, row.support) for row in scores.table}
    # nsubj: predicted once, with the wrong head; det: one of two right.
    assert table == {"det": (0.5, 1.0, 1), "nsubj": (0.0, 0.0, 1), "punct": (0.0, 0.0, 1), "root": (1.0, 1.0, 2)}
    assert [TASK.counts(*pair) for pair in zip([BARK, HALF], predictions, strict=True)] == [(2, 4), (1, 1)]
    with pytest.raises(DataError, match="nothing to score"):
        TASK.score([Sentence.of(["x"])], [Tree((0,), ("root",))])


def test_subtypes_count_in_the_table_alone() -> None:
    scores = SUBTYPES.score([parsed("a 2 nsubj:pass", "b 0 root")], [Tree((2, 0), ("nsubj", "root"))])
    assert scores.metrics == {"las": 1.0, "uas": 1.0}
    assert {row.label: row.f1 for row in scores.table} == {"nsubj": 0.0, "nsubj:pass": 0.0, "root": 1.0}


def perturbed(sentence: Sentence, generator: random.Random) -> Tree:
    """A single-root tree near the gold one, with some relations off."""
    words = len(sentence.words)
    scores = np.array([[generator.random() for _ in range(words + 1)] for _ in range(words)])
    scores[np.arange(words), [head or 0 for head in sentence.heads]] += 0.8
    relations = (generator.choice(UNIVERSAL) if generator.random() < 0.2 else name for name in sentence.deprels)
    return Tree(tuple(best_heads(scores, "tree").tolist()), tuple(relations))


def with_trees(path: Path, trees: Iterator[tuple[int, str]]) -> Iterator[str]:
    """The lines of a CoNLL-U file with other heads and relations."""
    for line in path.read_text(encoding="utf-8").splitlines():
        columns = line.split("\t")
        if columns[0].isdigit():
            head, relation = next(trees)
            columns[6:8] = str(head), relation
        yield "\t".join(columns)


def check_against_the_official_evaluator(path: Path, folder: Path, task: DpTask) -> None:
    """The gold file against itself and against a perturbed one, all else (surface tokens, text) being equal."""
    examples, generator = task.read(str(path), "test"), random.Random(1)
    predictions = [perturbed(example, generator) for example in examples]
    system = folder / "system.conllu"
    pairs = ((head, name) for tree in predictions for head, name in zip(*tree, strict=True))
    system.write_text("\n".join([*with_trees(path, pairs), ""]), encoding="utf-8")
    gold = load_conllu_file(str(path))
    official, perfect = evaluate(gold, load_conllu_file(str(system))), evaluate(gold, load_conllu_file(str(path)))
    ours = task.score(examples, predictions).metrics
    assert 0.3 < ours["las"] < ours["uas"] < 0.95
    assert ours == {"las": official["LAS"].f1, "uas": official["UAS"].f1}
    itself = task.score(examples, list(map(tree_of, examples))).metrics
    assert itself == {"las": perfect["LAS"].f1, "uas": perfect["UAS"].f1} == {"las": 1.0, "uas": 1.0}
    numerator, denominator = zip(*(task.counts(*pair) for pair in zip(examples, predictions, strict=True)), strict=True)
    assert sum(numerator) / sum(denominator) == ours["las"]


@pytest.mark.parametrize(
    "name, task", [("UD_English-EWT/en_ewt-ud-dev", TASK), ("UD_Wolof-WTB/wo_wtb-ud-dev", SUBTYPES)]
)
def test_scores_are_the_official_ones_on_embedded_treebanks(name: str, task: DpTask, tmp_path: Path) -> None:
    path = tmp_path / "gold.conllu"
    path.write_bytes(gzip.decompress((demo_data() / "ud" / f"{name}.conllu.gz").read_bytes()))
    check_against_the_official_evaluator(path, tmp_path, task)


def test_scores_are_the_official_ones_on_the_wolof_test_sentences(shared: Path, tmp_path: Path) -> None:
    check_against_the_official_evaluator(
        shared / "data" / "ud" / "UD_Wolof-WTB" / "wo_wtb-ud-test.conllu", tmp_path, TASK
    )


# Output


def test_predictions_as_rows_record_and_conllu(tmp_path: Path) -> None:
    example = TASK.prepare("Dogs bark.")
    tree = Tree((2, 0, 2), ("nsubj", "root", "punct"))
    assert TASK.rows(example, tree) == (
        ("1", "Dogs", "2", "nsubj"),
        ("2", "bark", "0", "root"),
        ("3", ".", "2", "punct"),
    )
    assert json.loads(json.dumps(TASK.record(example, tree))) == {
        "text": "Dogs bark.",
        "words": ["Dogs", "bark", "."],
        "heads": [2, 0, 2],
        "deprels": ["nsubj", "root", "punct"],
    }
    assert dict(zip(TASK.columns, TASK.cells(example, tree), strict=True)) == {
        "HEAD": tuple(map(str, tree.heads)),
        "DEPREL": tree.deprels,
    }
    raw = RawSentence.of(example).replaced(dict(zip(TASK.columns, TASK.cells(example, tree), strict=True)))
    assert raw.sentence is not None
    written(tmp_path, raw.sentence)
    assert TASK.read(str(tmp_path), "test") == (raw.sentence,)


# With a model; what every task promises of one is in test_protocol.py


def with_head(base: Path) -> Any:
    """The tiny base with an untrained head for the universal relations, active."""
    model = load_encoder(resolve_base(str(base)))
    TASK.add_head(model, HEAD, UNIVERSAL)
    model.active_head = HEAD
    return model


@pytest.mark.parametrize("longest", [128, 24])
def test_whatever_the_weights_each_sentence_gets_a_single_root_tree(
    tiny_base: Path, tokenizer: Any, longest: int
) -> None:
    model = with_head(tiny_base)
    for parameter in model.heads[HEAD].parameters():
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(5))
    examples = TASK.read("demo:ud/UD_Wolof-WTB", "test")[:20]
    windows = TASK.encode(examples, tokenizer, longest)
    trees = predict_windows(model, TASK, windows, examples=examples, labels=UNIVERSAL, pad_id=0, batch_size=8)
    for example, tree in zip(examples, trees, strict=True):
        assert len(tree.heads) == len(example.words)
        assert [head == 0 for head in tree.heads] == [name == "root" for name in tree.deprels]
        assert reaches_the_root(tree.heads)
        assert tree.heads.count(0) == 1


def reaches_the_root(heads: Sequence[int]) -> bool:
    """From every word, over heads, in at most as many steps as there are words."""
    at = list(range(len(heads) + 1))
    for _ in heads:
        at = [heads[word - 1] if word else 0 for word in at]
    return not any(at)


def test_a_head_starts_from_nothing_and_is_added_once(tiny_base: Path) -> None:
    model = with_head(tiny_base)
    assert model.get_labels_dict(HEAD) == dict(enumerate(UNIVERSAL))
    head = model.heads[HEAD]
    assert {name: tuple(weight.shape) for name, weight in head.named_parameters()} == {
        "biaffine_arcs.weight": (1, 33, 32),
        "biaffine_rels.weight": (37, 33, 33),
    }
    assert not any(weight.any() for weight in head.parameters())
    with pytest.raises(ValueError, match="already contains"):
        TASK.add_head(model, HEAD, UNIVERSAL)


def test_universal_cuts_the_subtype_off() -> None:
    assert [universal(name) for name in ("nsubj", "nsubj:pass", "a:b:c", "_")] == ["nsubj", "nsubj", "a", "_"]

"""What holds for every task, whatever it is about; a new task needs a `Case` here and no test of these laws."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from badx_hub.data.conllu import RawSentence, Sentence, read_raw_conllu
from badx_hub.data.entity_columns import Tagged
from badx_hub.data.pairs import LABELS as CLASSES
from badx_hub.data.pairs import Pair
from badx_hub.errors import DataError
from badx_hub.manifest import LanguageAdapterRef, Manifest, ManifestDraft, SourceRef, Training
from badx_hub.modeling.adapter_configs import ExpectedHead
from badx_hub.modeling.base import resolve_base
from badx_hub.modeling.loading import load_encoder, load_tokenizer
from badx_hub.modeling.model_adapters import activate, add_adapter, load_adapter, own_parameters, save_adapter
from badx_hub.names import AdapterName
from badx_hub.recipes import AdapterRecipe
from badx_hub.registry.adapter_folder import prepare
from badx_hub.tasks import TASKS, Task
from badx_hub.tasks.batching import bucketed, labelled_only, predict_windows
from badx_hub.tasks.parsing import Tree
from tests.tiny import demo_lines


@dataclass(frozen=True)
class Case:
    """Ten annotated examples of a task, unlabelled input for it, and its predictions: right ones and any ones.

    `oracle` makes of a collated batch and the number of labels what a model would put out that knows its gold ids;
    None for a task that goes through gold in tests of its own.
    """

    examples: tuple[Any, ...]
    inputs: tuple[Any, ...]
    right: Callable[[Any], Any]
    anything: Callable[[Any, random.Random], Any]
    oracle: Callable[[dict[str, torch.Tensor], int], Any] | None


def one_hot(batch: dict[str, torch.Tensor], labels: int) -> Any:
    ids = batch["labels"].clamp(min=0)
    return SimpleNamespace(logits=torch.nn.functional.one_hot(ids, labels).float())


def treebank(task: str) -> tuple[Sentence, ...]:
    sentences = TASKS[task].read("demo:ud/UD_English-EWT", "dev")
    return tuple(one for one in sentences if 5 <= len(one.words) <= 14)[:10]


def short_lines(count: int) -> list[str]:
    """Four words each and none of them twice: what a random base tells apart, it can learn by heart."""
    chosen: dict[str, str] = {}
    for line in demo_lines("en", 600):
        words = line.split()[:4]
        if len({*words, *chosen}) == len(chosen) + 4:
            chosen |= dict.fromkeys(words, " ".join(words))
    return list(dict.fromkeys(chosen.values()))[:count]


WORDS = tuple(tuple(line.split()[:24]) for line in demo_lines("wo", 40))
NER_TAGS = ("O", "B-LOC", "I-LOC", "B-PER", "I-PER", "O")


def pos() -> Case:
    def anything(example: Sentence, source: random.Random) -> tuple[str, ...]:
        return tuple(source.choice(["NOUN", "VERB", "PUNCT"]) for _ in example.words)

    return Case(treebank("pos"), WORDS, lambda example: example.upos, anything, one_hot)


def dp() -> Case:
    def anything(example: Sentence, source: random.Random) -> Tree:
        words = len(example.words)
        heads = tuple(source.randint(0, words) for _ in example.words)
        return Tree(heads, tuple(source.choice(["nsubj", "punct", "root"]) for _ in heads))

    def right(example: Sentence) -> Tree:
        return Tree(tuple(head or 0 for head in example.heads), example.deprels)

    return Case(treebank("dp"), WORDS, right, anything, None)


def nli() -> Case:
    lines = short_lines(20)
    pairs = tuple(Pair(lines[index], lines[index + 10], CLASSES[index % 3]) for index in range(10))
    inputs = tuple(zip(demo_lines("wo", 20), demo_lines("wo", 40)[20:], strict=True))
    return Case(pairs, inputs, lambda example: example.label, lambda _, source: source.choice(CLASSES), one_hot)


def ner() -> Case:
    def example(index: int, words: Sequence[str]) -> Tagged:
        shifted = NER_TAGS[index % 2 * 3 :] + NER_TAGS[: index % 2 * 3]
        return Tagged(tuple(words), tuple((shifted * len(words))[: len(words)]))

    def anything(example: Tagged, source: random.Random) -> tuple[str, ...]:
        return tuple(source.choice(NER_TAGS) for _ in example.words)

    examples = tuple(example(index, line.split()) for index, line in enumerate(short_lines(10)))
    return Case(examples, WORDS, lambda one: one.tags, anything, one_hot)


CASES: dict[str, Callable[[], Case]] = {"pos": pos, "dp": dp, "nli": nli, "ner": ner}


@dataclass(frozen=True)
class Learned:
    """A tiny base with an adapter and a head that know the case's examples by heart."""

    task: Task
    case: Case
    name: AdapterName
    labels: tuple[str, ...]
    model: Any
    tokenizer: Any

    def predict(self, examples: Sequence[Any], size: int, longest: int = 128) -> tuple[Any, ...]:
        return predict_windows(
            self.model,
            self.task,
            self.task.encode(examples, self.tokenizer, longest),
            examples=examples,
            labels=self.labels,
            pad_id=self.tokenizer.pad_token_id,
            batch_size=size,
        )


@pytest.fixture(scope="module", params=sorted(TASKS))
def case(request: pytest.FixtureRequest) -> tuple[Task, Case]:
    if request.param not in CASES:
        pytest.fail(f"The task {request.param} has no case in {Path(__file__).name}; write one and put it into CASES")
    return TASKS[request.param], CASES[request.param]()


@pytest.fixture(scope="module")
def learned(case: tuple[Task, Case], tiny_base: Path) -> Learned:
    task, own = case
    found, name = resolve_base(str(tiny_base)), AdapterName.parse(f"tiny/en-wo/{task.name}")
    labels = task.labels(own.examples)
    learner = Learned(task, own, name, labels, load_encoder(found), load_tokenizer(found))
    add_adapter(learner.model, name, AdapterRecipe(reduction_factor=1), seed=1)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        task.add_head(learner.model, name.module_name, labels)
    activated(learner.model, name)
    windows = labelled_only(task.encode(task.aligned(own.examples, labels), learner.tokenizer, 128))
    by_heart(learner.model, name, task.collate(windows, labels, learner.tokenizer.pad_token_id))
    return learner


def activated(model: Any, name: AdapterName) -> None:
    activate(model, [name])
    model.active_head = name.module_name


def by_heart(model: Any, name: AdapterName, batch: dict[str, torch.Tensor], steps: int = 400) -> None:
    weights = list(own_parameters(model, name).values())
    optimizer = torch.optim.AdamW([weight.requires_grad_() for weight in weights], lr=1e-2)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
    for _ in range(steps):
        loss = model(**batch).loss
        if loss < 3e-3:
            break
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()


# --- the laws ---


def test_a_task_says_what_it_measures(case: tuple[Task, Case]) -> None:
    task, own = case
    assert TASKS[task.name] == task
    assert task.selection_metric in task.metrics
    assert {field.name for field in fields(task)}.isdisjoint({"name", "metrics", "selection_metric"})  # type: ignore[arg-type]
    scores = task.score(own.examples, [own.right(example) for example in own.examples])
    assert tuple(scores.metrics) == task.metrics
    assert set(scores.metrics.values()) == {1.0}
    assert {row.label for row in scores.table} <= {*task.labels(own.examples), *map(kind, task.labels(own.examples))}
    if scores.confusion:
        assert sum(map(sum, scores.confusion.counts)) == sum(row.support for row in scores.table)


def kind(label: str) -> str:
    """PER of B-PER: tables have a row an entity type."""
    return label.partition("-")[2]


def test_ten_examples_are_learned_by_heart(learned: Learned) -> None:
    examples = learned.case.examples
    assert len(examples) == 10
    scores = learned.task.score(examples, learned.predict(examples, 10))
    assert scores.metrics[learned.task.selection_metric] > 0.99


@pytest.mark.parametrize("longest", [128, 24])
def test_predictions_do_not_depend_on_batches_or_order(learned: Learned, longest: int) -> None:
    examples = [learned.task.prepare(item) for item in learned.case.inputs]
    alone = learned.predict(examples, 1, longest)
    assert len(alone) == len(examples)
    assert len(set(map(str, learned.predict(learned.case.examples, 10)))) > 1  # Batches could be mixed up unseen.
    assert learned.predict(examples, 32, longest) == alone
    assert learned.predict(examples[::-1], 7, longest) == alone[::-1]


def test_gold_goes_through_windows_and_comes_back(case: tuple[Task, Case], tiny_base: Path) -> None:
    task, own = case
    if own.oracle is None:
        pytest.skip(f"{task.name} does this in tests of its own")
    tokenizer, labels = load_tokenizer(resolve_base(str(tiny_base))), task.labels(own.examples)
    for longest, size in ((128, 1), (128, 32), (16, 3)):
        windows, parts = task.encode(own.examples, tokenizer, longest), []
        for indices in bucketed(windows, size):
            chosen = [windows[index] for index in indices]
            batch = task.collate(chosen, labels, tokenizer.pad_token_id)
            assert task.gold_count(batch) > 0
            parts += task.decode(own.oracle(batch, len(labels)), chosen, labels)
        random.Random(0).shuffle(parts)
        assert task.merge(own.examples, parts) == tuple(own.right(example) for example in own.examples)


relaxed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)


@relaxed
@given(st.randoms(use_true_random=False), st.sets(st.integers(0, 9), min_size=1))
def test_the_tallies_add_up_to_the_selection_metric(
    case: tuple[Task, Case], source: random.Random, drawn: set[int]
) -> None:
    """Of any examples: that is what a bootstrap over examples needs."""
    task, own = case
    examples = [own.examples[index] for index in sorted(drawn)]
    predictions = [own.right(one) if source.random() < 0.3 else own.anything(one, source) for one in examples]
    tallies = [task.counts(*pair) for pair in zip(examples, predictions, strict=True)]
    assert all(0 <= gain <= stake for gain, stake in tallies)
    expected = task.score(examples, predictions).metrics[task.selection_metric]
    assert sum(gain for gain, _ in tallies) / sum(stake for _, stake in tallies) == pytest.approx(expected)


def test_labels_are_aligned_by_name_and_once(case: tuple[Task, Case]) -> None:
    task, own = case
    labels = task.labels(own.examples)
    once = task.aligned(own.examples, labels)
    assert task.aligned(once, labels) == once
    assert task.aligned(own.examples, labels[::-1]) == once
    with pytest.raises(DataError, match=r"no label for the gold .*it knows|knows no"):
        task.aligned(own.examples, labels[:1])


def test_a_saved_head_and_its_labels_come_back(learned: Learned, tmp_path: Path, tiny_base: Path) -> None:
    folder = tmp_path / "saved"
    save_adapter(learned.model, learned.name, folder)
    prepare(folder, draft(learned))
    manifest = Manifest.read(folder)
    assert manifest.labels == learned.labels
    config = json.loads((folder / "head_config.json").read_text(encoding="utf-8"))
    assert config["config"]["label2id"] == {label: index for index, label in enumerate(learned.labels)}
    again = load_encoder(resolve_base(str(tiny_base)))
    load_adapter(again, learned.name, folder, ExpectedHead(learned.task.head_type, learned.labels))
    learned.task.patch_head(again, learned.name.module_name)
    activated(again, learned.name)
    loaded = Learned(learned.task, learned.case, learned.name, manifest.labels, again, learned.tokenizer)
    assert loaded.predict(learned.case.examples, 4) == learned.predict(learned.case.examples, 4)


def draft(learned: Learned) -> ManifestDraft:
    return ManifestDraft(
        name=str(learned.name),
        base=resolve_base("demo").ref,
        recipe={"max_length": 128},
        seed=1,
        data=(SourceRef(language="en", name="ten", digest="c" * 64, counts={}),),
        training=Training(steps=150, best_step=150, seconds=0.0),
        metrics={"dev": {f"en/{learned.task.selection_metric}": 1.0}},
        versions={"torch": torch.__version__},
        labels=learned.labels,
        parent=LanguageAdapterRef(name="tiny/en-wo", digest="d" * 64),
        created="2026-01-01T00:00:00Z",
    )


def test_predictions_are_text_json_and_where_words_are_conllu(case: tuple[Task, Case], tmp_path: Path) -> None:
    task, own = case
    for example in own.examples:
        prediction = own.right(example)
        rows = task.rows(example, prediction)
        assert rows
        assert all(isinstance(cell, str) for row in rows for cell in row)
        record = task.record(example, prediction)
        assert json.loads(json.dumps(record)) == record
        columns = dict(zip(task.columns, task.cells(example, prediction), strict=True))
        if task.reads_conllu:
            words = Sentence.of(row[1] if len(row) > 2 else row[0] for row in rows)
            filled = RawSentence.of(words).replaced(columns)
            path = tmp_path / "a.conllu"
            path.write_text(str(filled), encoding="utf-8")
            assert list(read_raw_conllu(path)) == [filled]
            assert {column: filled.cells(column) for column in columns} == columns


def test_prepared_examples_carry_no_label(case: tuple[Task, Case], tiny_base: Path) -> None:
    task, own = case
    examples = [task.prepare(item) for item in own.inputs]
    assert labelled_only(task.encode(examples, load_tokenizer(resolve_base(str(tiny_base))), 64)) == ()
    with pytest.raises(DataError, match="nothing to score"):
        task.score(examples, [own.anything(example, random.Random(0)) for example in examples])
    if task.reads_conllu:
        assert task.prepare(Sentence.of(own.inputs[0])) == examples[0]

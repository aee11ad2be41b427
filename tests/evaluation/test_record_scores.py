from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from badx_hub.adapter_files import MANIFEST_FILE
from badx_hub.data.splits import DataReference
from badx_hub.errors import IntegrityError, UsageError
from badx_hub.evaluation import Evaluation
from badx_hub.evaluation.record_scores import record
from badx_hub.manifest import LanguageAdapterRef, utc_now
from badx_hub.registry import Entry, LocalRegistry
from badx_hub.registry.chain import RegistryChain
from badx_hub.tasks.metrics import LabelScore, Scores
from tests.refusals import refused
from tests.registry.conftest import build
from tests.registry.double import UNREACHABLE, Double

NOUN, VERB, X = (
    LabelScore(label, 0.5, 0.5, f1, n) for label, f1, n in (("NOUN", 0.6, 9), ("VERB", 0.2, 3), ("X", 0, 0))
)


@pytest.fixture
def registry(tmp_path: Path) -> LocalRegistry:
    return LocalRegistry(tmp_path / "registry")


@pytest.fixture
def task(registry: LocalRegistry, tmp_path: Path) -> Entry:
    carrier = registry.publish(build(tmp_path / "ba", "mbert/en-wo"))
    return registry.publish(
        build(
            tmp_path / "ta",
            "mbert/en-wo/pos",
            parent=LanguageAdapterRef(name="mbert/en-wo", digest=carrier.manifest.digest),
            metrics={"dev": {"en/accuracy": 0.9}},
            files={"curves.png": b"png"},
            run="e" * 64,
        )
    )


def judged(
    entry: Entry, accuracy: float = 0.61, *, split: str = "test", file: str = "wo_wtb-ud-test.conllu"
) -> Evaluation:
    return Evaluation(
        entry=entry,
        data=file,
        split=split,
        examples=470,
        scores=Scores({"accuracy": accuracy, "macro_f1": 0.4}, (NOUN, VERB, X)),
        seconds=1.0,
        references=(DataReference(file, "d" * 64),),
        setup="bad-x",
        tallies=(),
    )


def test_the_scores_stand_in_a_new_version_of_the_same_weights(task: Entry, registry: LocalRegistry) -> None:
    done = record(judged(task), registry, language="Wolof")
    before, after = task.manifest, done.entry.manifest
    assert not done.already
    assert registry.get("mbert/en-wo/pos") == done.entry
    assert after.metrics == {
        "dev": {"en/accuracy": 0.9},
        "test": {"wo/accuracy": 0.61, "wo/macro_f1": 0.4, "wo/f1/NOUN": 0.6, "wo/f1/VERB": 0.2},
    }
    assert [ref.model_dump() for ref in after.evaluations] == [
        {"split": "test", "language": "wo", "name": "wo_wtb-ud-test.conllu", "digest": "d" * 64, "examples": 470}
    ]
    changed = {"metrics", "evaluations", "created", "files"}
    assert before.model_dump(exclude=changed) == after.model_dump(exclude=changed)
    assert {k: v for k, v in before.files.items() if k != "README.md"} == {
        k: v for k, v in after.files.items() if k != "README.md"
    }
    assert registry.verify(done.entry).ok
    card = (registry.fetch(done.entry) / "README.md").read_text(encoding="utf-8")
    assert "model-index" in card and "wo_wtb-ud-test.conllu" in card
    assert "model-index" not in (registry.fetch(task) / "README.md").read_text(encoding="utf-8")


def test_the_same_scores_again_are_a_no_op(task: Entry, registry: LocalRegistry) -> None:
    first = record(judged(task), registry, language="wo")
    for entry in (task, first.entry):
        again = record(judged(entry), registry, language="wo")
        assert (again.entry, again.already) == (first.entry, True)
    assert len(registry.list()) == 3


def test_other_languages_and_splits_stay(task: Entry, registry: LocalRegistry) -> None:
    """Recorded on the version that was loaded, though a newer one has scores by then."""
    record(judged(task), registry, language="wo")
    record(judged(task, 0.3, file="bm.conllu"), registry, language="bm")
    record(judged(task, 0.2, split="dev"), registry, language="wo")
    last = record(judged(task, 0.5), registry, language="wo").entry.manifest
    assert last.metrics["test"]["wo/accuracy"] == 0.5
    assert last.metrics["test"]["bm/accuracy"] == 0.3
    assert last.metrics["dev"]["wo/accuracy"] == 0.2
    assert last.metrics["dev"]["en/accuracy"] == 0.9
    assert sorted((ref.split, ref.language, ref.name) for ref in last.evaluations) == [
        ("dev", "wo", "wo_wtb-ud-test.conllu"),
        ("test", "bm", "bm.conllu"),
        ("test", "wo", "wo_wtb-ud-test.conllu"),
    ]


def test_labels_that_are_gone_do_not_linger(task: Entry, registry: LocalRegistry) -> None:
    record(judged(task), registry, language="wo")
    fewer = replace(judged(task), scores=Scores({"accuracy": 0.61}, (NOUN,)))
    metrics = record(fewer, registry, language="wo").entry.manifest.metrics["test"]
    assert set(metrics) == {"wo/accuracy", "wo/f1/NOUN"}


def test_the_new_version_is_the_newest_even_within_a_second(registry: LocalRegistry, tmp_path: Path) -> None:
    entry = registry.publish(build(tmp_path / "x", "mbert/en/pos@ta-only", created=utc_now()))
    for step in range(5):
        entry = record(judged(entry, step / 10), registry, language="wo").entry
        assert registry.get("mbert/en/pos@ta-only") == entry
    assert [e.manifest.metrics["test"]["wo/accuracy"] for e in registry.list()[1:]] == [0.0, 0.1, 0.2, 0.3, 0.4]


def test_other_weights_of_the_same_name_are_left_alone(task: Entry, registry: LocalRegistry, tmp_path: Path) -> None:
    newer = registry.publish(
        build(
            tmp_path / "new",
            "mbert/en-wo/pos",
            weights=7.0,
            parent=task.manifest.parent,
            created="2026-05-05T00:00:00Z",
        )
    )
    done = record(judged(task), registry, language="wo").entry
    assert done.manifest.digest == task.manifest.digest != newer.manifest.digest


def test_scores_on_a_swapped_in_adapter_are_not_the_task_adapters_own(
    task: Entry, registry: LocalRegistry, tmp_path: Path
) -> None:
    (own,) = registry.by_digest(task.manifest.language_adapters[0].digest)
    other = registry.publish(build(tmp_path / "la", "mbert/wo", weights=3.0))
    with refused(UsageError, "--record"):
        record(replace(judged(task), setup="mad-x", language_adapter=other), registry, language="wo")
    assert len(registry.list()) == 3
    assert not record(replace(judged(task), language_adapter=own), registry, language="wo").already


def test_it_goes_into_ones_own_registry_whatever_else_was_looked_into(
    task: Entry, registry: LocalRegistry, tmp_path: Path
) -> None:
    own = LocalRegistry(tmp_path / "own")
    places = RegistryChain((own, registry, Double("hf:", failure=UNREACHABLE)))
    first = record(judged(task), places, language="wo")
    assert own.list() == (first.entry,)
    assert len(registry.list()) == 2
    assert record(judged(task), places, language="wo").already


def test_nothing_is_recorded_of_damaged_weights(task: Entry, registry: LocalRegistry) -> None:
    file = registry.fetch(task) / "adapter.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\xff")
    with pytest.raises(IntegrityError):
        record(judged(task), registry, language="wo")
    assert sorted(path.name for path in file.parent.parent.iterdir()) == [task.version]
    assert (file.parent / MANIFEST_FILE).is_file()

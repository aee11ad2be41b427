from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badx_hub.errors import StorageError
from badx_hub.recipes import TrainingRecipe
from badx_hub.training.checkpoints import CheckpointFolder
from badx_hub.training.loop import Silent, train
from badx_hub.training.profiling import (
    PHASES,
    STEPS,
    TABLE,
    TRACE,
    Operation,
    Profiling,
    Watched,
    kind_of,
    kinds,
    table,
)
from tests.training.regression import Regression, recipe


def profiled(folder: Path, numbers: TrainingRecipe, objective: Regression | None = None) -> Profiling:
    profiling = Profiling(folder / "profile", "a title")
    checkpoints = CheckpointFolder(folder / "checkpoints")
    train(objective or Regression(), numbers, checkpoints, Silent(), profiling=profiling)
    return profiling


def steps_in(profiling: Profiling) -> int:
    trace = json.loads(gzip.decompress((profiling.folder / TRACE).read_bytes()))
    return sum(event.get("name") == "badx: step" for event in trace["traceEvents"])


def test_a_profile_is_a_table_and_a_trace(tmp_path: Path) -> None:
    profiling = profiled(tmp_path, recipe(eval_every=100))
    assert profiling.written
    assert sorted(path.name for path in profiling.folder.iterdir()) == [TABLE, TRACE]
    page = (profiling.folder / TABLE).read_text(encoding="utf-8")
    assert page.startswith(f"a title\n{STEPS} steps of ")
    assert all(phase.removeprefix("badx: ") in page for phase in PHASES)
    assert "dropout" in page and "matrix products" in page and "optimizer" in page
    assert steps_in(profiling) == STEPS


@pytest.mark.parametrize(
    ("changes", "seen"),
    [({"steps": 1}, 1), ({"steps": 6, "eval_every": 100}, 5), ({"eval_every": 1}, 1), ({"eval_every": 6}, 3)],
    ids=["one step", "less warm-up", "evaluated each step", "evaluated meanwhile"],
)
def test_few_steps_are_watched_as_far_as_they_go(tmp_path: Path, changes: dict[str, int], seen: int) -> None:
    assert steps_in(profiled(tmp_path, recipe(**changes, warmup_steps=0))) == seen


def test_training_is_the_same_with_a_profile(tmp_path: Path) -> None:
    plain, watched = Regression(), Regression()
    straight = train(plain, recipe(), CheckpointFolder(tmp_path / "plain"), Silent())
    profiling = Profiling(tmp_path / "profile", "")
    outcome = train(watched, recipe(), CheckpointFolder(tmp_path / "b"), Silent(), profiling=profiling)
    assert outcome.history == straight.history
    for name, value in plain.weights().items():
        assert value.equal(watched.weights()[name])


def test_a_run_that_breaks_off_leaves_no_half_profile_and_no_profiler(tmp_path: Path) -> None:
    broken = Regression()
    broken.killed_at = 5
    with pytest.raises(RuntimeError, match="killed"):
        profiled(tmp_path, recipe(eval_every=100), broken)
    assert list((tmp_path / "profile").iterdir()) == []
    assert profiled(tmp_path, recipe(eval_every=100)).written  # Another profiler can start.


def test_nothing_is_written_where_nothing_is_left_to_train(tmp_path: Path) -> None:
    with Profiling(tmp_path, "") as profiling:
        profiling.begin(0)
        profiling.finish()
    assert not profiling.written


def test_a_file_in_the_way_is_found_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file"):
        Profiling(tmp_path / "file", "")


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("aten::addmm", "matrix products"),
        ("aten::_addmm_activation", "matrix products"),
        ("aten::bmm", "matrix products"),
        ("aten::bernoulli_", "dropout"),
        ("aten::native_dropout_backward", "dropout"),
        ("_Dropout", "dropout"),
        ("aten::random_", "dropout"),
        ("_Attention", "Python, autograd and views"),
        ("aten::_log_softmax_backward_data", "softmax and loss"),
        ("aten::_scaled_dot_product_flash_attention_for_cpu", "attention in one piece"),
        ("aten::_fused_adamw_", "optimizer and clipping"),
        ("aten::copy_", "copies and fills"),
        ("aten::_to_copy", "copies and fills"),
        ("aten::add", "sums and products by element"),
        ("aten::gelu_backward", "activations"),
        ("aten::index_select", "embeddings and gathering"),
        ("badx: wait for the batch", "waiting for the batch"),
        ("badx: forward", "Python, autograd and views"),
        ("autograd::engine::evaluate_function: AddmmBackward0", "Python, autograd and views"),
        ("aten::transpose", "Python, autograd and views"),
        ("aten::never_heard_of", "everything else"),
    ],
)
def test_kinds_of_operations(operation: str, kind: str) -> None:
    assert kind_of(operation) == kind


OPERATIONS = st.builds(
    Operation,
    name=st.sampled_from(["aten::addmm", "aten::copy_", *PHASES]) | st.text(max_size=120).filter(str.isprintable),
    calls=st.integers(1, 10**7),
    alone=st.floats(0, 1),
    whole=st.floats(0, 1),
)


@given(st.lists(OPERATIONS, max_size=60), st.text(max_size=300).filter(str.isprintable), st.floats(1, 1e6))
def test_the_table_is_at_most_100_columns_wide_and_leaves_nothing_out(
    operations: list[Operation], title: str, seconds: float
) -> None:
    watched = Watched(title, "the processor", 5, seconds, tuple(operations))
    assert all(len(line) <= 100 for line in table(watched).splitlines())
    assert sum(kinds(operations).values()) == pytest.approx(sum(operation.alone for operation in operations))

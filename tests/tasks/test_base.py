from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badx_hub.errors import UsageError
from badx_hub.tasks import TASKS, options_of, task_named
from badx_hub.tasks.batching import EpochBatches, bucketed, filled, labelled_only, padded
from badx_hub.tasks.tagging import WordWindow

lengths = st.lists(st.integers(1, 40), min_size=1, max_size=300)
sizes = st.integers(1, 40)


def windows(drawn: list[int]) -> list[range]:
    return [range(length) for length in drawn]


@given(lengths, sizes, st.integers(0, 2**31))
def test_training_batches_are_a_permutation_and_full_but_for_one(drawn: list[int], size: int, seed: int) -> None:
    batches = bucketed(windows(drawn), size, seed)
    assert sorted(index for batch in batches for index in batch) == list(range(len(drawn)))
    assert len(batches) == -(-len(drawn) // size)
    assert sorted(map(len, batches))[1:] == [size] * (len(batches) - 1)


@given(st.lists(st.integers(1, 400), max_size=300), sizes)
def test_prediction_reads_the_longest_first_and_never_more_than_has_room(drawn: list[int], size: int) -> None:
    batches = bucketed(windows(drawn), size)
    order = [index for batch in batches for index in batch]
    assert sorted(order) == list(range(len(drawn)))
    assert [drawn[index] for index in order] == sorted(drawn, reverse=True)
    assert all(len(batch) == 1 or len(batch) * drawn[batch[0]] <= 64 * size for batch in batches)


@given(st.lists(st.integers(1, 64), min_size=1, max_size=300), sizes)
def test_batches_for_prediction_are_few_and_pad_little(drawn: list[int], size: int) -> None:
    """A batch ends when the next window has no room, or would be padded by a tenth in a batch that is large enough."""
    batches = [[drawn[index] for index in batch] for batch in bucketed(windows(drawn), size)]
    for batch, after in pairwise(batches):
        full = (len(batch) + 1) * batch[0] > 64 * size
        assert full or (len(batch) * batch[0] >= 8 * size and after[0] <= 0.9 * batch[0])
        padding = len(batch) * batch[0] - sum(batch)
        assert padding <= max(8 * size + batch[0], 0.1 * len(batch) * batch[0])


@given(lengths, sizes, st.integers(0, 9), st.lists(st.integers(0, 900), max_size=8))
def test_a_step_s_batch_depends_on_the_step_alone(drawn: list[int], size: int, seed: int, steps: list[int]) -> None:
    batches = EpochBatches(windows(drawn), size, seed)
    for step in steps:
        assert batches[step] == EpochBatches(windows(drawn), size, seed)[step]


@given(lengths, sizes, st.integers(0, 9), st.integers(0, 5))
def test_an_epoch_draws_each_window_once(drawn: list[int], size: int, seed: int, epoch: int) -> None:
    batches = EpochBatches(windows(drawn), size, seed)
    first = epoch * batches.steps_per_epoch
    indices = [index for step in range(first, first + batches.steps_per_epoch) for index in batches[step]]
    assert sorted(indices) == list(range(len(drawn)))


def test_epochs_and_seeds_differ_and_batches_save_padding() -> None:
    drawn = windows([1 + (index * 37) % 64 for index in range(4096)])
    first = bucketed(drawn, 16, seed=1)
    assert first != bucketed(drawn, 16, seed=1, epoch=1)
    assert first != bucketed(drawn, 16, seed=2)
    padded = sum(len(batch) * max(len(drawn[index]) for index in batch) for batch in first)
    assert padded < 1.1 * sum(map(len, drawn))


def test_the_same_batches_on_every_machine() -> None:
    """Written down, because a run may go on elsewhere."""
    assert bucketed(windows([5, 1, 4, 2, 3]), 2, seed=7) == ((1, 3), (4, 2), (0,))


@pytest.mark.parametrize("size", [0, -1])
def test_refusals(size: int) -> None:
    with pytest.raises(UsageError, match="batch size"):
        bucketed([range(1)], size)
    with pytest.raises(UsageError, match="no labelled example"):
        EpochBatches([], 8, seed=1)
    with pytest.raises(IndexError):
        EpochBatches([range(1)], 8, seed=1)[-1]


def test_shorter_rows_are_filled_up_and_hidden() -> None:
    assert filled([(1, 2, 3), (), (4,)], -100).tolist() == [[1, 2, 3], [-100] * 3, [4, -100, -100]]
    words = [WordWindow(ids, 0, (0,), (1,), (None,)) for ids in ((1, 0, 2), (1, 5, 6, 2))]
    batch = padded(words, pad_id=0)
    assert batch["input_ids"].tolist() == [[1, 0, 2, 0], [1, 5, 6, 2]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]
    assert {tensor.dtype for tensor in batch.values()} == {batch["input_ids"].long().dtype}


def test_a_window_without_gold_is_not_trained_on() -> None:
    bare = WordWindow((1, 5, 2), 0, (0,), (1,), (None,))
    tagged = WordWindow((1, 5, 6, 2), 0, (1, 2), (1, 2), (None, "NOUN"))
    assert labelled_only([bare, tagged]) == (tagged,)


def test_the_registry_of_tasks() -> None:
    assert all(task.name == name and task.selection_metric in task.metrics for name, task in TASKS.items())
    assert task_named("pos") == TASKS["pos"]
    with pytest.raises(UsageError, match="no task 'PoS'; expected one of: pos"):
        task_named("PoS")


def test_no_tensor_library_is_imported() -> None:
    code = "import sys, badx_hub.tasks; print({'torch', 'transformers', 'adapters', 'datasets'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_options_of_a_task_are_all_told_and_make_it_again() -> None:
    greedy = task_named("dp", {"decoding": "greedy"})
    assert options_of(greedy) == {"decoding": "greedy", "subtypes": False}
    assert all(task_named(name, options_of(task)) == task for name, task in TASKS.items())

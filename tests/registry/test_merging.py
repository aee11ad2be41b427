"""Means of adapters: their weights, their names, what they stand on, and what has no mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from badx_hub.errors import UsageError
from badx_hub.evaluation.results import cost_of
from badx_hub.languages import Mixture
from badx_hub.registry import AdapterQuery, Entry, Registry, open_registry, resolve
from badx_hub.registry.merging import merge, planned
from badx_hub.registry.transfer import copy
from badx_hub.stack import load_bilingual_stack
from tests.made import made
from tests.refusals import refused


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return open_registry(tmp_path / "registry")


@pytest.fixture
def english(registry: Registry, tiny_base: Path) -> Entry:
    return made(registry, tiny_base, "tiny/en", seed=1)


@pytest.fixture
def wolof(registry: Registry, tiny_base: Path) -> Entry:
    return made(registry, tiny_base, "tiny/wo", seed=2)


def numbers(registry: Registry, entry: Entry, file: str = "adapter.safetensors") -> dict[str, torch.Tensor]:
    """The weights of an adapter by names that leave out its own."""
    stored = load_file(registry.fetch(entry) / file)
    return {name.replace(entry.name.module_name, "NAME"): value for name, value in stored.items()}


def test_the_las_of_a_pair_make_its_training_free_ba(
    registry: Registry, tiny_base: Path, english: Entry, wolof: Entry
) -> None:
    done = merge([english, wolof], registry, weights=[3, 7], base=str(tiny_base))
    assert (str(done.entry.name), done.already) == ("tiny/en-wo@3:7#merged", False)
    ours, (one, other) = numbers(registry, done.entry), (numbers(registry, entry) for entry in (english, wolof))
    assert ours.keys() == one.keys() == other.keys()
    for name, value in ours.items():
        torch.testing.assert_close(value, 0.3 * one[name] + 0.7 * other[name])
    manifest = done.entry.manifest
    assert (manifest.origin, manifest.training.steps, manifest.kind) == ("merged", 0, "bilingual")
    assert [(ref.name, ref.digest, ref.weight) for ref in manifest.merged] == [
        ("tiny/en", english.manifest.digest, pytest.approx(0.3)),
        ("tiny/wo", wolof.manifest.digest, pytest.approx(0.7)),
    ]
    card = (registry.fetch(done.entry) / "README.md").read_text(encoding="utf-8")
    assert "| 0.3 of | `tiny/en` |" in card and "Nothing was trained for it" in card and "Perplexities" not in card
    # The same mean is made once, whether the weights stand in the name or beside it.
    assert merge([english, wolof], registry, name="en-wo@3:7#merged").already
    assert planned([english, wolof], weights=[6, 14], name="tiny/en-wo@3:7#merged").key == manifest.run


def test_a_mean_is_verified_copied_and_removed_like_any_other(
    registry: Registry, tmp_path: Path, tiny_base: Path, english: Entry, wolof: Entry
) -> None:
    mean = merge([english, wolof], registry, base=str(tiny_base)).entry
    assert registry.verify(mean).ok
    other = open_registry(tmp_path / "other")
    (copied,) = copy(mean, registry, other).copied  # Its parents are not needed to use it.
    assert copied.manifest == mean.manifest and other.verify(copied).ok
    registry.remove(english)
    assert registry.verify(mean).ok
    registry.remove(mean)
    assert mean not in registry.list()


def test_both_setups_of_means_resolve_and_predict(
    registry: Registry, tiny_base: Path, english: Entry, wolof: Entry
) -> None:
    on_source = made(registry, tiny_base, "tiny/en/pos", seed=3, on=english)
    with pytest.raises(Exception, match=r"merge\(\[registry.get\('tiny/en'\), registry.get\('tiny/wo'\)\]"):
        load_bilingual_stack("en", "wo", "pos", setup="mad-x-merged", registry=registry, base=str(tiny_base))
    mean = merge([english, wolof], registry, base=str(tiny_base)).entry
    stack = load_bilingual_stack("en", "wo", "pos", setup="mad-x-merged", registry=registry, base=str(tiny_base))
    assert stack.entries == (mean, on_source)
    on_mean = made(registry, tiny_base, "tiny/en-wo/pos@bad-x-merged", seed=4, on=mean)
    stack = load_bilingual_stack("en", "wo", "pos", setup="bad-x-merged", registry=registry, base=str(tiny_base))
    assert stack.entries == (mean, on_mean)
    # The mean cost what its parents did, and nothing of it was trained.
    cost = cost_of(stack.entries, registry)
    assert cost.steps == 3 and cost.unknown == 0
    assert cost.trained - cost.stored == sum(value.numel() for value in numbers(registry, english).values())


def test_the_sources_la_is_kept_or_dropped(registry: Registry, tiny_base: Path, english: Entry) -> None:
    task = made(registry, tiny_base, "tiny/en/pos", seed=3, on=english)
    where: dict[str, Any] = {"registry": registry, "base": str(tiny_base)}
    kept, dropped = (
        load_bilingual_stack("en", "wo", "pos", setup=setup, **where) for setup in ("source-kept", "source-dropped")
    )
    assert kept.entries == (english, task) and dropped.entries == (task,)
    # A pair does not decide what serves: Faroese is served by the same two.
    assert resolve(registry.list(), AdapterQuery(Mixture.of("en", "fo"), "pos", setup="source-kept")).entry == task
    assert kept.predict(["Nanga def"]) is not None and dropped.predict(["Nanga def"]) is not None


def test_means_over_seeds_with_their_heads(registry: Registry, tiny_base: Path, english: Entry) -> None:
    one, other = (
        made(registry, tiny_base, f"tiny/en/pos{label}", seed=seed, on=english)
        for seed, label in ((3, ""), (4, "#seed2"))
    )
    mean = merge([one, other], registry, name="tiny/en/pos#mean", base=str(tiny_base)).entry
    for file in ("adapter.safetensors", "model_head.safetensors"):
        ours, first, second = (numbers(registry, entry, file) for entry in (mean, one, other))
        for name, value in ours.items():
            torch.testing.assert_close(value, (first[name] + second[name]) / 2)
    assert mean.manifest.parent == one.manifest.parent
    assert mean.manifest.recipe == {"max_length": 64}


def test_what_has_no_mean_is_refused(registry: Registry, tiny_base: Path, english: Entry, wolof: Entry) -> None:
    pair = made(registry, tiny_base, "tiny/en-wo", seed=5)
    task = made(registry, tiny_base, "tiny/en/pos", seed=6, on=english)
    on_pair = made(registry, tiny_base, "tiny/en-wo/pos", seed=6, on=pair)
    parser = made(registry, tiny_base, "tiny/en/dp", seed=7, on=english)
    small = made(registry, tiny_base, "tiny/fo", seed=8, reduction_factor=4.0)
    whole = made(registry, tiny_base, "tiny/en/pos@full", seed=9)
    for parents, reason in (
        ([english], "two adapters or more"),
        ([english, english], "named twice"),
        ([english, pair], r"differ in their kind \(language and bilingual\)"),
        ([task, parser], r"differ in their task \(pos and dp\)"),
        ([whole, task], "whole model"),
    ):
        with refused(UsageError, reason):
            planned(parents)
    with refused(UsageError, r"not of the same shape: reduction_factor is 2\.0 and 4\.0"):
        merge([english, small], registry, base=str(tiny_base))
    with refused(UsageError, "trained on different language adapters"):
        planned([task, on_pair], name="tiny/en/pos#mean")
    assert planned([task, on_pair], name="tiny/en/pos#mean", on=english).parent is not None
    for given, reason in (
        ({"weights": [1, 2, 3]}, "expected 2 numbers above 0"),
        ({"weights": [1, 0]}, "expected 2 numbers above 0"),
        ({"weights": [0.3, 0.7]}, "whole numbers"),
        ({"weights": [1, 1], "name": "en-wo@3:7#merged"}, "weights 3:7"),
        ({"name": "en"}, "name of one of the adapters"),
        ({"name": "tiny/en/pos#mean"}, "no name for a mean"),
    ):
        with refused(UsageError, reason):
            planned([english, wolof], **given)
    assert [ref.weight for ref in planned([english, wolof], weights=[0.3, 0.7], name="wo#proxy").parents] == [0.3, 0.7]


def test_another_base_is_refused(registry: Registry, tmp_path: Path, tiny_base: Path, english: Entry) -> None:
    from tests.tiny import write_tiny_base

    other = made(registry, write_tiny_base(tmp_path / "other", seed=9), "other/wo", seed=2)
    with refused(UsageError, "differ in their base"):
        planned([english, other])

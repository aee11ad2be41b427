"""Training that begins with the weights of another adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save

from badx_hub.adapter_files import MLM_HEAD_FILE
from badx_hub.errors import IntegrityError, UsageError
from badx_hub.evaluation.perplexity import measure_perplexity
from badx_hub.languages import Mixture
from badx_hub.modeling.base import resolve_base
from badx_hub.modeling.loading import load_masked_lm
from badx_hub.modeling.mlm import load_mlm_head
from badx_hub.recipes import LanguageRecipe, load_recipe, override
from badx_hub.registry import Entry, Registry, open_registry
from badx_hub.training.language_adapter import planned, train_language_adapter
from tests.made import made
from tests.refusals import refused
from tests.tiny import demo_lines


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return open_registry(tmp_path / "registry")


@pytest.fixture
def text(tmp_path: Path) -> dict[str, str]:
    files = {language: tmp_path / f"{language}.txt" for language in ("en", "wo")}
    for language, file in files.items():
        file.write_text("\n".join(demo_lines(language, 200)) + "\n", encoding="utf-8")
    return {language: str(file) for language, file in files.items()}


def still(**changes: float | str) -> LanguageRecipe:
    """A recipe of one step that moves nothing far enough to be seen."""
    numbers = {"steps": 1, "batch_size": 2, "learning_rate": 1e-9, "eval_every": 1, "max_length": 16, "eval_blocks": 2}
    return override(load_recipe("demo").language, {**numbers, **changes})


def numbers(registry: Registry, entry: Entry) -> dict[str, torch.Tensor]:
    stored = load_file(registry.fetch(entry) / "adapter.safetensors")
    return {name.replace(entry.name.module_name, "NAME"): value for name, value in stored.items()}


def test_a_ba_begins_with_the_weights_of_an_la(registry: Registry, tiny_base: Path, text: dict[str, str]) -> None:
    first = made(registry, tiny_base, "tiny/wo", seed=3)
    pair = Mixture.of("en", "wo")
    done = train_language_adapter(pair, still(), registry=registry, base=str(tiny_base), text=text, init=first).entry
    ours, theirs = numbers(registry, done), numbers(registry, first)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], atol=1e-6, rtol=0)
    assert done.manifest.initial is not None
    assert (done.manifest.initial.name, done.manifest.initial.digest) == ("tiny/wo", first.manifest.digest)
    assert "| Began as | `tiny/wo` |" in (registry.fetch(done) / "README.md").read_text(encoding="utf-8")
    cold, _ = planned(pair, still(), base=str(tiny_base), text=text)
    warm, _ = planned(pair, still(), base=str(tiny_base), text=text, init=first)
    assert warm.key == done.manifest.run != cold.key


def test_what_cannot_be_begun_with_is_refused(registry: Registry, tiny_base: Path, text: dict[str, str]) -> None:
    small = made(registry, tiny_base, "tiny/wo", seed=3, reduction_factor=4.0)
    task = made(registry, tiny_base, "tiny/wo/pos", seed=4, on=small)
    for init, reason in ((small, "has another shape"), (task, r"is a task adapter.*--init tiny/wo")):
        with refused(UsageError, reason):
            train_language_adapter(
                Mixture.of("en", "wo"), still(), registry=registry, base=str(tiny_base), text=text, init=init
            )


def test_a_head_is_published_measured_with_and_gone_on_with(
    registry: Registry, tiny_base: Path, text: dict[str, str], tmp_path: Path
) -> None:
    whole = {"head": "all", "precision": "bf16"}  # What is rounded in training is rounded when it is measured again.
    pair, lasting = Mixture.of("en", "wo"), still(learning_rate=0.01, eval_blocks=4, **whole)
    how: dict[str, Any] = {"registry": registry, "base": str(tiny_base), "text": text}
    published = train_language_adapter(pair, override(lasting, {"publish_head": True}), label="head", **how).entry
    dropped = train_language_adapter(pair, lasting, label="none", **how).entry
    assert MLM_HEAD_FILE in published.manifest.files and MLM_HEAD_FILE not in dropped.manifest.files
    assert published.manifest.digest != dropped.manifest.digest

    again = measure_perplexity(published, registry, text, base=str(tiny_base))
    assert (again.head, again.compare) == ("published", True)
    measured = {f"{language}/perplexity": value for language, value in again.values.items()}
    assert measured == published.manifest.metrics["dev"]
    without = measure_perplexity(dropped, registry, {"wo": text["wo"]}, base=str(tiny_base))
    assert (without.head, without.compare) == ("dropped", False)
    assert without.values["wo"] != again.values["wo"]

    warm = train_language_adapter(
        pair, override(still(head="all"), {"publish_head": True}), init=published, label="on", **how
    )
    ours, theirs = (load_file(registry.fetch(one) / MLM_HEAD_FILE) for one in (warm.entry, published))
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], atol=1e-6, rtol=0)
    base = load_file(tiny_base / "model.safetensors")
    assert all(not torch.equal(value, base[name]) for name, value in theirs.items())
    with refused(IntegrityError, r"mlm_head.safetensors does not fit: it lacks .* of its weights"):
        (tmp_path / MLM_HEAD_FILE).write_bytes(save({"cls.other": torch.ones(2)}))
        load_mlm_head(load_masked_lm(resolve_base(str(tiny_base))), tmp_path)


def test_only_a_head_that_is_trained_is_published_and_runs_without_keep_their_keys() -> None:
    plain = load_recipe("paper").language
    assert "publish_head" not in plain.identity()
    assert override(plain, {"publish_head": True}).identity()["publish_head"] is True
    with pytest.raises(UsageError, match="publish_head is for a head that is trained"):
        override(plain, {"publish_head": True, "head": "frozen"})

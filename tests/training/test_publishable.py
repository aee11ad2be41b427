"""What publishing would refuse is refused before the first step, and perplexities are numbers."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from badx_hub.errors import DataError, TrainingDiverged, UsageError
from badx_hub.languages import Mixture
from badx_hub.manifest import ManifestDraft
from badx_hub.modeling.mlm import MAX_PERPLEXITY, perplexity
from badx_hub.names import AdapterName
from badx_hub.recipes import load_recipe
from badx_hub.registry import open_registry
from badx_hub.training import runs
from badx_hub.training.language_adapter import planned, train_language_adapter
from tests.registry.conftest import describe
from tests.tiny import demo_data


@pytest.mark.parametrize("label", ["B-" + "x" * 99, "a\x1b[2J", "a\tb", "a\u202eb", ""])
def test_a_label_that_no_manifest_holds(label: str) -> None:
    draft = describe(AdapterName.parse("mbert/en-wo/pos"))
    fields = {name: getattr(draft, name) for name in ManifestDraft.model_fields}
    with pytest.raises(DataError, match=r"cannot be published as it is: labels\.0: "):
        ManifestDraft.checked(**{**fields, "labels": (label, "NOUN")})


def test_a_loss_beyond_all_numbers_is_the_largest_perplexity() -> None:
    assert perplexity(7100.0, 10) == pytest.approx(MAX_PERPLEXITY)
    assert perplexity(20.0, 10) == pytest.approx(math.exp(2))
    assert math.isnan(perplexity(math.nan, 1))


def test_text_of_a_language_that_is_not_in_the_mixture() -> None:
    recipe = load_recipe("demo").language
    with pytest.raises(UsageError, match="not in en-wo"):
        planned(Mixture.parse("en-wo"), recipe, base="demo", text={"fr": "x.txt"})


def test_a_run_that_ends_before_its_first_checkpoint_leaves_nothing(
    home: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverged(*_: object, **__: object) -> None:
        raise TrainingDiverged("The loss is nan after step 1: training has diverged.")

    monkeypatch.setattr(runs, "train", diverged)
    recipe = load_recipe("demo").language
    text = {one: str(demo_data() / "text" / f"{one}.txt.gz") for one in ("en", "wo")}
    with pytest.raises(TrainingDiverged):
        train_language_adapter(
            Mixture.parse("en-wo"), recipe, base=str(tiny_base), text=text, registry=open_registry(home / "registry")
        )
    assert [one.name for one in (home / "runs").iterdir()] == [".guard"]

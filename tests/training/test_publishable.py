"""What publishing would refuse is refused before the first step, and perplexities are numbers."""

from __future__ import annotations

import math

import pytest

from badx_hub.errors import DataError, UsageError
from badx_hub.languages import Mixture
from badx_hub.manifest import ManifestDraft
from badx_hub.modeling.mlm import MAX_PERPLEXITY, perplexity
from badx_hub.names import AdapterName
from badx_hub.recipes import load_recipe
from badx_hub.training.language import planned
from tests.registry.conftest import describe


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

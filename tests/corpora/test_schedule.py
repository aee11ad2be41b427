from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badx_hub.corpora.schedule import draws_before, language_at
from badx_hub.errors import UsageError
from badx_hub.languages import Mixture

mixtures = st.dictionaries(
    st.sampled_from(["en", "wo", "bm", "fo", "ug"]), st.integers(1, 7), min_size=2, max_size=5
).map(lambda weights: Mixture(tuple(weights.items())))


def test_ratio_is_source_batches_then_target_batches() -> None:
    mixture = Mixture((("en", 2), ("wo", 1)))
    assert [language_at(mixture, step) for step in range(7)] == ["en", "en", "wo", "en", "en", "wo", "en"]


@given(mixtures, st.integers(0, 200))
def test_draws_before_equals_counting(mixture: Mixture, step: int) -> None:
    drawn = [language_at(mixture, earlier) for earlier in range(step)]
    for language in mixture.languages:
        assert draws_before(mixture, language, step) == drawn.count(language)


@given(mixtures, st.integers(10**9, 10**12))
def test_far_steps_cost_nothing_and_add_up(mixture: Mixture, step: int) -> None:
    assert sum(draws_before(mixture, language, step) for language in mixture.languages) == step


def test_a_language_outside_the_mixture_is_refused() -> None:
    with pytest.raises(UsageError, match="fo is not part of the mixture en-wo"):
        draws_before(Mixture((("en", 1), ("wo", 1))), "fo", 3)


def test_negative_steps_are_refused() -> None:
    with pytest.raises(UsageError, match="from 0"):
        language_at(Mixture((("wo", 1),)), -1)

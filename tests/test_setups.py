from __future__ import annotations

import pytest
from hypothesis import given

from badx_hub.errors import UsageError
from badx_hub.languages import Mixture
from badx_hub.names import AdapterName
from badx_hub.setups import DEFAULT, FALLBACKS, SETUPS, LanguageAdapterRole, setup_named
from tests.strategies import mixtures


def carriers(setup: str, mixture: str) -> list[str]:
    return [str(one) for one in SETUPS[setup].language_adapters(Mixture.parse(mixture))]


def test_who_carries_a_task_adapter_in_training() -> None:
    assert carriers("bad-x", "en-wo@5:1") == ["en-wo@5:1"]
    assert carriers("ma", "en+bm+wo") == ["en+bm+wo"]
    assert carriers("mad-x", "en-wo") == ["en"]
    assert carriers("tlr", "en-wo@2:1") == ["en", "en", "wo"]
    assert carriers("ta-only", "en-wo") == carriers("full", "en-wo") == []


@given(mixtures())
def test_a_task_adapter_serves_those_it_was_trained_for(mixture: Mixture) -> None:
    for setup in SETUPS.values():
        if setup.name != "ma":
            assert setup.serves(setup.mixture(mixture), mixture)
    assert SETUPS["ma"].serves(mixture, mixture) == (mixture.kind == "multilingual")


@given(mixtures())
def test_names_tell_apart_what_setups_train_where_the_mixture_does_not(mixture: Mixture) -> None:
    if mixture.kind != "bilingual":
        return
    made = {
        str(AdapterName("mbert", setup.mixture(mixture), task="pos", setup=setup.mark))
        for setup in SETUPS.values()
        if setup.name != "ma"  # of three languages
    }
    assert len(made) == len({(setup.training, setup.trains_base) for setup in SETUPS.values()})


def test_the_table() -> None:
    assert DEFAULT == "bad-x"
    assert all(setup.name == name for name, setup in SETUPS.items())
    assert all(SETUPS[setup].inference is LanguageAdapterRole.TARGET for setup in FALLBACKS.values())
    assert [name for name, setup in SETUPS.items() if setup.trains_base] == ["full"]
    with pytest.raises(UsageError, match="bad-x, mad-x"):
        setup_named("bad")

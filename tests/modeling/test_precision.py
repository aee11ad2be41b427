"""What `auto` becomes, with the detection forced to each of its answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from badx_hub.errors import UsageError
from badx_hub.modeling import precision

Measure = Callable[[float], list[float]]


@pytest.fixture(autouse=True)
def undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a GPU and with units, and nothing that decides for it."""
    monkeypatch.delenv(precision.VARIABLE)
    monkeypatch.setattr(precision, "_kind", lambda: "cpu")
    monkeypatch.setattr(precision, "_has_units", lambda: True)


@pytest.fixture
def measure(monkeypatch: pytest.MonkeyPatch) -> Measure:
    """Makes measurements find the given gain; the list returned has an item for each of them."""

    def finding(gain: float) -> list[float]:
        made: list[float] = []
        monkeypatch.setattr(precision, "measured_gain", lambda: made.append(gain) or gain)
        return made

    return finding


@pytest.mark.parametrize(("gain", "best"), [(2.6, "bf16"), (1.1, "fp32"), (0.01, "fp32")])
def test_units_have_to_pay_off(measure: Measure, gain: float, best: str) -> None:
    measure(gain)
    assert precision.settled("auto") == best


def test_without_units_nothing_is_measured(measure: Measure, monkeypatch: pytest.MonkeyPatch) -> None:
    made = measure(2.6)
    monkeypatch.setattr(precision, "_has_units", lambda: False)
    assert precision.settled("auto") == "fp32"
    assert not made


@pytest.mark.parametrize("chosen", ["fp32", "bf16"])
def test_what_is_asked_for_is_taken(measure: Measure, chosen: precision.Settled) -> None:
    made = measure(2.6)
    assert precision.settled(chosen) == chosen
    assert not made


@pytest.mark.parametrize(("capability", "best"), [((7, 5), "fp32"), ((8, 0), "bf16"), ((9, 0), "bf16")])
def test_a_gpu_is_known_by_its_generation(
    measure: Measure, monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], best: str
) -> None:
    made = measure(2.6)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _=None: capability)
    assert precision.settled("auto", torch.device("cuda")) == best
    monkeypatch.setattr(precision, "_kind", lambda: "cuda")
    assert precision.settled("auto") == best
    assert not made


def test_another_accelerator_stays_in_fp32(measure: Measure, monkeypatch: pytest.MonkeyPatch) -> None:
    measure(2.6)
    monkeypatch.setattr(precision, "_kind", lambda: "mps")
    assert precision.settled("auto") == "fp32"


def test_it_is_measured_once_a_machine(measure: Measure, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = measure(2.6)
    assert [precision.settled("auto") for _ in range(3)] == ["bf16"] * 3
    assert len(made) == 1
    made = measure(0.5)
    assert precision.settled("auto") == "bf16" and not made  # It is remembered, whatever would be found now.
    for name, value in (("_processor", lambda: "another"), ("torch", type("Torch", (), {"__version__": "99"}))):
        with monkeypatch.context() as patch:
            patch.setattr(precision, name, value)
            assert precision._gain() == 0.5
    assert len(made) == 2


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"gain": 2.6}', '{"gain": "NaN"}', '{"gain": NaN, "machine": {}}', "[" * 10**5]
)
def test_a_damaged_memory_is_made_again(measure: Measure, home: Path, damage: str) -> None:
    made = measure(2.6)
    precision.settled("auto")
    (memory,) = home.rglob("precision/*.json")
    memory.write_text(damage)
    assert precision.settled("auto") == "bf16"
    assert len(made) == 2
    assert precision.settled("auto") == "bf16"
    assert len(made) == 2


def test_a_gain_that_is_no_number_is_measured_again(measure: Measure, home: Path) -> None:
    made = measure(2.6)
    precision.settled("auto")
    (memory,) = home.rglob("precision/*.json")
    memory.write_text(memory.read_text().replace("2.6", "NaN"))
    assert precision.settled("auto") == "bf16"
    assert len(made) == 2


def test_a_home_that_cannot_be_written_to_is_no_hindrance(measure: Measure, home: Path) -> None:
    made = measure(2.6)
    home.parent.mkdir(exist_ok=True)
    home.write_text("no folder")
    assert [precision.settled("auto") for _ in range(2)] == ["bf16"] * 2
    assert len(made) == 2


def test_the_measurement_ends_and_finds_a_ratio() -> None:
    assert 0 < precision.measured_gain() < 10_000


def test_a_variable_decides_for_every_auto(measure: Measure, monkeypatch: pytest.MonkeyPatch) -> None:
    made = measure(2.6)
    for chosen in ("fp32", "bf16"):
        monkeypatch.setenv(precision.VARIABLE, chosen)
        assert precision.settled("auto") == chosen
    assert not made
    monkeypatch.setenv(precision.VARIABLE, "fp16")
    with pytest.raises(UsageError, match=r"BADX_HUB_PRECISION is 'fp16'; expected fp32 or bf16"):
        precision.settled("auto")

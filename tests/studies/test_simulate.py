"""Studies on clusters that are not here: what can be said of them without running anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badx_hub.studies.simulate import Cluster, SimulatedStep, simulate

CHAIN = (SimulatedStep(100.0), SimulatedStep(50.0, (0,)), SimulatedStep(10.0, (0, 1), overhead=5.0))
WIDE = tuple(SimulatedStep(60.0) for _ in range(12))


def test_a_chain_takes_its_length_on_any_cluster() -> None:
    for nodes in (1, 5):
        assert simulate(CHAIN, Cluster(nodes)).makespan == 165.0
    assert simulate(CHAIN, Cluster(1, loading=7, handing_over=1)).makespan == 175.0


def test_independent_steps_share_the_devices() -> None:
    found = simulate(WIDE, Cluster(2, gpus=3))
    assert (found.makespan, found.utilisation, found.work) == (120.0, 1.0, 720.0)
    assert simulate(WIDE, Cluster(100)).makespan == 60.0


def test_failures_cost_at_most_a_checkpoint_each_and_the_study_ends() -> None:
    steps = tuple(SimulatedStep(36_000.0) for _ in range(24))
    cluster = Cluster(4, gpus=2, mtbf=12 * 3600.0, checkpoint=1800.0)
    found = simulate(steps, cluster)
    assert found.failures > 0
    assert 0 < found.lost <= 1800.0 * 2 * found.failures
    assert found.makespan > simulate(steps, Cluster(4, gpus=2)).makespan
    assert simulate(steps, cluster) == found
    assert simulate(steps, cluster, seed=2) != found


@st.composite
def graphs(draw: st.DrawFn) -> tuple[SimulatedStep, ...]:
    found: list[SimulatedStep] = []
    for place in range(draw(st.integers(1, 12))):
        needs = tuple(draw(st.sets(st.integers(0, place - 1), max_size=3))) if place else ()
        found.append(SimulatedStep(draw(st.floats(0.0, 1e4)), needs))
    return tuple(found)


@given(graphs(), st.integers(1, 5), st.integers(1, 3), st.booleans())
def test_no_study_is_faster_than_its_longest_chain_or_its_work(
    steps: tuple[SimulatedStep, ...], nodes: int, gpus: int, failing: bool
) -> None:
    cluster = Cluster(nodes, gpus, mtbf=2e4 if failing else float("inf"), repair=100.0, checkpoint=50.0)
    found = simulate(steps, cluster)
    chains: list[float] = []
    for step in steps:
        chains.append(step.seconds + max((chains[need] for need in step.needs), default=0.0))
    assert found.makespan >= max(chains) - 1e-6
    assert found.makespan * nodes * gpus >= found.work - 1e-6
    assert 0 <= found.utilisation <= 1 + 1e-9
    if not failing:
        assert found.lost == 0 and found.makespan <= found.work + 1e-6


@pytest.mark.parametrize(
    ("steps", "cluster"), [(WIDE, Cluster(0)), (WIDE, Cluster(1, 0)), ((SimulatedStep(1.0, (0,)),), Cluster(1))]
)
def test_what_makes_no_sense_is_refused(steps: tuple[SimulatedStep, ...], cluster: Cluster) -> None:
    with pytest.raises(ValueError):
        simulate(steps, cluster)

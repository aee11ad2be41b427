"""Setups side by side: the summary of results (pure), and a comparison of real adapters on a tiny base."""

from __future__ import annotations

import gzip
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from badx_hub.cli._errors import training
from badx_hub.errors import NotFoundError, UsageError
from badx_hub.evaluation import evaluate
from badx_hub.evaluation.compare import (
    Average,
    Comparison,
    baseline_named,
    calls_of,
    compare,
    runs_of,
    summarise,
    system_name,
)
from badx_hub.evaluation.results import Cost, Result
from badx_hub.evaluation.significance import compare_counts
from badx_hub.languages import Mixture
from badx_hub.registry import LocalRegistry
from badx_hub.registry.merging import merge
from badx_hub.setups import SETUPS
from badx_hub.stack import load_bilingual_stack
from tests.made import made
from tests.refusals import refused
from tests.tiny import demo_data

PAIR = Mixture.parse("en-wo")


def result(setup: str = "bad-x", seed: int = 1, numerator: tuple[int, ...] = (1, 2, 3), **changes: Any) -> Result:
    """Three sentences of four words."""
    accuracy = sum(numerator) / (4 * len(numerator))
    values: dict[str, Any] = {
        "base": "mbert",
        "mixture": "en-wo",
        "source": "en",
        "target": "wo",
        "task": "pos",
        "setup": setup,
        "seed": seed,
        "adapters": ((f"{setup}#{seed}{changes.get('mixture', '')}", f"{seed:064}"),),
        "data": (("wo.conllu", "d" * 64),),
        "split": "test",
        "metric": "accuracy",
        "metrics": {"accuracy": accuracy, "macro_f1": accuracy / 2},
        "tallies": tuple((one, 4) for one in numerator),
        "cost": Cost(steps=100 * seed, tokens=10, sentences=3, seconds=float(seed), trained=80, stored=60),
    }
    return Result(**{**values, **changes})


def test_runs_are_averaged_and_compared_sentence_by_sentence() -> None:
    ours = [result("bad-x", 1, (1, 2, 3)), result("bad-x", 2, (2, 2, 4))]
    theirs = [result("mad-x", 1, (1, 1, 1)), result("mad-x", 2, (0, 2, 1))]
    bad_x, mad_x = summarise([*ours, *theirs], "mad-x")
    assert (bad_x.name, bad_x.results, mad_x.name) == ("bad-x", tuple(ours), "mad-x")
    assert bad_x.score == bad_x.averages["accuracy"]
    assert (bad_x.score.mean, bad_x.score.spread) == pytest.approx((7 / 12, 2 / 12 / 2**0.5))
    assert bad_x.averages["macro_f1"].mean == pytest.approx(7 / 24)
    assert bad_x.difference is not None
    sentences = replace(bad_x.difference, seeds_low=None, seeds_high=None)
    assert sentences == compare_counts([(3, 8), (4, 8), (7, 8)], [(1, 8), (3, 8), (2, 8)])
    low, high = bad_x.difference.seeds_low, bad_x.difference.seeds_high
    assert low is not None and high is not None and low <= bad_x.difference.delta <= high
    assert bad_x.difference.delta == pytest.approx(bad_x.score.mean - mad_x.score.mean)
    assert mad_x.difference is None


def test_the_difference_is_that_of_the_means_whatever_the_numbers_of_runs() -> None:
    ours = [result("bad-x", seed, (seed, 2, 3)) for seed in (1, 2, 3)]
    bad_x, mad_x = summarise([*ours, result("mad-x", 1, (1, 1, 1))], "mad-x")
    assert bad_x.difference is not None
    assert bad_x.difference.delta == pytest.approx(bad_x.score.mean - mad_x.score.mean)


def test_one_run_has_no_spread() -> None:
    (one,) = summarise([result()])
    assert one.score == Average(0.5, None)
    assert one.difference is None


def test_groups_keep_their_order_and_runs_are_sorted_by_seed() -> None:
    given = [result("ta-only", 2), result("bad-x", 1, mixture="en-wo@5:1"), result("ta-only", 1), result("bad-x", 1)]
    found = summarise(given, "bad-x@5:1")
    assert [one.name for one in found] == ["ta-only", "bad-x@5:1", "bad-x"]
    assert [one.seed for one in found[0].results] == [1, 2]
    assert [one.difference is None for one in found] == [False, True, False]


def test_cost_is_the_mean_of_the_runs() -> None:
    unknown = Cost(steps=301, tokens=10, sentences=4, seconds=5.0, trained=80, stored=60, unknown=1)
    (one,) = summarise([result(seed=1), result(seed=2, cost=unknown)])
    assert one.cost == Cost(steps=200, tokens=10, sentences=4, seconds=3.0, trained=80, stored=60, unknown=1)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"data": (("wo.conllu", "e" * 64),)}, "data"),
        ({"split": "dev"}, "data"),
        ({"numerator": (2, 2)}, "data"),
        ({"task": "dp"}, "task"),
        ({"metric": "macro_f1", "metrics": {"macro_f1": 0.5}}, "task"),
        ({"base": "xlmr-base"}, "base"),
        ({"options": {"decoding": "greedy"}}, "decoding tree against decoding greedy"),
        ({"setup": "bad-x"}, "twice"),
        ({"setup": "bad-x", "seed": 2, "mixture": "en-fo"}, "several sets of languages"),
    ],
    ids=str,
)
def test_only_the_like_is_compared(other: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        summarise([result("bad-x", options={"decoding": "tree"}), result(**{"setup": "mad-x", **other})], "bad-x")


def test_options_that_were_not_recorded_can_be_compared() -> None:
    assert len(summarise([result(options={"decoding": "tree"}), result("mad-x")])) == 2


def test_other_names_of_the_same_files_are_the_same_data() -> None:
    assert len(summarise([result(), result("mad-x", data=(("test.conllu", "d" * 64),))])) == 2


def test_no_results_and_unknown_baselines() -> None:
    with pytest.raises(UsageError, match="no results"):
        summarise([])
    with pytest.raises(UsageError, match="bad-x"):
        summarise([result()], "mad-x")


def test_runs_of_setups_ratios_and_seeds() -> None:
    runs = runs_of(PAIR, "pos", ["bad-x", " bad-x@5:1", "mad-x", "bad-x@1:1"], seeds=2, base="tiny")
    assert [(run.name, run.seed) for run in runs] == [
        (name, seed) for name in ("bad-x", "bad-x@5:1", "mad-x") for seed in (1, 2)
    ]
    last = runs[3].query
    assert (str(last.mixture), last.task, last.base, last.setup, last.label) == (
        *("en-wo@5:1", "pos", "tiny", "bad-x", "seed2"),
    )
    assert runs[2].query.label is None


def test_a_ratio_is_for_the_setups_that_have_one() -> None:
    runs = runs_of(PAIR.with_ratio("1:2"), "pos", ["bad-x", "bad-x@1:1", "mad-x", "ma", "ta-only"])
    assert [run.name for run in runs] == ["bad-x@1:2", "bad-x", "mad-x", "ma", "ta-only"]
    for name in ("mad-x", "ma", "ta-only"):
        with pytest.raises(UsageError, match=f"{name} has no ratio"):
            runs_of(PAIR, "pos", [f"{name}@5:1"])


@pytest.mark.parametrize("setup", SETUPS)
def test_every_setup_can_be_compared(setup: str) -> None:
    (run,) = runs_of(PAIR, "pos", [setup])
    assert (run.name, run.query.setup, run.query.mixture) == (setup, setup, PAIR)


@pytest.mark.parametrize(
    ("setups", "said"), [([], "Name setups"), (["bad-x", ""], "bad-x"), (["madx"], "mad-x"), (["bad-x@5"], "5")]
)
def test_wrong_setups(setups: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        runs_of(PAIR, "pos", setups)


def test_baselines_are_named_as_setups_are() -> None:
    runs = runs_of(PAIR, "pos", ["bad-x@5:1", "bad-x", "ta-only"])
    assert [baseline_named(runs, given) for given in (None, "bad-x@1:1", "bad-x@05:1", "ta-only")] == [
        *("bad-x@5:1", "bad-x", "bad-x@5:1", "ta-only"),
    ]
    with pytest.raises(UsageError, match="ta-only"):
        baseline_named(runs, "mad-x")


def test_systems_are_named_by_setup_and_ratio() -> None:
    names = [system_name("bad-x", Mixture.parse(text)) for text in ("en-wo", "en-wo@5:1", "en+bm+wo", "en:1,bm:2,wo:3")]
    assert names == ["bad-x", "bad-x@5:1", "bad-x", "bad-x@1:2:3"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The first sentences of the embedded Wolof test split."""
    file = tmp_path / "wo-ud-test.conllu"
    with gzip.open(demo_data() / "ud" / "UD_Wolof-WTB" / "wo_wtb-ud-test.conllu.gz", "rt", encoding="utf-8") as text:
        file.write_text("".join(islice(text, 700)).rpartition("\n\n")[0] + "\n\n", encoding="utf-8")
    return file


@pytest.fixture
def registry(home: Path) -> LocalRegistry:
    return LocalRegistry(home / "registry")


@pytest.fixture
def filled(registry: LocalRegistry, tiny_base: Path) -> LocalRegistry:
    """Every setup, BAD-X with two seeds."""
    for label, seed in (("", 1), ("#seed2", 2)):
        ba = made(registry, tiny_base, f"tiny/en-wo{label}", seed=seed)
        made(registry, tiny_base, f"tiny/en-wo/pos{label}", seed=10 + seed, on=ba)
    ma = made(registry, tiny_base, "tiny/en+fo+wo", seed=3)
    made(registry, tiny_base, "tiny/en+fo+wo/pos", seed=13, on=ma)
    las = [made(registry, tiny_base, f"tiny/{language}", seed=seed) for language, seed in (("en", 4), ("wo", 5))]
    made(registry, tiny_base, "tiny/en/pos", seed=14, on=las[0])
    made(registry, tiny_base, "tiny/en-wo/pos@tlr", seed=15, cycle=las)
    mean = merge(las, registry, base=str(tiny_base)).entry
    made(registry, tiny_base, "tiny/en-wo/pos@bad-x-merged", seed=18, on=mean)
    made(registry, tiny_base, "tiny/en/pos@ta-only", seed=16)
    made(registry, tiny_base, "tiny/en/pos@full", seed=17)
    return registry


def test_what_is_registered_is_evaluated(filled: LocalRegistry, tiny_base: Path, data: Path) -> None:
    heard = []
    runs = runs_of(PAIR, "pos", SETUPS, seeds=2)
    found = compare(
        runs,
        str(data),
        baseline="mad-x",
        registry=filled,
        base=str(tiny_base),
        before=lambda run: heard.append(run.name),
    )
    by_name = {one.name: one for one in found.compared}
    assert list(by_name) == list(SETUPS)
    assert {name: len(one.results) for name, one in by_name.items()} == {**dict.fromkeys(SETUPS, 1), "bad-x": 2}
    assert [(one.name, one.seed) for one in found.missing] == [(name, 2) for name in SETUPS if name != "bad-x"]
    assert heard == ["bad-x", *SETUPS]
    assert found.baseline == "mad-x"
    for name in ("bad-x", "mad-x"):
        one = by_name[name]
        stack = load_bilingual_stack("en", "wo", "pos", setup=name, registry=filled, base=str(tiny_base))
        alone = evaluate(stack, str(data))
        assert one.results[0].metrics == alone.scores.metrics
        assert one.results[0].tallies == alone.tallies
        assert (one.results[0].mixture, one.results[0].target, one.results[0].setup) == ("en-wo", "wo", name)
    difference = by_name["bad-x"].difference
    assert difference is not None
    assert difference.delta == pytest.approx(by_name["bad-x"].score.mean - by_name["mad-x"].score.mean)
    _check_costs({name: one.cost for name, one in by_name.items()})
    assert all(result.options == {} for one in found.compared for result in one.results)


def _check_costs(costs: dict[str, Cost]) -> None:
    """Each made adapter took one step."""
    assert {name: cost.steps for name, cost in costs.items()} == {
        **{"bad-x": 2, "mad-x": 3, "ma": 2, "tlr": 3, "ta-only": 1, "full": 1},
        **{"bad-x-merged": 3, "mad-x-merged": 3, "source-kept": 2, "source-dropped": 2},
    }
    assert costs["mad-x"].trained > costs["mad-x"].stored == costs["bad-x"].stored == costs["bad-x"].trained
    assert costs["tlr"] == costs["mad-x"]
    assert costs["ta-only"].stored < costs["bad-x"].stored < costs["full"].stored
    assert not any(cost.unknown for cost in costs.values())


def test_missing_runs_say_what_to_type(registry: LocalRegistry, tiny_base: Path, data: Path) -> None:
    made(registry, tiny_base, "tiny/en/pos@ta-only", seed=1)
    runs = runs_of(PAIR, "pos", ["mad-x", "bad-x@5:1", "ta-only"], seeds=2)
    found = compare(runs, str(data), registry=registry, base=str(tiny_base))
    assert isinstance(found, Comparison)
    assert found.baseline is None  # mad-x: no run of it
    assert [(one.name, one.difference) for one in found.compared] == [("ta-only", None)]
    assert tuple(map(training, calls_of(found.missing))) == (
        "badx-hub train en --base tiny",
        "badx-hub train wo --base tiny",
        "badx-hub train en-wo --task pos --data ud:UD_English-EWT --setup mad-x --base tiny",
        "badx-hub train en --base tiny --seed 2",
        "badx-hub train wo --base tiny --seed 2",
        "badx-hub train en-wo --task pos --data ud:UD_English-EWT --setup mad-x --base tiny --seed 2",
        "badx-hub train en-wo --ratio 5:1 --base tiny",
        "badx-hub train en-wo --ratio 5:1 --task pos --data ud:UD_English-EWT --base tiny",
        "badx-hub train en-wo --ratio 5:1 --base tiny --seed 2",
        "badx-hub train en-wo --ratio 5:1 --task pos --data ud:UD_English-EWT --base tiny --seed 2",
        "badx-hub train en-wo --task pos --data ud:UD_English-EWT --setup ta-only --base tiny --seed 2",
    )
    assert all("is not here" in one.error.fact for one in found.missing)


def test_nothing_at_all_is_an_error_that_says_what_to_type(registry: LocalRegistry, data: Path) -> None:
    with refused(NotFoundError, "badx-hub train en-wo --task pos") as caught:
        compare(runs_of(PAIR, "pos", ["bad-x", "ta-only"]), str(data), registry=registry)
    assert "bad-x, ta-only" in str(caught.value)


def test_a_comparison_is_about_one_target(registry: LocalRegistry, data: Path) -> None:
    runs = runs_of(Mixture.parse("en+bm+wo"), "pos", ["ma"])
    with pytest.raises(UsageError, match="bm, wo"):
        compare(runs, str(data), registry=registry)


def test_a_missing_base_is_not_a_missing_run(registry: LocalRegistry, tiny_base: Path, data: Path) -> None:
    made(registry, tiny_base, "tiny/en/pos@ta-only", seed=1)
    with pytest.raises(NotFoundError, match="nowhere"):
        compare(runs_of(PAIR, "pos", ["ta-only"]), str(data), registry=registry, base="./nowhere")

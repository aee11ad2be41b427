"""Setups side by side on the same data: means over runs, differences to a baseline, costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch

from badx_hub.data.splits import Split
from badx_hub.errors import NotFoundError, UsageError
from badx_hub.evaluation import evaluate
from badx_hub.evaluation.results import Cost, Result, result_of
from badx_hub.evaluation.significance import RESAMPLES, Difference, compare_counts, interval_with_seeds, pooled
from badx_hub.languages import Mixture
from badx_hub.modeling.memory import give_memory_back
from badx_hub.registry import AdapterQuery, Resolution
from badx_hub.registry.chain import RegistryChain, Where, find, open_chain
from badx_hub.registry.suggest import training_calls
from badx_hub.remedies import TrainAdapters, TrainingCall
from badx_hub.setups import TargetCoverage, setup_named
from badx_hub.stack import load_entries
from badx_hub.training.runs import run_label


@dataclass(frozen=True)
class Average:
    """A metric over runs: its mean, and its sample standard deviation (None for a single run). Fractions."""

    mean: float
    spread: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Average:
        return cls(fmean(values), stdev(values) if len(values) > 1 else None)


@dataclass(frozen=True)
class SystemSummary:
    """A system (a setup at a ratio) over its runs.

    Attributes:
        name: as `system_name` writes it.
        results: of the runs, by seed.
        averages: every metric by name.
        difference: to the baseline, in the `metric` of the results; None for the baseline itself.
        cost: of one run: the mean over the runs.
    """

    name: str
    results: tuple[Result, ...]
    averages: Mapping[str, Average]
    difference: Difference | None
    cost: Cost

    @property
    def score(self) -> Average:
        """The average of the metric that `difference` is about."""
        return self.averages[self.results[0].metric]


@dataclass(frozen=True)
class MissingRun:
    """A run that is not in the registry: why, and what to train to get it."""

    name: str
    seed: int
    error: NotFoundError
    calls: tuple[TrainingCall, ...]


@dataclass(frozen=True)
class Comparison:
    """What `compare` found. `baseline` is None if no run of it is in the registry; then there are no differences."""

    compared: tuple[SystemSummary, ...]
    missing: tuple[MissingRun, ...]
    baseline: str | None


@dataclass(frozen=True)
class SystemRun:
    """One run to compare: what to look for, its seed, and the label that all seeds of the system have."""

    query: AdapterQuery
    seed: int
    label: str | None = None

    @property
    def name(self) -> str:
        """The setup with its ratio and label: "bad-x@5:1+average"."""
        return system_name(self.query.setup, self.query.mixture, self.label)


def system_name(setup: str, mixture: Mixture, label: str | None = None) -> str:
    """What a setup at the ratio of `mixture` is called in comparisons: "bad-x" if 1:1, else "bad-x@5:1".

    "+average" follows if its adapters have the label "average", or "average-seed2" with another seed.
    """
    _, at, ratio = str(mixture).partition("@")
    return f"{setup}{at}{ratio}{f'+{label}' if label else ''}"


def runs_of(
    mixture: Mixture, task: str, setups: Iterable[str], *, seeds: int = 1, base: str | None = None
) -> tuple[SystemRun, ...]:
    """Seeds 1 to `seeds` of each setup, each run once.

    Args:
        mixture: its ratio is that of the setups that have one.
        setups: names of setups, with a ratio and a label of their own or without: "bad-x", "bad-x@5:1", "bad-x+news".

    Raises:
        UsageError: no or an unknown setup; a ratio that does not fit or that the setup does not have.
    """
    chosen = dict.fromkeys(_asked(text, mixture) for text in setups)
    if not chosen:
        raise UsageError("There is nothing to compare. Name setups, such as bad-x,mad-x,ta-only.")
    return tuple(
        SystemRun(AdapterQuery(one, task, base=base, setup=setup, label=run_label(seed, label)), seed, label)
        for setup, one, label in chosen
        for seed in range(1, seeds + 1)
    )


def compare(
    runs: Sequence[SystemRun],
    data: str | Path,
    *,
    baseline: str | None = None,
    split: Split = "test",
    registry: Where = None,
    base: str | None = None,
    offline: bool = False,
    options: Mapping[str, Any] | None = None,
    batch_size: int = 32,
    dtype: torch.dtype | None = None,
    before: Callable[[SystemRun], None] | None = None,
) -> Comparison:
    """Evaluate the runs that are in the registry, one after the other, and summarise them; missing runs are listed.

    Many arguments: those of `load_bilingual_stack` and of `evaluate` together.

    Args:
        runs: as `runs_of` makes them.
        data: of the target, as for `evaluate`.
        baseline: the name of one of the runs, such as "mad-x" or "bad-x@5:1"; default: of the first run.
        registry, base, offline, options, dtype: as for `load_bilingual_stack`.
        before: called with each run before it is evaluated.

    Raises:
        NotFoundError: no run is in the registry; no such data.
        UsageError: an unknown baseline; more than one target; what `summarise` raises.
        As `load_entries` and `evaluate` do.
    """
    target = _target(runs)
    named = baseline_named(runs, baseline)
    chain = open_chain(registry, offline=offline)
    found, missing = _located(runs, chain)
    results = []
    for run, resolution in found:
        if before:
            before(run)
        stack = load_entries(
            resolution.entries, chain, base=base, setup=resolution.setup, offline=offline, dtype=dtype, options=options
        )
        done = evaluate(stack, data, split=split, batch_size=batch_size)
        metric, mixture = stack.task.selection_metric, str(run.query.mixture)
        results.append(
            result_of(done, stack.entries, chain, mixture=mixture, target=target, metric=metric, label=run.label)
        )
        del stack
        give_memory_back()
    there = named if any(run.name == named for run, _ in found) else None
    return Comparison(summarise(results, there), missing, there)


def summarise(
    results: Sequence[Result], baseline: str | None = None, *, resamples: int = RESAMPLES
) -> tuple[SystemSummary, ...]:
    """Results grouped by setup and ratio, in the order of first occurrence. Pure.

    The runs of a system are pooled example by example (`pooled`). So `low`, `high` and the p-value are about other
    examples, and the spread is about other seeds; with several runs there is an interval over both.

    Args:
        baseline: the name of a group ("mad-x", "bad-x@5:1"), to which the others are compared; None: no differences.

    Raises:
        UsageError: no results; not all on the same task with the same options, on the same data, split and base; a
            run twice; an unknown baseline.
    """
    groups = _grouped(results)
    if baseline is not None and baseline not in groups:
        raise UsageError(
            f"The baseline {baseline!r} is not among what is compared. Choose one of: {', '.join(groups)}."
        )
    return tuple(
        SystemSummary(
            name=name,
            results=group,
            averages={key: Average.of([result.metrics[key] for result in group]) for key in group[0].metrics},
            difference=_difference(group, groups[baseline], resamples) if baseline not in (None, name) else None,
            cost=_mean_cost([result.cost for result in group]),
        )
        for name, group in groups.items()
    )


def baseline_named(runs: Sequence[SystemRun], baseline: str | None) -> str:
    """The baseline asked for, as `system_name` writes it; default: the first run's name. Raises UsageError."""
    names = dict.fromkeys(run.name for run in runs)
    if baseline is None:
        return next(iter(names))
    system, _, label = baseline.partition("+")
    setup, at, ratio = system.partition("@")
    mixture = runs[0].query.mixture
    name = system_name(setup, mixture.with_ratio(ratio), label) if at else baseline
    if name not in names:
        raise UsageError(f"The baseline {baseline!r} is not among what is compared. Choose one of: {', '.join(names)}.")
    return name


def _asked(text: str, mixture: Mixture) -> tuple[str, Mixture, str | None]:
    """A setup, its mixture, without the ratio where the setup has none, and the label of its adapters."""
    system, plus, label = text.strip().partition("+")
    if plus and not label:
        raise UsageError(f"{text}: after the + comes the label of the adapters, as in {system}+news.")
    name, at, ratio = system.partition("@")
    setup = setup_named(name)
    asked = mixture.with_ratio(ratio) if at else mixture
    if setup.has_ratio or (setup.coverage is TargetCoverage.WIDER and mixture.kind == "multilingual"):
        return name, asked, label or None
    if at:
        raise UsageError(f"The setup {name} has no ratio: write {name} alone.")
    return name, mixture.balanced, label or None


def _target(runs: Sequence[SystemRun]) -> str:
    targets = {target for run in runs for target in run.query.mixture.targets}
    if len(targets) != 1:
        raise UsageError(f"A comparison is about one target, got {', '.join(sorted(targets)) or 'none'}. Name a pair.")
    return targets.pop()


def _located(
    runs: Sequence[SystemRun], chain: RegistryChain
) -> tuple[list[tuple[SystemRun, Resolution]], tuple[MissingRun, ...]]:
    """The runs that are in the registry, with their adapters, and the others. Raises NotFoundError without any."""
    found, missing = [], []
    for run in runs:
        try:
            found.append((run, find(chain, run.query)))
        except NotFoundError as error:
            pool = [entry for offer in chain.read(run.query) for entry in offer.entries]
            missing.append(MissingRun(run.name, run.seed, error, training_calls(pool, run.query)))
    if not found:
        names = ", ".join(dict.fromkeys(run.name for run in runs))
        raise NotFoundError(
            f"There is nothing to compare: no run of {names} is here.",
            remedies=(TrainAdapters(calls_of(missing), goal="train them"),),
        )
    return found, tuple(missing)


def calls_of(missing: Iterable[MissingRun]) -> tuple[TrainingCall, ...]:
    """What to train, in order, to get all missing runs; each training once."""
    return tuple(dict.fromkeys(chain.from_iterable(one.calls for one in missing)))


def _grouped(results: Sequence[Result]) -> dict[str, tuple[Result, ...]]:
    _refuse_unlike(results)
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(system_name(result.setup, Mixture.parse(result.mixture), result.label), []).append(result)
    for name, group in groups.items():
        if len({result.mixture for result in group}) > 1:
            raise UsageError(f"{name} has results for several sets of languages. Compare results for one.")
        if len({result.adapters for result in group}) < len(group):
            raise UsageError(f"A run of {name} is given twice: the adapters are the same. Give each run once.")
    return {name: tuple(sorted(group, key=lambda result: result.seed)) for name, group in groups.items()}


def _refuse_unlike(results: Sequence[Result]) -> None:
    if not results:
        raise UsageError("There are no results to compare.")
    aspects: Mapping[str, Callable[[Result], object]] = {
        "task": lambda one: (one.task, one.metric),
        "data": lambda one: (one.split, len(one.tallies), *(digest for _, digest in one.data)),
        "base": lambda one: one.base,
    }
    for aspect, of in aspects.items():
        if len({of(result) for result in results}) > 1:
            raise UsageError(f"Only results on the same {aspect} can be compared; these differ in it.")
    refuse_other_options(results)


def refuse_other_options(results: Iterable[Result]) -> None:
    """Raises UsageError for results of one task with different options. Options that were not recorded fit all."""
    found = {}
    for result in results:
        if result.options is not None:
            found[tuple(sorted(result.options.items()))] = result.task
    if len(found) > 1:
        different = [", ".join(f"{key} {value}" for key, value in options) or "none" for options in found]
        raise UsageError(
            f"Results of {next(iter(found.values()))} with different options cannot be compared "
            f"({' against '.join(different)}). Evaluate all of them with the same options."
        )


def _difference(ours: Sequence[Result], theirs: Sequence[Result], resamples: int) -> Difference:
    one, other = ([result.tallies for result in results] for results in (ours, theirs))
    found = compare_counts(pooled(one, times=len(theirs)), pooled(other, times=len(ours)), resamples=resamples)
    if max(len(ours), len(theirs)) < 2:
        return found
    low, high = interval_with_seeds(one, other, resamples=resamples)
    return replace(found, seeds_low=low, seeds_high=high)


def _mean_cost(costs: Sequence[Cost]) -> Cost:
    """The cost of one run. Counts are rounded; `unknown` is the largest of the runs."""
    counts = ("steps", "tokens", "sentences", "trained", "stored")
    return Cost(
        **{field: round(fmean(getattr(cost, field) for cost in costs)) for field in counts},
        seconds=fmean(cost.seconds for cost in costs),
        unknown=max(cost.unknown for cost in costs),
    )

"""Result tables: the comparisons of a task, all targets side by side. Tables and plots are made from them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from statistics import fmean

from badx_hub.errors import UsageError
from badx_hub.evaluation.compare import Average, SystemSummary, refuse_other_options, summarise, system_name
from badx_hub.evaluation.results import Cost, Result
from badx_hub.evaluation.sentence_curves import SentenceCurve, sentence_curves
from badx_hub.evaluation.significance import RESAMPLES
from badx_hub.languages import Mixture, name_of
from badx_hub.names import plain_label, sentences_in
from badx_hub.setups import SETUPS, setup_named

BALANCED = "1:1"


@dataclass(frozen=True)
class ResultTable:
    """The systems compared for one task on one base. Scores are fractions.

    Attributes:
        metric: the one that differences are about.
        baseline: the system that the others are compared with; a target without a result of it has no differences.
        compared: the summaries by target and system ("bad-x@5:1", see `system_name`).
    """

    base: str
    source: str
    task: str
    split: str
    metric: str
    baseline: str
    compared: Mapping[str, Mapping[str, SystemSummary]]

    @property
    def names(self) -> tuple[str, ...]:
        """The systems, by setup in the order of `SETUPS`, from target-heavy to source-heavy, then by sentences."""
        return tuple(sorted({name for group in self.compared.values() for name in group}, key=_rank))

    @property
    def systems_compared(self) -> tuple[str, ...]:
        """All systems but the baseline."""
        return tuple(name for name in self.names if name != self.baseline)

    @property
    def targets(self) -> tuple[str, ...]:
        """The target languages, sorted by their English names."""
        return tuple(sorted(self.compared, key=lambda tag: (name_of(tag), tag)))

    @property
    def sentence_curves(self) -> tuple[SentenceCurve, ...]:
        """The learning curves by annotated sentences, of all targets."""
        groups = (self.compared[target] for target in self.targets)
        return sentence_curves(group[name] for group in groups for name in self.names if name in group)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that every result has, `metric` first."""
        everywhere = set.intersection(*(set(result.metrics) for result in self.results))
        return (self.metric, *sorted(everywhere - {self.metric}))

    @property
    def results(self) -> tuple[Result, ...]:
        return tuple(result for group in self.compared.values() for one in group.values() for result in one.results)

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(sorted({result.seed for result in self.results}))

    def common(self, names: Iterable[str]) -> tuple[str, ...]:
        """The targets that have results of all `names`: averages over them can be compared."""
        wanted = set(names)
        return tuple(target for target in self.targets if wanted <= set(self.compared[target]))

    def score(self, name: str, target: str, metric: str) -> Average | None:
        """The average of a system over seeds; None if it has no result for the target."""
        found = self.compared[target].get(name)
        return found.averages[metric] if found else None

    def average(self, name: str, metric: str, targets: Sequence[str]) -> Average | None:
        """The average of a system over `targets`, all of which must have results; None without targets.

        The spread is over seeds; only seeds that have results for all targets count.
        """
        if not targets:
            return None
        runs = [{run.seed: run.metrics[metric] for run in self.compared[target][name].results} for target in targets]
        seeds = sorted(set.intersection(*(set(run) for run in runs)))
        by_seed = [fmean(run[seed] for run in runs) for seed in seeds]
        spread = Average.of(by_seed).spread if by_seed else None
        return Average(fmean(fmean(run.values()) for run in runs), spread)

    def gain(self, name: str, metric: str, targets: Sequence[str]) -> float | None:
        """The average over `targets` minus the baseline's; None without targets."""
        ours, theirs = (self.average(one, metric, targets) for one in (name, self.baseline))
        return ours.mean - theirs.mean if ours and theirs else None

    def costs(self, name: str) -> tuple[Cost, ...]:
        """The cost of one run of a system, for each target that has one."""
        return tuple(self.compared[target][name].cost for target in self.common([name]))


def result_tables(results: Iterable[Result], baseline: str, *, resamples: int = RESAMPLES) -> tuple[ResultTable, ...]:
    """One table for each task, sorted by the names of the tasks; the order of `results` does not matter.

    Raises:
        UsageError: an unknown setup as `baseline`; no results; results that do not fit one table (two bases; two
            sources, splits or main metrics of a task; two results for one cell and seed); what `summarise` raises.
    """
    setup_named(parts_of(baseline)[0])
    known = sorted(results, key=lambda one: (one.task, one.target, system_name_of(one), one.seed, one.adapters))
    if not known:
        raise UsageError("There are no results to report. Evaluate something first.")
    _only("base", {result.base for result in known})
    _refuse_repeated(known)
    groups = groupby(known, key=lambda result: result.task)
    return tuple(_result_table(tuple(group), baseline, resamples) for _, group in groups)


def system_name_of(result: Result) -> str:
    """The system that a result is of."""
    return system_name(result.setup, Mixture.parse(result.mixture), result.label)


def parts_of(name: str) -> tuple[str, str]:
    """The setup and the ratio of a system: ("bad-x", "5:1"). A name without a ratio is balanced."""
    setup, _, ratio = name.partition("+")[0].partition("@")
    return setup, ratio or BALANCED


def share_of_source(ratio: str) -> Fraction:
    """The share of the batches that are in the source language: 5/6 for "5:1"."""
    weights = [int(weight) for weight in ratio.split(":")]
    return Fraction(weights[0], sum(weights))


def titles(names: Iterable[str]) -> Mapping[str, str]:
    """The title of each system in a report; with its ratio if the setup is not at the balanced ratio everywhere."""
    known = tuple(names)
    swept = {parts_of(name)[0] for name in known if "@" in name}
    return {name: _title(name, with_ratio=parts_of(name)[0] in swept) for name in known}


def task_title(task: str) -> str:
    return task.upper()


def _title(name: str, *, with_ratio: bool) -> str:
    setup, ratio = parts_of(name)
    label = name.partition("+")[2]
    return f"{setup_named(setup).title}{f' {ratio}' if with_ratio else ''}{f' ({label})' if label else ''}"


def _rank(name: str) -> tuple[int, Fraction, str, int, str]:
    setup, ratio = parts_of(name)
    label = name.partition("+")[2]
    few = sum(sentences_in(label).values())
    return list(SETUPS).index(setup), share_of_source(ratio), plain_label(label) or "", few, name


def _result_table(results: Sequence[Result], baseline: str, resamples: int) -> ResultTable:
    refuse_other_options(results)
    task = results[0].task
    by_target = groupby(results, key=lambda result: result.target)
    return ResultTable(
        base=results[0].base,
        source=_only(f"source of {task}", {result.source for result in results}),
        task=task,
        split=_only(f"split of {task}", {result.split for result in results}),
        metric=_only(f"main metric of {task}", {result.metric for result in results}),
        baseline=baseline,
        compared={target: _compared(tuple(group), baseline, resamples) for target, group in by_target},
    )


def _compared(results: Sequence[Result], baseline: str, resamples: int) -> Mapping[str, SystemSummary]:
    there = any(system_name_of(result) == baseline for result in results)
    return {one.name: one for one in summarise(results, baseline if there else None, resamples=resamples)}


def _refuse_repeated(results: Sequence[Result]) -> None:
    seen: dict[tuple[str, str, str, int], Result] = {}
    for result in results:
        cell = (result.task, result.target, system_name_of(result), result.seed)
        if (other := seen.setdefault(cell, result)) is not result:
            raise UsageError(
                f"There are two results of {cell[2]} for {result.task} in {result.target} with seed {result.seed}: "
                f"of {other.adapters[-1][0]} and of {result.adapters[-1][0]}. Leave one of them out."
            )


def _only(what: str, found: set[str]) -> str:
    if len(found) > 1:
        raise UsageError(f"One report has one {what}, not {' and '.join(sorted(found))}. Make a report of each.")
    return next(iter(found))

"""The tables of a report, from its results. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import fmean

from badx_hub.evaluation.compare import Average, SystemSummary
from badx_hub.evaluation.published_differences import (
    CAVEAT,
    FINDINGS,
    PUBLISHED,
    SHORT_CAVEAT,
    Published,
    published_average,
)
from badx_hub.evaluation.result_table import ResultTable, parts_of, task_title, titles
from badx_hub.evaluation.sentence_curves import SentenceCurve, is_zero_shot
from badx_hub.evaluation.significance import sign_test
from badx_hub.languages import name_of
from badx_hub.metric_key import MetricKey
from badx_hub.setups import setup_named
from badx_hub.table import Cell, Table

POINTS = 100
"""Scores are fractions; tables and figures are in points."""

MISSING = Cell("-")


def score_table(results: ResultTable, metric: str) -> Table:
    """A row for each system, a column for each target; then averages, gains and published gains."""
    shared, called = results.common(results.names), titles(results.names)
    columns = [[_score(results.score(name, target, metric)) for name in results.names] for target in results.targets]
    columns.append([_score(results.average(name, metric, shared)) for name in results.names])
    header = ["Setup", *(_language(target) for target in results.targets), "Average"]
    columns = [_best_marked(column) for column in columns]
    if results.baseline in results.names:
        header.append(f"Gain over {called[results.baseline]}")
        columns.append([_gain(results, name, metric, shared) for name in results.names])
    found = [published_average(results.task, metric, name, results.baseline) for name in results.names]
    if any(found):
        header.append("Published (mBERT, its languages)")
        columns.append([_published(one) for one in found])
    return Table(
        name=f"{results.task}-{metric}",
        title=f"{task_title(results.task)}: {MetricKey.parse(metric).title}, in points",
        header=tuple(header),
        rows=_rows([Cell.of_text(called[name]) for name in results.names], *columns),
        notes=_score_notes(results, shared, found),
    )


def sentences_table(curves: Sequence[SentenceCurve]) -> Table | None:
    """The learning curves of one task by annotated sentences of the target: a row for each number; None without any."""
    if not curves:
        return None
    task, metrics = curves[0].task, curves[0].metrics
    called = titles(curve.system for curve in curves)
    targets = list(dict.fromkeys(_language(curve.target) for curve in curves))
    points = [(curve, count, one) for curve in curves for count, one in curve.points.items()]
    seeds = sorted({result.seed for _, _, one in points for result in one.results})
    rows = [
        (
            Cell.of_text(called[curve.system]),
            *([Cell.of_text(_language(curve.target))] if len(targets) > 1 else []),
            Cell(f"{count:,}", count),
            *(_score(one.averages.get(metric)) for metric in metrics),
            *(_of_seed(one, seed) for seed in seeds),
        )
        for curve, count, one in points
    ]
    main = MetricKey.parse(metrics[0]).title
    over = "Mean and standard deviation" if len(seeds) > 1 else "Mean"
    return Table(
        name=f"{task}-sentences",
        title=f"{task_title(task)} by annotated sentences of {' and '.join(targets)}, in points",
        header=(
            *("Setup", *(["Language"] if len(targets) > 1 else []), "Sentences"),
            *(MetricKey.parse(metric).title for metric in metrics),
            *(f"seed {seed}" for seed in seeds),
        ),
        rows=tuple(rows),
        notes=(f"0 is zero-shot. {over} over the seeds there are; {main} of each seed.",),
    )


def _of_seed(one: SystemSummary, seed: int) -> Cell:
    scores = [result.metrics[result.metric] for result in one.results if result.seed == seed]
    return Cell(f"{POINTS * scores[0]:.2f}", _points(scores[0])) if scores else MISSING


def cost_table(results: ResultTable) -> Table:
    """The cost of one run of each system, on average over its targets."""
    called = titles(results.names)
    costs = [results.costs(name) for name in results.names]
    counts = ("steps", "tokens", "sentences", "seconds", "trained", "stored")
    columns = [[_count(fmean(getattr(cost, field) for cost in known)) for known in costs] for field in counts]
    unknown = [
        called[name] for name, known in zip(results.names, costs, strict=True) if any(one.unknown for one in known)
    ]
    notes = ["A run is all training that a stack needs, shared adapters included, for one target and one seed."]
    notes += [f"What some adapters took is not known and not counted: {', '.join(unknown)}."] if unknown else []
    return Table(
        name=f"{results.task}-cost",
        title=f"{task_title(results.task)}: cost of a run, on average over targets",
        header=("Setup", "Steps", "Tokens", "Sentences", "Seconds", "Trained weights", "Stored weights"),
        rows=_rows([Cell.of_text(called[name]) for name in results.names], *columns),
        notes=tuple(notes),
    )


def significance_table(results: ResultTable) -> Table | None:
    """The gain of each system over the baseline, target by target; None if there is nothing to compare."""
    called = titles({*results.names, results.baseline})
    baseline = called[results.baseline]
    rows = [
        (
            Cell.of_text(_language(target)),
            Cell.of_text(called[name]),
            _signed(difference.delta),
            *map(_signed, difference.interval),
            Cell(f"{difference.p:.4f}", round(difference.p, 6)),
        )
        for target in results.targets
        for name in results.systems_compared
        if (one := results.compared[target].get(name)) and (difference := one.difference)
    ]
    if not rows:
        return None
    return Table(
        name=f"{results.task}-significance",
        title=f"{task_title(results.task)}: gain in {MetricKey.parse(results.metric).title} over {baseline}, in points",
        header=("Language", "Setup", "Gain", "95 % from", "95 % to", "p"),
        rows=tuple(rows),
        notes=(
            *_interval_notes(results),
            "p is that of a two-sided permutation test on the test examples, with the runs of several seeds taken "
            "together. It does not speak about other seeds and is not corrected for the number of comparisons.",
        ),
    )


def _interval_notes(results: ResultTable) -> tuple[str, ...]:
    several = any(
        one.difference is not None and one.difference.seeds_low is not None
        for group in results.compared.values()
        for one in group.values()
    )
    alone = "The interval is that of a paired bootstrap over the test examples"
    if not several:
        return (f"{alone}; it does not speak about other seeds.",)
    return (
        f"{alone} and, where there are several seeds, over the seeds as well (hierarchical bootstrap). Few seeds make "
        "it narrower than it should be.",
    )


def signs_table(results: ResultTable) -> Table | None:
    """In how many languages each system is better than the baseline, with a sign test; None below two languages."""
    called = titles({*results.names, results.baseline})
    rows = []
    for name in results.systems_compared:
        shared = results.common([name, results.baseline])
        gains = [gain for one in shared if (gain := results.gain(name, results.metric, [one])) is not None]
        if len(gains) > 1:
            signs = sign_test(gains)
            counts = (_count(number) for number in (signs.better, signs.worse, signs.equal))
            rows.append((Cell.of_text(called[name]), *counts, Cell(f"{signs.p:.4f}", round(signs.p, 6))))
    if not rows:
        return None
    return Table(
        name=f"{results.task}-signs",
        title=f"{task_title(results.task)}: languages with another {MetricKey.parse(results.metric).title} than "
        f"{called[results.baseline]}",
        header=("Setup", "Better", "Worse", "Equal", "p"),
        rows=tuple(rows),
        notes=("p is that of a two-sided sign test over languages; of n languages it is at least 2 / 2^n.",),
    )


def published_table(tables: Iterable[ResultTable]) -> Table | None:
    """Published gains beside ours, for the tasks of `tables`; None if the paper has none for them."""
    by_task = {results.task: results for results in tables}
    figures = [figure for figure in PUBLISHED if figure.task in by_task]
    if not figures:
        return None
    remarks = dict.fromkeys(figure.remark for figure in figures if figure.remark)
    return Table(
        name="published",
        title="Published gains beside ours, in points",
        header=("Metric", "Gain of", "Published", "Ours", "Published for", "Our languages"),
        rows=tuple(_beside(figure, by_task[figure.task]) for figure in figures),
        notes=(CAVEAT, FINDINGS, *(f"† {remark}" for remark in remarks)),
    )


def data_table(tables: Iterable[ResultTable]) -> Table:
    """The files that each task was evaluated on."""
    rows = {
        (
            Cell.of_text(task_title(results.task)),
            Cell.of_text(_language(target)),
            Cell.of_text(name),
            Cell.of_text(digest[:12]),
        )
        for results in tables
        for target in results.targets
        for one in results.compared[target].values()
        for result in one.results
        for name, digest in result.data
    }
    return Table(
        name="data",
        title="What the setups were judged on",
        header=("Task", "Language", "File", "SHA-256, first 12 digits"),
        rows=tuple(sorted(rows, key=lambda row: tuple(cell.text for cell in row))),
    )


def _rows(*columns: Sequence[Cell]) -> tuple[tuple[Cell, ...], ...]:
    return tuple(zip(*columns, strict=True))


def _score_notes(results: ResultTable, shared: Sequence[str], found: Sequence[Published | None]) -> tuple[str, ...]:
    how = "Zero-shot" if all(map(is_zero_shot, results.names)) else "Transfer"
    notes = [f"{how} from {name_of(results.source)} on the {results.split} split, base {results.base}."]
    if not shared:
        notes.append("No language has all setups, so there is no average.")
    elif len(shared) < len(results.targets):
        notes.append(f"Averages are over the languages that have all setups: {', '.join(map(_language, shared))}.")
    if len(results.seeds) > 1:
        seeds = ", ".join(str(seed) for seed in results.seeds)
        notes.append(f"Mean over seeds {seeds}, ± the standard deviation where a setup has several.")
    if results.baseline not in results.names:
        baseline = titles([results.baseline])[results.baseline]
        notes.append(f"The baseline, {baseline}, has no results, so there are no gains.")
    notes += [SHORT_CAVEAT] if any(found) else []
    return (*notes, *(f"† {one.remark}" for one in found if one and one.remark))


def _beside(figure: Published, results: ResultTable) -> tuple[Cell, ...]:
    setup, ratio = parts_of(figure.name)
    there = results.common([figure.name, figure.baseline])
    targets = [target for target in there if figure.target in (None, target)]
    ours = _difference(results, figure, targets) if figure.metric in results.metrics else None
    return (
        Cell.of_text(f"{task_title(figure.task)}, {MetricKey.parse(figure.metric).title}"),
        Cell.of_text(f"{setup_named(setup).title} {ratio} over {setup_named(figure.baseline).title}"),
        _published(figure),
        MISSING if ours is None else _signed(ours),
        Cell.of_text(_language(figure.target) if figure.target else "average"),
        Cell.of_text(", ".join(targets) if ours is not None else "-"),
    )


def _difference(results: ResultTable, figure: Published, targets: Sequence[str]) -> float | None:
    return replace(results, baseline=figure.baseline).gain(figure.name, figure.metric, targets)


def _published(figure: Published | None) -> Cell:
    if figure is None:
        return MISSING
    return Cell(f"{figure.delta:+.2f}{' †' if figure.remark else ''}", figure.delta)


def _gain(results: ResultTable, name: str, metric: str, targets: Sequence[str]) -> Cell:
    gain = None if name == results.baseline else results.gain(name, metric, targets)
    return MISSING if gain is None else _signed(gain)


def _score(average: Average | None) -> Cell:
    if average is None:
        return MISSING
    text = f"{POINTS * average.mean:.2f}"
    if average.spread is None:
        return Cell(text, _points(average.mean))
    return Cell(f"{text} ± {POINTS * average.spread:.2f}", _points(average.mean), _points(average.spread))


def _best_marked(column: Sequence[Cell]) -> list[Cell]:
    """The highest cells are marked, equal to the two decimals shown; none in a column with a single score."""
    shown = [round(cell.value, 2) for cell in column if isinstance(cell.value, float)]
    if len(shown) < 2:
        return list(column)
    return [replace(cell, best=isinstance(cell.value, float) and round(cell.value, 2) == max(shown)) for cell in column]


def _signed(fraction: float) -> Cell:
    return Cell(f"{round(POINTS * fraction, 2) + 0.0:+.2f}", _points(fraction))  # no -0.00


def _count(value: float) -> Cell:
    return Cell(f"{value:,.0f}", round(value))


def _language(tag: str) -> str:
    return f"{name_of(tag)} ({tag})"


def _points(fraction: float) -> float:
    return round(POINTS * fraction, 4)

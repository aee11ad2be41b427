"""Figures of result tables and learning curves. Each is None if there is too little to show.

Lines differ by marker and dash as well as by colour, and every cell of a heat map has its number. So all figures can be
read in grey and by colour-blind people.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import cycle
from math import ceil
from textwrap import fill
from typing import TYPE_CHECKING, Any

from badx_hub.evaluation.report_tables import POINTS
from badx_hub.evaluation.result_table import ResultTable, parts_of, share_of_source, task_title, titles
from badx_hub.evaluation.sentence_curves import SentenceCurve
from badx_hub.languages import Mixture, name_of
from badx_hub.metric_key import MetricKey
from badx_hub.names import AdapterName, few_label, plain_label, sentences_in
from badx_hub.setups import SETUPS, setup_named

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curves = Mapping[str, Sequence[Mapping[str, float]]]
"""Rows of `curves.csv` (step, loss, "wo/perplexity", ...) by the name of the adapter."""

# The colours of Okabe and Ito, without the yellow that fades on white; their greys differ too.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
_MARKERS = "osD^vPXh"
_DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "badx_hub",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_KINDS = {"language": "LA", "bilingual": "BA", "multilingual": "MA"}
_ORDER: tuple[str | None, ...] = (None, *SETUPS)
_WIDTH = 6.4
_PANELS_A_ROW = 3
_MARKED = 8
_LABEL_WIDTH = 12
"""Characters of a line below a column of a heat map."""

_DARK = 0.6
"""Cells with a value above this share of the largest one are dark and have white text."""

_SEED = re.compile(r"-?seed[0-9]+\Z")


@dataclass(frozen=True)
class Line:
    """One line of a figure: (step, value) points. Lines with the same label, runs of other seeds, look alike."""

    label: str
    points: tuple[tuple[float, float], ...]


def ratio_figure(tables: Iterable[ResultTable]) -> Figure | None:
    """The main metric of each task by ratio, from target-heavy to source-heavy, averaged over languages.

    It is the gain over the baseline if every task has the baseline. None unless some language has a setup at two
    ratios or more.
    """
    swept = [(results, setup, names) for results in tables for setup, names in _swept(results).items()]
    if not swept:
        return None
    relative = all(results.common([*names, results.baseline]) for results, _, names in swept)
    ratios = sorted({parts_of(name)[1] for _, _, names in swept for name in names}, key=share_of_source)
    figure, (axes,) = _figure(1, height=3.4)
    for (results, setup, names), style in zip(swept, _styles(), strict=False):
        values = _by_ratio(results, names, relative=relative)
        label = f"{setup_named(setup).title}, {task_title(results.task)}, {MetricKey.parse(results.metric).title}"
        axes.plot([ratios.index(ratio) for ratio in values], list(values.values()), label=label, **style)
    axes.set_xticks(range(len(ratios)), ratios)
    baseline = swept[0][0].baseline
    label = f"average gain over {titles([baseline])[baseline]}, points" if relative else "average, points"
    axes.set(xlabel="source : target batches, from target-heavy to source-heavy", ylabel=label)
    if relative:
        axes.axhline(0, color="0.4", linewidth=1)
    axes.grid(visible=True, alpha=0.3)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return _laid_out(figure)


def sentences_figure(curves: Sequence[SentenceCurve]) -> Figure | None:
    """The main metric by annotated sentences of the target: a panel for each task and target, a line for each system.

    Lines join the means over seeds; a pale mark is one seed. The axis is linear up to the smallest number but 0, then
    logarithmic. None without curves.
    """
    if not curves:
        return None
    called = titles(curve.system for curve in curves)
    styles = dict(zip(dict.fromkeys(called.values()), _styles(), strict=False))
    panels: dict[str, list[SentenceCurve]] = {}
    for curve in curves:
        panels.setdefault(f"{task_title(curve.task)}, {name_of(curve.target)}", []).append(curve)
    figure, grid = _figure(len(panels), height=0.9 + 2.4 * ceil(len(panels) / _PANELS_A_ROW))
    for axes, (title, group) in zip(grid, panels.items(), strict=True):
        for curve in group:
            _sentence_curve(axes, curve, called[curve.system], styles[called[curve.system]])
        _sentences_axis(axes, sorted({count for curve in group for count in curve.points}))
        axes.set_title(title)
        axes.set(xlabel="annotated sentences of the target", ylabel=f"{MetricKey.parse(group[0].metric).title}, points")
        axes.grid(visible=True, alpha=0.3)
    handles = {label: handle for axes in grid for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=4, frameon=False)
    return _laid_out(figure)


def _sentence_curve(axes: Axes, curve: SentenceCurve, label: str, style: Mapping[str, Any]) -> None:
    for count, one in curve.points.items():
        scores = [POINTS * result.metrics[result.metric] for result in one.results]
        axes.plot([count] * len(scores), scores, **{**style, "linestyle": "none"}, alpha=0.35, clip_on=False)
    means = [POINTS * one.score.mean for one in curve.points.values()]
    axes.plot(list(curve.points), means, label=label, clip_on=False, **style)


def _sentences_axis(axes: Axes, counts: Sequence[int]) -> None:
    from matplotlib.ticker import NullLocator

    axes.set_xscale("symlog", linthresh=min(count for count in counts if count), linscale=0.5)
    axes.set_xticks(counts, [f"{count:,}" for count in counts])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(left=0)


def gains_figure(results: ResultTable) -> Figure | None:
    """A heat map of the gain over the baseline in the main metric: a row for each language, a column for each setup.

    None for fewer than two cells.
    """
    gains = {
        (target, name): POINTS * gain
        for name in results.systems_compared
        for target in results.common([name, results.baseline])
        if (gain := results.gain(name, results.metric, [target])) is not None
    }
    if len(gains) < 2:
        return None
    targets = [target for target in results.targets if any(cell[0] == target for cell in gains)]
    names = [name for name in results.systems_compared if any(cell[1] == name for cell in gains)]
    called = titles(results.names)
    width, height = 1.6 + 0.8 * len(names), 0.9 + 0.34 * len(targets)
    figure, (axes,) = _figure(1, height=height, width=width)
    _heat(axes, [[gains.get((target, name)) for name in names] for target in targets])
    axes.set_xticks(range(len(names)), [fill(called[name], _LABEL_WIDTH) for name in names])
    axes.set_yticks(range(len(targets)), [name_of(target) for target in targets])
    return _laid_out(figure)


def language_curves(curves: Curves) -> Figure | None:
    """Held-out perplexity of each target by step, on a log axis: a panel for each language, a line for each adapter."""
    panels: dict[str, list[Line]] = {}
    names = [name for name in _names(curves) if name.task is None]
    for name in names:
        for target in name.mixture.targets:
            line = _line(_kind_and_ratio(name), curves[str(name)], MetricKey.perplexity(target))
            panels.setdefault(target, []).append(line)
    named = {name_of(tag): panels[tag] for tag in sorted(panels, key=lambda tag: (name_of(tag), tag))}
    return _small_multiples(named, map(_kind_and_ratio, names), ylabel="perplexity", logarithmic=True)


def task_curves(curves: Curves, task: str, metric: str, source: str) -> Figure | None:
    """A task's metric on the dev split of the source by step: a panel for each target, a line for each setup.

    Task adapters that were not trained for a single target (on the LA of the source, an MA, no adapter) are in every
    panel.
    """
    names = [name for name in _names(curves) if name.task == task]
    own = [name for name in names if name.mixture.kind == "bilingual"]
    shared = [name for name in names if name.mixture.kind != "bilingual"]
    targets = sorted({name.mixture.targets[0] for name in own}, key=lambda tag: (name_of(tag), tag))
    groups = {name_of(target): [one for one in own if one.mixture.targets == (target,)] for target in targets}
    key = MetricKey(metric, source)
    panels = {
        title: [_line(_on(name), curves[str(name)], key, POINTS) for name in [*group, *shared]]
        for title, group in (groups or {"any target": []}).items()
    }
    label = f"{name_of(source)} dev {key.title}, points"
    return _small_multiples(panels, map(_on, names), ylabel=label, logarithmic=False)


def to_svg(figure: Figure) -> bytes:
    """The same figure gives the same bytes: no dates, fixed ids; letters are shapes, so that no font is needed."""
    return _saved(figure, "svg", {"Date": None, "Creator": None, "Format": None, "Type": None})


def to_png(figure: Figure) -> bytes:
    """Like `to_svg`, at 150 dots per inch."""
    return _saved(figure, "png", {"Software": None})


def _saved(figure: Figure, kind: str, metadata: dict[str, Any]) -> bytes:
    from matplotlib import rc_context

    stream = io.BytesIO()
    with rc_context(_STYLE):
        figure.savefig(stream, format=kind, dpi=150, metadata=metadata)
    return stream.getvalue()


def _figure(panels: int, *, height: float, width: float = _WIDTH, share_y: bool = False) -> tuple[Figure, list[Axes]]:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    columns = min(panels, _PANELS_A_ROW)
    with rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        grid = figure.subplots(ceil(panels / columns), columns, sharey=share_y, squeeze=False)
    axes = [one for row in grid for one in row]
    for spare in axes[panels:]:
        spare.remove()
    return figure, axes[:panels]


def _laid_out(figure: Figure) -> Figure:
    """Its parts are placed once, so that each saving does not take the time to place them again."""
    from matplotlib import rc_context

    with rc_context(_STYLE):
        figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def _swept(results: ResultTable) -> Mapping[str, tuple[str, ...]]:
    """The systems of each setup that was run at several ratios of two languages, for at least one language."""
    found: dict[str, list[str]] = {}
    for name in results.names:
        setup, ratio = parts_of(name)
        if ratio.count(":") == 1 and "+" not in name:
            found.setdefault(setup, []).append(name)
    return {setup: tuple(names) for setup, names in found.items() if len(names) > 1 and results.common(names)}


def _by_ratio(results: ResultTable, names: Sequence[str], *, relative: bool) -> Mapping[str, float]:
    """In points: averages over the languages that have all ratios, and the baseline if `relative`."""
    targets = results.common([*names, results.baseline] if relative else names)
    below = results.average(results.baseline, results.metric, targets) if relative else None
    averages = {parts_of(name)[1]: results.average(name, results.metric, targets) for name in names}
    return {ratio: POINTS * (one.mean - (below.mean if below else 0)) for ratio, one in averages.items() if one}


def _heat(axes: Axes, rows: Sequence[Sequence[float | None]]) -> None:
    """Cells in colours that diverge from zero, each with its signed number; missing ones are white, with a dash."""
    limit = max(abs(value) for row in rows for value in row if value is not None) or 1.0
    table = [[float("nan") if value is None else value for value in row] for row in rows]
    # Not an image, whose cells would be pixels in an SVG. Cells are given by edges: one centre alone has no size.
    across, down = ([place - 0.5 for place in range(count + 1)] for count in (len(rows[0]), len(rows)))
    axes.pcolormesh(across, down, table, cmap="PuOr_r", vmin=-limit, vmax=limit)
    axes.invert_yaxis()
    for y, row in enumerate(rows):
        for x, value in enumerate(row):
            colour = "white" if value is not None and abs(value) > _DARK * limit else "black"
            text = "-" if value is None else f"{round(value, 1) + 0.0:+.1f}"  # no -0.0
            axes.text(x, y, text, ha="center", va="center", color=colour)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _names(curves: Curves) -> list[AdapterName]:
    """The adapters whose curves have two points or more, sorted by setup, kind and ratio."""
    names = (AdapterName.parse(name) for name, rows in curves.items() if len(rows) > 1)
    return sorted(names, key=lambda name: (_ORDER.index(name.setup), *_mixture_rank(name.mixture), str(name)))


def _mixture_rank(mixture: Mixture) -> tuple[int, Fraction]:
    return list(_KINDS).index(mixture.kind), Fraction(mixture.weights[0], sum(mixture.weights))


def _kind_and_ratio(name: AdapterName) -> str:
    """The kind of language adapter that an adapter is or is named after: "LA", "BA 5:1", with its label: "LA, news"."""
    kind = _KINDS[name.mixture.kind]
    few = sentences_in(name.label)
    label = few_label(few, _SEED.sub("", plain_label(name.label) or "") or None)
    ratio = f" {name.mixture.ratio}" if name.mixture.kind == "bilingual" else ""
    return f"{kind}{ratio}{f', {label}' if label else ''}"


def _on(name: AdapterName) -> str:
    """What a task adapter was trained on."""
    return setup_named(name.setup).title if name.setup else f"on {_kind_and_ratio(name)}"


def _line(label: str, rows: Sequence[Mapping[str, float]], key: MetricKey, scale: float = 1) -> Line:
    column = str(key)
    return Line(label, tuple((row["step"], scale * row[column]) for row in rows if column in row))


def _small_multiples(
    panels: Mapping[str, Sequence[Line]], order: Iterable[str], *, ylabel: str, logarithmic: bool
) -> Figure | None:
    """A panel for each title, and one legend with its labels in the given order. None without any line."""
    filled = {title: [line for line in lines if line.points] for title, lines in panels.items()}
    filled = {title: lines for title, lines in filled.items() if lines}
    if not filled:
        return None
    there = {line.label for lines in filled.values() for line in lines}
    labels = [label for label in dict.fromkeys(order) if label in there]
    styles = dict(zip(labels, _styles(), strict=False))
    rows = ceil(len(filled) / _PANELS_A_ROW)
    figure, grid = _figure(len(filled), height=0.9 + 2.1 * rows, share_y=not logarithmic)
    for axes, (title, lines) in zip(grid, filled.items(), strict=True):
        _curves_panel(axes, lines, styles)
        axes.set_title(title)
        axes.set_xlabel("optimizer steps" if axes in grid[-_PANELS_A_ROW:] else "")
        if logarithmic:
            _plain_log_axis(axes)
    figure.supylabel(ylabel, fontsize="medium")
    handles = {label: handle for axes in grid for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend([handles[label] for label in labels], labels, loc="outside lower center", ncols=4, frameon=False)
    return _laid_out(figure)


def _curves_panel(axes: Axes, lines: Sequence[Line], styles: Mapping[str, Mapping[str, Any]]) -> None:
    for line in lines:
        steps, values = zip(*line.points, strict=True)
        every = ceil(len(steps) / _MARKED)
        axes.plot(steps, values, label=line.label, markevery=every, **styles[line.label])
    axes.grid(visible=True, alpha=0.3)


def _plain_log_axis(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 100 else f"{value:.3g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _styles() -> Iterable[dict[str, Any]]:
    for colour, marker, dash in zip(cycle(_COLOURS), cycle(_MARKERS), cycle(_DASHES), strict=False):
        yield {"color": colour, "marker": marker, "linestyle": dash, "linewidth": 1.4, "markersize": 4.5}

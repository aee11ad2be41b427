"""`badx-hub compare`: setups side by side on the same data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from badx_hub.cli import _errors, _load_stack, _options, _output
from badx_hub.cli._output import Format
from badx_hub.errors import NotFoundError, UsageError
from badx_hub.remedies import TrainAdapters
from badx_hub.table import Table

if TYPE_CHECKING:
    from badx_hub.evaluation.compare import Average, Comparison, MissingRun, SystemSummary

_NONE = "-"
_PICTURES = (".png", ".svg")
_CurveOption = Annotated[
    Path | None, typer.Option("--curve", metavar="FILE", help="Draw scores by annotated sentences: a .png or .svg.")
]


def compare(
    pair: _options.PairArgument,
    task: _options.RequiredTaskOption,
    setups: Annotated[
        str, typer.Option("--setups", metavar="LIST", help="Setups, such as bad-x,bad-x@5:1,mad-x,tlr,ma,ta-only.")
    ],
    data: _options.DataOption,
    split: _options.SplitOption = _options.SplitName.TEST,
    seeds: Annotated[int, typer.Option("--seeds", metavar="N", min=1, help="Take the runs of seeds 1 to N.")] = 1,
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", metavar="SETUP", help="What to compare to. [default: the first of --setups]"),
    ] = None,
    ratio: _options.RatioOption = None,
    curve: _CurveOption = None,
    base: _options.BaseOption = None,
    registry: _options.RegistryOption = None,
    offline: _options.OfflineOption = False,
    option: _options.TaskOptionsOption = None,
    batch_size: _options.BatchSizeOption = 32,
    precision: _options.PrecisionOption = _options.PrecisionName.AUTO,
    format: _options.FormatOption = Format.TABLE,
) -> None:
    """Compare setups on annotated data of the target language.

    Each is the mean over its seeds, sd their standard deviation. The 95 % interval of the difference to the baseline
    is that of a paired bootstrap over sentences, and over seeds if there are several; p is that of a permutation test
    over sentences. What is not registered is named on stderr with the commands that train it. --format quiet prints
    setup, score, difference and p.
    """
    from badx_hub.languages import Mixture
    from badx_hub.tasks import task_named

    mixture, options = Mixture.parse(pair).with_ratio(ratio), _options.task_options(option)
    task_named(task, options).references(data, split.value)  # a wrong path is answered before anything loads
    from badx_hub.evaluation import compare as library

    _check_picture(curve)
    runs = library.runs_of(mixture, task, setups.split(","), seeds=seeds, base=base)
    found = library.compare(
        runs,
        data,
        baseline=baseline,
        split=split.value,
        registry=registry,
        base=_load_stack.folder_of(base),
        offline=offline,
        options=options,
        batch_size=batch_size,
        dtype=_load_stack.dtype_of(precision),
        before=lambda run: _output.note(f"evaluating {run.name}, seed {run.seed}"),
    )
    commands = [_errors.training(call) for call in library.calls_of(found.missing)]
    _tell_missing(found, library.baseline_named(runs, baseline), commands)
    _output.show(format, tables=_tables(found), document=_document(found), quiet=_lines(found.compared))
    if curve is not None:
        _draw(found, curve)


def _check_picture(path: Path | None) -> None:
    if path is None:
        return
    if path.suffix.lower() not in _PICTURES:
        raise UsageError(f"{path} is no name of a picture. Expected a file that ends in .png or .svg.")
    if not path.parent.is_dir() or path.is_dir():
        raise UsageError(f"{path} cannot be written: expected a file in a folder that is there. Choose another name.")


def _draw(found: Comparison, path: Path) -> None:
    from badx_hub.evaluation.plots import sentences_figure, to_png, to_svg
    from badx_hub.evaluation.sentence_curves import sentence_curves
    from badx_hub.storage import atomic_write_bytes

    if (figure := sentences_figure(sentence_curves(found.compared))) is None:
        raise NotFoundError(
            "No picture was drawn: a curve takes a setup with two numbers of sentences, both of them here. "
            "Name them in --setups, such as bad-x,bad-x+few-wo-20."
        )
    atomic_write_bytes(path, to_png(figure) if path.suffix.lower() == ".png" else to_svg(figure))
    _output.note(f"wrote {path}")


def _tell_missing(found: Comparison, baseline: str, commands: Sequence[str]) -> None:
    several = len(found.missing) > 1  # then all commands stand below, each once
    for one in found.missing:
        told = " ".join(_errors.words(r) for r in one.error.remedies if not (several and isinstance(r, TrainAdapters)))
        _output.warning(f"{one.name}, seed {one.seed}: {one.error.fact} {told}".rstrip())
    if found.baseline is None:
        _output.warning(f"no run of the baseline {baseline} is here: there are no differences.")
    if several:
        _output.note("To train all that is missing:")
        for command in commands:
            _output.note(f"  {command}")


def _tables(found: Comparison) -> list[Table]:
    from badx_hub.evaluation.report_tables import sentences_table
    from badx_hub.evaluation.sentence_curves import sentence_curves

    first = found.compared[0].results[0]
    files = ", ".join(name for name, _ in first.data)
    title = f"{first.task} on {files} ({first.split}: {len(first.tallies):,} examples), {first.base}"
    others = [metric for metric in first.metrics if metric != first.metric]
    return [
        _scores(found, first.metric, title),
        Table.of(
            ("setup", *others),
            ((one.name, *(_with_spread(one.averages[key]) for key in others)) for one in found.compared)
            if others
            else (),
            numbers=tuple(others),
        ),
        _costs(found.compared),
        *([by_sentences] if (by_sentences := sentences_table(sentence_curves(found.compared))) else []),
    ]


def _scores(found: Comparison, metric: str, title: str) -> Table:
    against = f"vs {found.baseline}" if found.baseline else None
    columns = ("setup", "seeds", metric, "sd", *((against, "95 % interval", "p") if against else ()))
    rows = []
    for one in found.compared:
        row = (one.name, str(len(one.results)), _percent(one.score.mean), _percent(one.score.spread))
        rows.append((*row, *_difference(one)) if against else row)
    return Table.of(columns, rows, numbers=columns[1:], title=title)


def _difference(one: SystemSummary) -> tuple[str, str, str]:
    """The cells of a difference, in points of percent."""
    if (found := one.difference) is None:
        return _NONE, _NONE, _NONE
    low, high = map(_signed, found.interval)
    return _signed(found.delta), f"{low} to {high}", f"{found.p:.3f}"


def _costs(compared: Iterable[SystemSummary]) -> Table:
    columns = ("setup", "trained", "stored", "steps", "tokens", "sentences", "seconds")
    rows, unknown = [], 0
    for one in compared:
        cost = one.cost
        unknown += cost.unknown
        counts = (cost.trained, cost.stored, cost.steps, cost.tokens, cost.sentences, round(cost.seconds))
        rows.append((f"{one.name} *" if cost.unknown else one.name, *(f"{count:,}" for count in counts)))
    title = "weights trained and stored, and the training that took, of one seed"
    if unknown:
        title += " (*: and that of adapters that were imported or are gone)"
    return Table.of(columns, rows, numbers=columns[1:], title=title)


def _percent(value: float | None) -> str:
    return _NONE if value is None else f"{100 * value:.2f}"


def _signed(value: float) -> str:
    return f"{100 * value:+.2f}"


def _with_spread(average: Average) -> str:
    mean = _percent(average.mean)
    return mean if average.spread is None else f"{mean} ± {_percent(average.spread)}"


def _lines(compared: Iterable[SystemSummary]) -> Iterable[str]:
    """Setup, score, difference and p, as fractions; the last two empty for the baseline."""
    for one in compared:
        told = ("", "") if one.difference is None else (f"{one.difference.delta:.6f}", f"{one.difference.p:.6f}")
        yield "\t".join((one.name, f"{one.score.mean:.6f}", *told))


def _document(found: Comparison) -> dict[str, Any]:
    first = found.compared[0].results[0]
    return {
        "task": first.task,
        "base": first.base,
        "source": first.source,
        "target": first.target,
        "data": [{"name": name, "digest": digest} for name, digest in first.data],
        "split": first.split,
        "examples": len(first.tallies),
        "metric": first.metric,
        "baseline": found.baseline,
        "compared": [_compared(one) for one in found.compared],
        "missing": [_missing(one) for one in found.missing],
    }


def _compared(one: SystemSummary) -> dict[str, Any]:
    first = one.results[0]
    return {
        "name": one.name,
        "setup": first.setup,
        "mixture": first.mixture,
        "metrics": {metric: vars(average) for metric, average in one.averages.items()},
        "difference": None if one.difference is None else vars(one.difference),
        "cost": one.cost.model_dump(),
        "seeds": [
            {
                "seed": result.seed,
                "adapters": [{"name": name, "digest": digest} for name, digest in result.adapters],
                "metrics": result.metrics,
                "cost": result.cost.model_dump(),
            }
            for result in one.results
        ],
    }


def _missing(one: MissingRun) -> dict[str, Any]:
    return {
        "name": one.name,
        "seed": one.seed,
        "reason": _errors.message(one.error),
        "commands": [_errors.training(call) for call in one.calls],
    }

"""`badx-hub study simulate`: how long a study would take on a cluster that is not here."""

from __future__ import annotations

import math
import re
from typing import Annotated

import typer

from badx_hub.cli import _options, _output, _study_tables
from badx_hub.cli._output import Format
from badx_hub.cli._study import FileArgument, ResultsOption, runner_of
from badx_hub.errors import UsageError
from badx_hub.table import Table

NodesOption = Annotated[
    str, typer.Option("--nodes", metavar="N[,N...]", help="Machines; several numbers make a row each.")
]
GpusOption = Annotated[int, typer.Option("--gpus", metavar="N", min=1, help="Devices in each, a step on each.")]
TimeOption = Annotated[
    str | None,
    typer.Option("--mtbf", metavar="TIME", help="Mean time between failures of a node. [default: none fails]"),
]
RateOption = Annotated[
    list[str] | None,
    typer.Option(
        "--rate",
        metavar="WHAT=N",
        help="Tokens (language) or sentences (a task) a second on one device (repeatable). [default: as measured]",
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", metavar="N", help="Of the failures.")]
_RATE = re.compile(r"([a-z]+)=([0-9]{1,12}(?:\.[0-9]{1,6})?)")


def simulate(
    file: FileArgument,
    nodes: NodesOption = "1,2,4,8,16,32,64,128,256",
    gpus: GpusOption = 1,
    mtbf: TimeOption = None,
    rate: RateOption = None,
    seed: SeedOption = 1,
    registry: _options.RegistryOption = None,
    results: ResultsOption = None,
    format: _options.FormatOption = Format.TABLE,
) -> None:
    """Estimate how long the whole study would take on these numbers of machines.

    Steps begin as in `study run --on ray`. Speeds are those measured on the same base in the registry, or --rate; what
    steps take beside their training is known from those that ran. A node that fails is back after ten minutes; its
    steps go on from their last checkpoint, one every half hour.
    """
    from badx_hub.studies.simulate import Cluster, simulate
    from badx_hub.studies.step_timings import handing_over, loading, read_timings
    from badx_hub.studies.time_estimates import rates_of, simulated_steps

    given, counts = _rates(rate or []), _counts(nodes)
    runner = runner_of(file, registry, results)
    base = runner.base()
    measured = rates_of(runner.entries(), base.ref) if base else {}
    rates = {**measured, **{(task, whole): value for task, value in given.items() for whole in (False, True)}}
    timings = read_timings(runner.results, runner.study.name)
    steps = simulated_steps(runner.steps, runner.study, rates, timings)
    between = {"loading": loading(timings.values()), "handing_over": handing_over(timings.values())}
    failing = math.inf if mtbf is None else _options.duration(mtbf, "--mtbf")
    rows, documents = [], []
    for count in counts:
        found = simulate(steps, Cluster(count, gpus, failing, **between), seed=seed)
        time, lost = _study_tables.duration(found.makespan), _study_tables.duration(found.lost)
        rows.append((str(count), time, f"{100 * found.utilisation:.0f} %", str(found.failures), lost))
        documents.append({"nodes": count, "gpus": gpus, **found.__dict__})
    columns = ("nodes", "time", "used", "failures", "lost")
    _output.show(
        format,
        tables=[Table.of(columns, rows, numbers=columns, title=f"study {runner.study.name}, {len(steps):,} steps")],
        document=documents,
        quiet=[str(round(document["makespan"])) for document in documents],
    )


def _counts(text: str) -> list[int]:
    if not re.fullmatch(r"[1-9][0-9]{0,5}(,[1-9][0-9]{0,5})*", text):
        raise UsageError(f"--nodes {text} is no number of machines. Expected numbers such as 1,8,64.")
    return [int(part) for part in text.split(",")]


def _rates(options: list[str]) -> dict[str | None, float]:
    from badx_hub.studies.time_estimates import LANGUAGE_RATE

    found: dict[str | None, float] = {}
    for option in options:
        match = _RATE.fullmatch(option)
        if match is None or float(match[2]) <= 0:
            raise UsageError(f"--rate {option} is no speed. Expected language=5000 or pos=80, in units a second.")
        found[None if match[1] == LANGUAGE_RATE else match[1]] = float(match[2])
    return found

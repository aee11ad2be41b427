"""What the commands about studies share: their arguments, and opening a study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from badx_hub.errors import UsageError

if TYPE_CHECKING:
    from badx_hub.studies.runner import StudyRunner

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The study, as in the folder studies/.")]
ResultsOption = Annotated[
    Path | None,
    typer.Option("--results", metavar="DIR", help="Where scores are kept, by their keys. [default: your own folder]"),
]


def runner_of(file: Path, registry: str | None, results: Path | None) -> StudyRunner:
    from badx_hub.registry import open_registry
    from badx_hub.studies.study import load_study

    if results is not None and results.expanduser().exists() and not results.expanduser().is_dir():
        raise UsageError(f"{results} is a file, and results are kept in a folder. Give --results a folder.")
    study, opened = load_study(file), open_registry(registry)
    from badx_hub.studies.runner import StudyRunner

    return StudyRunner(study, opened, results)

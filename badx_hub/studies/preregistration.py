"""Pre-registration: what a study asks, compares and when it stops, written down before there are results.

The file lies beside that of the study. It is written once; a report says when, how many results there were by then, and
what has changed since.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from badx_hub.errors import DataError, IntegrityError, UsageError
from badx_hub.json_toml_yaml import MIB
from badx_hub.manifest import utc_now
from badx_hub.storage import atomic_write_text
from badx_hub.studies.study import Study
from badx_hub.untrusted_files import read_plain

_FIELDS = ("question", "comparisons", "stopping", "seeds", "base", "split", "recipe")


class Registration(BaseModel):
    """What was written down. `results` is how many results the study had at that moment; 0 is what one wants."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    study: str
    written: str
    results: int
    question: str
    stopping: str
    comparisons: tuple[str, ...]
    seeds: tuple[int, ...]
    base: str
    split: str
    recipe: dict[str, Any]


def registration_file(study_file: Path) -> Path:
    """Where the registration of the study in `study_file` lies."""
    return study_file.with_suffix(".registered.json")


def register(study: Study, study_file: Path, results: int) -> Path:
    """Write down what `study` asks and compares; returns the file.

    Raises UsageError for a study without `question` or `stopping`, and for one that is registered already.
    """
    path = registration_file(study_file)
    if missing := [field for field in ("question", "stopping") if getattr(study, field) is None]:
        raise UsageError(f"{study_file} does not say {' and '.join(missing)}. Add it, then register the study.")
    if path.exists():
        raise UsageError(
            f"{study_file} is registered already, in {path}. What changes since then stands in the report."
        )
    written = Registration(study=study.name, written=utc_now(), results=results, **_content(study))
    atomic_write_text(path, written.model_dump_json(indent=1) + "\n")
    return path


def read_registration(study_file: Path) -> Registration | None:
    """The registration of a study; None where there is none. Raises DataError for a file that is not one."""
    path = registration_file(study_file)
    if not path.exists():
        return None
    try:
        return Registration.model_validate_json(read_plain(path, limit=MIB))
    except (ValidationError, IntegrityError) as error:
        raise DataError(f"{path} is not a registration. Restore it, or remove it and register the study.") from error


def told(registration: Registration, study: Study) -> tuple[str, ...]:
    """The paragraphs of a report about it."""
    before = "before there were results" if not registration.results else f"with {registration.results} results there"
    changed = changes(registration, study)
    return (
        f"Written down on {registration.written[:10]}, {before}. Question: {registration.question}",
        f"Comparisons: {'; '.join(registration.comparisons)}.",
        f"Stopping rule: {registration.stopping}",
        f"Changed since then: {', '.join(changed)}." if changed else "Nothing of this has changed since then.",
    )


def changes(registration: Registration, study: Study) -> tuple[str, ...]:
    """The fields in which `study` is no longer what was written down, comparisons by what came and went."""
    now = Registration(study=study.name, written=registration.written, results=0, **_content(study))
    return tuple(_differences(registration, now))


def _differences(before: Registration, now: Registration) -> Iterator[str]:
    for field in _FIELDS:
        one, other = getattr(before, field), getattr(now, field)
        if field == "comparisons":
            yield from (f"added {new}" for new in other if new not in one)
            yield from (f"left out {old}" for old in one if old not in other)
        elif one != other:
            yield field


def _content(study: Study) -> Mapping[str, Any]:
    seeds = {seed for block in study.blocks for seed in block.seeds or study.seeds}
    return {
        "question": study.question or "",
        "stopping": study.stopping or "",
        "comparisons": tuple(dict.fromkeys(_comparisons(study))),
        "seeds": tuple(sorted(seeds)),
        # The name of the folder or model: a path says where a machine keeps it.
        "base": Path(study.base).name,
        "split": study.split,
        "recipe": {
            "own": study.recipe.model_dump(mode="json", exclude={"text", "data"}),
            **{label: one.model_dump(mode="json", exclude={"text", "data"}) for label, one in study.recipes.items()},
        },
    }


def _comparisons(study: Study) -> Iterator[str]:
    for block in study.blocks:
        for task in block.tasks:
            for target in block.targets:
                for variant in block.setups:
                    if variant != study.baseline:
                        yield f"{task}/{target}: {variant} against {study.baseline}"

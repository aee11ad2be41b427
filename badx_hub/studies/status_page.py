"""A study's progress as one page: no scripts, fonts, other files or network."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from badx_hub.errors import UsageError
from badx_hub.remedies import Advice
from badx_hub.storage import atomic_write_text
from badx_hub.studies.progress import StepProgress, StudyProgress
from badx_hub.templates import templates

_FIRST = ("at work", "stopped")


def write_page(progress: StudyProgress, path: Path, *, refresh: float | None = None) -> None:
    """Write the page; a browser loads it again every `refresh` seconds. Raises UsageError, StorageError."""
    if path.is_dir():
        raise UsageError(
            f"{path} is a folder, and the page is one file.", remedies=(Advice("Give {} a file.", (("out", None),)),)
        )
    atomic_write_text(path, to_html(progress, refresh=refresh))


def to_html(progress: StudyProgress, *, refresh: float | None = None) -> str:
    """The page as text."""
    return (
        templates("badx_hub.cards")
        .get_template("status.html.j2")
        .render(
            title=f"{progress.name} on {progress.base}",
            summary=progress.summary,
            at=f"{progress.at:%Y-%m-%d %H:%M:%S} UTC",
            share=round(100 * progress.done / len(progress.steps)),
            done=progress.done,
            steps=[_row(one) for one in sorted(progress.steps, key=lambda one: one.state not in _FIRST)],
            refresh=refresh,
        )
    )


def _row(one: StepProgress) -> dict[str, object]:
    owner = one.owner
    left = "" if one.estimate is None or one.state == "done" else "unknown"
    if one.seconds is not None and one.estimate is not None and one.state != "done":
        left = str(timedelta(seconds=round(one.seconds)))
    return {
        "name": one.status.step.name,
        "state": one.state,
        "steps": f"{one.step:,} / {one.estimate.steps:,}" if one.estimate else "",
        "share": round(100 * one.share),
        "is_training": one.estimate is not None,
        "speed": one.speed,
        "left": left,
        "who": f"process {owner.pid} on {owner.host} since {owner.since}" if owner else one.status.reason,
    }

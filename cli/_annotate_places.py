"""Where `annotate` writes: one place for each input, and none that would lose something."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from badx_hub.cli import _output
from badx_hub.errors import UsageError
from badx_hub.user_paths import user_path

_STDIN = Path("-")
_STDOUT = "-"


def inputs(files: Sequence[Path]) -> list[Path]:
    """The files; none is stdin, which is also called "-". Raises UsageError for stdin and files."""
    if _STDIN not in files:
        return [user_path(path) for path in files]
    if len(files) > 1:
        raise UsageError("- is stdin, which is annotated alone. Leave out - or the files.")
    return []


def outputs(paths: Sequence[Path], output: str | None, review: int | None) -> list[Path | None]:
    """Where each input goes; None is stdout, "-". Raises UsageError for what would lose one of them.

    A text that ends in "/" is a folder, whether it is there or not.
    """
    if output == "":
        raise UsageError("-o is empty. Name a file or a folder, or leave -o out to write to stdout.")
    place = None if output in (None, _STDOUT) else user_path(output)
    if review and place is None:
        raise UsageError("--review writes a file beside OUT: add -o OUT.")
    if place is None:
        if len(paths) > 1:
            raise UsageError("Several files need a folder for what is made of them: add -o FOLDER.")
        return [None]
    into_folder = place.is_dir() or len(paths) > 1 or str(output).endswith("/")
    made = _in_folder(paths, place) if into_folder else [_one(place)]
    if review:
        _check_reviews(paths, made)
    return list(made)


def review_place(out: Path) -> Path:
    """Beside `out`, and under its name, where the sentences to look at first go."""
    from badx_hub.annotation import output_name

    return out.with_name(f"{Path(output_name(out).removesuffix('.gz')).stem}.review.conllu")


def write_review(out: Path, text: str) -> None:
    """Write `review_place`, and say so."""
    from badx_hub.storage import atomic_write_text

    path = review_place(out)
    atomic_write_text(path, text)
    _output.note(f"wrote {path}" if text else f"wrote {path}, which is empty: no word was filled in")


def _one(place: Path) -> Path:
    if place.exists() and not place.is_file():
        raise UsageError(f"{place} is no regular file. To write to stdout, leave -o out.")
    return place


def _in_folder(paths: Sequence[Path], folder: Path) -> list[Path]:
    from badx_hub.annotation import output_name

    if not paths:
        raise UsageError(f"{folder} is a folder, and what comes from stdin has no name. Give -o a file.")
    if folder.exists() and not folder.is_dir():
        raise UsageError(
            f"{folder} is a file, and -o has to be a folder for several files or with a / at its end. Give -o another."
        )
    made = [folder / output_name(path) for path in paths]
    if twice := [path for path in made if made.count(path) > 1]:
        raise UsageError(f"Two of the files would both become {twice[0]}. Annotate them one after the other.")
    return made


def _check_reviews(paths: Sequence[Path], made: Sequence[Path]) -> None:
    kept = {path.resolve() for path in (*paths, *made)}
    for path in map(review_place, made):
        if path.resolve() in kept:
            raise UsageError(f"--review would write over {path}. Rename that file, or give -o another place.")

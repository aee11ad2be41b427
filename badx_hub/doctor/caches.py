"""Caches below the home folder whose files are not what they were: making them again gives the same bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from badx_hub.abandoned_files import look_at
from badx_hub.corpora.blocks import is_sound_span
from badx_hub.doctor.finding import Finding, FindingKind
from badx_hub.errors import BadxError
from badx_hub.registry import LocalRegistry
from badx_hub.storage import discard_folder, home, sha256_file

# Folders with a file that has the digests of the others; files of one JSON document.
_SEALED = ("bases", "converted")
_MEMORIES = ("cache/digests", "cache/encoders", "cache/precision", "cache/tokenizers", "bases")
_SEAL = "sha256.json"


def damaged() -> Iterator[Finding]:
    """Everything that is damaged; each file of a cache is read."""
    cache = home() / "cache"
    yield from _wrong(cache.glob("blocks/*/[0-9]*"), is_sound_span, "packed text")
    for name in _SEALED:
        yield from _wrong((cache / name).glob("[!.]*"), _is_sealed, "unpacked or converted base")
    for name in _MEMORIES:
        yield from _wrong((home() / name).glob("[!.]*.json"), _is_json, "remembered figures")
    for owner in hub_caches():
        yield from _wrong_versions(owner)


def hub_caches() -> list[LocalRegistry]:
    """What was downloaded from Hubs, a registry for each owner."""
    return [LocalRegistry(folder) for folder in sorted((home() / "cache" / "hub").glob("*/*")) if folder.is_dir()]


def _wrong(places: Iterator[Path], is_sound: Callable[[Path], bool], what: str) -> Iterator[Finding]:
    for place in sorted(places):
        if not is_sound(place) and place.exists():  # Otherwise another process has just removed it.
            yield _finding(place, f"{what}, made again when it is needed")


def _wrong_versions(registry: LocalRegistry) -> Iterator[Finding]:
    entries, problems = registry.contents()
    wrong = [entry.location for entry in entries if registry.verify(entry).faults]
    for place in (*wrong, *(one.location for one in problems)):
        yield _finding(Path(place), "download, fetched again when it is needed")


def _finding(place: Path, what: str) -> Finding:
    found = look_at(place)
    return Finding(FindingKind.CACHE, str(place), what, found.size, found.age, partial(_remove, place))


def _remove(place: Path) -> bool:
    if place.is_dir() and not place.is_symlink():
        return discard_folder(place)
    place.unlink(missing_ok=True)
    return True


def _is_sealed(folder: Path) -> bool:
    try:
        digests = json.loads((folder / _SEAL).read_text(encoding="utf-8"))
        return all(sha256_file(folder / name) == digest for name, digest in digests.items())
    except (OSError, ValueError, AttributeError, BadxError):
        return False


def _is_json(file: Path) -> bool:
    try:
        json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return True

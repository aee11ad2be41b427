"""The files of one commit on a Hub: what may be in them, downloading them within bounds, checking them there.

Listings are not trusted: names are ours to the letter, no file has more bytes than an adapter's can have, and all
but README.md, which people write in there, need the sha256 that badx.json names. No other file is ever downloaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from badx_hub.adapter_files import CARD_FILE, MANIFEST_FILE, PICKLE_SUFFIXES, SIGNATURE_FILE
from badx_hub.errors import HubError, IntegrityError
from badx_hub.hub.client import ListedFile
from badx_hub.hub.ref import HubRef
from badx_hub.manifest import MAX_MANIFEST_BYTES, Manifest
from badx_hub.registry.adapter_folder import check_content
from badx_hub.registry.cards import render_card
from badx_hub.registry.hub.reader import HubReader
from badx_hub.registry.protocol import Entry, FileCheck, FileState, version_of
from badx_hub.registry.size_limits import size_limit
from badx_hub.remedies import SearchHub
from badx_hub.signing import MAX_SIGNATURE_BYTES
from badx_hub.storage import scratch_folder, sha256_file

# Nobody's notes: files that a loader could take for this adapter's weights, or run.
_WEIGHT_LIKE = (*PICKLE_SUFFIXES, ".safetensors", ".h5", ".msgpack", ".onnx", ".gguf", ".npz", ".joblib", ".py")


def check_size(name: str, size: int, limit: int, repo: str) -> None:
    """Raises IntegrityError before anything is downloaded."""
    if not 0 <= size <= limit:
        raise IntegrityError(
            f"{name} of {repo} has {size:,} bytes and an adapter like this has at most {limit:,} there. "
            "Nothing was downloaded; tell its owner."
        )


def foreign_weights(names: list[str], manifest: Manifest | None) -> list[str]:
    """The files that could be taken for weights, or run, and are not named by `manifest`."""
    ours = set(manifest.files) if manifest else set()
    return sorted(name for name in names if name.lower().endswith(_WEIGHT_LIKE) and name not in ours)


def download_into(reader: HubReader, place: HubRef, entry: Entry, folder: Path) -> None:
    """All files of the entry, each checked. No other file is asked for, whatever the repository holds.

    Raises IntegrityError (a size or a digest is not as it should be), NotFoundError, HubError, StorageError.
    """
    listed = _listed(reader, place)
    if listed is not None:
        _check_listing(place, entry, listed)
    for name in sorted(entry.manifest.files):
        if name == CARD_FILE:
            _card_into(reader, place, entry, listed, folder)
        else:
            reader.client.download(place, name, folder / name, limit=size_limit(entry.manifest, name))
    (folder / MANIFEST_FILE).write_bytes(manifest_text(reader, place, entry).encode())
    if listed is not None and SIGNATURE_FILE in listed:
        reader.client.download(place, SIGNATURE_FILE, folder / SIGNATURE_FILE, limit=MAX_SIGNATURE_BYTES)
    check_content(folder, entry.manifest, Path(place.repo))


def manifest_text(reader: HubReader, place: HubRef, entry: Entry) -> str:
    """badx.json to the byte. Raises IntegrityError if it is not that of the entry's version."""
    text = reader.cache.manifest(place)
    if text is None:
        answer = reader.client.read(place, MANIFEST_FILE, limit=MAX_MANIFEST_BYTES)
        text = answer.content.decode("utf-8", "replace")
    if version_of(text, entry.manifest.created) != entry.version:
        raise IntegrityError(f"{place} does not hold version {entry.version}.", remedies=(SearchHub(),))
    return text


def check_files(reader: HubReader, place: HubRef, entry: Entry) -> tuple[FileCheck, ...]:
    """The state of each file at that commit, README.md left out, and "extra" for weights that are not ours."""
    listed = reader.client.files(place)
    checks = [FileCheck(MANIFEST_FILE, "ok" if MANIFEST_FILE in listed else "missing")]
    for name in sorted(entry.manifest.files):
        if name != CARD_FILE:
            checks.append(FileCheck(name, _state(reader, place, entry.manifest, listed.get(name), name)))
    strange = foreign_weights(list(listed), entry.manifest)
    return (*checks, *(FileCheck(name, "extra") for name in strange))


def _state(reader: HubReader, place: HubRef, manifest: Manifest, listed: ListedFile | None, name: str) -> FileState:
    if listed is None:
        return "missing"
    digest = manifest.files[name]
    if listed.sha256 == digest:
        return "ok"
    limit = size_limit(manifest, name)
    if listed.size > limit:
        return "changed"
    # Servers list the newest sha256 at every commit, or none: the bytes themselves decide.
    with scratch_folder() as folder:
        reader.client.download(place, name, folder / "file", limit=limit)
        return "ok" if sha256_file(folder / "file") == digest else "changed"


def _listed(reader: HubReader, place: HubRef) -> Mapping[str, ListedFile] | None:
    """None where the server lists no files: the bounds by kind of file hold all the same."""
    try:
        return reader.client.files(place)
    except HubError as error:
        if error.status in (405, 501):
            return None
        raise


def _check_listing(place: HubRef, entry: Entry, listed: Mapping[str, ListedFile]) -> None:
    for name in sorted(entry.manifest.files):
        if name == CARD_FILE:
            continue
        if (file := listed.get(name)) is None:
            raise IntegrityError(f"{place.repo} lacks {name}, which its {MANIFEST_FILE} names. Tell its owner.")
        check_size(name, file.size, size_limit(entry.manifest, name), place.repo)


def _card_into(
    reader: HubReader, place: HubRef, entry: Entry, listed: Mapping[str, ListedFile] | None, folder: Path
) -> None:
    """README.md as people have made it; a fresh one where it was deleted or is no readable size."""
    limit = size_limit(entry.manifest, CARD_FILE)
    file = None if listed is None else listed.get(CARD_FILE)
    if file is None or not 0 <= file.size <= limit:
        (folder / CARD_FILE).write_bytes(render_card(entry.manifest).encode())
        return
    reader.client.download(place, CARD_FILE, folder / CARD_FILE, limit=limit)

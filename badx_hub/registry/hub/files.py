"""The files of one commit on a Hub: downloading them within bounds, and checking them where they are."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from huggingface_hub.hf_api import RepoFile

from badx_hub.adapter_files import CARD_FILE, MANIFEST_FILE
from badx_hub.errors import HubError, IntegrityError
from badx_hub.hub.ref import HubRef
from badx_hub.manifest import MAX_MANIFEST_BYTES
from badx_hub.registry.cards import render_card
from badx_hub.registry.checks import check_content
from badx_hub.registry.hub.client import download, read_file
from badx_hub.registry.hub.reader import HubReader
from badx_hub.registry.hub.trust import check_size, foreign_weights, size_limit
from badx_hub.registry.protocol import Entry, FileCheck, FileState, version_of


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
            size = listed[name].size if listed is not None else size_limit(entry.manifest, name)
            download(reader.api, place.repo, name, place.at, folder / name, limit=size, retries=reader.retries)
    (folder / MANIFEST_FILE).write_bytes(manifest_text(reader, place, entry).encode())
    check_content(folder, entry.manifest, Path(place.repo))


def manifest_text(reader: HubReader, place: HubRef, entry: Entry) -> str:
    """badx.json to the byte. Raises IntegrityError if it is not that of the entry's version."""
    text = reader.cache.manifest(place)
    if text is None:
        answer = read_file(
            reader.api,
            place.repo,
            MANIFEST_FILE,
            place.at,
            limit=MAX_MANIFEST_BYTES,
            retries=reader.retries,
        )
        text = answer.content.decode("utf-8", "replace")
    if version_of(text, entry.manifest.created) != entry.version:
        raise IntegrityError(f"{place} does not hold version {entry.version}. Look for it anew: `badx-hub search`.")
    return text


def check_files(reader: HubReader, place: HubRef, entry: Entry) -> tuple[FileCheck, ...]:
    """The state of each file at that commit, README.md left out, and "extra" for weights that are not ours."""
    listed = reader.files(place.repo, place.at)
    checks = [FileCheck(MANIFEST_FILE, "ok" if MANIFEST_FILE in listed else "missing")]
    for name, digest in sorted(entry.manifest.files.items()):
        if name != CARD_FILE:
            checks.append(FileCheck(name, _state(reader, place, entry, listed.get(name), name, digest)))
    strange = foreign_weights(list(listed), entry.manifest)
    return (*checks, *(FileCheck(name, "extra") for name in strange))


def _state(
    reader: HubReader, place: HubRef, entry: Entry, listed: RepoFile | None, name: str, digest: str
) -> FileState:
    if listed is None:
        return "missing"
    if listed.lfs is not None and listed.lfs.sha256:
        return "ok" if listed.lfs.sha256 == digest else "changed"
    limit = size_limit(entry.manifest, name)
    if listed.size > limit:
        return "changed"
    answer = read_file(reader.api, place.repo, name, place.at, limit=limit, retries=reader.retries)
    return "ok" if sha256(answer.content).hexdigest() == digest else "changed"


def _listed(reader: HubReader, place: HubRef) -> Mapping[str, RepoFile] | None:
    """None where the server lists no files: the bounds by kind of file hold all the same."""
    try:
        return reader.files(place.repo, place.at)
    except HubError as error:
        if error.status in (405, 501):
            return None
        raise


def _check_listing(place: HubRef, entry: Entry, listed: Mapping[str, RepoFile]) -> None:
    for name, digest in sorted(entry.manifest.files.items()):
        if name == CARD_FILE:
            continue
        if (file := listed.get(name)) is None:
            raise IntegrityError(f"{place.repo} lacks {name}, which its {MANIFEST_FILE} names. Tell its owner.")
        check_size(name, file.size, size_limit(entry.manifest, name), place.repo)
        if file.lfs is not None and file.lfs.sha256 and file.lfs.sha256 != digest:
            raise IntegrityError(
                f"{name} of {place.repo} is not the file that its {MANIFEST_FILE} describes (its sha256 differs). "
                "Nothing was downloaded; tell its owner."
            )


def _card_into(
    reader: HubReader, place: HubRef, entry: Entry, listed: Mapping[str, RepoFile] | None, folder: Path
) -> None:
    """README.md as people have made it; a fresh one where it was deleted or is no readable size."""
    limit = size_limit(entry.manifest, CARD_FILE)
    file = None if listed is None else listed.get(CARD_FILE)
    if file is None or not 0 <= file.size <= limit:
        (folder / CARD_FILE).write_bytes(render_card(entry.manifest).encode())
        return
    download(reader.api, place.repo, CARD_FILE, place.at, folder / CARD_FILE, limit=limit, retries=reader.retries)

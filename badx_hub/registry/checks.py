"""A folder of files against the manifest that describes it: nothing missing, changed, foreign or executable."""

from __future__ import annotations

import errno
from contextlib import suppress
from pathlib import Path

from badx_hub.adapter_files import CARD_FILE, MANIFEST_FILE, PICKLE_SUFFIXES, is_allowed_file
from badx_hub.errors import DataError, IntegrityError, NotFoundError, StorageError
from badx_hub.manifest import Manifest, read_manifest_text
from badx_hub.registry.protocol import Entry, FileCheck, FileState, version_of
from badx_hub.storage import sha256_file


def check_names(folder: Path, manifest: Manifest) -> None:
    """The folder has the files of the manifest and no others. Raises IntegrityError (pickles with the reason)."""
    for path in sorted(folder.iterdir()):
        if path.name in manifest.files or path.name == MANIFEST_FILE:
            continue
        if path.suffix.lower() in PICKLE_SUFFIXES:
            raise IntegrityError(
                f"{path} is a pickle, which can run code when it is loaded. "
                "Save the weights with `use_safetensors=True` and leave it out."
            )
        reason = "is not in badx.json" if is_allowed_file(path.name) else "is no file an adapter may have"
        raise IntegrityError(f"{path} {reason}. Take it out or prepare the folder again.")
    if missing := [name for name in manifest.files if not (folder / name).is_file()]:
        raise IntegrityError(f"{folder} lacks {', '.join(missing)}, which badx.json names. Get the adapter anew.")


def check_content(folder: Path, manifest: Manifest, shown: Path) -> None:
    """Every file is what the manifest says (README.md may have been edited), and weights are safetensors.

    `shown` stands for the folder in the errors. Raises IntegrityError.
    """
    for name, digest in manifest.files.items():
        if name != CARD_FILE and sha256_file(folder / name) != digest:
            raise IntegrityError(
                f"{shown / name} is not the file that badx.json describes (its sha256 differs). "
                "Prepare the folder again or get the adapter anew."
            )
    _check_safetensors(folder, manifest)


def _check_safetensors(folder: Path, manifest: Manifest) -> None:
    from safetensors import SafetensorError, safe_open

    for name in manifest.files:
        if name.endswith(".safetensors"):
            try:
                with safe_open(folder / name, framework="np"):
                    pass
            except SafetensorError as error:
                raise IntegrityError(
                    f"{name} is not in the safetensors format ({error}). Save it with `use_safetensors=True`."
                ) from error


def _state(path: Path, digest: str) -> FileState:
    if not path.is_file():
        return "missing"
    try:
        found = sha256_file(path)
    except StorageError as error:
        if error.errno == errno.ENOENT:  # removed by another process in this very moment
            return "missing"
        raise
    if found == digest:
        return "ok"
    return "edited" if path.name == CARD_FILE else "changed"


def check_folder(folder: Path, entry: Entry) -> tuple[FileCheck, ...]:
    """The state of badx.json, of every file it names and of every other file there."""
    try:
        text = read_manifest_text(folder)
        unchanged = version_of(text, entry.manifest.created) == entry.version
        checks = [FileCheck(MANIFEST_FILE, "ok" if unchanged else "changed")]
    except NotFoundError:
        checks = [FileCheck(MANIFEST_FILE, "missing")]
    except DataError:
        checks = [FileCheck(MANIFEST_FILE, "changed")]
    for name, digest in sorted(entry.manifest.files.items()):
        checks.append(FileCheck(name, _state(folder / name, digest)))
    known = {MANIFEST_FILE, *entry.manifest.files}
    with suppress(FileNotFoundError):
        extra = sorted(path.name for path in folder.iterdir() if path.name not in known)
        checks += [FileCheck(name, "extra") for name in extra]
    return tuple(checks)

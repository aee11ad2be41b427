"""The folder of one adapter: made ready for a registry, and checked against its manifest."""

from __future__ import annotations

import errno
from contextlib import suppress
from pathlib import Path

from badx_hub.adapter_files import (
    CARD_FILE,
    MANIFEST_FILE,
    PICKLE_SUFFIXES,
    SIGNATURE_FILE,
    VOCABULARY_FILE,
    VOCABULARY_WEIGHTS_FILE,
    is_allowed_file,
    needed_files,
)
from badx_hub.errors import DataError, IntegrityError, NotFoundError, StorageError
from badx_hub.manifest import Manifest, ManifestDraft, read_manifest_text
from badx_hub.registry.protocol import Entry, FileCheck, FileState, version_of
from badx_hub.registry.size_limits import size_limit
from badx_hub.signing import MAX_SIGNATURE_BYTES, signer_of
from badx_hub.storage import atomic_write_bytes, atomic_write_text, sha256_file
from badx_hub.tensor_files import check_finite, check_floats
from badx_hub.untrusted_files import IrregularFile, is_plain, read_plain, sha256_plain


def prepare(folder: Path, draft: ManifestDraft) -> Manifest:
    """Hashes the files in `folder`, renders README.md, writes badx.json last, and returns it.

    Raises IntegrityError (weights missing, or a file that no adapter may have), StorageError (writing failed).
    """
    from badx_hub.registry.cards import render_card  # Templates are slow to import, and reading needs none.

    ours = (MANIFEST_FILE, CARD_FILE)
    names = sorted(path.name for path in folder.iterdir() if path.name not in ours)
    for name in names:
        if not is_allowed_file(name):
            raise IntegrityError(
                f"{folder / name} is no file an adapter may have. Take it out; weights are saved as safetensors "
                "(`use_safetensors=True`)."
            )
    if missing := [name for name in needed_files(draft.adapter_name.kind) if name not in names]:
        raise IntegrityError(f"{folder} lacks {', '.join(missing)}. Save the adapter (and its head) there first.")
    files = {name: sha256_file(folder / name) for name in names}
    card = render_card(Manifest.of(draft, files))
    atomic_write_text(folder / CARD_FILE, card)
    manifest = Manifest.of(draft, {**files, CARD_FILE: sha256_file(folder / CARD_FILE)})
    atomic_write_text(folder / MANIFEST_FILE, manifest.to_json())
    return manifest


def check_names(folder: Path, manifest: Manifest) -> None:
    """Raises IntegrityError if the folder lacks a file of the manifest or has another one; a pickle is told apart."""
    for path in sorted(folder.iterdir()):
        if path.name in manifest.files or path.name in (MANIFEST_FILE, SIGNATURE_FILE):
            if not is_plain(path):
                raise IntegrityError(f"{path} is no plain file. Take it out and get the adapter again.")
            continue
        if path.suffix.lower() in PICKLE_SUFFIXES:
            raise IntegrityError(
                f"{path} is a pickle, which can run code when it is loaded. "
                "Save the weights with `use_safetensors=True` and leave it out."
            )
        reason = "is not in badx.json" if is_allowed_file(path.name) else "is no file an adapter may have"
        raise IntegrityError(f"{path} {reason}. Take it out or prepare the folder again.")
    if missing := [name for name in manifest.files if not is_plain(folder / name)]:
        raise IntegrityError(f"{folder} lacks {', '.join(missing)}, which badx.json names. Get the adapter again.")
    if CARD_FILE in manifest.files and _state(folder / CARD_FILE, manifest, None) == "irregular":
        raise IntegrityError(
            f"{folder / CARD_FILE} is too large, or another name of a file elsewhere. Write a card in its place."
        )


def check_content(folder: Path, manifest: Manifest, shown: Path) -> None:
    """Raises IntegrityError if a file is not what the manifest says.

    Weights have to be safetensors with finite numbers. README.md may have been edited. `shown` is the folder that
    errors name. IrregularFile is an IntegrityError.
    """
    for name, digest in manifest.files.items():
        found = sha256_plain(folder / name, limit=size_limit(manifest, name))
        if name != CARD_FILE and found != digest:
            raise IntegrityError(
                f"{shown / name} is not the file that badx.json describes (its sha256 differs). "
                "Prepare the folder again or get the adapter again."
            )
    _check_weights(folder, manifest)


def _check_weights(folder: Path, manifest: Manifest) -> None:
    """Raises IntegrityError (weights that are not safetensors, no floats, or not finite), DataError (no sub-words)."""
    if VOCABULARY_FILE in manifest.files:
        from badx_hub.corpora.subword_list import SubWords, check_rows  # only few adapters have any

        check_rows(folder / VOCABULARY_WEIGHTS_FILE, SubWords.read(folder / VOCABULARY_FILE))
    for name, digest in manifest.files.items():
        if name.endswith(".safetensors"):
            check_floats(folder / name)
            check_finite(folder / name, digest=digest)


def check_folder(folder: Path, entry: Entry, *, below: Path | None = None) -> tuple[FileCheck, ...]:
    """The state of badx.json, of every file it names and of every other file there.

    `below`: the registry's root, if it is in one; nothing between the two may be a link.
    """
    checks = [FileCheck(MANIFEST_FILE, _manifest_state(folder, entry, below))]
    for name in sorted(entry.manifest.files):
        checks.append(FileCheck(name, _state(folder / name, entry.manifest, below)))
    known = {MANIFEST_FILE, *entry.manifest.files}
    with suppress(FileNotFoundError):
        extra = sorted(path for path in folder.iterdir() if path.name not in known)
        checks += [FileCheck(path.name, _state_beside(path)) for path in extra]
    return tuple(checks)


def _state_beside(path: Path) -> FileState:
    """Of what badx.json does not name: a signature may be there."""
    if path.name != SIGNATURE_FILE:
        return "extra"
    return "ok" if is_plain(path) else "irregular"


def copy_signature(source: Path, target: Path) -> None:
    """The signature beside badx.json in `source`, if it has one, into `target`. Raises IrregularFile, StorageError."""
    if (content := signature_in(source)) is not None:
        atomic_write_bytes(target / SIGNATURE_FILE, content)


def signature_in(folder: Path) -> bytes | None:
    """The signature in the folder of a version; None where it has none. Raises IrregularFile."""
    path = folder / SIGNATURE_FILE
    if not path.is_symlink() and not path.exists():
        return None
    return read_plain(path, limit=MAX_SIGNATURE_BYTES)


def signed_by(folder: Path, allowed: Path, name: str) -> str:
    """Who, of the file of allowed signers, signed the version in `folder`.

    Raises IntegrityError (no signature, or not one of theirs), NotFoundError (no such file, no `ssh-keygen`).
    """
    signature = signature_in(folder)
    if signature is None:
        raise IntegrityError(f"{name} is not signed. Ask its publisher to sign it, or do not ask for a signature.")
    return signer_of(read_manifest_text(folder).encode(), signature, allowed, name)


def _manifest_state(folder: Path, entry: Entry, below: Path | None) -> FileState:
    try:
        text = read_manifest_text(folder, below=below)
    except NotFoundError:
        return "missing"
    except IrregularFile:
        return "irregular"
    except DataError:
        return "changed"
    return "ok" if version_of(text, entry.manifest.created) == entry.version else "changed"


def _state(path: Path, manifest: Manifest, below: Path | None) -> FileState:
    try:
        found = sha256_plain(path, below=below, limit=size_limit(manifest, path.name))
    except IrregularFile:
        return "irregular"
    except StorageError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return "missing"
        raise
    if found == manifest.files[path.name]:
        return "ok"
    if path.name != CARD_FILE:
        return "changed"
    # People edit cards. But another name of a file elsewhere may be a card that nobody wrote as one.
    return "irregular" if path.lstat().st_nlink > 1 else "edited"

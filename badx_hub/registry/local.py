"""A registry in a folder: <root>/<repo name>/<version>/, each version written once and never changed.

A version appears when a finished folder is renamed, and it goes when it is renamed into the staging folder. So readers
only see whole versions, whatever other processes do and wherever they are killed.
"""

from __future__ import annotations

import difflib
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from badx_hub.adapter_files import MANIFEST_FILE, SIGNATURE_FILE
from badx_hub.arguments import checked
from badx_hub.errors import BadxError, DataError, IntegrityError, NotFoundError, UsageError
from badx_hub.manifest import LanguageAdapterRef, Manifest, read_manifest_text
from badx_hub.names import AdapterName
from badx_hub.registry.adapter_folder import check_content, check_folder, check_names, copy_signature
from badx_hub.registry.protocol import Contents, Entry, FileCheck, Problem, VerificationReport, version_of
from badx_hub.registry.query import AdapterQuery
from badx_hub.registry.size_limits import size_limit
from badx_hub.remedies import Advice, ListAdapters, RemoveAdapter
from badx_hub.signing import sign
from badx_hub.storage import atomic_folder, atomic_write_bytes, discard_folder, storage_errors
from badx_hub.untrusted_files import IrregularFile, copy_plain, refuse_linked_folder

_VERSION = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{12}")


class LocalRegistry:
    """The registry in the folder `root` (made by the first publish). `read_only` refuses every change."""

    def __init__(self, root: Path, *, read_only: bool = False) -> None:
        self.root = root
        self.read_only = read_only

    @property
    def location(self) -> str:
        """The folder."""
        return str(self.root)

    def list(self) -> tuple[Entry, ...]:
        """Every readable entry, sorted by name, then oldest version first."""
        return self.contents().entries

    def problems(self) -> tuple[Problem, ...]:
        """The version folders whose badx.json is missing, malformed, too new or changed."""
        return self.contents().problems

    def contents(self) -> Contents:
        """Every readable entry and every problem, sorted as `list` and `problems` say."""
        found = list(self._scan())
        entries = (one for one in found if isinstance(one, Entry))
        problems = (one for one in found if isinstance(one, Problem))
        return Contents(
            tuple(sorted(entries, key=lambda entry: (entry.manifest.name, entry.version))),
            tuple(sorted(problems, key=lambda problem: problem.location)),
        )

    @checked()
    def get(self, name: AdapterName | str, version: str | None = None) -> Entry:
        """The given or newest version of `name`.

        Raises NotFoundError with the nearest names, and DataError or IntegrityError if badx.json of that version cannot
        be trusted: an older version is never taken in its place.
        """
        name = AdapterName.parse(name) if isinstance(name, str) else name
        refuse_linked_folder(self.root / name.repo_name, self.root)
        versions = self._versions(name)
        if not versions:
            raise self._no_such(name)
        if version is not None and version not in versions:
            raise NotFoundError(f"{name} has no version {version} in {self.root}. It has {', '.join(versions)}.")
        return self._read(self.root / name.repo_name / (version or versions[-1]))

    def candidates(self, query: AdapterQuery) -> tuple[Entry, ...]:
        """All entries, as reading them is quick."""
        return self.list()

    def by_digest(self, digest: str, near: str | None = None) -> tuple[Entry, ...]:
        """The entries whose weights have this digest, oldest first, whatever their names."""
        entries = (entry for entry in self.list() if entry.manifest.digest == digest)
        return tuple(sorted(entries, key=lambda entry: entry.version))

    def require_writable(self) -> None:
        """Makes the folder. Raises UsageError (read-only) or StorageError (it cannot be made or written to)."""
        self._refuse_if_read_only()
        with storage_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root):
                pass

    @property
    def mends(self) -> bool:
        """What is damaged has to be removed first."""
        return False

    def require_publishable(self, names: Sequence[AdapterName]) -> None:
        """Raises UsageError if it is read-only."""
        self._refuse_if_read_only()

    def publish(self, folder: Path) -> Entry:
        """Copies a prepared folder in, re-hashing the copy, and makes it visible by one rename.

        The same badx.json twice is one version. Raises IntegrityError (a file outside the allow-list, a
        pickle, a changed or missing file), StorageError (disk full, no permission), UsageError (read-only).
        """
        self._refuse_if_read_only()
        text = read_manifest_text(folder)
        manifest = Manifest.from_json(text, str(folder / MANIFEST_FILE))
        check_names(folder, manifest)
        final = self.root / manifest.adapter_name.repo_name / version_of(text, manifest.created)
        refuse_linked_folder(final.parent, self.root)
        if (present := self._already(final)) is not None:
            copy_signature(folder, final)
            return present
        with atomic_folder(final) as staged:
            (staged / MANIFEST_FILE).write_bytes(text.encode())
            for name in manifest.files:
                copy_plain(folder / name, staged / name, limit=size_limit(manifest, name))
            copy_signature(folder, staged)
            check_content(staged, manifest, folder)
        return Entry(manifest, final.name, str(final))

    def sign(self, entry: Entry, key: Path) -> None:
        """Puts a signature of the entry's badx.json beside it (`badx_hub.signing`), in place of one that is there.

        Raises UsageError (read-only, a key that cannot be used), NotFoundError (no key, no such version).
        """
        self._refuse_if_read_only()
        folder = self.fetch(entry)
        atomic_write_bytes(folder / SIGNATURE_FILE, sign(read_manifest_text(folder).encode(), key))

    @checked()
    def remove(self, entry: Entry | Problem, *, force: bool = False) -> None:
        """Removes one version, or one folder that cannot be read.

        Raises UsageError if a task adapter here was trained on it and `force` is not set, and NotFoundError if it was
        removed already.
        """
        self._refuse_if_read_only()
        if not force:
            self.refuse_removal([entry])
        folder = self._folder(entry) if isinstance(entry, Entry) else self._inside(Path(entry.location))
        if not discard_folder(folder):
            raise NotFoundError(f"{folder} has been removed already.", remedies=(ListAdapters(),))

    def refuse_removal(self, going: Sequence[Entry | Problem]) -> None:
        """Raises UsageError if the registry is read-only, or if what stays here was trained on any of `going`."""
        self._refuse_if_read_only()
        entries = self.list()
        gone = {one.location for one in going}
        kept = {one.manifest.digest for one in entries if one.location not in gone}
        for entry in going:
            if isinstance(entry, Entry) and entry.manifest.digest not in kept:
                _refuse_if_in_use(entry, entries)

    def fetch(self, entry: Entry) -> Path:
        """The entry's own folder. Raises NotFoundError if it was removed, IrregularFile if it became a link."""
        folder = self._folder(entry)
        refuse_linked_folder(folder, self.root)
        if not folder.is_dir():
            raise NotFoundError(f"{entry.name} {entry.version} is not in {self.root}.", remedies=(ListAdapters(),))
        return folder

    @checked()
    def verify(self, entry: Entry) -> VerificationReport:
        """Re-hashes every file, badx.json included. Raises NotFoundError if the entry was removed."""
        folder = self.fetch(entry)
        missing = tuple(ref for ref in entry.manifest.language_adapters if not self._has(ref))
        checks = check_folder(folder, entry, below=self.root)
        self.fetch(entry)  # If it was removed meanwhile, there is no report, not one of missing files.
        return VerificationReport(entry, checks, missing)

    def _scan(self) -> Iterator[Entry | Problem]:
        for repo in _folders(self.root):
            if repo.is_symlink():
                if _name_of(repo) is not None:
                    yield Problem(_name_of(repo), "", str(repo), _linked(repo))
                continue
            for folder in _folders(repo):
                if not _VERSION.fullmatch(folder.name):
                    continue
                try:
                    yield self._read(folder)
                except BadxError as error:
                    if os.path.lexists(folder):  # Otherwise another process has just removed it.
                        yield Problem(_name_of(repo), folder.name, str(folder), error)

    def _read(self, folder: Path) -> Entry:
        text = read_manifest_text(folder, below=self.root)
        manifest = Manifest.from_json(text, str(folder / MANIFEST_FILE))
        place = (manifest.adapter_name.repo_name, version_of(text, manifest.created))
        if place != (folder.parent.name, folder.name):
            raise IntegrityError(
                f"{folder / MANIFEST_FILE} was changed after it was published or moved to another folder. "
                "Remove that folder and get the adapter again."
            )
        return Entry(manifest, folder.name, str(folder))

    def _versions(self, name: AdapterName) -> tuple[str, ...]:
        repo = self.root / name.repo_name
        folders = [] if repo.is_symlink() else _folders(repo)
        return tuple(sorted(folder.name for folder in folders if _VERSION.fullmatch(folder.name)))

    def _folder(self, entry: Entry) -> Path:
        if not _VERSION.fullmatch(entry.version):
            raise NotFoundError(f"{entry.version!r} is no version of this registry.", remedies=(ListAdapters(),))
        return self.root / entry.name.repo_name / entry.version

    def _inside(self, folder: Path) -> Path:
        if folder.parent.parent != self.root or not _VERSION.fullmatch(folder.name) or folder.parent.is_symlink():
            raise UsageError(f"{folder} is not a version in the registry {self.root}. Delete it by hand.")
        return folder

    def _already(self, folder: Path) -> Entry | None:
        try:
            entry = self._read(folder)
            fault = next(iter(VerificationReport(entry, check_folder(folder, entry, below=self.root)).faults), None)
        except NotFoundError:
            entry, fault = None, FileCheck(MANIFEST_FILE, "missing")
        if not folder.is_dir():  # It was never there, or was removed during the check.
            return None
        if fault is not None:
            raise IntegrityError(
                f"{folder} is there already and damaged ({fault.name}: {fault.state}).",
                remedies=(RemoveAdapter(str(_name_of(folder.parent)), renew=True),),
            )
        return entry

    def _has(self, language_adapter: LanguageAdapterRef) -> bool:
        named = AdapterName.parse(language_adapter.name)
        near = (self.root / named.repo_name / version for version in self._versions(named))
        # Looking under the name first saves a scan of the whole registry; the digest decides.
        return any(self._digest(folder) == language_adapter.digest for folder in near) or bool(
            self.by_digest(language_adapter.digest)
        )

    def _digest(self, folder: Path) -> str | None:
        try:
            return Manifest.read(folder, below=self.root).digest
        except (DataError, IntegrityError, NotFoundError):
            return None

    def _no_such(self, name: AdapterName) -> NotFoundError:
        if not (known := [str(other) for repo in _folders(self.root) if (other := _name_of(repo))]):
            return NotFoundError(f"{name} is not in {self.root}, which holds no adapters. Train it or pull it first.")
        nearest = difflib.get_close_matches(str(name), known, n=3, cutoff=0.4)
        hint = f" Nearest: {', '.join(nearest)}." if nearest else ""
        return NotFoundError(f"{name} is not in {self.root}.{hint}", remedies=(ListAdapters(),))

    def _refuse_if_read_only(self) -> None:
        if self.read_only:
            raise UsageError(
                f"The registry {self.root} is read-only.",
                remedies=(Advice("Name another with `{}`.", (("registry", "DIR"),)),),
            )


def _refuse_if_in_use(entry: Entry, entries: Sequence[Entry]) -> None:
    digest = entry.manifest.digest
    standing = [e for e in entries if any(ref.digest == digest for ref in e.manifest.language_adapters)]
    if standing:
        names = ", ".join(dict.fromkeys(str(task.name) for task in standing[:3]))
        raise UsageError(
            f"Task adapters here were trained on {entry.name} ({len(standing)}: {names}).",
            remedies=(Advice("Remove these first, or add `{}`.", (("force", True),)),),
        )


def _folders(parent: Path) -> list[Path]:
    """The folders in `parent`, and links, which are reported and not followed."""
    with storage_errors(parent):
        try:
            with os.scandir(parent) as found:
                return [
                    parent / entry.name for entry in found if entry.is_symlink() or entry.is_dir(follow_symlinks=False)
                ]
        except (FileNotFoundError, NotADirectoryError):
            return []


def _linked(repo: Path) -> IrregularFile:
    return IrregularFile(f"{repo} is a link.", remedies=(Advice("Delete it; nothing is read through links."),))


def _name_of(repo: Path) -> AdapterName | None:
    try:
        return AdapterName.from_repo_name(repo.name)
    except UsageError:
        return None

"""Models in huggingface_hub's own cache, in its layout: what other programs downloaded is found, and the reverse.

`blobs/ETAG` holds a file's content, `snapshots/COMMIT/NAME` is a link to it, `refs/REVISION` holds a commit. A file
that is still coming is `blobs/ETAG.incomplete`, from which both programs go on. The library's own download takes as
many bytes as come, of whatever commit is the newest by then; this one takes those that were listed at one commit.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import constants, scan_cache_dir
from huggingface_hub.errors import CacheNotFound

from badx_hub.base_spec import HubBase
from badx_hub.errors import IntegrityError, UsageError
from badx_hub.hub.client import HubClient, ListedFile
from badx_hub.hub.ref import is_commit
from badx_hub.process_locks import exclusive
from badx_hub.storage import atomic_write_text, sha256_file, storage_errors

_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REPO = re.compile(r"[A-Za-z0-9][\w.-]*(?:/[\w.-]+)?", re.ASCII)
_REVISION = re.compile(r"[^\s\\:~^?*\[\x00-\x1f]+")
_LONGEST_WAIT = 24 * 3600.0  # for another process that downloads the same file
_CHUNK = 1 << 20


@dataclass(frozen=True)
class CachedModel:
    """A model of a Hub in the cache. Raises UsageError for what is no name of a model or of a revision."""

    base: HubBase

    def __post_init__(self) -> None:
        parts = (self.base.revision or "x").split("/")
        if any(part.startswith(".") or not _REVISION.fullmatch(part) for part in parts):
            raise UsageError(f"{str(self.base)!r} names no revision: give a branch, a tag or a commit behind the @.")
        if not _REPO.fullmatch(self.base.repo) or ".." in self.base.repo:
            raise UsageError(f"{self.base.repo!r} is not the name of a model on a Hub: it is like ORG/NAME.")

    @property
    def commit(self) -> str | None:
        """The commit that the revision is known to be at; None if it was never asked for."""
        if is_commit(self.base.at):
            return self.base.at
        with suppress(OSError, ValueError):
            found = (self._folder / "refs" / self.base.at).read_text(encoding="ascii").strip()
            return found if is_commit(found) else None
        return None

    def snapshot(self, commit: str) -> Path:
        """The folder of the files of a commit; it need not be there."""
        return self._folder / "snapshots" / commit

    def remember(self, commit: str) -> None:
        """Note that the revision is at this commit."""
        if self.base.at != commit:
            path = self._folder / "refs" / self.base.at
            with storage_errors(path):
                if self.commit != commit:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    atomic_write_text(path, commit)

    def download(self, client: HubClient, commit: str, files: Mapping[str, ListedFile]) -> Path:
        """The folder with these files of a commit, each downloaded unless it is there.

        Never more bytes than were listed: raises IntegrityError for a file with more or other content.
        """
        for name, listed in files.items():
            target = self.snapshot(commit) / name
            if not target.exists():
                self._download(client, HubBase(self.base.repo, commit), name, listed)
        return self.snapshot(commit)

    def _download(self, client: HubClient, place: HubBase, name: str, listed: ListedFile) -> None:
        wanted = listed.sha256 or listed.blob
        if wanted is None or not _DIGEST.fullmatch(wanted):
            raise IntegrityError(f"{place.repo}: the Hub does not say what {name} contains. Check HF_ENDPOINT.")
        blob = self._folder / "blobs" / wanted
        with exclusive(self._locks / f"{wanted}.lock", wait=_LONGEST_WAIT), storage_errors(blob):
            blob.parent.mkdir(parents=True, exist_ok=True)
            if not blob.exists():
                _complete(client, place, name, listed, blob)
            _link(blob, self.snapshot(place.at) / name)

    @property
    def _folder(self) -> Path:
        return _cache() / self._name

    @property
    def _locks(self) -> Path:
        return _cache() / ".locks" / self._name

    @property
    def _name(self) -> str:
        return "models--" + self.base.repo.replace("/", "--")


def _cache() -> Path:
    return Path(constants.HF_HUB_CACHE)


def _complete(client: HubClient, place: HubBase, name: str, listed: ListedFile, blob: Path) -> None:
    """Download what is missing of a file, and give it its name."""
    coming = blob.with_name(f"{blob.name}.incomplete")
    have = coming.stat().st_size if coming.exists() else 0
    if have > listed.size:
        coming.unlink()
    try:
        if have != listed.size or not coming.exists():
            client.download(place, name, coming, limit=listed.size)
        found = sha256_file(coming) if listed.sha256 else _git_blob(coming)
        if (coming.stat().st_size, found) != (listed.size, blob.name):
            raise IntegrityError(
                f"{name} of {place.repo} is not what the Hub lists (its content differs). Nothing of it was kept."
            )
    except IntegrityError:
        coming.unlink(missing_ok=True)
        raise
    coming.replace(blob)


def _git_blob(path: Path) -> str:
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _link(blob: Path, target: Path) -> None:
    """A link as huggingface_hub makes it; a copy where the system has no links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink():
        target.unlink()
    try:
        target.symlink_to(os.path.relpath(blob, target.parent))
    except FileExistsError:
        return
    except OSError:
        shutil.copyfile(blob, target)


def cached_models() -> tuple[str, ...]:
    """The models of which the cache has something, sorted."""
    try:
        return tuple(sorted(repo.repo_id for repo in scan_cache_dir().repos if repo.repo_type == "model"))
    except CacheNotFound:
        return ()

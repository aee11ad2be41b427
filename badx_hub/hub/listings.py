"""What the items of a Hub's listings come to, whatever is in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from badx_hub.hub.ref import is_commit

_GIT_BLOB = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class ListedRepo:
    """A repository in a listing, as the server describes it: its newest commit `sha`, and the tags of its card."""

    repo: str
    sha: str | None
    tags: tuple[str, ...]


@dataclass(frozen=True)
class ListedFile:
    """A file in a listing: `size` in bytes, and the server's own `sha256` for those in LFS.

    `blob`: git's name for the content of one that is not in LFS, "sha1 of 'blob SIZE\\0' and content".
    """

    size: int
    sha256: str | None = None
    blob: str | None = None


def commit_in(sha: object) -> str | None:
    """The id of a commit, if it is one."""
    return sha if isinstance(sha, str) and is_commit(sha) else None


def tags_in(tags: object) -> tuple[str, ...]:
    """Those of a list that are texts."""
    return tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else ()


def file_in(item: Mapping[str, object]) -> ListedFile:
    """A file of a tree. A size that is no number is none that a file can have."""
    size, lfs = item.get("size"), item.get("lfs")
    digest = lfs.get("oid") if isinstance(lfs, dict) else None
    blob = item.get("oid")
    return ListedFile(
        size if type(size) is int else -1,
        digest if isinstance(digest, str) and digest else None,
        blob if lfs is None and isinstance(blob, str) and _GIT_BLOB.fullmatch(blob) else None,
    )

"""Content-addressed bytes: every file and every LFS object is stored once, under its sha256."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Blob:
    """One version of one file: `oid` is git's id of what git would hold, the pointer for an LFS file."""

    sha256: str
    size: int
    oid: str
    lfs: bool

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.oid

    @property
    def pointer_size(self) -> int:
        return len(_pointer(self.sha256, self.size))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def lfs_blob(sha256: str, size: int) -> Blob:
    return Blob(sha256=sha256, size=size, oid=git_oid(_pointer(sha256, size)), lfs=True)


def _pointer(sha256: str, size: int) -> bytes:
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


class Objects:
    """The folder of contents; an object is either whole and right or not there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, sha256: str) -> Path:
        return self.folder / sha256

    def has(self, sha256: str) -> bool:
        return self.path(sha256).is_file()

    def read(self, blob: Blob) -> bytes:
        return self.path(blob.sha256).read_bytes()

    def add(self, content: bytes, *, lfs: bool) -> Blob:
        sha256 = hashlib.sha256(content).hexdigest()
        if not self.has(sha256):
            partial = self._partial()
            partial.write_bytes(content)
            partial.replace(self.path(sha256))
        if lfs:
            return lfs_blob(sha256, len(content))
        return Blob(sha256=sha256, size=len(content), oid=git_oid(content), lfs=False)

    async def receive(self, chunks: AsyncIterator[bytes], sha256: str) -> bool:
        """Store a stream under its digest; whether the bytes were those promised. A cut stream leaves nothing."""
        digest = hashlib.sha256()
        partial = self._partial()
        try:
            with partial.open("wb") as file:
                async for chunk in chunks:
                    digest.update(chunk)
                    file.write(chunk)
            if digest.hexdigest() != sha256:
                return False
            partial.replace(self.path(sha256))
            return True
        finally:
            partial.unlink(missing_ok=True)

    def _partial(self) -> Path:
        return self.folder / f".{uuid.uuid4().hex}"

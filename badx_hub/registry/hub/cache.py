"""What was read from a Hub before: manifests by commit, and whole adapters, which work without the network.

<root>/<owner>/ is a local registry (so each adapter appears by one rename, complete and checked), and
<root>/<owner>/.manifests/<repo name>/<commit>.json remembers badx.json texts: commits never change. All of it
may be deleted at any time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from badx_hub.errors import BadxError, StorageError
from badx_hub.hub.ref import HubRef, is_commit, split_repo
from badx_hub.manifest import MAX_MANIFEST_BYTES, Manifest
from badx_hub.registry.local import LocalRegistry
from badx_hub.registry.protocol import Entry, version_of
from badx_hub.storage import atomic_write_text, home

_MANIFESTS = ".manifests"


@dataclass(frozen=True)
class HubCache:
    """The cache of one Hub in the folder `root`."""

    root: Path

    @classmethod
    def of(cls, endpoint: str) -> HubCache:
        """The cache for that endpoint below `home()`; two Hubs share nothing."""
        host = re.sub(r"[^a-z0-9]+", "-", endpoint.lower().partition("://")[2]).strip("-")[:40]
        return cls(home() / "cache" / "hub" / f"{host}-{sha256(endpoint.encode()).hexdigest()[:8]}")

    def adapters(self, owner: str) -> LocalRegistry:
        """The adapters of that owner whose files are here."""
        return LocalRegistry(self.root / owner)

    def entries(self, owner: str | None) -> Iterator[Entry]:
        """The adapters that are here whole, of one owner or of all, where they are on the Hub."""
        for name in [owner] if owner else self._owners():
            for entry in self.adapters(name).list():
                if (commit := self._commit_of(name, entry)) is not None:
                    yield Entry(entry.manifest, entry.version, str(HubRef(name, entry.name.repo_name, commit)))

    def remember(self, place: HubRef, text: str) -> None:
        """Keeps a manifest. A full or read-only disk costs speed alone."""
        with suppress(StorageError):
            atomic_write_text(self._file(place), text)

    def manifest(self, place: HubRef) -> str | None:
        """The text of badx.json at that commit, if it was read before."""
        try:
            content = self._file(place).read_bytes()
            return content.decode() if len(content) <= MAX_MANIFEST_BYTES else None
        except (OSError, UnicodeDecodeError):
            return None

    def _file(self, place: HubRef) -> Path:
        owner, name = place.parts
        return self._manifests(owner, name) / f"{place.commit}.json"

    def _manifests(self, owner: str, name: str) -> Path:
        return self.root / owner / _MANIFESTS / name

    def _owners(self) -> list[str]:
        try:
            return sorted(path.name for path in self.root.iterdir() if split_repo(f"{path.name}/mbert.en-wo"))
        except OSError:
            return []

    def _commit_of(self, owner: str, entry: Entry) -> str | None:
        with suppress(OSError):
            for path in sorted(self._manifests(owner, entry.name.repo_name).iterdir()):
                if is_commit(path.stem) and _version(path) == entry.version:
                    return path.stem
        return None


def _version(path: Path) -> str | None:
    try:
        text = path.read_bytes().decode()
        return version_of(text, Manifest.from_json(text, str(path)).created)
    except (OSError, UnicodeDecodeError, BadxError):
        return None

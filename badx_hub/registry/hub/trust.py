"""What is believed of a Hub's listings and sizes: names that are ours to the letter, and no more bytes than fit.

README.md is outside of the integrity check when it is read from a Hub: people write in it there. Everything
else that badx.json names has to have the sha256 it names; nothing else is ever downloaded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from badx_hub.errors import IntegrityError, NotFoundError, UsageError
from badx_hub.manifest import CARD_FILE, MANIFEST_FILE, PICKLES, WEIGHT_FILES, Manifest
from badx_hub.names import AdapterName
from badx_hub.registry.hub.client import COMMIT
from badx_hub.registry.protocol import HUB

MIB = 2**20
MAX_README = MIB
MAX_TEXT = 4 * MIB
MAX_PICTURE = 16 * MIB
MAX_WEIGHTS = 2**31
MAX_FILES_LISTED = 5000
# Nobody's notes: files that a loader could take for this adapter's weights, or run.
_WEIGHT_LIKE = (*PICKLES, ".safetensors", ".h5", ".msgpack", ".onnx", ".gguf", ".npz", ".joblib", ".py")

_OWNER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?=[A-Za-z0-9_-])){0,95}")


@dataclass(frozen=True)
class HubRef:
    """One commit of a repository that is named as an adapter of ours; `str` is "hf:org/repo@commit"."""

    owner: str
    name: AdapterName
    commit: str

    @property
    def repo(self) -> str:
        """The repository's id, "org/mbert.en-wo"."""
        return f"{self.owner}/{self.name.repo_name}"

    def __str__(self) -> str:
        return f"{HUB}{self.repo}@{self.commit}"

    @classmethod
    def parse(cls, location: str) -> HubRef:
        """Reads an entry's location. Raises NotFoundError if it is none of a Hub's."""
        repo, _, commit = location.removeprefix(HUB).partition("@")
        if (found := split_repo(repo)) is None or not COMMIT.fullmatch(commit):
            raise NotFoundError(f"{location!r} is no place on a Hub. See `badx-hub search`.")
        return cls(*found, commit)


def split_repo(repo: str) -> tuple[str, AdapterName] | None:
    """The owner and the adapter of a repository's id, None if it is not named as an adapter of ours."""
    owner, _, name = repo.partition("/")
    if not _OWNER.fullmatch(owner):
        return None
    try:
        return owner, AdapterName.from_repo_name(name)
    except UsageError:
        return None


def checked_owner(owner: str) -> str:
    """The name of a user or an organisation. Raises UsageError."""
    if not _OWNER.fullmatch(owner):
        raise UsageError(f"{owner!r} is not a user or an organisation of a Hub: write `hf:ORG`, ORG as in ORG/name.")
    return owner


def check_repo_name(manifest: Manifest, repo: str) -> None:
    """Raises IntegrityError if the manifest is that of another adapter than the repository's name says."""
    if manifest.adapter_name.repo_name != repo.partition("/")[2]:
        raise IntegrityError(
            f"{repo} says in its {MANIFEST_FILE} that it is {manifest.name}. Do not use it; tell its owner."
        )


def size_limit(manifest: Manifest, name: str) -> int:
    """The most bytes that this file of this adapter can have: generous for every real one, never a disk full."""
    if name == CARD_FILE:
        return MAX_README
    if name.endswith(".json"):
        return MAX_TEXT
    if name not in WEIGHT_FILES:
        return MAX_PICTURE
    base = manifest.base
    square = (base.hidden_size + 1) ** 2
    # float32; in each layer two bottlenecks no wider than twice the hidden size; invertible parts; or a biaffine
    # head, one square a label.
    numbers = square * (8 * base.num_layers + 8 + len(manifest.labels or ()))
    return min(MAX_WEIGHTS, max(16 * MIB, 4 * numbers))


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

"""What is believed of a Hub's listings and sizes: names that are ours to the letter, and no more bytes than fit.

README.md is outside of the integrity check when it is read from a Hub: people write in it there. Everything
else that badx.json names has to have the sha256 it names; nothing else is ever downloaded.
"""

from __future__ import annotations

from badx_hub.adapter_files import CARD_FILE, MANIFEST_FILE, PICKLE_SUFFIXES, WEIGHT_FILES
from badx_hub.errors import IntegrityError
from badx_hub.manifest import Manifest

MIB = 2**20
MAX_README = MIB
MAX_TEXT = 4 * MIB
MAX_PICTURE = 16 * MIB
MAX_WEIGHTS = 2**31
MAX_FILES_LISTED = 5000
# Nobody's notes: files that a loader could take for this adapter's weights, or run.
_WEIGHT_LIKE = (*PICKLE_SUFFIXES, ".safetensors", ".h5", ".msgpack", ".onnx", ".gguf", ".npz", ".joblib", ".py")


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

"""Where the bases are kept that were converted, and what says that one has to be. Loads no torch.

One is found by what it was made of: a model on a Hub at a commit, or the content of a folder's files. So a base keeps
the name that it had before.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from badx_hub.base_spec import HubBase
from badx_hub.errors import IntegrityError
from badx_hub.modeling import base_file_names
from badx_hub.remedies import Advice, ConvertBase
from badx_hub.storage import cached_sha256, canonical_json, digest_of, home

_DIGESTS = "sha256.json"


def of_commit(base: HubBase) -> Path | None:
    """The conversion of a model on a Hub at a commit, if there is one."""
    return _sound(place_of_commit(base))


def of_folder(folder: Path) -> Path | None:
    """The conversion of a folder with just these files, if there is one."""
    return _sound(place_of_folder(folder))


def is_sound(place: Path) -> bool:
    """Whether there is a conversion in this place whose files are as they were written."""
    return _sound(place) is not None


def place_of_commit(base: HubBase) -> Path:
    """Where that conversion belongs."""
    return _place([base.repo, base.at])


def place_of_folder(folder: Path) -> Path:
    """Where that conversion belongs."""
    files = sorted(path for path in folder.iterdir() if base_file_names.is_of_base(path.name) and path.is_file())
    return _place({path.name: cached_sha256(path) for path in files})


def seal(folder: Path) -> None:
    """Note the digest of every file, by which a damaged conversion is told."""
    digests = {path.name: cached_sha256(path) for path in sorted(folder.iterdir())}
    (folder / _DIGESTS).write_text(canonical_json(digests), encoding="utf-8")


def refuse_unconverted(names: Iterable[str], base: str, spec: str) -> None:
    """Raises IntegrityError if a base with these files has to be converted first.

    `base` is its name in the error, `spec` what the user has to convert.
    """
    there = set(names)
    if not base_file_names.weights_among(there):
        if base_file_names.pickles_among(there):
            raise IntegrityError(
                f"{base} has no safetensors, only a pickle, which could run code and is never loaded.",
                remedies=(ConvertBase(spec),),
            )
        what = base_file_names.instead_of_base(there)
        raise IntegrityError(
            f"{base} has no safetensors weights ({base_file_names.WEIGHTS_FILE}){': ' + what if what else ''}.",
            remedies=(Advice("Give {} a folder written by `save_pretrained`.", (("base", None),)),),
        )
    if base_file_names.needs_fast_tokenizer(there):
        raise IntegrityError(
            f"{base} has no fast tokenizer ({base_file_names.TOKENIZER_FILE}), only a sentencepiece model.",
            remedies=(ConvertBase(spec),),
        )


def _place(source: object) -> Path:
    return home() / "cache" / "converted" / digest_of(source)[:32]


def _sound(folder: Path) -> Path | None:
    try:
        digests = json.loads((folder / _DIGESTS).read_text(encoding="utf-8"))
        sound = all(cached_sha256(folder / name) == digest for name, digest in digests.items())
    except (OSError, ValueError, AttributeError, IntegrityError):
        return None
    return folder if sound else None

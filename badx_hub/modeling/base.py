"""Finding a base: `demo`, a folder or a Hub id becomes a local folder with a digest. Loads no torch."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from badx_hub.errors import DataError, HubError, IntegrityError, NotFoundError, UsageError
from badx_hub.manifest import BaseRef
from badx_hub.names import base_slug
from badx_hub.remedies import Advice
from badx_hub.storage import atomic_write_text, cached_sha256, canonical_json, digest_of, home
from badx_hub.user_paths import user_path

DEMO = "demo"
DEFAULT_BASE = "bert-base-multilingual-cased"
"""mBERT, the base of the paper (BAD-X)."""

_DOWNLOADED = (
    "config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
    "tokenizer*",
    "special_tokens_map.json",
    "vocab*",
    "merges.txt",
    "*.model",
)
RIGHT_BASE = Advice("Give the right base with {}.", (("base", None),))


@dataclass(frozen=True)
class Base:
    """A base on this machine: its folder, what a manifest says of it, and the longest input in sub-words."""

    folder: Path
    ref: BaseRef
    max_length: int

    @property
    def slug(self) -> str:
        """The base's field in adapter names."""
        return base_slug(self.ref.name)


def resolve_base(spec: str, *, offline: bool = False) -> Base:
    """The base called `spec`: `demo`, a folder with config.json and safetensors, or a Hub id.

    A folder is remembered, so that adapters trained on it find it again. `offline`: use only the cache.

    Raises:
        NotFoundError: there is no such base, or it is not in the cache and nothing may be downloaded.
        HubError: the Hub refuses, fails or is out of reach, and the cache does not have it.
        IntegrityError: it holds no safetensors weights.
        DataError: its config.json cannot be read.
    """
    if spec == DEMO:
        from badx_hub.modeling.embedded_base import embedded_base  # numpy and safetensors

        return _base(DEMO, embedded_base())
    folder = user_path(spec)
    if folder.is_dir():
        base = _base(folder.resolve().name, folder.resolve())
        _remember(base)
        return base
    if spec.startswith((".", "/", "~")) or spec.count("/") > 1 or "\\" in spec:
        raise NotFoundError(
            f"No folder {spec!r} with a base.",
            remedies=(Advice("Give a folder, a Hub id or `{}`.", (("base", DEMO),)),),
        )
    return _base(spec, _downloaded(spec, offline))


def base_of(ref: BaseRef, spec: str | None = None, *, offline: bool = False) -> Base:
    """The base that an adapter's manifest names; `spec` says where it is, if this machine does not know.

    A `spec` that is just the base's name, slug or digest adds nothing to the manifest.

    Raises:
        NotFoundError: this machine does not have it.
        IntegrityError: the base found has other weights than the adapter was trained on.
    """
    place = None if spec is None or _names(spec, ref) else spec
    base = resolve_base(place or _remembered(ref.digest) or ref.name, offline=offline)
    if base.ref.digest != ref.digest:
        raise IntegrityError(
            f"The adapter was trained on base {ref.name} ({ref.digest[:12]}), but {spec or ref.name} has other "
            f"weights ({base.ref.digest[:12]}).",
            remedies=(RIGHT_BASE,),
        )
    return base


def _names(spec: str, ref: BaseRef) -> bool:
    return spec in (ref.name, base_slug(ref.name)) or (len(spec) >= 8 and ref.digest.startswith(spec))


def _base(name: str, folder: Path) -> Base:
    config = _config(folder)
    weights = sorted(folder.glob("model*.safetensors"))
    if not weights:
        raise IntegrityError(
            f"{name} has no safetensors weights (pickles are never loaded). Convert it with "
            "`AutoModelForMaskedLM.from_pretrained(...).save_pretrained(FOLDER)` where you trust it.",
            remedies=(Advice("Then use {}.", (("base", "FOLDER"),)),),
        )
    ref = BaseRef(
        name=name,
        digest=digest_of({file.name: cached_sha256(file) for file in weights}),
        model_type=str(config["model_type"]),
        hidden_size=int(config.get("hidden_size") or config["dim"]),
        num_layers=int(config.get("num_hidden_layers") or config["n_layers"]),
        vocab_size=int(config["vocab_size"]),
    )
    return Base(folder, ref, _max_length(config))


def _max_length(config: Mapping[str, Any]) -> int:
    positions = int(config.get("max_position_embeddings", 512))
    # The RoBERTa family counts positions from behind the padding's own.
    offset = int(config.get("pad_token_id", 1)) + 1 if "roberta" in config["model_type"] else 0
    return positions - offset


def _config(folder: Path) -> Mapping[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return {**config, "model_type": config["model_type"], "vocab_size": config["vocab_size"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{folder.name}/config.json does not describe a transformer ({error!r}).",
            remedies=(Advice("Give {} a folder written by `save_pretrained`.", (("base", None),)),),
        ) from error


def _downloaded(repo: str, offline: bool) -> Path:
    from badx_hub.hub.client import HubClient, cached_models

    try:
        return HubClient().snapshot(repo, _DOWNLOADED, offline=offline)
    except (NotFoundError, HubError, UsageError) as error:
        cached = cached_models()
        known = f"The Hugging Face cache holds {', '.join(cached)}" if cached else "The Hugging Face cache has no model"
        fact = f"{error.fact} {known}."
        advice = Advice("Name one of these, give a folder, or take the embedded base: {}.", (("base", DEMO),))
        remedies = (*error.remedies, advice)
        if isinstance(error, HubError):
            raise HubError(fact, error.status, remedies=remedies) from error
        raise NotFoundError(fact, remedies=remedies) from error


def _remember(base: Base) -> None:
    text = canonical_json({"folder": os.fspath(base.folder)})
    target = _memory(base.ref.digest)
    if not target.is_file() or target.read_text(encoding="utf-8") != text:
        target.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(target, text)


def _remembered(digest: str) -> str | None:
    try:
        folder = str(json.loads(_memory(digest).read_text(encoding="utf-8"))["folder"])
    except (OSError, ValueError, KeyError):
        return None
    return folder if Path(folder).is_dir() else None


def _memory(digest: str) -> Path:
    return home() / "bases" / f"{digest}.json"

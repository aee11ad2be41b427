"""Finding a base: `demo`, a folder or a Hub id becomes a local folder with a digest. Loads no torch."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from badx_hub.errors import HubError, IntegrityError, NotFoundError, UsageError
from badx_hub.manifest import BaseRef
from badx_hub.modeling import base_files
from badx_hub.modeling.base_configs import BaseConfig
from badx_hub.names import DEFAULT_BASE as DEFAULT_BASE
from badx_hub.names import base_slug
from badx_hub.remedies import Advice
from badx_hub.storage import atomic_write_text, cached_sha256, canonical_json, digest_of, home
from badx_hub.user_paths import user_path

if TYPE_CHECKING:
    from badx_hub.hub.client import HubClient

DEMO = "demo"

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
    """A base on this machine: its folder, what a manifest says of it, the longest input in sub-words, its settings."""

    folder: Path
    ref: BaseRef
    max_length: int
    config: BaseConfig

    @property
    def slug(self) -> str:
        """The base's field in adapter names."""
        return base_slug(self.ref.name)


def resolve_base(spec: str, *, offline: bool = False, expected: BaseRef | None = None) -> Base:
    """The base called `spec`: `demo`, a folder with config.json and safetensors, or a Hub id.

    A folder is remembered, so that adapters trained on it find it again. `offline`: use only the cache. Nothing is
    downloaded that cannot be the `expected` base of a manifest, if one is given.

    Raises:
        NotFoundError: there is no such base, or it is not in the cache and nothing may be downloaded.
        HubError: the Hub refuses, fails or is out of reach, and the cache does not have it.
        IntegrityError: its weights are no safetensors, not those that its config.json describes or not those that are
            expected; or its tokenizer has more tokens than it has embeddings.
        DataError: its config.json or its tokenizer cannot be read, would run code, or is out of bounds.
        UsageError: a type of model that is not supported.
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
    return _base(spec, _downloaded(spec, offline, expected))


def base_of(ref: BaseRef, spec: str | None = None, *, offline: bool = False) -> Base:
    """The base that an adapter's manifest names; `spec` says where it is, if this machine does not know.

    A `spec` that is just the base's name, slug or digest adds nothing to the manifest.

    Raises:
        NotFoundError: this machine does not have it.
        IntegrityError: the base found has other weights than the adapter was trained on, or, where the manifest says
            which, other settings or another tokenizer.
    """
    place = None if spec is None or _names(spec, ref) else spec
    base = resolve_base(place or _remembered(ref.digest) or ref.name, offline=offline, expected=ref)
    for what, wanted, found in (
        ("weights", ref.digest, base.ref.digest),
        ("settings", ref.config, base.ref.config),
        ("words", ref.tokenizer, base.ref.tokenizer),
    ):
        if wanted not in (None, found):
            raise _another(what, ref, spec or ref.name, wanted, found)
    return base


_MADE_BY = {"weights": "weights", "settings": "settings in config.json", "words": "words in its tokenizer"}


def _another(what: str, ref: BaseRef, found_as: str, wanted: str | None, found: str | None) -> IntegrityError:
    shown = [one[:12] if one else "unknown" for one in (wanted, found)]
    return IntegrityError(
        f"The adapter was trained on base {ref.name} ({shown[0]}), but {found_as} has other {_MADE_BY[what]} "
        f"({shown[1]}).",
        remedies=(RIGHT_BASE,),
    )


def _names(spec: str, ref: BaseRef) -> bool:
    return spec in (ref.name, base_slug(ref.name)) or (len(spec) >= 8 and ref.digest.startswith(spec))


def _base(name: str, folder: Path) -> Base:
    config = base_files.read_config(folder)
    weights = sorted(folder.glob(base_files.WEIGHTS))
    if not weights:
        raise _without_weights(name)
    base_files.check_weights(weights, config, name)
    vocabulary = base_files.read_vocabulary(folder, config)
    ref = BaseRef(
        name=name,
        digest=digest_of({file.name: cached_sha256(file) for file in weights}),
        model_type=config.model_type,
        hidden_size=config.hidden_size,
        num_layers=config.num_hidden_layers,
        vocab_size=config.vocab_size,
        config=digest_of(config.identity()),
        tokenizer=vocabulary.digest if vocabulary else None,
    )
    return Base(folder, ref, config.max_length, config)


def _without_weights(name: str) -> IntegrityError:
    return IntegrityError(
        f"{name} has no safetensors weights (pickles are never loaded). Convert it with "
        "`AutoModelForMaskedLM.from_pretrained(...).save_pretrained(FOLDER)` where you trust it.",
        remedies=(Advice("Then use {}.", (("base", "FOLDER"),)),),
    )


def _downloaded(repo: str, offline: bool, expected: BaseRef | None) -> Path:
    from badx_hub.hub.client import HubClient, cached_models, is_offline

    client = HubClient()
    try:
        if offline or is_offline():
            return client.snapshot(repo, _DOWNLOADED, offline=True)
        return client.snapshot(repo, _checked_files(client, repo, expected), offline=False)
    except (NotFoundError, HubError, UsageError) as error:
        cached = cached_models()
        known = f"The Hugging Face cache holds {', '.join(cached)}" if cached else "The Hugging Face cache has no model"
        fact = f"{error.fact} {known}."
        choices = "Name one of these, give a folder, or" if cached else "Give a folder, or"
        advice = Advice(f"{choices} take the embedded base: {{}}.", (("base", DEMO),))
        remedies = (*error.remedies, advice)
        if isinstance(error, HubError):
            raise HubError(fact, error.status, remedies=remedies) from error
        raise NotFoundError(fact, remedies=remedies) from error


def _checked_files(client: HubClient, repo: str, expected: BaseRef | None) -> tuple[str, ...]:
    """The files to download, once their listing and config.json say that they can be right and are not too large."""
    listed = {
        name: file
        for name, file in client.model_files(repo).items()
        if any(fnmatchcase(name, pattern) for pattern in _DOWNLOADED)
    }
    weights = {name: file for name, file in sorted(listed.items()) if fnmatchcase(name, base_files.WEIGHTS)}
    if not weights:
        raise _without_weights(repo)
    digests = {name: file.sha256 for name, file in weights.items()}
    if expected and all(digests.values()) and digest_of(digests) != expected.digest:
        raise _another("weights", expected, repo, expected.digest, digest_of(digests))
    for name, file in listed.items():
        if name not in weights:
            _refuse_larger(repo, name, file.size, base_files.most_beside(name))
    config = base_files.read_config(client.snapshot(repo, (base_files.CONFIG_FILE,), offline=False))
    if expected and (config.hidden_size, config.num_hidden_layers) != (expected.hidden_size, expected.num_layers):
        raise _another("settings", expected, repo, expected.config, digest_of(config.identity()))
    _refuse_larger(repo, "weights", sum(file.size for file in weights.values()), base_files.most_bytes(config))
    return tuple(listed)


def _refuse_larger(repo: str, what: str, size: int, most: int) -> None:
    if size > most:
        raise IntegrityError(
            f"{repo}: its {what} would have {size:,} bytes and may have {most:,}. It was not downloaded."
        )


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

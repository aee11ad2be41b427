"""Finding a base: `demo`, a folder or a Hub id becomes a local folder with a digest. Loads no torch."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from badx_hub.base_spec import DEMO as DEMO
from badx_hub.base_spec import HubBase, hub_base
from badx_hub.errors import HubError, NotFoundError, UsageError
from badx_hub.manifest import BaseRef
from badx_hub.manifest_fields import first_problem
from badx_hub.modeling import base_files, converted_bases
from badx_hub.modeling.base_configs import BaseConfig
from badx_hub.modeling.base_file_names import needs_conversion, weights_among
from badx_hub.modeling.base_files import RIGHT_BASE, another
from badx_hub.modeling.base_hub import Found, found_on_hub
from badx_hub.modeling.converted_bases import refuse_unconverted
from badx_hub.modeling.tokenizer_files import read_vocabulary
from badx_hub.names import DEFAULT_BASE as DEFAULT_BASE
from badx_hub.names import base_slug
from badx_hub.remedies import Advice
from badx_hub.storage import atomic_write_text, cached_sha256, digest_of, home
from badx_hub.tensor_files import shown_name
from badx_hub.user_paths import user_path

_NAME_ONE = Advice("Give a folder, a Hub id or `{}`.", (("base", DEMO),))
_ADDRESS = re.compile(r"(?:https?|hf)://(?:(?:[^/]*\.[^/]*)/)?([\w.-]+(?:/[\w.-]+)?)?")


@dataclass(frozen=True)
class Base:
    """A base on this machine: its folder, what a manifest says of it, the longest input in sub-words, its settings."""

    folder: Path
    ref: BaseRef
    max_length: int
    config: BaseConfig

    @property
    def weights(self) -> tuple[Path, ...]:
        """The files of its weights: one, or parts."""
        return tuple(self.folder / name for name in weights_among(path.name for path in self.folder.iterdir()))

    @property
    def slug(self) -> str:
        """The base's field in adapter names."""
        return base_slug(self.ref.name)


def resolve_base(spec: str, *, offline: bool = False, expected: BaseRef | None = None) -> Base:
    """The base called `spec`: `demo`, a folder with config.json and safetensors, or a Hub id.

    A Hub id may have a revision, "org/name@revision": a branch, a tag, a commit or "refs/pr/1". A base that
    conversion has made safetensors or a tokenizer for keeps its name. A folder is remembered, so that adapters
    trained on it find it again. `offline`: use only the cache. Nothing is downloaded that cannot be the `expected` base
    of a manifest, if one is given.

    Raises:
        NotFoundError: there is no such base, or it is not in the cache and nothing may be downloaded.
        HubError: the Hub refuses, fails or is out of reach, and the cache does not have it.
        IntegrityError: it has no safetensors or no fast tokenizer, and was not converted; its weights are not those
            that its config.json describes or not those that are expected; or its tokenizer has more tokens than it has
            embeddings.
        DataError: its config.json or its tokenizer cannot be read, would run code, or is out of bounds.
        UsageError: a type of model that is not supported, or what is no revision.
    """
    if spec == DEMO:
        from badx_hub.modeling.embedded_base import embedded_base  # numpy and safetensors

        return _base(DEMO, embedded_base())
    if not spec.strip():
        raise UsageError("The base has no name.", remedies=(_NAME_ONE,))
    if (address := _ADDRESS.match(spec)) is not None:
        named = Advice("Give {}.", (("base", address[1]),)) if address[1] else _NAME_ONE
        raise UsageError(f"{spec!r} is an address; a base on a Hub is named as ORG/NAME.", remedies=(named,))
    if (on_hub := hub_base(spec)) is not None:
        found = _on_hub(on_hub, offline, expected)
        return _base(on_hub.repo, found.folder, on_hub, found.commit)
    folder = user_path(spec)
    if folder.is_dir():
        base = _in_folder(folder.resolve(), spec)
        _remember(base, folder.resolve())
        return base
    if folder.is_file():
        raise UsageError(
            f"The base {spec} is a file; a base is a folder with config.json, weights and tokenizer.",
            remedies=(Advice("Give that folder: {}.", (("base", spec.removesuffix(Path(spec).name) or "./"),)),),
        )
    raise NotFoundError(f"No folder {spec!r} with a base.", remedies=(_NAME_ONE,))


def base_of(ref: BaseRef, spec: str | None = None, *, offline: bool = False) -> Base:
    """The base that an adapter's manifest names; `spec` says where it is, if this machine does not know.

    A `spec` that is just the base's name, slug or digest adds nothing to the manifest. Of a Hub it is the commit that
    the manifest names, or the newest one if the Hub no longer has that.

    Raises:
        NotFoundError: this machine does not have it.
        IntegrityError: the base found has other weights than the adapter was trained on, or, where the manifest says
            which, other settings or another tokenizer.
    """
    base = _meant(ref, None if spec is None or _names(spec, ref) else spec, offline)
    if not ref.has_weights_of(base.ref):
        raise another("weights", ref, spec or ref.name, ref.digest, base.ref.digest)
    for what, wanted, found in (
        ("settings", ref.config, base.ref.config),
        ("words", ref.tokenizer, base.ref.tokenizer),
    ):
        if wanted not in (None, found):
            raise another(what, ref, spec or ref.name, wanted, found)
    return base


def _meant(ref: BaseRef, place: str | None, offline: bool) -> Base:
    if (known := place or _remembered(ref.digest)) and (place or Path(known).is_dir()):
        return resolve_base(known, offline=offline, expected=ref)
    try:
        return _by_name(ref, offline)
    except NotFoundError as error:
        if known is None:
            raise
        raise NotFoundError(
            f"{ref.name} was in {known!r}, which is no longer there.", remedies=(RIGHT_BASE,)
        ) from error


def _by_name(ref: BaseRef, offline: bool) -> Base:
    if ref.revision is None:
        return resolve_base(ref.name, offline=offline, expected=ref)
    try:
        return resolve_base(str(HubBase(ref.name, ref.revision)), offline=offline, expected=ref)
    except NotFoundError:
        # A history can be squashed; that it is the same base is known by its digest.
        return resolve_base(ref.name, offline=offline, expected=ref)


def _names(spec: str, ref: BaseRef) -> bool:
    is_digest = len(spec) >= 8 and any(digest.startswith(spec) for digest in ref.digests)
    return spec in (ref.name, base_slug(ref.name)) or is_digest


def _in_folder(folder: Path, spec: str) -> Base:
    shown = folder.name or str(folder)
    base_files.read_config(folder, shown)  # Whatever else is missing, this is what makes it a base.
    names = base_files.names_in(folder, shown)
    if needs_conversion(names) and (made := converted_bases.of_folder(folder)):
        return _base(shown, made)
    refuse_unconverted(names, shown, spec)
    return _base(shown, folder)


def _base(name: str, folder: Path, on_hub: HubBase | None = None, commit: str | None = None) -> Base:
    shown = name if on_hub is None else str(on_hub)
    config = base_files.read_config(folder, shown)
    names = base_files.names_in(folder, shown)
    refuse_unconverted(names, shown, shown)
    weights = [folder / one for one in weights_among(names)]
    tensors = base_files.encoder_tensors(weights, config, shown)
    base_files.check_numbers(weights, shown)
    vocabulary = read_vocabulary(folder, config, shown)
    try:
        ref = BaseRef(
            name=name,
            digest=base_files.tensors_digest(tensors),
            model_type=config.model_type,
            hidden_size=config.hidden_size,
            num_layers=config.num_hidden_layers,
            vocab_size=config.vocab_size,
            config=digest_of(config.identity()),
            tokenizer=vocabulary.digest if vocabulary else None,
            files=digest_of({file.name: cached_sha256(file) for file in weights}),
            revision=commit,
        )
    except ValidationError as error:
        reason = shown_name(first_problem(error))
        raise UsageError(f"{shown_name(name)} cannot name a base ({reason}). Rename the folder.") from error
    return Base(folder, ref, config.max_length, config)


def _on_hub(base: HubBase, offline: bool, expected: BaseRef | None) -> Found:
    from badx_hub.hub.model_cache import cached_models

    try:
        return found_on_hub(base, offline=offline, expected=expected)
    except (NotFoundError, HubError, UsageError) as error:
        if isinstance(error, HubError) and error.status is not None:
            raise  # The Hub answered, and its answer says what to do.
        cached = cached_models()
        known = f"The Hugging Face cache holds {', '.join(cached)}" if cached else "The Hugging Face cache has no model"
        fact = f"{error.fact} {known}."
        choices = "Name one of these, give a folder, or" if cached else "Give a folder, or"
        advice = Advice(f"{choices} take the embedded base: {{}}.", (("base", DEMO),))
        kind = HubError if isinstance(error, HubError) else NotFoundError
        raise kind(fact, remedies=(*error.remedies, advice)) from error


def _remember(base: Base, folder: Path) -> None:
    text = json.dumps({"folder": os.fspath(folder)})  # ASCII: a path need not be UTF-8.
    for digest in base.ref.digests:
        target = _memory(digest)
        if not target.is_file() or target.read_text(encoding="utf-8") != text:
            target.parent.mkdir(parents=True, exist_ok=True)
            atomic_write_text(target, text)


def _remembered(digest: str) -> str | None:
    """The folder where such a base was used last; it may be gone."""
    try:
        folder = str(json.loads(_memory(digest).read_text(encoding="utf-8"))["folder"])
    except (OSError, ValueError, KeyError):
        return None
    return folder


def _memory(digest: str) -> Path:
    return home() / "bases" / f"{digest}.json"

"""Adapters that others made with plain `adapters`: importing them, and converting their pickles."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard

from badx_hub.abandoned_files import sweep
from badx_hub.adapter_files import ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE, HEAD_WEIGHTS_FILE, MANIFEST_FILE
from badx_hub.errors import DataError, IntegrityError, NotFoundError, UsageError
from badx_hub.hub.ref import HubRef
from badx_hub.json_toml_yaml import read_json
from badx_hub.languages import Mixture, normalise
from badx_hub.manifest import IMPORTED, ManifestDraft, Training
from badx_hub.modeling.base import Base, resolve_base
from badx_hub.modeling.families import plain_type
from badx_hub.names import AdapterName, base_slug
from badx_hub.pickles import MAX_PICKLE_BYTES, PickledTensor, pickled_tensors, write_safetensors
from badx_hub.registry.adapter_folder import prepare
from badx_hub.registry.protocol import Entry, Registry, newest
from badx_hub.remedies import Advice, ConvertWeights, PullAdapter
from badx_hub.storage import TEMPORARY, atomic_file, scratch_folder, sha256_file, storage_errors
from badx_hub.untrusted_files import copy_plain, open_plain
from badx_hub.user_paths import user_path

SAFE_NAMES = {"pytorch_adapter.bin": ADAPTER_WEIGHTS_FILE, "pytorch_model_head.bin": HEAD_WEIGHTS_FILE}
"""The pickles that `adapters` writes by default, and the files to put in their place."""

_LIMITS = {ADAPTER_CONFIG_FILE: 2**20, ADAPTER_WEIGHTS_FILE: 2**30}
_ADAPTER_PICKLE = next(pickled for pickled, safe in SAFE_NAMES.items() if safe == ADAPTER_WEIGHTS_FILE)
_RIGHT_BASE = Advice("Give the right one with {}.", (("base", None),))


@dataclass(frozen=True)
class Imported:
    """The registered adapter; `already` is set if the registry had the same weights under that name before."""

    entry: Entry
    already: bool


@dataclass(frozen=True)
class Converted:
    """Names of the safetensors files of a folder: `written` now, and `already` there."""

    written: tuple[str, ...]
    already: tuple[str, ...]


def import_adapter(
    place: str,
    language: str,
    registry: Registry,
    *,
    base: str | None = None,
    label: str | None = None,
    licence: str | None = None,
    pickles: bool = False,
) -> Imported:
    """Register a language adapter that others published, as the LA of `language`, with origin "imported".

    It is loaded into the base once, so that what is registered is known to fit. Only its configuration and its
    weights are taken; a prediction head stays behind.

    Args:
        place: a folder written by `save_adapter(..., use_safetensors=True)`, or a repository on the Hub with such
            files, "org/name" or "org/name@revision".
        pickles: where it has no safetensors, make them of pytorch_adapter.bin, as `convert` does; default refused.
        base: what it was trained in: a Hub id, a folder or `demo`; default the model its configuration names.
        label: the last field of its name; default none.
        licence: its licence, such as "apache-2.0"; default not recorded.

    Raises:
        UsageError: an unknown language, no base, or an adapter of badx_hub, which is pulled.
        NotFoundError, HubError: the adapter or the base is not there.
        DataError: its configuration is not one of `adapters`.
        IntegrityError: there are only pickles and these are not wanted or hold more than tensors, another base, or
            weights that do not fit.
    """
    tag = normalise(language)
    with scratch_folder() as folder:
        origin = _take(place, folder, pickles=pickles)
        if (folder / _ADAPTER_PICKLE).exists():
            _replace_pickle(folder, place)
        config = _config(folder / ADAPTER_CONFIG_FILE, place)
        found = resolve_base(_base_named(base, config, place))
        _check_base(config, found, place, given=base is not None)
        name = AdapterName(found.slug, Mixture.of(tag), label=label)
        _check_weights(name, found, folder, place)
        manifest = prepare(folder, _draft(name, found, config, origin, licence))
        same = [one for one in registry.by_digest(manifest.digest, str(name)) if one.name == name]
        if same:
            return Imported(newest(same), already=True)
        return Imported(registry.publish(folder), already=False)


def convert(folder: Path) -> Converted:
    """Write safetensors beside the pickles that `adapters` made in `folder`; the pickles stay as they are.

    Nothing in them is run: their tensors are copied, and a pickle of more than tensors is refused.

    Raises NotFoundError (no such folder, no pickle in it), IntegrityError (refused), StorageError.
    """
    if not folder.is_dir():
        raise NotFoundError(f"There is no folder {folder}. Give the one that holds {next(iter(SAFE_NAMES))}.")
    pickles = {pickled: safe for pickled, safe in SAFE_NAMES.items() if os.path.lexists(folder / pickled)}
    if not pickles:
        raise NotFoundError(f"{folder} has nothing to convert: neither {' nor '.join(SAFE_NAMES)} is there.")
    sweep(folder, TEMPORARY)
    already = tuple(safe for safe in pickles.values() if os.path.lexists(folder / safe))
    with ExitStack() as opened:
        tensors = {
            safe: _tensors_in(folder / pickled, opened) for pickled, safe in pickles.items() if safe not in already
        }
        for safe, content in tensors.items():
            with atomic_file(folder / safe) as target:
                write_safetensors(target, content)
    return Converted(tuple(tensors), already)


def _tensors_in(path: Path, opened: ExitStack) -> Mapping[str, tuple[BinaryIO, PickledTensor]]:
    stream = opened.enter_context(open_plain(path, limit=MAX_PICKLE_BYTES))
    return {name: (stream, tensor) for name, tensor in pickled_tensors(stream, path).items()}


def _take(place: str, target: Path, *, pickles: bool) -> str:
    """Copy configuration and weights to `target`. Returns the value of `imported_from`, which is never a path."""
    source = user_path(place)
    if source.is_dir():
        there = {path.name for path in source.iterdir()}
        if MANIFEST_FILE in there:
            raise UsageError(
                f"{place} has a {MANIFEST_FILE}: it is an adapter of badx_hub, which is pulled and not imported.",
                remedies=(Advice("Pull it from its registry, the folder two above."),),
            )
        for name, limit in _wanted(there, pickles=pickles).items():
            if name not in there:
                raise _missing(name, there, place)
            with storage_errors(target):
                copy_plain(source / name, target / name, limit=limit)
        return source.resolve().name
    found = HubRef.parse(place, bare=True)
    if found is None or found.name is None:
        raise NotFoundError(f"No folder {place!r} with an adapter. Give a folder or a repository's id (org/name).")
    return str(_download(found, target, pickles=pickles))


def _wanted(there: set[str], *, pickles: bool) -> Mapping[str, int]:
    """The files to take and the most bytes of each: a pickle only where there is nothing better."""
    if not pickles or ADAPTER_WEIGHTS_FILE in there or _ADAPTER_PICKLE not in there:
        return _LIMITS
    return {ADAPTER_CONFIG_FILE: _LIMITS[ADAPTER_CONFIG_FILE], _ADAPTER_PICKLE: _LIMITS[ADAPTER_WEIGHTS_FILE]}


def _replace_pickle(folder: Path, place: str) -> None:
    """Puts safetensors in the place of the pickle in `folder`, a scratch folder. Raises IntegrityError."""
    try:
        convert(folder)
    except IntegrityError as error:
        fact = error.fact.replace(str(folder / _ADAPTER_PICKLE), f"{_ADAPTER_PICKLE} of {place}")
        raise IntegrityError(fact, remedies=error.remedies) from error
    (folder / _ADAPTER_PICKLE).unlink()


def _download(place: HubRef, target: Path, *, pickles: bool) -> HubRef:
    """Where the files that are now in `target` are, at a commit."""
    from badx_hub.hub.client import HubClient, is_offline, refuse_if_offline

    refuse_if_offline(is_offline(), f"Importing {place.repo}")
    client = HubClient()
    found = replace(place, revision=client.head(place))
    listed = client.files(found) if found.revision else {}
    if MANIFEST_FILE in listed:
        _refuse_ours(place)
    for name, limit in _wanted(set(listed), pickles=pickles).items():
        if (file := listed.get(name)) is None:
            raise _missing(name, set(listed), place.repo)
        if file.size > limit:
            raise IntegrityError(
                f"{name} of {place.repo} has {file.size:,} bytes, more than the {limit:,} it may have."
            )
        client.download(found, name, target / name, limit=limit)
        if file.sha256 not in (None, sha256_file(target / name)):
            raise IntegrityError(
                f"{name} of {place.repo} is not what the Hub says it has (its sha256 differs). Try again."
            )
    return found


def _refuse_ours(place: HubRef) -> None:
    if place.adapter is None:
        raise UsageError(
            f"{place.repo} has a {MANIFEST_FILE} and no name of an adapter of badx_hub. Do not use it; tell its owner."
        )
    raise UsageError(
        f"{place.repo} has a {MANIFEST_FILE}: it is an adapter of badx_hub, which is pulled and not imported.",
        remedies=(PullAdapter(str(place.adapter), str(HubRef(place.owner)), place.revision),),
    )


def _missing(name: str, there: set[str], place: str) -> IntegrityError | NotFoundError:
    if name == ADAPTER_WEIGHTS_FILE and there & SAFE_NAMES.keys():
        return IntegrityError(
            f"{place} has its weights only as a pickle, which can run code when it is loaded.",
            remedies=(
                Advice("Add {} to take its tensors alone: nothing in it is run.", (("pickles", True),)),
                ConvertWeights(),
            ),
        )
    return NotFoundError(f"{place} has no {name}: expected what `save_adapter(..., use_safetensors=True)` writes.")


def _config(path: Path, place: str) -> Mapping[str, Any]:
    """Who made it, in which base. Its settings are checked when it is loaded."""
    try:
        config = read_json(path.read_bytes(), f"{ADAPTER_CONFIG_FILE} of {place}")
    except DataError as error:
        raise DataError(f"{error.fact} Get the adapter again.") from error
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
        raise DataError(
            f"{ADAPTER_CONFIG_FILE} of {place} is not one of `adapters`: there is no `config` with its settings."
        )
    return config


def _base_named(base: str | None, config: Mapping[str, Any], place: str) -> str:
    named = base or config.get("model_name")
    if base is None and _is_path(named) and not Path(named).expanduser().is_dir():
        raise UsageError(
            f"{place} was trained in the model at {named}, a folder that is not here.",
            remedies=(Advice("Say which model that is with {}.", (("base", "MODEL"),)),),
        )
    if not isinstance(named, str) or not named:
        raise UsageError(
            f"{place} does not say which model it was trained in.", remedies=(Advice("Add {}.", (("base", "MODEL"),)),)
        )
    return named


def _is_path(named: object) -> TypeGuard[str]:
    """Whether a model is named by a folder on somebody's machine, and not by its id on a Hub."""
    return isinstance(named, str) and (named.startswith(("/", "~", ".")) or "\\" in named or named.count("/") > 1)


def _check_base(config: Mapping[str, Any], base: Base, place: str, *, given: bool) -> None:
    """Raises IntegrityError if the configuration names another model than `base`.

    Where that was `given`, a folder in the configuration says nothing against it: its name is whatever its owner chose.
    """
    ref = base.ref
    for field, found in (("model_type", plain_type(base.config)), ("hidden_size", ref.hidden_size)):
        if (said := config.get(field)) is not None and said != found:
            raise IntegrityError(
                f"{place} was trained in a model with {field} {said}, and {ref.name} has {found}.",
                remedies=(_RIGHT_BASE,),
            )
    named = config.get("model_name")
    if given and _is_path(named):
        return
    if isinstance(named, str) and named and base_slug(named) != base.slug:
        raise IntegrityError(f"{place} was trained in {named}, not in {ref.name}.", remedies=(_RIGHT_BASE,))


def _check_weights(name: AdapterName, base: Base, folder: Path, place: str) -> None:
    from badx_hub.modeling.loading import load_encoder
    from badx_hub.modeling.model_adapters import insert_adapter

    try:
        insert_adapter(load_encoder(base), name, folder)
    except (DataError, IntegrityError) as error:
        kind = DataError if isinstance(error, DataError) else IntegrityError
        fact = f"{place} could not be loaded into {base.ref.name}: {error.fact}"
        raise kind(fact, remedies=(_RIGHT_BASE,)) from error


def _draft(name: AdapterName, base: Base, config: Mapping[str, Any], origin: str, licence: str | None) -> ManifestDraft:
    made_with = config.get("version")
    return ManifestDraft.checked(
        name=str(name),
        base=base.ref,
        recipe={"adapter": config["config"]},
        seed=0,
        data=(),
        training=Training(steps=0, best_step=0, seconds=0.0),
        metrics={},
        versions={
            "badx-hub": version("badx-hub"),
            **({"adapters": made_with.removeprefix("adapters.")[:100]} if isinstance(made_with, str) else {}),
        },
        licence=licence,
        origin=IMPORTED,
        imported_from=origin,
    )

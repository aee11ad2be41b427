"""Making safetensors and a fast tokenizer of a base that has neither: once, in the cache; its name stays the same."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from badx_hub.base_spec import HubBase, hub_base
from badx_hub.errors import IntegrityError, NotFoundError
from badx_hub.modeling import base_file_names, base_files, base_hub, converted_bases
from badx_hub.modeling.base import Base, resolve_base
from badx_hub.modeling.base_configs import BaseConfig
from badx_hub.modeling.sentencepiece import write_fast_tokenizer
from badx_hub.modeling.tokenizer_files import read_vocabulary
from badx_hub.pickles import PickledTensor, pickled_tensors, write_safetensors
from badx_hub.remedies import Advice
from badx_hub.storage import atomic_folder, discard_folder, sha256_file
from badx_hub.tensor_files import FLOATS, check_finite, shown_name
from badx_hub.untrusted_files import open_regular, read_regular
from badx_hub.user_paths import user_path

_Tensors = Mapping[str, tuple[BinaryIO, PickledTensor]]


@dataclass(frozen=True)
class ConvertedBase:
    """The base as it can now be opened, the names of the files that were `written` for that, and whether before."""

    base: Base
    written: tuple[str, ...]
    already: bool


def convert_base(spec: str) -> ConvertedBase:
    """Make a base loadable that has its weights as pickles, or its words as a sentencepiece model alone.

    Nothing in a pickle is run. The result lies in the cache, and `resolve_base` finds it by the base's own name; the
    base's files stay as they are. What needs no conversion is left alone.

    Args:
        spec: a Hub id, perhaps with a revision ("org/name@revision"), or a folder.

    Raises:
        NotFoundError, HubError: the base is not there.
        IntegrityError: its files are not those of a base, hold more than tensors, or are too large.
        DataError, UsageError: as `resolve_base`; protobuf is not installed.
        StorageError: the cache cannot be written.
    """
    on_hub = hub_base(spec)
    folder, place = _in_folder(spec) if on_hub is None else _on_hub(on_hub)
    names = [path.name for path in folder.iterdir()]
    needed = tuple(_to_write(names))
    already = not needed or converted_bases.is_sound(place)
    if not already:
        discard_folder(place)
        with atomic_folder(place) as building:
            _fill(building, folder, spec)
            converted_bases.seal(building)
    return ConvertedBase(resolve_base(spec), needed, already)


def _to_write(names: Iterable[str]) -> Iterable[str]:
    there = set(names)
    if not base_file_names.weights_among(there) and base_file_names.pickles_among(there):
        yield base_file_names.WEIGHTS_FILE
    if base_file_names.needs_fast_tokenizer(there):
        yield base_file_names.TOKENIZER_FILE


def _in_folder(spec: str) -> tuple[Path, Path]:
    folder = user_path(spec)
    if not folder.is_dir():
        raise NotFoundError(
            f"No folder {spec!r} with a base or an adapter.", remedies=(Advice("Give a folder or a Hub id."),)
        )
    return folder.resolve(), converted_bases.place_of_folder(folder.resolve())


def _on_hub(base: HubBase) -> tuple[Path, Path]:
    """The folder with the files of a base on a Hub, of one commit, and where its conversion belongs."""
    from badx_hub.hub.client import HubClient, is_offline
    from badx_hub.hub.model_cache import CachedModel

    model = CachedModel(base)
    if is_offline():
        if (commit := model.commit) is None or not model.snapshot(commit).is_dir():
            raise NotFoundError(f"{base} is not in the Hugging Face cache, and you are offline.")
        return model.snapshot(commit), converted_bases.place_of_commit(replace(base, revision=commit))
    client = HubClient()
    commit = base_hub.commit_of(client, base)
    model.remember(commit)
    place = replace(base, revision=commit)
    listed = client.files(place)
    wanted = base_file_names.wanted_to_convert(listed)
    folder = base_hub.take(client, model, commit, {name: listed[name] for name in wanted})
    return folder, converted_bases.place_of_commit(place)


def _fill(building: Path, folder: Path, spec: str) -> None:
    """Make everything that a base is opened from, and check it as when it is opened."""
    config = base_files.read_config(folder, spec)
    names = {path.name for path in folder.iterdir()}
    for name in base_file_names.wanted_among(names):
        _copy(folder / name, building / name)
    weights = base_file_names.weights_among(names)
    if not weights:
        weights = (base_file_names.WEIGHTS_FILE,)
        _write_weights(folder, building / base_file_names.WEIGHTS_FILE, config, spec)
    base_files.encoder_tensors([building / name for name in weights], config, spec)
    for name in weights:
        check_finite(building / name, digest=sha256_file(building / name))
    if base_file_names.needs_fast_tokenizer(names):
        _write_tokenizer(folder, building, config, spec)
    read_vocabulary(building, config, spec)


def _copy(source: Path, target: Path) -> None:
    """Weights are linked where that is possible: they may have gigabytes."""
    if base_file_names.is_of_weights(source.name):
        with suppress(OSError):
            os.link(source.resolve(), target)
            return
    shutil.copyfile(source, target)


def _write_weights(folder: Path, target: Path, config: BaseConfig, base: str) -> None:
    parts = base_file_names.pickles_among(path.name for path in folder.iterdir())
    if base_file_names.PICKLE_FILE not in parts:
        index = base_files.places_in_index(folder, base_file_names.PICKLE_INDEX_FILE, base)
        if set(index.values()) != set(parts):
            raise IntegrityError(f"{base}: {base_file_names.PICKLE_INDEX_FILE} leads to other files than its parts.")
    with ExitStack() as opened:
        tensors: dict[str, tuple[BinaryIO, PickledTensor]] = {}
        for part in parts:
            stream = opened.enter_context(open_regular(folder / part, limit=base_files.most_bytes(config)))
            for name, tensor in pickled_tensors(stream, Path(base) / part).items():
                if name in tensors:
                    raise IntegrityError(f"{base}: {shown_name(name)} is in two of its files of weights.")
                tensors[name] = stream, tensor
        kept = _kept(tensors, config, base)
        if sum(one.count * one.item_bytes for _, one in kept.values()) > base_files.most_bytes(config):
            raise IntegrityError(f"{base}: its weights have more bytes than its config.json accounts for.")
        with target.open("xb") as stream:
            write_safetensors(stream, kept)


def _kept(tensors: _Tensors, config: BaseConfig, base: str) -> _Tensors:
    """The weights without what is no weight, and without those that the encoder shares and gets back when it is loaded.

    A decoder that shares the embeddings would otherwise be written twice.
    """
    floats = {name: one for name, one in tensors.items() if one[1].dtype in FLOATS}
    own = set(base_files.names_in_encoder(floats, config, base).values())
    shared = {(id(floats[name][0]), floats[name][1]) for name in own} if config.tie_word_embeddings else set()
    return {name: one for name, one in floats.items() if name in own or (id(one[0]), one[1]) not in shared}


def _write_tokenizer(folder: Path, building: Path, config: BaseConfig, base: str) -> None:
    name = base_file_names.SENTENCEPIECE_FILE
    model = building / name
    model.write_bytes(read_regular(folder / name, limit=base_files.most_beside(name)))
    write_fast_tokenizer(model, building / base_file_names.TOKENIZER_FILE, config, base)
    model.unlink()

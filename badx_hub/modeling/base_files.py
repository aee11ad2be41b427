"""The files of a base as strangers may have made them, checked before anything loads them. Loads no torch."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from badx_hub.errors import BadxError, DataError, IntegrityError, StorageError
from badx_hub.json_toml_yaml import MIB, read_json
from badx_hub.manifest import BaseRef
from badx_hub.modeling.base_configs import BaseConfig, Shapes
from badx_hub.modeling.base_file_names import (
    CONFIG_FILE,
    INDEX_FILE,
    WEIGHTS_FILE,
    instead_of_base,
    is_of_base,
    is_of_weights,
)
from badx_hub.modeling.families import checked_config, family_of
from badx_hub.remedies import Advice
from badx_hub.storage import atomic_write_text, cached_sha256, canonical_json, digest_of, home, storage_errors
from badx_hub.tensor_files import StoredTensor, check_finite, differences, not_downloaded, read_header, shown_name
from badx_hub.untrusted_files import read_regular

MAX_TOKENIZER_BYTES = 64 * MIB
"""That of XLM-V, with 901,629 words, has 40 MB."""

# Of tensors: transformers reads other ones with the libraries that wrote them, if these are installed.
_FORMATS = ("pt", "mlx")
# Names that TensorFlow gave; transformers renames them too.
_OLD_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
_LAYER = re.compile(r"(?<=\.)[0-9]{1,6}(?=\.)")


class NotDownloaded(DataError):  # noqa: N818 - what is there, as its siblings say
    """An empty file, or a Git LFS pointer in place of one."""


def file_of_base(folder: Path, name: str, base: str, *, limit: int) -> bytes:
    """The content of a file in the folder of the base called `base`.

    Raises NotDownloaded, IrregularFile, StorageError.
    """
    content = read_regular(folder / name, limit=limit)
    if (nothing := not_downloaded(f"{base}/{name}", content[:64])) is not None:
        raise NotDownloaded(nothing)
    return content


def read_config(folder: Path, base: str) -> BaseConfig:
    """The configuration in the folder of the base called `base`. Raises as `checked_config`."""
    try:
        content = read_json(file_of_base(folder, CONFIG_FILE, base, limit=MIB), f"{base}/{CONFIG_FILE}")
    except NotDownloaded:
        raise
    except BadxError as error:
        fact = f"{base}/{CONFIG_FILE} does not describe a transformer ({error.fact.rstrip('.')})."
        if isinstance(error, StorageError) and error.errno == errno.ENOENT:
            fact = no_config(base, (path.name for path in folder.iterdir()))
        raise DataError(
            fact, remedies=(Advice("Give {} a folder written by `save_pretrained`.", (("base", None),)),)
        ) from error
    return checked_config(content, base)


def names_in(folder: Path, base: str) -> list[str]:
    """The names of what is in the folder of the base called `base`.

    Raises IntegrityError if a file of a base is a link to what is not there, as in a cache that was cleared by hand.
    """
    paths = list(folder.iterdir())
    if gone := sorted(path.name for path in paths if is_of_base(path.name) and not path.exists()):
        raise IntegrityError(f"{base}/{gone[0]} is a link to a file that is not there. Get the base again.")
    return [path.name for path in paths]


def no_config(base: str, names: Iterable[str]) -> str:
    """The error about a folder or repository with files of these names, without a config.json among them."""
    there = sorted(names)
    if written := next((name for name in there if name.lower() == CONFIG_FILE), None):
        return f"{base} has no {CONFIG_FILE}: it is called {written}. Give it its name."
    if any(map(is_of_weights, there)):
        return f"{base} has no {CONFIG_FILE}, which says what its weights are. Get the base again."
    return f"{base} has no {CONFIG_FILE}: {instead_of_base(there) or 'it is no transformer'}."


RIGHT_BASE = Advice("Give the right base with {}.", (("base", None),))
_MADE_BY = {"weights": "weights", "settings": "settings in config.json", "words": "words in its tokenizer"}


def another(what: str, ref: BaseRef, found_as: str, wanted: str | None, found: str | None) -> IntegrityError:
    """The error about a base with other weights, settings or words than those of `ref`; both digests are told."""
    shown = [one[:12] if one else "unknown" for one in (wanted, found)]
    return IntegrityError(
        f"The adapter was trained on base {ref.name} ({shown[0]}), but {found_as} has other {_MADE_BY[what]} "
        f"({shown[1]}).",
        remedies=(RIGHT_BASE,),
    )


def most_bytes(config: BaseConfig) -> int:
    """The most that the weights of such a base can have: the encoder twice in float32, for a decoder of its own."""
    return 8 * sum(math.prod(shape) for shape in config.shapes().values()) + 64 * MIB


def most_beside(name: str) -> int:
    """The most bytes that a file other than weights can have."""
    return MIB if name == CONFIG_FILE else MAX_TOKENIZER_BYTES


def parts_are_whole(folder: Path, parts: Sequence[str]) -> bool:
    """Whether the index in a folder is there and leads to these parts and no others."""
    try:
        return set(places_in_index(folder, INDEX_FILE, folder.name).values()) == set(parts)
    except BadxError:
        return False


def places_in_index(folder: Path, name: str, base: str) -> Mapping[str, str]:
    """The file that an index of parts leads to for each weight. Raises DataError, IntegrityError, StorageError."""
    index = read_json(file_of_base(folder, name, base, limit=4 * MIB), f"{base}/{name}", limit=4 * MIB)
    places = index.get("weight_map") if isinstance(index, dict) else None
    if name == INDEX_FILE and isinstance(index, dict) and not isinstance(index.get("metadata"), dict):
        places = None  # transformers opens no index without it.
    if not isinstance(places, dict) or not all(isinstance(place, str) for place in places.values()):
        raise IntegrityError(f"{base}: {name} does not say where weights are. Get the base again.")
    return places


@dataclass(frozen=True)
class EncoderTensor:
    """A tensor of the encoder, and the file it is in."""

    file: Path
    stored: StoredTensor


def encoder_tensors(weights: Sequence[Path], config: BaseConfig, base: str) -> Mapping[str, EncoderTensor]:
    """The encoder in these files, by the names that `BaseConfig.shapes` has; `base` is its name in errors.

    Raises IntegrityError unless it is the whole encoder that the configuration describes.
    """
    named = _index(weights[0].parent, [file.name for file in weights], base)
    stored, places = dict[str, StoredTensor](), dict[str, Path]()
    for file in weights:
        try:
            tensors = read_header(file, formats=_FORMATS)
        except IntegrityError as error:
            raise IntegrityError(f"{base}: {error.fact}", remedies=error.remedies) from error
        for name, tensor in tensors.items():
            if name in stored:
                raise IntegrityError(f"{base}: {shown_name(name)} is in two of its files of weights.")
            stored[name], places[name] = tensor, file
    if named is not None and (strange := named.items() ^ {(name, file.name) for name, file in places.items()}):
        raise IntegrityError(
            f"{base}: {INDEX_FILE} and its files differ about {shown_name(min(strange)[0])}. Get the base again."
        )
    own = names_in_encoder(stored, config, base)
    if fault := differences(config.shapes(), {name: stored[one] for name, one in own.items()}):
        raise IntegrityError(f"{base}: its weights are not those of its config.json: {fault}. Get the base again.")
    size = sum(tensor.end - tensor.start for tensor in stored.values())
    if size > most_bytes(config):
        raise IntegrityError(f"{base}: its weights have {size:,} bytes, more than its config.json accounts for.")
    return {name: EncoderTensor(places[one], stored[one]) for name, one in own.items()}


def check_numbers(weights: Iterable[Path], base: str) -> None:
    """Raises IntegrityError if a weight is infinite or not a number: no step of training could mend it."""
    for file in weights:
        try:
            check_finite(file, digest=cached_sha256(file))
        except IntegrityError as error:
            raise IntegrityError(f"{base}: {error.fact} Get the base again.", remedies=error.remedies) from error


def names_in_encoder(stored: Iterable[str], config: BaseConfig, base: str) -> Mapping[str, str]:
    """For each weight of the encoder the name it has in the file; heads and poolers are left out.

    With and without the prefix, or with old and new names, it would be transformers' choice which of two is loaded.
    """
    wanted, found, prefix = config.shapes(), dict[str, str](), family_of(config).prefix
    prefixed = bool(prefix) and any(name.startswith(prefix.rstrip(".")) for name in stored)
    for name in stored:
        plain = name.removeprefix(prefix)
        for old, new in _OLD_NAMES.items():
            plain = plain.replace(old, new)
        if plain not in wanted:
            _refuse_more_layers(plain, wanted, config, base)
            continue
        if plain in found or (prefixed and not name.startswith(prefix)):
            raise IntegrityError(f"{base} has weights under two kinds of names ({shown_name(name)}). Get it again.")
        found[plain] = name
    return found


def _refuse_more_layers(name: str, wanted: Shapes, config: BaseConfig, base: str) -> None:
    """A layer beyond those of config.json would be passed over in silence, and what is left computes something else."""
    layer = _LAYER.search(name)
    if layer and int(layer[0]) >= config.num_hidden_layers and _LAYER.sub("0", name) in wanted:
        raise IntegrityError(
            f"{base}: its weights are not those of its config.json, which has {config.num_hidden_layers} layers: they "
            f"have {shown_name(name)}. Get the base again."
        )


def tensors_digest(tensors: Mapping[str, EncoderTensor]) -> str:
    """The identity of an encoder: name, type, shape and bytes of each of its tensors, wherever and in whatever order.

    It is remembered for files of the same content, as reading them takes seconds.
    """
    files = {file.name: cached_sha256(file) for file in {one.file for one in tensors.values()}}
    memory = home() / "cache" / "encoders" / f"{digest_of([files, sorted(tensors)])}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads(memory.read_bytes())["digest"])
    digest = digest_of(
        {name: [one.stored.dtype, list(one.stored.shape), _sha256_of(one)] for name, one in tensors.items()}
    )
    with suppress(StorageError):
        atomic_write_text(memory, canonical_json({"digest": digest}))
    return digest


def _sha256_of(tensor: EncoderTensor) -> str:
    digest, left = hashlib.sha256(), tensor.stored.end - tensor.stored.start
    with storage_errors(tensor.file), tensor.file.open("rb") as stream:
        stream.seek(tensor.stored.start)
        while left and (chunk := stream.read(min(left, MIB))):
            digest.update(chunk)
            left -= len(chunk)
    return digest.hexdigest()


def _index(folder: Path, names: list[str], base: str) -> Mapping[str, str] | None:
    """Where each weight is by the index, which leads to the files `names` alone; None for one file with all weights.

    Weights that it lacks would be left at random, in silence.
    """
    if WEIGHTS_FILE in names:
        return None  # transformers reads an index only in absence of one file with all weights.
    if not (folder / INDEX_FILE).is_file():
        raise IntegrityError(f"{base} has its weights in parts and no {INDEX_FILE}. Get the base again.")
    named = places_in_index(folder, INDEX_FILE, base)
    places = set(named.values())
    if missing := sorted(name for name in map(shown_name, places - set(names)) if Path(name).name == name):
        raise IntegrityError(f"{base} lacks {missing[0]}, which {INDEX_FILE} names. Get the base again.")
    if places != set(names):
        raise IntegrityError(f"{base}: {INDEX_FILE} leads to other files than {', '.join(names)}. Get the base again.")
    return named

"""The base inside the package: its 8-bit weights become an ordinary `transformers` folder in the cache, once."""

from __future__ import annotations

import gzip
import json
import shutil
import zlib
from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from badx_hub.errors import IntegrityError, NotFoundError
from badx_hub.storage import atomic_folder, cached_sha256, canonical_json, digest_of, home, sha256_file
from badx_hub.tensor_files import header_bytes

WEIGHTS = "weights.int8.safetensors"
TOKENIZER = "tokenizer.json.gz"
COPIED = ("config.json", "tokenizer_config.json", "special_tokens_map.json")
SCALE = ".scale"

_DIGESTS = "sha256.json"
_TYPES = {"int8": "I8", "float16": "F16", "float32": "F32"}

Array = NDArray[np.generic]


def embedded_base() -> Path:
    """The folder of the embedded base in the cache; unpacked there at first use, and again if it is damaged.

    Raises:
        NotFoundError: the installation lacks it.
        IntegrityError: a packed file is missing or damaged.
        StorageError: the cache cannot be written.
    """
    with as_file(files("badx_hub") / "demo" / "base") as packed:
        if not packed.is_dir():
            raise NotFoundError("This installation lacks the demo base. Reinstall badx_hub from a wheel.")
        digest = digest_of({file.name: cached_sha256(file) for file in sorted(packed.iterdir())})
        folder = home() / "cache" / "bases" / f"demo-{digest[:12]}"
        if not _is_sound(folder):
            shutil.rmtree(folder, ignore_errors=True)
            with atomic_folder(folder) as building:
                unpack(packed, building)
                files_then = {file.name: sha256_file(file) for file in building.iterdir()}
                (building / _DIGESTS).write_text(canonical_json(files_then), encoding="utf-8")
    return folder


def write_tensors(path: Path, tensors: Mapping[str, Array]) -> None:
    """Write a safetensors file with the tensors in the order of their names."""
    data = {name: tensor.astype(tensor.dtype.newbyteorder("<")).tobytes() for name, tensor in sorted(tensors.items())}
    header = header_bytes(
        {name: (_TYPES[tensor.dtype.name], tensor.shape, len(data[name])) for name, tensor in tensors.items()}
    )
    path.write_bytes(b"".join((header, *data.values())))


def dequantise(packed: dict[str, Array]) -> dict[str, Array]:
    """Undo the packing: ``int8[rows, columns] * float16[rows]`` and plain float16 both become float32.

    The products are exact in float32, so every machine gets the same bits.
    """
    return {
        name: np.ascontiguousarray(
            tensor.astype(np.float32) * packed[name + SCALE].astype(np.float32)[:, None]
            if name + SCALE in packed
            else tensor.astype(np.float32)
        )
        for name, tensor in packed.items()
        if not name.endswith(SCALE)
    }


def unpack(packed: Path, target: Path) -> None:
    """Write the model and tokenizer of the folder ``packed`` into ``target``, ready for ``from_pretrained``.

    A pure function of the packed files: the same input gives the same bytes.

    Raises:
        IntegrityError: a packed file is missing or damaged.
    """
    target.mkdir(parents=True, exist_ok=True)
    try:
        for name in COPIED:
            shutil.copyfile(packed / name, target / name)
        tokenizer = gzip.decompress((packed / TOKENIZER).read_bytes())
        if not tokenizer:  # gzip reads an empty file as an empty text
            raise EOFError(f"{TOKENIZER} is empty")
        (target / "tokenizer.json").write_bytes(tokenizer)
        weights = load_file(packed / WEIGHTS)
    except (FileNotFoundError, EOFError, gzip.BadGzipFile, zlib.error, SafetensorError) as error:
        raise IntegrityError(f"The embedded base is damaged ({error}). Reinstall badx_hub.") from error
    write_tensors(target / "model.safetensors", dequantise(weights))


def _is_sound(folder: Path) -> bool:
    """Whether the files are those that were unpacked; a damaged copy is made again."""
    try:
        digests = json.loads((folder / _DIGESTS).read_text(encoding="utf-8"))
        return all(cached_sha256(folder / name) == digest for name, digest in digests.items())
    except (OSError, ValueError, AttributeError):
        return False

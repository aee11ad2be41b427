"""Files of weights as strangers may write them: what their headers say, and whether all numbers are finite.

A safetensors file is the length of its header (8 bytes, little-endian), the header (JSON: the type, shape and place of
each tensor), and the tensors. All of the header is checked here before anything takes its word: tensors fill the rest
of the file without gaps and overlaps, and each has the bytes that its type and shape need. See
https://github.com/huggingface/safetensors#format.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from badx_hub.errors import BadxError, DataError, IntegrityError, StorageError
from badx_hub.json_toml_yaml import MIB, read_json
from badx_hub.storage import atomic_write_text, home, storage_errors

MAX_HEADER_BYTES = MIB
"""A tensor needs about 130 bytes: a header of 1 MiB names 8,000. A base of 48 layers has fewer than 1,000."""

FLOATS = frozenset({"F32", "F16", "BF16"})
"""The types that weights may have; those with which `adapters` and transformers write them."""

_ITEM_BYTES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64"), 8),
}
# The bits of the exponent are all set in infinities and in what is no number, and in nothing else.
_EXPONENT = {"F32": 0x7F800000, "F16": 0x7C00, "BF16": 0x7F80}
_LENGTH_BYTES = 8
_MAX_AXES = 8
_CHUNK = 1 << 20
_SHOWN = 3
_MAX_SHOWN = 80
# How files begin that are there in place of weights.
_OTHERS = {b"<": "a web page", b"PK": "an archive or a pickle", b"\x80": "a pickle", b"GGUF": "in GGUF"}
_LFS_POINTER = b"version https://git-lfs.github.com/"


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as a header describes it: its type ("F32"), its shape, and the place of its bytes in the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int

    def __str__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


def read_header(path: Path, *, formats: Collection[str] | None = None) -> Mapping[str, StoredTensor]:
    """The tensors of a safetensors file by name, from its header alone.

    `formats`: what its metadata may name as the format of the tensors, if it names any; default anything.

    Raises IntegrityError (one line: a Git LFS pointer, empty, cut off, or what is wrong with the header), StorageError.
    """
    with storage_errors(path):
        size = path.stat().st_size
        if not path.is_file():
            raise IntegrityError(f"{path.name} is not a regular file.")
        with path.open("rb") as stream:
            start = stream.read(_LENGTH_BYTES)
            length = int.from_bytes(start, "little")
            if size < _LENGTH_BYTES or length > min(size - _LENGTH_BYTES, MAX_HEADER_BYTES):
                raise IntegrityError(_no_header(path, start + stream.read(64), size, length))
            text = stream.read(length)
    data = _LENGTH_BYTES + length
    try:
        return _tensors(read_json(text, "its header", limit=MAX_HEADER_BYTES), data, size, formats)
    except (DataError, ValueError) as error:
        fact = error.fact if isinstance(error, BadxError) else f"{error}."
        raise IntegrityError(f"{path.name} is not in the safetensors format: {fact}") from error


def header_bytes(tensors: Mapping[str, tuple[str, tuple[int, ...], int]]) -> bytes:
    """How a file begins whose tensors follow in the order of their names; of each the type, the shape and the bytes.

    Digests are taken of such files, so their bytes do not depend on the version of a library: the format is written
    here, not by `safetensors`.
    """
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    start = 0
    for name, (dtype, shape, size) in sorted(tensors.items()):
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, start + size]}
        start += size
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % _LENGTH_BYTES)  # the format wants its data aligned
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text


def not_downloaded(name: str, start: bytes) -> str | None:
    """The error about a file that begins with `start` if that is nothing, or what Git LFS leaves in a file's place."""
    if not start:
        return f"{name} is empty: it was not downloaded, or the disk was full. Get it again."
    if start.startswith(_LFS_POINTER):
        return f"{name} is a Git LFS pointer, not the file itself. Fetch it with `git lfs pull`."
    return None


def _no_header(path: Path, start: bytes, size: int, length: int) -> str:
    if (nothing := not_downloaded(path.name, start)) is not None:
        return nothing
    if size < _LENGTH_BYTES or length <= MAX_HEADER_BYTES:
        return f"{path.name} is cut off: {size:,} bytes are too few for its header. Get it again."
    for begins, what in _OTHERS.items():
        if start.startswith(begins):
            return f"{path.name} is not in the safetensors format: it is {what}. Get it again."
    return f"{path.name} is not in the safetensors format: its header would have {length:,} bytes."


def _tensors(header: Any, data: int, size: int, formats: Collection[str] | None) -> Mapping[str, StoredTensor]:
    if not isinstance(header, dict):
        raise ValueError("its header is not a table")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("the metadata in its header is not text")
    if formats is not None and (found_format := metadata.get("format")) not in (None, *formats):
        raise ValueError(
            f"its tensors are in the format of {shown_name(str(found_format))}, not of {' or '.join(formats)}"
        )
    found = {name: _tensor(name, entry, data) for name, entry in header.items()}
    end = data
    for name, tensor in sorted(found.items(), key=lambda item: (item[1].start, item[1].end)):
        if tensor.start != end:
            raise ValueError(f"{shown_name(name)} overlaps another tensor, or leaves a gap")
        end = tensor.end
    if end > size:
        raise ValueError(f"it is cut off: {size:,} bytes of {end:,}")
    if end < size:
        raise ValueError(f"{size - end:,} bytes follow the last tensor")
    return found


def _tensor(name: str, entry: Any, data: int) -> StoredTensor:
    said = shown_name(name)
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{said} is not described by type, shape and place")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _ITEM_BYTES:
        raise ValueError(f"{said} has a type that no weights have")
    if not _are_sizes(shape) or len(shape) > _MAX_AXES or not _are_sizes(offsets) or len(offsets) != 2:
        raise ValueError(f"{said} has a shape or place that is none")
    start, end = offsets
    if end - start != math.prod(shape) * _ITEM_BYTES[dtype]:
        raise ValueError(f"{said} has {end - start:,} bytes, which its type and shape do not need")
    return StoredTensor(dtype, tuple(shape), data + start, data + end)


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(one) is int and one >= 0 for one in value)


def shown_name(name: str) -> str:
    """A tensor's name as errors print it: one line of ASCII, not too long."""
    text = ascii(name)[1:-1]
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def differences(expected: Mapping[str, tuple[int, ...]], stored: Mapping[str, StoredTensor]) -> str | None:
    """What is not as it must be: tensors missing, strange, of another shape, or no floats. None if all is right.

    `expected` are the shapes by name; the first names are told.
    """
    if missing := [name for name in expected if name not in stored]:
        return f"it lacks {len(missing)} of its weights ({_first(missing)})"
    if strange := [name for name in stored if name not in expected]:
        return f"it has {len(strange)} weights that it has no place for ({_first(strange)})"
    if other := [name for name, shape in expected.items() if stored[name].shape != shape]:
        one = other[0]
        return f"{shown_name(one)} is {list(stored[one].shape)} in the file and {list(expected[one])} in the model"
    if typed := [name for name in expected if stored[name].dtype not in FLOATS]:
        return _wrong_type(typed[0], stored[typed[0]])
    return None


def _wrong_type(name: str, tensor: StoredTensor) -> str:
    return f"{shown_name(name)} is of type {tensor.dtype}, and weights are F32, F16 or BF16"


def _first(names: list[str]) -> str:
    more = ", ..." if len(names) > _SHOWN else ""
    return ", ".join(map(shown_name, names[:_SHOWN])) + more


def check_floats(path: Path) -> None:
    """Raises IntegrityError if the file is not in the safetensors format, or if a tensor is of another type."""
    for name, tensor in read_header(path).items():
        if tensor.dtype not in FLOATS:
            raise IntegrityError(f"{path.name}: {_wrong_type(name, tensor)}.")


def check_finite(path: Path, *, digest: str) -> None:
    """Raises IntegrityError if a weight of the file is infinite or not a number.

    `digest` is the file's sha256; that such a file is sound is remembered below `home()`, so it is read once.
    """
    memory = home() / "cache" / "finite" / digest
    if memory.is_file():
        return
    tensors = read_header(path)
    if (bad := _not_finite(path, tensors)) is not None:
        raise IntegrityError(
            f"{path.name} holds numbers that are infinite or no numbers ({shown_name(bad)}): nothing can be computed "
            "with it."
        )
    with suppress(StorageError):  # On a full or read-only disk it is read again next time.
        atomic_write_text(memory, "")


def _not_finite(path: Path, tensors: Mapping[str, StoredTensor]) -> str | None:
    """The name of the first tensor with such a number."""
    import numpy as np

    with storage_errors(path):
        content = np.memmap(path, dtype=np.uint8, mode="r")
        for name, tensor in tensors.items():
            mask = _EXPONENT.get(tensor.dtype)
            if mask is None:
                continue
            bits = np.dtype(f"<u{_ITEM_BYTES[tensor.dtype]}")
            for start in range(tensor.start, tensor.end, _CHUNK):
                chunk = content[start : min(start + _CHUNK, tensor.end)]
                numbers = np.frombuffer(chunk.tobytes(), dtype=bits)
                if bool(((numbers & mask) == mask).any()):
                    return name
    return None

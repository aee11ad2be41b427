"""Pickles of tensors, as `torch.save` writes them, read without running them and without loading them.

A pickle is a program. `torch.load(weights_only=True)` runs none that does more than build tensors; but a few bytes can
ask it for gigabytes: by the size of a storage, a stride of 0, a `bytearray`. So the program is run here with stand-ins
for tensors, which only note where in the file each one's numbers are, and nothing but what a file of tensors needs is
known by name. The numbers are then copied from the file, piece by piece: that takes no memory, however large they are.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from badx_hub.errors import IntegrityError
from badx_hub.pickle_interpreter import TYPES, Bounded, Refused, Sizes, Tensor, run_program
from badx_hub.storage import storage_errors
from badx_hub.tensor_files import header_bytes, not_downloaded

MAX_PICKLE_BYTES = 2**31
"""The most that an adapter's pickle may have."""

_MOST_VIEWS = 4
"""Tensors may share memory, which files of safetensors do not; together they have at most this many times the file."""

# The first of the five pickles in files that torch wrote before its version 1.6.
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_LEGACY_PICKLES = 5
_CHUNK = 1 << 20
# What begins a member of an archive: the mark, and at its end the lengths of its name and of what is extra.
_ZIP_HEADER = struct.Struct("<4s22xHH")
# What the dry run raises for a file that is none, or that needs more than tensors.
_UNREADABLE = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
    AssertionError,
    OverflowError,
    MemoryError,
    struct.error,
)


@dataclass(frozen=True)
class PickledTensor:
    """A tensor in a file: its type in safetensors, its shape, and where its numbers are.

    `start` is the byte at which its storage begins; `offset` and `strides` count numbers of `item_bytes` in it.
    """

    dtype: str
    item_bytes: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    start: int

    @property
    def count(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    @property
    def is_contiguous(self) -> bool:
        """Whether its numbers lie in the file as they are written to safetensors."""
        expected = 1
        for size, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if size != 1 and stride != expected:
                return False
            expected *= size
        return True

    @property
    def span(self) -> int:
        """The numbers from its first to its last in the storage."""
        return 1 + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))


def pickled_tensors(stream: BinaryIO, path: Path) -> Mapping[str, PickledTensor]:
    """The named tensors in a file of `torch.save`, open as `stream`; `path` is its name in errors. Nothing is loaded.

    Raises IntegrityError: it is not named tensors alone, or asks for more memory than it has bytes.
    """
    with _as_ours(path), storage_errors(path):
        if (nothing := not_downloaded(str(path), stream.read(64))) is not None:
            raise IntegrityError(nothing)
        content = _rehearsed(stream)
        if not isinstance(content.value, dict):
            raise Refused("it holds something else than named tensors")
        return {name: content.placed(name, value) for name, value in content.value.items()}


def write_safetensors(target: BinaryIO, tensors: Mapping[str, tuple[BinaryIO, PickledTensor]]) -> None:
    """Write a file of these tensors, each with the open pickle it is in, in the order of their names."""
    names = sorted(tensors)
    target.write(
        header_bytes({name: (one.dtype, one.shape, one.count * one.item_bytes) for name, (_, one) in tensors.items()})
    )
    for name in names:
        for piece in _pieces(*tensors[name]):
            target.write(piece)


def _pieces(stream: BinaryIO, tensor: PickledTensor) -> Iterator[bytes]:
    if not tensor.count:
        return
    stream.seek(tensor.start + tensor.offset * tensor.item_bytes)
    if not tensor.is_contiguous:
        yield _in_order(stream.read(tensor.span * tensor.item_bytes), tensor)
        return
    left = tensor.count * tensor.item_bytes
    while left:
        piece = stream.read(min(left, _CHUNK))
        if not piece:
            raise IntegrityError("The pickle became shorter while it was read. Get it again.")
        left -= len(piece)
        yield piece


def _in_order(content: bytes, tensor: PickledTensor) -> bytes:
    """The numbers of a tensor that is a view, transposed for example."""
    import numpy as np

    numbers = np.frombuffer(content, dtype=f"V{tensor.item_bytes}")
    strides = [stride * tensor.item_bytes for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(numbers, tensor.shape, strides, writeable=False).tobytes()


@contextmanager
def _as_ours(path: Path) -> Iterator[None]:
    try:
        yield
    except Refused as error:
        raise _not_tensors(path, str(error)) from error
    except zipfile.BadZipFile as error:
        raise IntegrityError(f"{path} is cut off or damaged. Get it again.") from error
    except _UNREADABLE as error:
        raise _not_tensors(path, type(error).__name__) from error


def _not_tensors(path: Path, reason: str) -> IntegrityError:
    return IntegrityError(
        f"{path} is not a pickle of tensors alone ({reason}) and might run code, so it was not loaded. "
        "Ask its authors for safetensors."
    )


@dataclass(frozen=True)
class _Content:
    """What a program makes, with stand-ins for tensors, and the byte of the file at which each storage begins."""

    value: Any
    starts: Mapping[str, int]

    def placed(self, name: object, value: object) -> PickledTensor:
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise Refused("it holds something else than named tensors")
        storage = value.storage
        if (start := self.starts.get(storage.key)) is None:
            raise Refused("the numbers of a tensor are missing")
        dtype, item_bytes = TYPES[storage.kind]
        return PickledTensor(dtype, item_bytes, value.shape, value.strides, value.offset, start)


def _rehearsed(stream: BinaryIO) -> _Content:
    """What a file holds. Refuses one whose tensors would take more memory than its bytes justify."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    start = stream.read(len(_LEGACY))
    stream.seek(0)
    sizes = Sizes()
    if start.startswith(b"PK\x03\x04"):
        content = _in_zip(stream, size, sizes)
    elif start == _LEGACY:
        content = _in_sequence(stream, size, sizes)
    else:
        raise Refused("it is no file of torch.save")
    if sizes.tensors > _MOST_VIEWS * size:
        raise _too_many(size)
    return content


def _too_many(size: int) -> Refused:
    return Refused(f"its tensors would have more bytes than the {size:,} of the file")


def _in_zip(stream: BinaryIO, size: int, sizes: Sizes) -> _Content:
    """The format of torch since its version 1.6: a member with the program, and one for each storage."""
    with zipfile.ZipFile(stream) as archive:
        members = archive.infolist()
        if sum(one.file_size for one in members) > size or any(
            one.compress_type != zipfile.ZIP_STORED for one in members
        ):
            raise Refused("its content is packed, which torch.save never does")
        programs = [one for one in members if one.filename.endswith("/data.pkl")]
        if len(programs) != 1:
            raise Refused("it is no file of torch.save")
        folder = programs[0].filename.removesuffix("data.pkl")
        with archive.open(programs[0]) as content:
            value = run_program(Bounded(content), sizes)
        by_name = {one.filename: one for one in members}
        if (order := by_name.get(f"{folder}byteorder")) and archive.read(order)[:8] != b"little":
            raise Refused("its numbers are not little-endian")
    starts = dict[str, int]()
    for key, storage in sizes.storages.items():
        member = by_name.get(f"{folder}data/{key}")
        if member is None or storage.size > member.file_size:
            raise _too_many(size)
        starts[key] = _start_of(stream, member, size)
    return _Content(value, starts)


def _start_of(stream: BinaryIO, member: zipfile.ZipInfo, size: int) -> int:
    """The byte at which a member's content begins: behind its own header, whose lengths torch pads."""
    stream.seek(member.header_offset)
    header = stream.read(_ZIP_HEADER.size)
    mark, names, extra = _ZIP_HEADER.unpack(header)
    start = int(member.header_offset) + _ZIP_HEADER.size + int(names) + int(extra)
    if mark != b"PK\x03\x04" or start + member.file_size > size:
        raise Refused("its parts are not where it says")
    return start


def _in_sequence(stream: BinaryIO, size: int, sizes: Sizes) -> _Content:
    """The format before: five programs, of which the last lists the storages, then each one's length and numbers."""
    bounded = Bounded(stream)
    _, _, system, value, keys = (run_program(bounded, sizes) for _ in range(_LEGACY_PICKLES))
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise Refused("its numbers are not little-endian")
    if not isinstance(keys, list) or sum(one.size for one in sizes.storages.values()) > size:
        raise _too_many(size)
    starts = dict[str, int]()
    for key in map(str, keys):
        count = int.from_bytes(stream.read(8), "little", signed=True)
        storage = sizes.storages.get(key)
        if storage is None or key in starts or count != storage.items:
            raise Refused("its storages are not those of its tensors")
        starts[key] = stream.tell()
        if stream.seek(storage.size, io.SEEK_CUR) > size:
            raise _too_many(size)
    return _Content(value, starts)

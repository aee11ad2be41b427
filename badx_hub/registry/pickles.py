"""Pickles of tensors, as `torch.save` writes them: what they would allocate is known before anything is loaded.

A pickle is a program. `torch.load(weights_only=True)` runs none that does more than build tensors; but a few bytes can
ask it for gigabytes: by the size of a storage, a stride of 0, a `bytearray`. So the program is run here first with
stand-ins for tensors, which only add up sizes, and nothing but what a file of tensors needs is known by name.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from badx_hub.errors import IntegrityError
from badx_hub.plain_files import open_plain
from badx_hub.storage import storage_errors

if TYPE_CHECKING:
    import torch

MAX_PICKLE_BYTES = 2**31
_MAX_PROGRAM = 2**22
_MAX_STEPS = 1_000_000
_MOST_VIEWS = 4
"""Tensors may share memory, which files of safetensors do not; together they have at most so many times the file."""

# The first of the five pickles in files that torch wrote before its version 1.6.
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_LEGACY_PICKLES = 5
_ITEM_BYTES = {
    **dict.fromkeys(("Byte", "Char", "Bool"), 1),
    **dict.fromkeys(("Half", "BFloat16", "Short"), 2),
    **dict.fromkeys(("Float", "Int"), 4),
    **dict.fromkeys(("Double", "Long", "ComplexFloat"), 8),
    "ComplexDouble": 16,
}
_STORAGE = re.compile(rf"({'|'.join(_ITEM_BYTES)})Storage")
_MEMO = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
# What torch.load and the dry run raise for a file that is none, or that needs more than tensors.
_UNREADABLE = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
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


def tensors_in(path: Path) -> dict[str, torch.Tensor]:
    """The named tensors in a file of `torch.save`; a file of at most 2 GiB, no link.

    Raises IntegrityError (it is not named tensors alone, or asks for more memory than it has bytes), StorageError.
    """
    import torch

    with _as_ours(path), open_plain(path, limit=MAX_PICKLE_BYTES) as stream, storage_errors(path):
        _rehearse(stream)
        stream.seek(0)
        value = torch.load(stream, map_location="cpu", weights_only=True)
    if not isinstance(value, dict) or not all(_is_plain(key, tensor) for key, tensor in value.items()):
        raise IntegrityError(f"{path} holds something else than named tensors. Ask its authors for safetensors.")
    return value


def _is_plain(key: object, value: object) -> bool:
    import torch

    return isinstance(key, str) and isinstance(value, torch.Tensor) and value.layout is torch.strided


@contextmanager
def _as_ours(path: Path) -> Iterator[None]:
    try:
        yield
    except _Refused as error:
        raise _not_tensors(path, str(error)) from error
    except _UNREADABLE as error:
        raise _not_tensors(path, type(error).__name__) from error


def _not_tensors(path: Path, reason: str) -> IntegrityError:
    return IntegrityError(
        f"{path} is not a pickle of tensors alone ({reason}) and might run code, so it was not loaded. "
        "Ask its authors for safetensors."
    )


class _Refused(pickle.UnpicklingError):
    """The text says why, as part of a sentence."""


@dataclass(frozen=True)
class _Storage:
    items: int
    item_bytes: int


@dataclass(frozen=True)
class _Tensor:
    """Stands for a tensor."""


@dataclass
class _Bounded:
    """A stream that gives at most `left` bytes, never asks for more memory than that, and keeps what it has `given`."""

    stream: Any
    left: int = _MAX_PROGRAM
    given: list[bytes] = field(default_factory=list)

    def read(self, size: int = -1) -> bytes:
        return self._given(self.stream.read(self.left if size < 0 else min(size, self.left)))

    def readline(self) -> bytes:
        return self._given(self.stream.readline(self.left))

    def _given(self, content: bytes) -> bytes:
        self.left -= len(content)
        if self.left <= 0:
            raise _Refused("its program is too long")
        self.given.append(content)
        return content


@dataclass
class _Sizes:
    """What a program asks for, in bytes: `storages` by their keys, and `tensors` all together."""

    storages: dict[str, int] = field(default_factory=dict)
    tensors: int = 0


class _DryRun(pickle.Unpickler):
    """Runs a program whose only known names are those of a file of tensors, with stand-ins for these."""

    def __init__(self, program: bytes, sizes: _Sizes) -> None:
        super().__init__(io.BytesIO(program))
        self.sizes = sizes

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and (known := _STORAGE.fullmatch(name)):
            return known[1]
        if module == "torch._utils" and name in ("_rebuild_tensor", "_rebuild_tensor_v2"):
            return self._tensor
        if module == "torch._utils" and name == "_rebuild_parameter":
            return lambda tensor, *_: tensor
        raise _Refused(f"it needs {ascii(module)[1:60]}.{ascii(name)[1:60]}".replace("'", ""))

    def persistent_load(self, pid: Any) -> _Storage:
        kind, storage, key, _, items, *_ = pid
        if kind != "storage" or not _is_size(items):
            raise _Refused("a storage is described in another way")
        made = _Storage(items, _ITEM_BYTES[storage])
        self.sizes.storages[str(key)] = items * made.item_bytes
        return made

    def _tensor(self, storage: _Storage, offset: int, shape: tuple[int, ...], stride: Any, *_: Any) -> _Tensor:
        if not isinstance(storage, _Storage) or not all(map(_is_size, (offset, *shape))):
            raise _Refused("a tensor is described in another way")
        if math.prod(shape) > storage.items:
            raise _Refused("a tensor would have more numbers than are stored for it")
        self.sizes.tensors += math.prod(shape) * storage.item_bytes
        return _Tensor()


def _is_size(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**62


def _rehearse(stream: BinaryIO) -> None:
    """Refuses a file whose tensors would take more memory than its bytes justify."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    start = stream.read(len(_LEGACY))
    stream.seek(0)
    sizes = _Sizes()
    if start.startswith(b"PK\x03\x04"):
        _rehearse_zip(stream, size, sizes)
    elif start == _LEGACY:
        bounded = _Bounded(stream)
        for _ in range(_LEGACY_PICKLES):
            _run(bounded, sizes)
    else:
        raise _Refused("it is no file of torch.save")
    if sum(sizes.storages.values()) > size or sizes.tensors > _MOST_VIEWS * size:
        raise _Refused(f"its tensors would have more bytes than the {size:,} of the file")


def _rehearse_zip(stream: BinaryIO, size: int, sizes: _Sizes) -> None:
    with zipfile.ZipFile(stream) as archive:
        members = archive.infolist()
        if sum(one.file_size for one in members) > size or any(
            one.compress_type != zipfile.ZIP_STORED for one in members
        ):
            raise _Refused("its content is packed, which torch.save never does")
        programs = [one for one in members if one.filename.endswith("/data.pkl")]
        if len(programs) != 1:
            raise _Refused("it is no file of torch.save")
        with archive.open(programs[0]) as content:
            _run(_Bounded(content), sizes)


def _run(stream: _Bounded, sizes: _Sizes) -> None:
    """Rehearses the next program of a stream. Its steps are counted first, so that its memo has no holes."""
    stream.given.clear()
    for steps, (step, value, _) in enumerate(pickletools.genops(stream)):  # type: ignore[arg-type]
        if steps > _MAX_STEPS or (step.name in _MEMO and isinstance(value, int) and value > steps):
            raise _Refused("its program is too long")
    _DryRun(b"".join(stream.given), sizes).load()

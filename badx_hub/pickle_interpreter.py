"""The programs inside pickles of tensors, run with stand-ins for tensors: nothing else is known, nothing allocated."""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

_MAX_PROGRAM = 2**22
_MAX_STEPS = 1_000_000
_MAX_AXES = 8
# torch's names of types, those of safetensors, and the bytes of a number.
TYPES = {
    "Byte": ("U8", 1),
    "Char": ("I8", 1),
    "Bool": ("BOOL", 1),
    "Half": ("F16", 2),
    "BFloat16": ("BF16", 2),
    "Short": ("I16", 2),
    "Float": ("F32", 4),
    "Int": ("I32", 4),
    "Double": ("F64", 8),
    "Long": ("I64", 8),
}
_STORAGE = re.compile(rf"({'|'.join(TYPES)})Storage")
_MEMO = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})


class Refused(pickle.UnpicklingError):
    """The text says why, as part of a sentence."""


@dataclass(frozen=True)
class Storage:
    """Stands for a storage: its key, its type as torch calls it, and how many numbers it has."""

    key: str
    kind: str
    items: int

    @property
    def size(self) -> int:
        return self.items * TYPES[self.kind][1]


@dataclass(frozen=True)
class Tensor:
    """Stands for a tensor."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass
class Bounded:
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
            raise Refused("its program is too long")
        self.given.append(content)
        return content


@dataclass
class Sizes:
    """What a program asks for: `storages` by their keys, and the bytes of all `tensors` together."""

    storages: dict[str, Storage] = field(default_factory=dict)
    tensors: int = 0


class _DryRun(pickle.Unpickler):
    """Runs a program whose only known names are those of a file of tensors, with stand-ins for these."""

    def __init__(self, program: bytes, sizes: Sizes) -> None:
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
        raise Refused(f"it needs {ascii(module)[1:60]}.{ascii(name)[1:60]}".replace("'", ""))

    def persistent_load(self, pid: Any) -> Storage:
        kind, storage, key, _, items, *view = pid
        if kind != "storage" or not _is_size(items) or storage not in TYPES or any(one is not None for one in view):
            raise Refused("a storage is described in another way")
        made = Storage(str(key), storage, items)
        if self.sizes.storages.setdefault(made.key, made) != made:
            raise Refused("a storage is described in two ways")
        return made

    def _tensor(self, storage: Storage, offset: int, shape: Any, strides: Any, *_: Any) -> Tensor:
        if not isinstance(storage, Storage) or not _are_sizes(shape) or not _are_sizes(strides):
            raise Refused("a tensor is described in another way")
        if not _is_size(offset) or len(shape) != len(strides):
            raise Refused("a tensor is described in another way")
        made = Tensor(storage, offset, shape, strides)
        reach = 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
        if math.prod(shape) > storage.items or (math.prod(shape) and offset + reach > storage.items):
            raise Refused("a tensor would have more numbers than are stored for it")
        self.sizes.tensors += math.prod(shape) * TYPES[storage.kind][1]
        return made


def _are_sizes(value: object) -> bool:
    return isinstance(value, tuple) and len(value) <= _MAX_AXES and all(map(_is_size, value))


def _is_size(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**62


def run_program(stream: Bounded, sizes: Sizes) -> Any:
    """What the next program of a stream makes, with stand-ins. Raises Refused and what `pickle` raises.

    Its steps are counted first, so that its memo has no holes.
    """
    stream.given.clear()
    for steps, (step, value, _) in enumerate(pickletools.genops(stream)):  # type: ignore[arg-type]
        if steps > _MAX_STEPS or (step.name in _MEMO and isinstance(value, int) and value > steps):
            raise Refused("its program is too long")
    return _DryRun(b"".join(stream.given), sizes).load()

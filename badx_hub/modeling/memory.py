"""Memory that is given back to the system once nobody needs it: models, and pages of weights mapped from a file.

transformers maps a base's file instead of reading it. What is cast to another type has then been read once more, and
its pages stay in memory beside the cast weights, although they would be read from the file again if they were needed.
"""

from __future__ import annotations

import ctypes
import gc
import mmap
import sys
from bisect import bisect_right
from contextlib import suppress
from pathlib import Path

from torch import Tensor

_MAPS = Path("/proc/self/maps")
_SUFFIX = ".safetensors"


class MappedWeights:
    """The places in memory where files of weights are mapped now; none where the system does not tell (Linux does)."""

    def __init__(self) -> None:
        found = []
        with suppress(OSError):
            for line in _MAPS.read_text(encoding="utf-8", errors="replace").splitlines():
                if line.endswith(_SUFFIX):
                    start, _, end = line.partition(" ")[0].partition("-")
                    found.append((int(start, 16), int(end, 16)))
        self._places = sorted(found)

    def forget(self, tensor: Tensor) -> None:
        """Give back the whole pages of a tensor that has not been changed since its file was mapped."""
        if tensor.device.type != "cpu" or not tensor.is_contiguous():
            return
        start, end = tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes
        number = bisect_right(self._places, (start, float("inf"))) - 1
        if number < 0 or end > self._places[number][1]:
            return
        first, last = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE, end // mmap.PAGESIZE * mmap.PAGESIZE
        if last > first:
            ctypes.CDLL(None).madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), mmap.MADV_DONTNEED)


def give_memory_back() -> None:
    """Call it after a model, which has reference cycles; glibc keeps what was freed, and the next would come on top."""
    gc.collect()
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):  # musl has none.
        trim(0)

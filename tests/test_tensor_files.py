"""Headers of safetensors files that lie, and numbers that are none."""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from badx_hub.errors import IntegrityError
from badx_hub.storage import sha256_file
from badx_hub.tensor_files import check_finite, check_floats, differences, read_header

TENSORS = {"a": torch.zeros(2, 3), "b": torch.ones(4, dtype=torch.bfloat16), "c": torch.tensor(1.0).half()}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    save_file(TENSORS, tmp_path / "x.safetensors")
    return tmp_path / "x.safetensors"


def packed(header: Any, data: bytes = b"\0" * 24) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(shape: Any = (2, 3), place: Any = (0, 24), dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": place}


def test_a_header_says_what_is_stored(file: Path) -> None:
    found = read_header(file)
    assert {name: (one.dtype, one.shape) for name, one in found.items()} == {
        "a": ("F32", (2, 3)),
        "b": ("BF16", (4,)),
        "c": ("F16", ()),
    }
    for name, tensor in TENSORS.items():
        content = file.read_bytes()[found[name].start : found[name].end]
        assert content == tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes()
    check_floats(file)
    check_finite(file, digest=sha256_file(file))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git LFS pointer"),
        (b"\x10\0\0", "cut off"),
        (packed({"a": entry()})[:20], "cut off"),
        (packed({"a": entry()})[:-1], "cut off"),
        (b"\x80\x04\x95 a pickle, as it happens", "not in the safetensors format"),
        (packed({"a": entry()}) + b"\0", "follow the last tensor"),
        (packed(b"[]"), "not a table"),
        (packed(b"{"), "not JSON"),
        (packed(b'{"a": 1, "a": 1}'), "twice"),
        (packed(b"[" * 100_000), "nested too deeply"),
        (packed({"a": entry(), "b": entry()}), "overlaps"),
        (packed({"a": entry(place=(4, 28))}, b"\0" * 28), "gap"),
        (packed({"a": entry(), "b": entry((1,), (12, 16))}), "overlaps"),
        (packed({"a": entry((2**40, 2**40))}), "do not need"),
        (packed({"a": entry((2**32, 2**32, 2**32))}), "do not need"),
        (packed({"a": entry((-1, -6))}), "shape or place"),
        (packed({"a": entry((2, 3.0))}), "shape or place"),
        (packed({"a": entry((2, True))}), "shape or place"),
        (packed({"a": entry(place=(24, 0))}), "do not need"),
        (packed({"a": entry(place=(-24, 0))}), "shape or place"),
        (packed({"a": entry(dtype="F33")}), "type that no weights have"),
        (packed({"a": {**entry(), "more": 1}}), "not described"),
        (packed({"a": None}), "not described"),
        (packed({"__metadata__": {"format": 1}, "a": entry()}), "metadata"),
        (b"<!DOCTYPE html><html></html>", "it is a web page. Get it again"),
        (b"PK\x03\x04" + bytes(100), "it is an archive or a pickle"),
        (packed({"\x1b]0;x\x07": None}), r"\\x1b\]0;x\\x07"),
    ],
)
def test_a_header_that_lies_is_refused_in_one_line(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(IntegrityError, match=says) as caught:
        read_header(tmp_path / "x.safetensors")
    assert str(caught.value).isprintable()


def test_a_header_longer_than_any_base_needs_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", 2**30))
    os.truncate(path, 2**31)
    with pytest.raises(IntegrityError, match="its header would have"):
        read_header(path)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_one_number_that_is_none_is_found(tmp_path: Path, dtype: torch.dtype, value: float) -> None:
    path = tmp_path / "x.safetensors"
    large = torch.full((3 * 2**18 + 7,), torch.finfo(dtype).max, dtype=dtype)
    save_file({"fine": large}, path)
    check_finite(path, digest=sha256_file(path))
    large[-1] = value
    save_file({"fine": large[:9].clone(), "x": large}, path)
    with pytest.raises(IntegrityError, match=r"no numbers \(x\)"):
        check_finite(path, digest=sha256_file(path))


def test_a_file_once_seen_sound_is_not_read_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = sha256_file(file)
    check_finite(file, digest=digest)
    monkeypatch.setattr("badx_hub.tensor_files.read_header", lambda path: pytest.fail("read again"))
    check_finite(file, digest=digest)


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.uint8, torch.float64])
def test_weights_of_other_types_are_refused(tmp_path: Path, dtype: torch.dtype) -> None:
    save_file({"x": torch.ones(2, dtype=dtype)}, tmp_path / "x.safetensors")
    with pytest.raises(IntegrityError, match="x is of type"):
        check_floats(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda shapes: {**shapes, "d": (1,)}, r"lacks 1 of its weights \(d\)"),
        (lambda shapes: {"a": (2, 3), "b": (4,)}, r"1 weights that it has no place for \(c\)"),
        (lambda shapes: {**shapes, "a": (3, 2)}, r"a is \[2, 3\] in the file and \[3, 2\] in the model"),
    ],
)
def test_differences_name_the_first_tensor(file: Path, change: Callable[[Any], Any], says: str) -> None:
    stored = read_header(file)
    right = {name: one.shape for name, one in stored.items()}
    assert differences(right, stored) is None
    assert re.search(says, differences(change(right), stored) or "")

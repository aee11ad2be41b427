"""Safetensors files whose headers lie; badx.json vouches for them, so that their digests are right."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

from tests.hostile.artefact import Artefact, Artefacts, Sandbox, raw, tries
from tests.hostile.artefact import dumped as _dumped

Header = dict[str, Any]


def _parts(content: bytes) -> tuple[Header, bytes]:
    size = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def _joined(header: str | Header, data: bytes, *, size: int | None = None) -> bytes:
    text = (header if isinstance(header, str) else _dumped(header)).encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(text) if size is None else size) + text + data


def _first(header: Header) -> Header:
    found: Header = header[next(key for key in header if key != "__metadata__")]
    return found


def _with(**fields: Any) -> Callable[[bytes], bytes]:
    """The first tensor's entry with other fields."""

    def change(content: bytes) -> bytes:
        header, data = _parts(content)
        _first(header).update(fields)
        return _joined(header, data)

    return change


def _metadata(value: Any) -> Callable[[bytes], bytes]:
    return lambda content: _joined({**_parts(content)[0], "__metadata__": value}, _parts(content)[1])


def _sized(size: int) -> Callable[[bytes], bytes]:
    return lambda content: struct.pack("<Q", size) + content[8:]


def _text(text: str) -> Callable[[bytes], bytes]:
    return lambda content: _joined(text, _parts(content)[1])


def _added(key: str, entry: Any) -> Callable[[bytes], bytes]:
    return lambda content: _joined({**_parts(content)[0], key: entry}, _parts(content)[1])


def _twice(content: bytes) -> bytes:
    header, data = _parts(content)
    key = next(key for key in header if key != "__metadata__")
    text = json.dumps(header)
    return _joined(text[:-1] + f", {json.dumps(key)}: {json.dumps(header[key])}}}", data)


def _overlapping(content: bytes) -> bytes:
    header, data = _parts(content)
    one, other = [key for key in header if key != "__metadata__"][:2]
    header[other] = dict(header[one])
    return _joined(header, data)


def _many(content: bytes) -> bytes:
    header, data = _parts(content)
    empty = {f"x{number}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for number in range(100_000)}
    return _joined({**header, **empty}, data)


_EMPTY = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}

CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "no-bytes": lambda content: b"",
    "seven-bytes": lambda content: content[:7],
    "length-alone": lambda content: content[:8],
    "length-0": _sized(0),
    "length-1": _sized(1),
    "length-of-the-file": lambda content: struct.pack("<Q", len(content)) + content[8:],
    "length-100-mb": _sized(100_000_000),
    "length-2-63": _sized(2**63),
    "length-2-64": _sized(2**64 - 1),
    "cut": lambda content: content[:-5],
    "longer": lambda content: content + b"\0" * 64,
    "junk": lambda content: b"\xff" * 4096,
    "pickle": lambda content: b"\x80\x04\x95cos\nsystem\n(S'true'\ntR.",
    "zip": lambda content: b"PK\x03\x04" + content,
    "not-json": _text("{"),
    "list": _text("[]"),
    "null": _text("null"),
    "no-tensors": _text("{}"),
    "nested": _text("[" * 100_000),
    "nested-objects": _text('{"a":' * 100_000),
    "nul": _text("\0"),
    "lone-surrogate": _text('{"\udcff": 1}'),
    "number-of-4400-digits": _text("9" * 4400),
    "megabytes-of-blanks": _text("{" + " " * 5_000_000 + "}"),
    "a-key-twice": _twice,
    "overlapping": _overlapping,
    "100000-empty-tensors": _many,
    "offsets-negative": _with(data_offsets=[-4, 0]),
    "offsets-turned": _with(data_offsets=[8, 0]),
    "offsets-far": _with(data_offsets=[2**40, 2**40 + 4]),
    "offsets-huge": _with(data_offsets=[0, raw("9" * 400)]),
    "offsets-text": _with(data_offsets=["0", "4"]),
    "offsets-three": _with(data_offsets=[0, 4, 8]),
    "shape-huge": _with(shape=[2**40, 2**40]),
    "shape-wraps": _with(shape=[2**32, 2**32, 2**32]),
    "shape-negative": _with(shape=[-1, -32]),
    "shape-fraction": _with(shape=[1.5]),
    "shape-text": _with(shape="16"),
    "shape-of-1000-axes": _with(shape=[1] * 1000),
    "shape-null": _with(shape=None),
    "dtype-unknown": _with(dtype="F33"),
    "dtype-number": _with(dtype=7),
    "dtype-object": _with(dtype={"F32": "F32"}),
    "dtype-wide": _with(dtype="F64"),
    "metadata-numbers": _metadata({"format": 1}),
    "metadata-list": _metadata([]),
    "metadata-null": _metadata(None),
    "metadata-nested": _metadata({"format": {"a": {}}}),
    "metadata-tf": _metadata({"format": "tf"}),
    "metadata-escapes": _metadata({"format": "\x1b]0;owned\x07"}),
    "key-escapes": _added("\x1b]0;owned\x07\x9b2J\u202e", _EMPTY),
    "key-lines": _added("a\nerror: b", _EMPTY),
    "key-empty": _added("", _EMPTY),
    "key-long": _added("k" * 1_000_000, _EMPTY),
    "key-dunder": _added("__class__.__init__", _EMPTY),
    "entry-null": _added("x", None),
    "entry-list": _added("x", [1, 2]),
    "entry-empty": _added("x", {}),
}
# A word about the format that nobody reads does no harm.
HARMLESS = ("metadata-tf", "metadata-escapes", "metadata-null", "megabytes-of-blanks")


def artefacts() -> Artefacts:
    """Every header, in the adapter's weights, and again in the head's where loading could differ."""
    for what, change in CHANGES.items():
        yield Artefact(
            f"headers/{what}", _forge("adapter.safetensors", change), _tries("ta", what, ("pull", "push", "load"))
        )
    for what in list(CHANGES)[::2]:
        change = CHANGES[what]
        yield Artefact(
            f"headers/head-{what}", _forge("model_head.safetensors", change), _tries("ta", what, ("pull", "load"))
        )


def _tries(which: str, what: str, commands: tuple[str, ...]) -> Any:
    # verify compares digests, which are right, and promises no more.
    either = ("verify", *commands) if what in HARMLESS else ("verify", "pull", "push")
    return tries(which, ("verify", *commands), either=either)


def _forge(file: str, change: Callable[[bytes], bytes]) -> Callable[[Sandbox], None]:
    def forge(box: Sandbox) -> None:
        path = box.folder("ta") / file
        path.write_bytes(change(path.read_bytes()))
        box.seal("ta")

    return forge

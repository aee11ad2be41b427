"""Pickles for `convert`: they run code, ask for gigabytes, or are none at all."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from functools import partial
from typing import Any

from tests.hostile.artefact import Artefact, Artefacts, Command, Sandbox

_CONVERT = (Command("convert", ("convert", "./old")), Command("convert-json", ("convert", "./old", "--format", "json")))
_SHELL = "touch $CANARY"


class _Calls:
    """Pickled as a call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.called = function, arguments

    def __reduce__(self) -> Any:
        return self.called


def _global(module: str, name: str, argument: str = _SHELL) -> bytes:
    """A call of module.name(argument), written by hand: the module need not exist."""
    return (
        b"\x80\x02c"
        + f"{module}\n{name}\n".encode()
        + b"X"
        + struct.pack("<I", len(argument))
        + argument.encode()
        + b"\x85R."
    )


def _zipped(
    pickled: bytes, data: dict[str, bytes] | None = None, *, order: str = "little", version: str = "3\n"
) -> bytes:
    """The file that `torch.save` writes around a pickle."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/byteorder", order)
        for name, content in (data or {}).items():
            archive.writestr(f"archive/data/{name}", content)
        archive.writestr("archive/version", version)
    return stream.getvalue()


def _tensor(
    size: int, shape: tuple[int, ...], stride: tuple[int, ...], *, offset: int = 0, data: bytes = b"\0" * 16
) -> bytes:
    """A pickle of {"a": tensor} whose storage claims `size` numbers, whatever its bytes are."""

    def number(value: int) -> bytes:
        content = value.to_bytes(9, "little", signed=True)
        return b"\x8a" + bytes([len(content)]) + content

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(map(number, values)) + b"t"

    def text(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + number(size) + b"tQ"
    arguments = (
        b"(" + storage + number(offset) + numbers(shape) + numbers(stride) + b"\x89ccollections\nOrderedDict\n)Rt"
    )
    pickled = b"\x80\x02}" + text("a") + b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"Rs."
    return _zipped(pickled, {"0": data})


def _saved(value: Any) -> Callable[[], bytes]:
    def save() -> bytes:
        import torch

        stream = io.BytesIO()
        torch.save(value() if callable(value) else value, stream)
        return stream.getvalue()

    return save


def _torch(make: Callable[[Any], Any]) -> Callable[[], bytes]:
    def save() -> bytes:
        import torch

        return _saved(lambda: make(torch))()

    return save


_CODE = (
    ("os", "system"),
    ("posix", "system"),
    ("subprocess", "getoutput"),
    ("builtins", "exec"),
    ("builtins", "eval"),
    ("builtins", "__import__"),
    ("builtins", "getattr"),
    ("builtins", "bytearray"),
    ("runpy", "run_path"),
    ("torch", "load"),
    ("torch.hub", "load"),
    ("torch.jit", "load"),
    ("numpy", "load"),
    ("shutil", "rmtree"),
    ("pathlib", "Path"),
    ("webbrowser", "open"),
    ("no_such_module", "x"),
    ("os.path", "join"),
    ("", ""),
    ("__main__", "x"),
    ("torch", "\x1b]0;owned\x07"),
    ("codecs", "encode"),
)


def _bomb(depth: int) -> bytes:
    """Lists of lists by the memo: a few bytes that stand for 2^depth things when they are walked."""
    return (
        b"\x80\x02]q\x00."
        if depth == 0
        else b"\x80\x02]("
        + b"K\x01" * 2
        + b"eq\x00"
        + b"".join(
            b"](h" + bytes([number]) + b"h" + bytes([number]) + b"eq" + bytes([number + 1]) for number in range(depth)
        )
        + b"."
    )


BYTES: dict[str, Callable[[], bytes]] = {
    **{f"code-{module}-{ascii(name)[1:9]}": partial(_global, module, name) for module, name in _CODE},
    **{f"zip-code-{module}-{name}": partial(_zipped, _global(module, name)) for module, name in _CODE[:8]},
    "call-in-a-dict": lambda: pickle.dumps({"a": _Calls(print, "x")}, protocol=2),
    "call-in-a-zip": lambda: _zipped(pickle.dumps({"a": _Calls(eval, "1")}, protocol=2)),
    "bytearray-of-8-gb": lambda: pickle.dumps({"a": _Calls(bytearray, 8 * 2**30)}, protocol=2),
    "storage-of-8-gb": lambda: _tensor(2**31, (2**31,), (1,)),
    "storage-of-8-eb": lambda: _tensor(2**61, (2**61,), (1,)),
    "storage-negative": lambda: _tensor(-1, (4,), (1,)),
    "shape-of-8-gb-by-stride-0": lambda: _tensor(4, (2**31,), (0,)),
    "shape-of-8-eb-by-stride-0": lambda: _tensor(4, (2**30, 2**31), (0, 0)),
    "shape-of-2-gb-by-stride-0": lambda: _tensor(4, (2**29,), (0,)),
    "shape-beyond-the-storage": lambda: _tensor(4, (400,), (1,)),
    "shape-negative": lambda: _tensor(4, (-4,), (1,)),
    "stride-negative": lambda: _tensor(4, (4,), (-1,)),
    "stride-huge": lambda: _tensor(4, (4,), (2**60,)),
    "offset-beyond": lambda: _tensor(4, (4,), (1,), offset=2**40),
    "offset-negative": lambda: _tensor(4, (4,), (1,), offset=-4),
    "data-too-short": lambda: _tensor(400, (400,), (1,)),
    "data-missing": lambda: _zipped(_tensor(4, (4,), (1,))[:0] or b"\x80\x02}."),
    "order-unknown": lambda: _zipped(b"\x80\x02}.", order="middle"),
    "version-unknown": lambda: _zipped(b"\x80\x02}.", version="999\n"),
    "zip-cut": lambda: _tensor(4, (4,), (1,))[:-30],
    "zip-without-a-pickle": lambda: _zipped(b""),
    "memo-bomb": lambda: _bomb(60),
    "unicode-of-4-gb": lambda: b"\x80\x02X" + struct.pack("<I", 2**32 - 1) + b"x",
    "bytes-of-2-63": lambda: b"\x80\x04\x8e" + struct.pack("<Q", 2**63 - 1) + b"x",
    "frame-of-2-63": lambda: b"\x80\x04\x95" + struct.pack("<Q", 2**63 - 1) + b".",
    "memo-far": lambda: b"\x80\x02}r\xff\xff\xff\x7f.",
    "long-of-2-gb": lambda: b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"x",
    "long-negative": lambda: b"\x80\x02\x8b" + struct.pack("<i", -1) + b"x",
    "marks": lambda: b"\x80\x02" + b"(" * 1_000_000 + b".",
    "deep-lists": lambda: b"\x80\x02" + b"](" * 100_000 + b"e" * 100_000 + b".",
    "persistent-id": lambda: b"\x80\x02X\x01\x00\x00\x00aQ.",
    "extension": lambda: b"\x80\x02\x82\x01.",
    "protocol-0": lambda: b"cos\nsystem\n(S'true'\ntR.",
    "protocol-99": lambda: b"\x80\x63}.",
    "no-stop": lambda: b"\x80\x02}",
    "stop-alone": lambda: b".",
    "empty": lambda: b"",
    "junk": lambda: b"\xff" * 10_000,
    "text": lambda: b"hello\n",
    "tar": lambda: b"sys_info" + b"\0" * 504 + b"\0" * 1024,
    "list": _saved([1, 2]),
    "number": _saved(7),
    "tensor-alone": _torch(lambda torch: torch.zeros(4)),
    "keys-numbers": _torch(lambda torch: {1: torch.zeros(4)}),
    "values-text": _torch(lambda torch: {"a": "x"}),
    "sparse": _torch(lambda torch: {"a": torch.zeros(4, 4).to_sparse()}),
    "sparse-huge": _torch(
        lambda torch: {"a": torch.sparse_coo_tensor(torch.zeros(2, 0).long(), torch.zeros(0), (2**31, 2**31))}
    ),
    "quantised": _torch(lambda torch: {"a": torch.quantize_per_tensor(torch.zeros(4), 0.1, 0, torch.qint8)}),
    "meta-of-8-gb": _torch(lambda torch: {"a": torch.empty(2**31, device="meta")}),
    "expanded-2-gb": _torch(lambda torch: {"a": torch.zeros(1).expand(2**29)}),
    "expanded-many": _torch(lambda torch: {f"a{number}": torch.zeros(1).expand(2**24) for number in range(40)}),
    "parameter": _torch(lambda torch: {"a": torch.nn.Parameter(torch.zeros(4))}),
    "nested": _torch(lambda torch: {"a": {"b": torch.zeros(4)}}),
    "module": _torch(lambda torch: torch.nn.Linear(2, 2)),
    "key-escapes": _torch(lambda torch: {"\x1b]0;owned\x07": torch.zeros(4)}),
    "nan": _torch(lambda torch: {"a": torch.full((4,), float("nan"))}),
    "integers": _torch(lambda torch: {"a": torch.zeros(4, dtype=torch.int64)}),
    "complex": _torch(lambda torch: {"a": torch.zeros(4, dtype=torch.complex64)}),
}
# Named tensors are what is asked for; whether they are those of an adapter is seen when it is imported.
_EITHER = (
    "parameter",
    "key-escapes",
    "nan",
    "integers",
    "complex",
    "order-unknown",
    "version-unknown",
    "memo-far",
    "no-tensors",
    "data-missing",
)


def artefacts() -> Artefacts:
    """As an adapter's pickle; every fourth also as a head's."""
    for number, (what, content) in enumerate(BYTES.items()):
        commands = tuple(Command(one.name, one.argv, "either" if what in _EITHER else one.expect) for one in _CONVERT)
        yield Artefact(f"pickles/{what}", _forge("pytorch_adapter.bin", content), commands[: 1 + number % 2])
        if number % 4 == 0:
            yield Artefact(f"pickles/head-{what}", _forge("pytorch_model_head.bin", content), commands[:1])


def _forge(name: str, content: Callable[[], bytes]) -> Callable[[Sandbox], None]:
    def forge(box: Sandbox) -> None:
        (box.root / "old").mkdir()
        (box.root / "old" / name).write_bytes(content())

    return forge

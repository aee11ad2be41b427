"""Text and treebanks of strangers: bombs in gzip, columns that are none, numbers beyond all bounds."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.hostile.artefact import Artefact, Artefacts, Command, Expect, Sandbox

_STACK = ("en-wo", "--task", "pos", "--registry", "./shared")
_SENTENCE = "1\tXale\t_\tNOUN\t_\t_\t{head}\t{relation}\t_\t_\n\n"


def _row(**columns: str) -> str:
    values = {"id": "1", "form": "Xale", "upos": "NOUN", "head": "0", "relation": "root", **columns}
    return "{id}\t{form}\t_\t{upos}\t_\t_\t{head}\t{relation}\t_\t_\n\n".format(**values)


_CONLLU: dict[str, str] = {
    "id-4400-digits": _row(id="9" * 4400),
    "id-huge": _row(id="1000000000000"),
    "id-negative": _row(id="-1"),
    "id-of-other-digits": _row(id="\u0661"),
    "id-range-huge": _row(id="1-1000000000"),
    "id-range-turned": _row(id="3-1"),
    "id-dots": _row(id="1.1.1"),
    "id-escape": _row(id="\x1b]0;owned\x07"),
    "head-4400-digits": _row(head="9" * 4400),
    "head-text": _row(head="x"),
    "form-empty": _row(form=""),
    "form-escape": _row(form="\x1b]0;owned\x07\x9b2J\u202e"),
    "form-nul": _row(form="a\0b"),
    "form-long": _row(form="x" * 200_000),
    "form-many-spaces": _row(form="x " * 50_000),
    "form-combining": _row(form="a" + "\u0301" * 20_000),
    "upos-unknown": _row(upos="SURPRISE"),
    "upos-escape": _row(upos="\x1b]0;owned\x07"),
    "nine-columns": "1\tXale\t_\tNOUN\t_\t_\t0\troot\t_\n\n",
    "a-thousand-columns": "1" + "\tx" * 1000 + "\n\n",
    "tabs": "\t" * 200_000 + "\n\n",
    "no-end": _row().rstrip("\n"),
    "comments": "# x\n" * 100_000 + _row(),
    "comment-escape": "# text = \x1b]0;owned\x07\n" + _row(),
    "blank-lines": "\n" * 200_000,
    "not-utf-8": "1\t\udcff\t_\tNOUN\t_\t_\t0\troot\t_\t_\n\n",
    "returns": _row().replace("\n", "\r"),
    "line-separators": _row().replace("\n", "\u2028"),
    "long-sentence": "".join(f"{number}\tx\t_\tNOUN\t_\t_\t0\troot\t_\t_\n" for number in range(1, 20_001)) + "\n",
}
_TEXT: dict[str, str] = {
    "nul": "a\0b\n",
    "escape": "\x1b]0;owned\x07 \x9b2J a\u202eb\n",
    "one-long-word": "x" * 500_000,
    "many-words": "x " * 100_000,
    "combining": "a" + "\u0301" * 50_000,
    "not-utf-8": "\udcff\udcfe",
    "blanks": " " * 1_000_000,
    "separators": "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\n",
    "special-tokens": "[CLS] [SEP] [MASK] [PAD] [UNK]\n",
    "tabs": "a\tb\tc\n",
}


def artefacts() -> Artefacts:
    """Predicted on, and for treebanks evaluated on."""
    for what, text in _CONLLU.items():
        predict = Command("predict", ("predict", *_STACK, "--file", "x-test.conllu", "--output", "conllu"), "either")
        evaluate = Command("evaluate", ("evaluate", *_STACK, "--data", "x-test.conllu"), "either")
        forge = _forge("x-test.conllu", partial(_bytes, text))
        yield Artefact(f"texts/conllu-{what}", forge, (predict, evaluate))
    for what, text in _TEXT.items():
        yield _artefact(what, "x.txt", partial(_bytes, text), "either")
    for name in ("x.txt.gz", "x.conllu.gz"):
        for what, content in _packed().items():
            yield _artefact(f"{name}-{what}", name, content, "refused")
        for what, make in {"device": _device, "folder": _folder}.items():
            plain = name.removesuffix(".gz")
            yield Artefact(f"texts/{plain}-{what}", _made(plain, make), _predict(plain, "refused"))


def _artefact(what: str, name: str, content: Callable[[], bytes], expect: Expect) -> Artefact:
    return Artefact(f"texts/{what}", _forge(name, content), _predict(name, expect))


def _predict(name: str, expect: Expect) -> tuple[Command, ...]:
    return (Command("predict", ("predict", *_STACK, "--file", name), expect),)


def _packed() -> dict[str, Callable[[], bytes]]:
    sound = gzip.compress(b"Xale yi\n" * 100)
    return {
        "4-gb-in-a-line": lambda: gzip.compress(b"x" * 2**24, 6) * 256,
        "none": lambda: b"Xale yi\n",
        "cut": lambda: sound[:-9],
        "checksum": lambda: sound[:-8] + b"\0" * 8,
        "damaged": lambda: sound[:12] + b"\xff" * 20 + sound[32:],
    }


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _forge(name: str, content: Callable[[], bytes]) -> Callable[[Sandbox], None]:
    def forge(box: Sandbox) -> None:
        (box.root / name).write_bytes(content())

    return forge


def _made(name: str, make: Callable[[Path], None]) -> Callable[[Sandbox], None]:
    return lambda box: make(box.root / name)


def _folder(path: Path) -> None:
    path.mkdir()


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")

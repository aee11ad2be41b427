"""Sub-words that a language adapter brings along: lists and rows that lie, beside a sound adapter and a sound base."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.hostile import headers
from tests.hostile.artefact import BA, Artefact, Artefacts, Command, Sandbox, dumped, raw, tries
from tests.hostile.world import TRAIN

LIST, ROWS = "vocabulary.json", "vocabulary.safetensors"
_COMMANDS = ("verify", "pull", "push", "load", "predict")
_SIZE = 32
"""Of an embedding of the base here."""

Value = dict[str, Any]


def _words(*words: str) -> Mapping[str, Any]:
    return {"words": list(words)}


_FIELDS: dict[str, Mapping[str, Any]] = {
    "format-2": {"format": 2},
    "format-text": {"format": "1"},
    "kind-unigram": {"kind": "Unigram"},
    "kind-unigram-with-scores": {"kind": "Unigram", "scores": [-1.0, -2.0, -3.0]},
    "kind-bpe": {"kind": "BPE"},
    "kind-unknown": {"kind": "WordLevel"},
    "kind-list": {"kind": ["WordPiece"]},
    "first-0": {"first": 0},
    "first-5": {"first": 5},
    "first-after": {"first": 801},
    "first-far": {"first": 2**31 - 1},
    "first-huge": {"first": raw("9" * 4400)},
    "first-negative": {"first": -1},
    "first-text": {"first": "800"},
    "first-fraction": {"first": 800.0},
    "first-true": {"first": True},
    "words-none": {"words": []},
    "words-fewer": _words("##waxtaanu"),
    "words-more": _words("##waxtaanu", "kersaa", "lekkool", "sutsas"),
    "words-twice": _words("kersaa", "kersaa", "lekkool"),
    "words-text": {"words": "abc"},
    "words-numbers": {"words": [1, 2, 3]},
    "words-null": {"words": [None, None, None]},
    "words-nested": {"words": [["a"], ["b"], ["c"]]},
    "words-object": {"words": {"kersaa": 800, "lekkool": 801, "sutsas": 802}},
    "words-40000": _words(*(f"w{number}" for number in range(40_000))),
    "word-empty": _words("", "kersaa", "lekkool"),
    "word-known": _words("[MASK]", "kersaa", "lekkool"),
    "word-of-the-base": _words("the", "kersaa", "lekkool"),
    "word-nul": _words("ker\0saa", "lekkool", "sutsas"),
    "word-escape": _words("\x1b]0;owned\x07", "lekkool", "sutsas"),
    "word-turned": _words("ker\u202esaa", "lekkool", "sutsas"),
    "word-lines": _words("a\nerror: b", "lekkool", "sutsas"),
    "word-10-mb": _words("x" * 10_000_000, "lekkool", "sutsas"),
    "word-101": _words("x" * 101, "lekkool", "sutsas"),
    "scores": {"scores": [-1.0, -1.0, -1.0]},
    "scores-nan": {"scores": raw("[NaN]")},
    "merges": {"merges": [["ker", "saa"]]},
    "merges-loop": {"kind": "BPE", "merges": [["kersaa", "lekkool"], ["lekkool", "kersaa"]]},
    "unknown-field": {"normalizer": {"type": "Replace", "pattern": {"Regex": "(x+x+)+y"}, "content": ""}},
    "dunder": {"__class__": "os.system"},
    "deep": {"words": raw("[" * 50_000 + "]" * 50_000)},
}
_TEXTS = {
    "empty": "",
    "null": "null",
    "list": "[]",
    "4400-digits": "9" * 4400,
    "not-utf-8": "\ud800",
    "half-a-pair": '{"format": 1, "kind": "WordPiece", "first": 800, "words": ["ker\\ud800saa", "lekkool", "sutsas"]}',
    "key-twice": '{"format": 1, "format": 1, "kind": "WordPiece", "first": 800, "words": ["kersaa", "lekkool", "ok"]}',
    "large": '{"format": 1, "x": "' + "x" * 6_000_000 + '"}',
    "git-lfs": "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n",
}


def _sound() -> Value:
    return {"format": 1, "kind": "WordPiece", "first": 800, "words": ["##waxtaanu", "kersaa", "lekkool"]}


Tensors = dict[str, Any]


def _rows(change: Callable[[Tensors], Tensors]) -> Callable[[Path], None]:
    def forge(path: Path) -> None:
        from safetensors.torch import load_file, save_file

        tensors = change(load_file(path))
        save_file({key: one.contiguous().clone() for key, one in tensors.items()}, path, metadata={"format": "pt"})

    return forge


def _cast(name: str) -> Callable[[Path], None]:
    def change(tensors: Tensors) -> Tensors:
        import torch

        return {key: one.to(getattr(torch, name)) for key, one in tensors.items()}

    return _rows(change)


def _filled(value: float, key: str) -> Callable[[Path], None]:
    def change(tensors: Tensors) -> Tensors:
        tensors[key].view(-1)[-1] = value
        return tensors

    return _rows(change)


def _added(name: str) -> Callable[[Path], None]:
    return _rows(lambda tensors: {**tensors, name: tensors["embeddings"]})


_BASE_WORDS = "bert.embeddings.word_embeddings.weight"
_WEIGHTS: dict[str, Callable[[Path], None]] = {
    "rows-fewer": _rows(lambda tensors: {**tensors, "embeddings": tensors["embeddings"][:2]}),
    "rows-more": _rows(lambda tensors: {key: one.repeat(2, *[1] * (one.dim() - 1)) for key, one in tensors.items()}),
    "rows-none": _rows(lambda tensors: {key: one[:0] for key, one in tensors.items()}),
    "rows-wider": _rows(lambda tensors: {**tensors, "embeddings": tensors["embeddings"].repeat(1, 2)}),
    "rows-narrow": _rows(lambda tensors: {**tensors, "embeddings": tensors["embeddings"][:, :1]}),
    "rows-flat": _rows(lambda tensors: {**tensors, "embeddings": tensors["embeddings"].flatten()}),
    "rows-turned": _rows(lambda tensors: {**tensors, "embeddings": tensors["embeddings"].t()}),
    "bias-gone": _rows(lambda tensors: {"embeddings": tensors["embeddings"]}),
    "bias-longer": _rows(lambda tensors: {**tensors, "bias": tensors["bias"].repeat(2)}),
    "bias-alone": _rows(lambda tensors: {"bias": tensors["bias"]}),
    "with-the-base-words": _added(_BASE_WORDS),
    "with-an-adapter": _added("bert.encoder.layer.0.output.adapters.tiny:en-wo:::::.adapter_down.0.weight"),
    "with-an-escape": _added("\x1b]0;owned\x07"),
    **{
        f"{key}-{value}": _filled(float(value), key)
        for key in ("embeddings", "bias")
        for value in ("nan", "inf", "-inf")
    },
    **{f"as-{name}": _cast(name) for name in ("float64", "int8", "int64", "bool", "uint8", "complex64")},
    "link": lambda path: _in_place(path, lambda: path.symlink_to("/dev/zero")),
    "pipe": lambda path: _in_place(path, lambda: os.mkfifo(path)),
    "folder": lambda path: _in_place(path, path.mkdir),
    "gone": Path.unlink,
    "sparse": lambda path: os.truncate(path, 64 * 2**30),
}
_HALF = ("float16", "bfloat16")
# What the digests and the list alone do not tell: it is seen against the base, when it is loaded.
_LATER = ("rows-wider", "rows-narrow", "first-", "kind-", "word-known", "word-of-the-base")
# Nobody can say what a digest of it were.
_NO_FILE = ("link", "pipe", "folder", "gone", "sparse")


def _in_place(path: Path, make: Callable[[], Any]) -> None:
    path.unlink()
    make()


def artefacts() -> Artefacts:
    """The list and its rows with one thing wrong, on commands that only copy, that load, and that train on."""
    yield _artefact("sound", lambda box: None, harmless=("all",))
    for what, change in _FIELDS.items():
        yield _artefact(what, _list({**_sound(), **change}), train=True)
    for what, text in _TEXTS.items():
        yield _artefact(f"file-{what}", _text(text))
    for what, forge in _WEIGHTS.items():
        train = what.startswith(("rows", "bias", "with"))
        yield _artefact(what, _in(ROWS, forge), train=train, sealed=what not in _NO_FILE)
    for name in _HALF:
        yield _artefact(f"as-{name}", _in(ROWS, _cast(name)), harmless=("all",))
    for what in list(headers.CHANGES)[::2]:
        yield _artefact(f"header-{what}", _in(ROWS, _header(what)), either=("all",) if what in headers.HARMLESS else ())
    for what, forge in _BESIDE.items():
        yield _artefact(f"beside-{what}", forge, sealed=False)
    # What badx.json does not name is not read.
    unread = _files(_without(LIST, ROWS))
    yield Artefact("vocabularies/of-the-task", _of_the_task, tries("ta", _COMMANDS, either=("verify",)))
    yield _artefact("beside-both-unnamed", unread, sealed=False, harmless=("load", "predict"), either=("verify",))


def _artefact(
    what: str,
    change: Callable[[Sandbox], None],
    *,
    harmless: tuple[str, ...] = (),
    either: tuple[str, ...] = (),
    train: bool = False,
    sealed: bool = True,
) -> Artefact:
    def forge(box: Sandbox) -> None:
        _extend(box)
        change(box)
        if sealed:
            box.seal("ba")
        if train:
            shutil.copytree(box.shared, box.root / "own")
            for one in box.work.iterdir():
                (box.root / one.name).symlink_to(one)

    # Digests are right, so what only copies may do so; what loads may not.
    copies = ("verify", "pull", "push") if sealed and what.startswith(_LATER) else ("verify",) if sealed else ()
    commands = tries("ba", _COMMANDS, harmless=harmless, either=(*copies, *either))
    return Artefact(f"vocabularies/{what}", forge, (*commands, _TRAIN) if train else commands)


def _extend(box: Sandbox) -> None:
    """Give the sound BA three sub-words that its base has not."""
    import torch
    from safetensors.torch import save_file

    folder = box.folder("ba")
    (folder / LIST).write_text(dumped(_sound()), encoding="utf-8")
    save_file({"embeddings": torch.zeros(3, _SIZE), "bias": torch.zeros(3)}, folder / ROWS, metadata={"format": "pt"})
    manifest = box.json("ba")
    box.write_json("ba", "badx.json", {**manifest, "files": {**manifest["files"], LIST: "", ROWS: ""}})
    box.seal("ba")


def _list(value: Value) -> Callable[[Sandbox], None]:
    return _text(dumped(value))


def _text(text: str) -> Callable[[Sandbox], None]:
    def change(box: Sandbox) -> None:
        (box.folder("ba") / LIST).write_bytes(text.encode("utf-8", "surrogatepass"))

    return change


def _in(file: str, forge: Callable[[Path], Any]) -> Callable[[Sandbox], None]:
    return lambda box: forge(box.folder("ba") / file)


def _header(what: str) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(headers.CHANGES[what](path.read_bytes()))


def _files(
    change: Callable[[dict[str, str]], dict[str, str]], *, remove: str | None = None
) -> Callable[[Sandbox], None]:
    """badx.json names other files; `remove` one from the folder."""

    def forge(box: Sandbox) -> None:
        if remove:
            (box.folder("ba") / remove).unlink()
        box.write_json("ba", "badx.json", {**box.json("ba"), "files": change(box.json("ba")["files"])})
        box.seal("ba")

    return forge


def _without(*names: str) -> Callable[[dict[str, str]], dict[str, str]]:
    return lambda files: {name: digest for name, digest in files.items() if name not in names}


def _other_list(box: Sandbox) -> None:
    """The list of another day, under the digests of the sound one."""
    _text(dumped({**_sound(), "words": ["##waxtaanu", "kersaa", "sutsas"]}))(box)


_BESIDE: dict[str, Callable[[Sandbox], None]] = {
    "list-changed": _other_list,
    "rows-changed": _in(ROWS, _filled(7.0, "embeddings")),
    "list-gone": _files(_without(LIST), remove=LIST),
    "rows-gone": _files(_without(ROWS), remove=ROWS),
    "list-unnamed": _files(_without(LIST)),
    "rows-unnamed": _files(_without(ROWS)),
}


def _of_the_task(box: Sandbox) -> None:
    """A task adapter that brings sub-words along."""
    _extend(box)
    for name in (LIST, ROWS):
        shutil.copy(box.folder("ba") / name, box.folder("ta") / name)
    manifest = box.json("ta")
    box.write_json("ta", "badx.json", {**manifest, "files": {**manifest["files"], LIST: "", ROWS: ""}})
    box.seal("ta")


_TRAIN = Command(
    "train-init",
    (*TRAIN, "--init", BA, "--registry", "./own", "--extend-vocabulary", "3", "--label", "more", "--format", "quiet"),
)

"""badx.json of every kind of wrongness. The version folder always has the name that goes with its text."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.hostile.artefact import Artefact, Artefacts, Sandbox, dumped, gone, raw, tries

_WRONG: dict[str, Any] = {
    "null": None,
    "true": True,
    "number": 7,
    "text": "x\x1b]0;owned\x07",
    "list": [],
    "object": {},
    "deep": [[[[[[]]]]]],
    "4400-digits": raw("9" * 4400),
    "gone": gone(),
}
_FIELDS: dict[str, tuple[str, ...]] = {
    "schema_version": ("null", "true", "number", "text", "list", "4400-digits"),
    "name": tuple(_WRONG),
    "kind": ("null", "text", "list", "gone"),
    "mixture": ("null", "text", "list", "object", "deep", "gone"),
    "task": ("null", "number", "text", "list", "gone"),
    "setup": ("true", "text", "list"),
    "base": tuple(_WRONG),
    "parent": tuple(_WRONG),
    "recipe": ("null", "text", "list", "gone"),
    "seed": ("null", "text", "list", "4400-digits", "gone"),
    "data": ("null", "text", "object", "gone"),
    "labels": ("true", "text", "object", "deep"),
    "run": ("true", "text", "4400-digits"),
    "training": ("null", "text", "list", "object", "gone"),
    "metrics": ("null", "text", "list", "gone"),
    "versions": ("null", "text", "list", "gone"),
    "created": tuple(_WRONG),
    "licence": ("true", "list", "object", "4400-digits"),
    "evaluations": ("null", "text", "object"),
    "digest": tuple(_WRONG),
    "files": tuple(_WRONG),
}
_ZERO = "0" * 64


def _base(**fields: Any) -> Mapping[str, Any]:
    return {"base": {"@": fields}}


_CHANGES: dict[str, Mapping[str, Any]] = {
    "digest-of-others": {"digest": _ZERO},
    "digest-shouted": {"digest": "A" * 64},
    "digest-long": {"digest": "a" * 65},
    "file-digests-of-others": {"files": {"@": {"adapter.safetensors": _ZERO}}},
    "parent-of-itself": {"parent": {"name": "tiny/en-wo/pos", "digest": _ZERO}},
    "parent-of-nobody": {"parent": {"name": "tiny/en-wo", "digest": _ZERO}},
    "parent-path": {"parent": {"name": "../../x", "digest": _ZERO}},
    "parent-escape": {"parent": {"name": "tiny/en-wo\x1b[2J", "digest": _ZERO}},
    "parent-of-another-base": {"parent": {"name": "mbert/en-wo", "digest": _ZERO}},
    "base-of-others": _base(digest=_ZERO),
    "base-path": _base(name="../../etc"),
    "base-absolute": _base(name="/etc/passwd"),
    "base-home": _base(name="~/x"),
    "base-drive": _base(name="C:x"),
    "base-escape": _base(name="tiny\x1b]0;owned\x07"),
    "base-c1": _base(name="tiny\x9b2J"),
    "base-bidi": _base(name="tiny\u202eegral"),
    "base-line": _base(name="tiny\nerror: x"),
    "base-long": _base(name="x" * 100_000),
    "base-empty": _base(name=""),
    "base-stranger": _base(name="stranger/remote-code", digest=_ZERO),
    "base-url": _base(name="http://127.0.0.1:9", digest=_ZERO),
    "base-kernels": _base(name="kernels-community/flash-attn", digest=_ZERO),
    "base-huge": _base(digest=_ZERO, hidden_size=2**62, num_layers=2**62, vocab_size=2**62),
    "base-negative": _base(hidden_size=-1),
    "base-infinite": _base(hidden_size=raw("1e999")),
    "created-impossible": {"created": "2001-99-99T99:99:99Z"},
    "created-feb-30": {"created": "2001-02-30T00:00:00Z"},
    "created-year-0": {"created": "0000-01-01T00:00:00Z"},
    "created-24-hours": {"created": "2001-01-01T24:00:00Z"},
    "created-leap-second": {"created": "2016-12-31T23:59:60Z"},
    "created-digits-of-others": {"created": "\u0662\u0660\u0660\u0661-01-01T00:00:00Z"},
    "created-path": {"created": "../../x"},
    "created-line": {"created": "2026-01-01T00:00:00Z\n"},
    "created-long": {"created": "2" * 100_000},
    "files-out": {"files": {"@": {"../x.png": _ZERO}}},
    "files-absolute": {"files": {"@": {"/etc/x.png": _ZERO}}},
    "files-pickle": {"files": {"@": {"pytorch_adapter.bin": _ZERO}}},
    "files-case": {"files": {"@": {"Adapter.safetensors": _ZERO}}},
    "files-many": {"files": {"@": {f"x{number}.png": _ZERO for number in range(50_000)}}},
    "files-escape": {"files": {"@": {"x\x1b[2J.png": _ZERO}}},
    "files-nul": {"files": {"@": {"x\0.png": _ZERO}}},
    "files-line": {"files": {"@": {"x.png\n": _ZERO}}},
    "files-absent": {"files": {"@": {"curves.png": _ZERO}}},
    "files-of-a-model": {"files": {"@": {"encoder.safetensors": _ZERO}}},
    "files-of-itself": {"files": {"@": {"badx.json": _ZERO}}},
    "name-other": {"name": "tiny/en-fo/pos"},
    "name-escape": {"name": "tiny/en-wo/pos\x1b[2J"},
    "name-path": {"name": "../../../x"},
    "name-long": {"name": "tiny/" + "-".join(["en"] * 1000)},
    "name-huge": {"name": "x" * 1_000_000},
    "name-of-every-language": {"name": "tiny/en-wo@" + ":".join(["9" * 4400] * 2)},
    "mixture-huge": {"mixture": [["en", raw("9" * 4400)], ["wo", 1]]},
    "mixture-zero": {"mixture": [["en", 0], ["wo", 0]]},
    "mixture-long": {"mixture": [["en", 1]] * 50_000},
    "mixture-escape": {"mixture": [["en\x1b[2J", 1], ["wo", 1]]},
    "task-unknown": {"task": "surprise"},
    "task-dunder": {"task": "__class__"},
    "setup-unknown": {"setup": "surprise"},
    "setup-escape": {"setup": "\x1b[2J"},
    "cycle-and-parent": {"cycle": [{"name": "tiny/en", "digest": _ZERO}]},
    "cycle-long": {"cycle": [{"name": "tiny/en-wo", "digest": _ZERO}] * 50_000},
    "kind-model": {"kind": "model"},
    "kind-bilingual": {"kind": "bilingual"},
    "metrics-nan": {"metrics": {"dev": {"en/accuracy": raw("NaN")}}},
    "metrics-infinite": {"metrics": {"dev": {"en/accuracy": raw("1e999")}}},
    "metrics-digits": {"metrics": {"dev": {"en/accuracy": raw("9" * 4400)}}},
    "metrics-of-text": {"metrics": {"dev": {"en/accuracy": "0.5"}}},
    "metrics-many": {"metrics": {"dev": {f"k{number}": 0.5 for number in range(50_000)}}},
    "training-negative": {"training": {"steps": -1, "best_step": 1, "seconds": 0.0}},
    "training-nan": {"training": {"steps": 1, "best_step": 1, "seconds": raw("NaN")}},
    "training-huge": {"training": {"steps": raw("1" + "0" * 400), "best_step": 1, "seconds": 0.0}},
    "recipe-deep": {"recipe": {"max_length": raw("[" * 50_000 + "]" * 50_000)}},
    "recipe-many": {"recipe": {f"k{number}": 1 for number in range(50_000)}},
    "labels-many": {"labels": [f"l{number}" for number in range(50_000)]},
    "labels-long": {"labels": ["x" * 101]},
    "labels-empty-text": {"labels": [""]},
    "schema-newer": {"schema_version": 2},
    "schema-huge": {"schema_version": 10**30},
    "schema-zero": {"schema_version": 0},
}
_TEXTS: dict[str, str] = {
    "empty": "",
    "blank": " " * 1000,
    "null": "null",
    "list": "[]",
    "number": "7",
    "4400-digits": "9" * 4400,
    "deep-lists": "[" * 200_000,
    "deep-objects": '{"a":' * 100_000,
    "cut": '{"name": "tiny/en-wo/pos"',
    "nul": "\0",
    "not-utf-8": "\udcff",
    "bom": "\ufeff{}",
    "surrogate-escaped": '{"name": "\\ud800"}',
    "html": "<html>log in</html>",
    "lfs": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "escape": "\x1b]0;owned\x07\x9b2J",
    "too-large": " " * (4 * 2**20 + 1),
    "large": "[" + "1," * 2_000_000 + "1]",
    "keys": "{" + ",".join(f'"k{number}":1' for number in range(200_000)) + "}",
    "a-key-of-a-megabyte": '{"' + "k" * 2**20 + '": 1}',
}
# What the task of an unread recipe says is read when it is needed; a listing need not look.
_PASSES = ("recipe-text", "recipe-list")


def artefacts() -> Artefacts:
    """Fields of wrong types, fields that lie, and texts that are no manifest."""
    for field, values in _FIELDS.items():
        for value in values:
            if field == "schema_version" and value == "gone":
                continue
            yield _artefact(f"{field}-{value}", _changed({field: _WRONG[value]}))
    for what, changes in _CHANGES.items():
        yield _artefact(what, _changed(changes))
    for what, text in _TEXTS.items():
        yield _artefact(f"file-{what}", lambda box, text=text: box.put_manifest("ta", text))  # type: ignore[misc]
    yield _artefact("a-key-twice", _twice)
    yield from _recipes()


def _artefact(what: str, forge: Callable[[Sandbox], Any]) -> Artefact:
    return Artefact(
        f"manifests/{what}", forge, tries("ta", ("list-json", "info", "verify", "pull", "load"), either=_either(what))
    )


def _either(what: str) -> tuple[str, ...]:
    """What only another base would refuse is for those commands that have to do with the base."""
    if what.startswith(("base-of", "base-stranger", "base-url", "base-kernels", "base-huge")):
        return ("verify", "pull")
    return ()


def _changed(changes: Mapping[str, Any]) -> Callable[[Sandbox], None]:
    def forge(box: Sandbox) -> None:
        value = box.json("ta")
        for key, one in changes.items():
            nested = isinstance(one, dict) and "@" in one
            value[key] = {**value[key], **one["@"]} if nested else one
        box.put_manifest("ta", dumped({key: one for key, one in value.items() if one is not gone()}))

    return forge


def _twice(box: Sandbox) -> None:
    text = json.dumps(box.json("ta"))
    box.put_manifest("ta", text[:-1] + ', "name": "tiny/en-wo", "digest": "x"}')


_LENGTHS: dict[str, Any] = {
    "negative": -1,
    "zero": 0,
    "one": 1,
    "text": "x",
    "text-of-digits": "9" * 4400,
    "fraction": 1.5,
    "nan": "nan",
    "null": None,
    "list": [64],
    "huge": 10**18,
    "digits": raw("9" * 4400),
    "1e300": raw("1e300"),
    "gone": gone(),
}
_OPTIONS: dict[str, Any] = {
    "list": [],
    "text": "x",
    "unknown": {"surprise": True},
    "dunder": {"__class__": True},
    "escape": {"\x1b]0;owned\x07": True},
    "number": {"decoding": 7},
    "deep": {"decoding": [[[[]]]]},
}


def _recipes() -> Artefacts:
    """A sound manifest may hold any JSON as its recipe, and loading reads some of it."""
    commands = ("list", "info", "verify", "load", "predict")
    for what, value in _LENGTHS.items():
        recipe = {} if value is gone() else {"max_length": value}
        either = ("verify",) if what != "huge" else ("verify", "load", "predict")
        yield Artefact(
            f"manifests/max-length-{what}", _sealed({"recipe": recipe}), tries("ta", commands, either=either)
        )
    for what, value in _OPTIONS.items():
        forge = _sealed({"recipe": {"max_length": 64, "options": value}})
        either = ("verify",) if what not in ("list", "text") else ("verify", "load", "predict")
        yield Artefact(f"manifests/options-{what}", forge, tries("ta", commands, either=either))


def _sealed(changes: Mapping[str, Any]) -> Callable[[Sandbox], None]:
    def forge(box: Sandbox) -> None:
        box.seal("ta", changes)

    return forge

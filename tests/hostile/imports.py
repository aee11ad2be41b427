"""Adapters of others for `import`: the wrong configurations and weights again, and links in their folders."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from typing import Any

from tests.hostile import headers, weights
from tests.hostile.artefact import Artefact, Artefacts, Command, Expect, Sandbox, dumped, gone
from tests.hostile.configs import CHANGES, EITHER_CHANGES, TEXTS, TOP, TOP_EITHER, WHOLE

_IMPORT = ("import", "./foreign", "--language", "wo", "--base", "base")
# What a base of that name is, and what made the adapter, is told and compared where it can be.
_EITHER = (*EITHER_CHANGES, *(one for one in TOP_EITHER if not one.startswith(("model-type", "hidden-size"))))


def artefacts() -> Artefacts:
    """A sound adapter of others with one thing wrong."""
    for what, changes in {**CHANGES, **TOP}.items():
        whole = what in TOP
        yield _config(what, lambda config, changes=changes, whole=whole: dumped(_with(config, changes, whole=whole)))  # type: ignore[misc]
    for what, value in WHOLE.items():
        yield _config(f"whole-{what}", lambda config, value=value: dumped({**config, "config": value}))  # type: ignore[misc]
    for what, text in TEXTS.items():
        yield _config(f"file-{what}", lambda config, text=text: text)  # type: ignore[misc]
    for what in ("nan", "one-inf", "as-int64", "as-bool", "without-the-last", "turned", "first-one-row"):
        yield _weights(what)
    for what in ("length-2-63", "overlapping", "nested", "pickle", "shape-wraps", "key-escapes"):
        yield _artefact(f"header-{what}", _header(what))
    for file in ("adapter_config.json", "adapter.safetensors"):
        for damage in (_link, _device, _pipe, _sparse):
            yield _artefact(f"{file}-{damage.__name__[1:]}", lambda box, file=file, damage=damage: damage(box, file))  # type: ignore[misc]


def _with(config: dict[str, Any], changes: Mapping[str, Any], *, whole: bool) -> dict[str, Any]:
    changed = {**config, **changes} if whole else {**config, "config": {**config["config"], **changes}}
    return {key: value for key, value in changed.items() if value is not gone()}


def _artefact(what: str, change: Callable[[Sandbox], None]) -> Artefact:
    def forge(box: Sandbox) -> None:
        foreign = box.root / "foreign"
        foreign.mkdir()
        for name in ("adapter_config.json", "adapter.safetensors"):
            shutil.copy(box.folder("ba") / name, foreign)
        (box.root / "base").symlink_to(box.base)
        change(box)

    expect: Expect = "either" if what in _EITHER else "refused"
    return Artefact(f"imports/{what}", forge, (Command("import", _IMPORT, expect),))


def _config(what: str, change: Callable[[dict[str, Any]], str]) -> Artefact:
    def forge(box: Sandbox) -> None:
        text = change(box.json("ba", "adapter_config.json"))
        (box.root / "foreign" / "adapter_config.json").write_bytes(text.encode("utf-8", "surrogateescape"))

    return _artefact(what, forge)


def _weights(what: str) -> Artefact:
    def forge(box: Sandbox) -> None:
        weights.rewrite(box.root / "foreign" / "adapter.safetensors", what)

    return _artefact(f"weights-{what}", forge)


def _header(what: str) -> Callable[[Sandbox], None]:
    def forge(box: Sandbox) -> None:
        path = box.root / "foreign" / "adapter.safetensors"
        path.write_bytes(headers.CHANGES[what](path.read_bytes()))

    return forge


def _link(box: Sandbox, file: str) -> None:
    (box.root / "foreign" / file).unlink()
    (box.root / "foreign" / file).symlink_to(box.secret)


def _device(box: Sandbox, file: str) -> None:
    (box.root / "foreign" / file).unlink()
    (box.root / "foreign" / file).symlink_to("/dev/zero")


def _pipe(box: Sandbox, file: str) -> None:
    (box.root / "foreign" / file).unlink()
    os.mkfifo(box.root / "foreign" / file)


def _sparse(box: Sandbox, file: str) -> None:
    os.truncate(box.root / "foreign" / file, 64 * 2**30)

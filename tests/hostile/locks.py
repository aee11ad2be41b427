"""badx.lock: TOML that explodes, escapes and lies."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tests.hostile.artefact import Artefact, Artefacts, Command, Sandbox

_USE = Command("predict", ("predict", "en-wo", "Xale yi", "--task", "pos", "--lock", "badx.lock"))
_PLACE = ("--task", "pos", "--registry", "./shared", "-o", "badx.lock")
_ADD = Command("lock", ("lock", "en-wo", *_PLACE))

_TEXTS: dict[str, str] = {
    "empty": "",
    "dots-200-kb": "a" + ".a" * 100_000 + " = 1\n",
    "dots-in-a-table": "[a" + ".a" * 100_000 + "]\n",
    "dots-quoted": '"a"' + '."a"' * 50_000 + " = 1\n",
    "dots-many": "".join(f"{'.'.join('abcdefgh')}.k{number} = 1\n" for number in range(8_000)),
    "tables-200-kb": "".join(f"[t{number}.{'x.' * 40}y]\n" for number in range(2_000)),
    "dots-grow": "".join("a." * number + f"x{number} = 1\n" for number in range(1, 440)),
    "arrays-deep": "a = " + "[" * 100_000 + "]" * 100_000,
    "arrays-open": "a = " + "[" * 200_000,
    "tables-deep": "a = " + "{a = " * 20_000,
    "array-of-tables": "[[stacks]]\n" * 20_000,
    "array-of-empty": "stacks = [" + "{}," * 60_000 + "]\n",
    "keys": "".join(f"k{number} = 1\n" for number in range(15_000)),
    "digits": "schema_version = " + "9" * 4400 + "\n",
    "digits-long": "schema_version = " + "9" * 500_000 + "\n",
    "digits-hex": "schema_version = 0x" + "f" * 100_000 + "\n",
    "digits-octal": "schema_version = 0o" + "7" * 100_000 + "\n",
    "underscores": "schema_version = 1" + "_1" * 100_000 + "\n",
    "float": "schema_version = 1e999\n",
    "float-nan": "schema_version = nan\n",
    "float-digits": "a = 1." + "9" * 100_000 + "e-9\n",
    "date-impossible": "schema_version = 2001-99-99\n",
    "date-feb-30": "schema_version = 2001-02-30\n",
    "time-impossible": "schema_version = 25:61:61\n",
    "offset-impossible": "a = 2001-01-01T00:00:00+99:99\n",
    "year-0": "a = 0000-01-01\n",
    "fraction-long": "a = 2001-01-01T00:00:00." + "9" * 100_000 + "\n",
    "text-unended": 'a = "' + "x" * 100_000,
    "text-many-lines": 'a = """' + "\n" * 100_000,
    "text-quotes": 'a = """' + '""\\' * 50_000,
    "escape-unknown": 'a = "\\x"\n',
    "escape-surrogate": 'a = "\\ud800"\n',
    "escape-far": 'a = "\\UFFFFFFFF"\n',
    "escape-terminal": 'schema_version = "\\u001b]0;owned\\u0007"\n',
    "key-terminal": '[[stacks]]\n"\\u001b]0;owned\\u0007" = 1\npair = "\\u009b2J"\n',
    "nul": "\0" * 1000,
    "carriage-returns": "\r" * 100_000,
    "tabs": "\t" * 500_000,
    "comment": "#" * 500_000,
    "comment-control": "# \x1b[2J\n",
    "equals": "=" * 100_000,
    "brackets": "[" * 100_000,
    "quotes": '"' * 100_001,
    "not-utf-8": "\udcff\udcfe",
    "bom": "\ufeffschema_version = 1\n",
    "json": "{}",
    "schema-newer": "schema_version = 2\n",
    "schema-text": 'schema_version = "1"\n',
    "schema-true": "schema_version = true\n",
    "stacks-text": 'stacks = "x"\n',
    "stacks-number": "stacks = 7\n",
    "stacks-table": "[stacks]\nx = 1\n",
    "too-large": "# " + "x" * 2**20 + "\n",
}
_STACK = """\
schema_version = 1
[[stacks]]
pair = "en:1,wo:1"
task = "pos"
setup = "bad-x"
[stacks.base]
name = "tiny"
digest = "{digest}"
[[stacks.adapters]]
name = "tiny/en-wo"
version = "20260101T000000Z-000000000000"
digest = "{digest}"
manifest = "{digest}"
registry = "{registry}"
[[stacks.adapters]]
name = "tiny/en-wo/pos"
version = "20260101T000000Z-000000000000"
digest = "{digest}"
manifest = "{digest}"
registry = "{registry}"
"""
_REGISTRIES = {
    "registry-elsewhere": "../../../../etc",
    "registry-of-nobody": "~nobody/x",
    "registry-of-no-user": "~no-such-user-at-all/x",
    "registry-file": "./outside/id_ed25519",
    "registry-device": "/dev/zero",
    "registry-escape": "\\u001b]0;owned\\u0007",
    "registry-nul": "a\\u0000b",
    "registry-long": "x" * 900,
    "registry-longer": "x" * 5000,
    "registry-hub": "hf:../..",
    "registry-hub-offline": "hf:acme",
    "registry-url": "http://127.0.0.1:9/",
}


def artefacts() -> Artefacts:
    """Read by `predict --lock`, and by `lock`, which adds to what is there."""
    for what, text in _TEXTS.items():
        # What is TOML and has no stack is a lock file that locks nothing: `predict` finds nothing in it.
        add = Command(_ADD.name, _ADD.argv, "either")
        yield Artefact(f"locks/{what}", _forge(text), (_USE, add))
    for what, registry in _REGISTRIES.items():
        yield Artefact(f"locks/{what}", _forge(_STACK.format(digest="a" * 64, registry=registry)), (_USE,))
    for what, forge in {"folder": _folder, "device": _device, "sparse": _sparse}.items():
        yield Artefact(f"locks/file-{what}", forge, (_USE, _ADD))


def _forge(text: str) -> Callable[[Sandbox], None]:
    def forge(box: Sandbox) -> None:
        _lock(box).write_bytes(text.encode("utf-8", "surrogateescape"))

    return forge


def _lock(box: Sandbox) -> Path:
    return box.root / "badx.lock"


def _folder(box: Sandbox) -> None:
    _lock(box).mkdir()


def _device(box: Sandbox) -> None:
    _lock(box).symlink_to("/dev/zero")


def _sparse(box: Sandbox) -> None:
    _lock(box).touch()
    os.truncate(_lock(box), 64 * 2**30)

"""Recipes and studies: YAML that explodes, runs, escapes or is none."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from tests.hostile.artefact import Artefact, Artefacts, Command, Expect, Sandbox

_NAMES = "abcdefghijklmnop"


def _laughs(width: int, depth: int) -> str:
    """Aliases of aliases: a few lines that stand for width^depth values."""
    lines = [f"a: &a [{', '.join(['x'] * width)}]"]
    lines += [f"{b}: &{b} [{', '.join([f'*{a}'] * width)}]" for a, b in pairwise(_NAMES[: depth + 1])]
    return "\n".join(lines) + "\n"


def _maps(width: int, depth: int) -> str:
    lines = ["a: &a {x: 1}"]
    for one, other in pairwise(_NAMES[: depth + 1]):
        lines.append(f"{other}: &{other} {{{', '.join(f'k{number}: *{one}' for number in range(width))}}}")
    return "\n".join(lines) + "\n"


_YAML: dict[str, str] = {
    "empty": "",
    "null": "~\n",
    "list": "- x\n",
    "text": "x\n",
    "number": "7\n",
    "laughs-small": _laughs(2, 4),
    "laughs": _laughs(10, 9),
    "laughs-wide": _laughs(1000, 3),
    "laughs-of-maps": _maps(10, 9),
    "laughs-merged": _maps(4, 12).replace("k0: *", "<<: *"),
    "laughs-known-key": _laughs(10, 9) + "name: *j\n",
    "laughs-in-text": _laughs(10, 9) + "text: {en: *j}\n",
    "recursive": "a: &a [*a]\n",
    "recursive-name": "name: &a [*a]\n",
    "recursive-map": "&a\nname: *a\n",
    "recursive-tasks": "tasks: &a {pos: *a}\n",
    "recursive-merge": "a: &a\n  <<: *a\n",
    "deep-lists": "[" * 50_000,
    "deep-lists-closed": "[" * 2_000 + "]" * 2_000,
    "deep-maps": "{a: " * 5_000,
    "deep-blocks": "\n".join(" " * number + "a:" for number in range(1_500)),
    "deep-dashes": "- " * 5_000,
    "deep-quest": "? " * 5_000,
    "deep-tags": "!!map " * 5_000,
    "date": "name: 2001-99-99\n",
    "date-feb-30": "name: 2001-02-30\n",
    "date-year-0": "name: 0000-01-01\n",
    "date-time": "name: 2001-01-01 99:99:99\n",
    "date-zone": "name: 2001-01-01T00:00:00+99:99\n",
    "date-key": "2001-99-99: x\n",
    "timestamp-tag": "name: !!timestamp x\n",
    "int-tag": "name: !!int x\n",
    "int-empty": "name: !!int ''\n",
    "float-tag": "name: !!float x\n",
    "bool-tag": "name: !!bool x\n",
    "binary-tag": "name: !!binary \u00e9\n",
    "set-tag": "name: !!set x\n",
    "omap-tag": "name: !!omap x\n",
    "pairs-tag": "name: !!pairs [x]\n",
    "python-tag": "name: !!python/object/apply:os.system ['touch $CANARY']\n",
    "python-name": "name: !!python/name:os.system\n",
    "own-tag": "name: !surprise x\n",
    "tag-long": "name: !" + "x" * 100_000 + " y\n",
    "digits": "name: " + "9" * 4400 + "\n",
    "digits-as-steps": "name: x\nlanguage: {steps: " + "9" * 4400 + "}\n",
    "digits-hex": "name: x\nlanguage: {steps: 0x" + "f" * 5000 + "}\n",
    "digits-sexagesimal": "name: x\nlanguage: {steps: 1" + ":59" * 5_000 + "}\n",
    "digits-octal": "name: x\nlanguage: {steps: 0" + "7" * 6000 + "}\n",
    "float-huge": "name: x\nlanguage: {steps: 1e999}\n",
    "float-nan": "name: x\nlanguage: {learning_rate: .nan}\n",
    "float-inf": "name: x\nlanguage: {learning_rate: .inf}\n",
    "float-sexagesimal": "name: x\nlanguage: {learning_rate: 1" + ":59" * 5_000 + ".5}\n",
    "key-list": "? [x]\n: y\n",
    "key-map": "? {x: y}\n: z\n",
    "key-null": "~: x\n",
    "key-number": "7: x\n",
    "key-twice": "name: x\nname: y\n",
    "key-long": "k" * 200_000 + ": x\n",
    "keys-many": "".join(f"k{number}: 1\n" for number in range(20_000)),
    "escape": 'name: "\\e]0;owned\\a"\nsurprise: "\\x9b2J"\n',
    "escape-key": '"\\e]0;owned\\a": 1\n',
    "escape-bidi": 'name: x\n"\\u202egnp": 1\n',
    "escape-line": 'name: x\n"a\\nerror: b": 1\n',
    "escape-surrogate": 'name: "\\ud800"\n',
    "escape-far": 'name: "\\Uffffffff"\n',
    "escape-nul": 'name: "\\0"\nextends: "\\0"\n',
    "nul": "name: \0\n",
    "control": "name: \x1b[2J\n",
    "c1": "name: \x9b2J\n",
    "tabs": "\t" * 100_000,
    "blanks": " " * 1_000_000,
    "lines": "\n" * 500_000,
    "comment": "#" * 1_000_000,
    "quotes": "'" * 100_001,
    "double-quotes": '"' * 100_001,
    "colons": ":" * 100_000,
    "dashes": "-" * 100_000,
    "brackets": "]" * 100_000,
    "ampersands": "&" * 100_000,
    "stars": "*" * 100_000,
    "bangs": "!" * 100_000,
    "percents": "%" * 100_000 + "\n",
    "documents": "---\n" * 20_000,
    "directive": "%YAML " + "9" * 4400 + ".1\n---\nname: x\n",
    "not-utf-8": "\udcff",
    "utf-16": "\udcff\udcfen\0a\0",
    "extends-itself": "extends: ./file.yaml\n",
    "extends-list": "extends: [paper]\n",
    "extends-device": "extends: /dev/zero\n",
    "extends-nul": 'extends: "a\\0b"\n',
    "extends-long": "extends: " + "x" * 5000 + "\n",
    "extends-of-nobody": "extends: ~nobody/x\n",
    "language-list": "name: x\nlanguage: [1]\n",
    "language-text": "extends: paper\nlanguage: x\n",
    "tasks-list": "extends: paper\ntasks: [1]\n",
    "adapter-tiny": "extends: quick\nlanguage: {adapter: {reduction_factor: 1.0e-9}}\n",
    "batch-huge": "extends: quick\nlanguage: {batch_size: 1000000000000}\n",
    "steps-huge": "extends: quick\nlanguage: {steps: 1000000000000000000000000}\n",
    "length-huge": "extends: quick\nlanguage: {max_length: 8192}\n",
}
_STUDY = """\
name: x
base: {base}
source: en
baseline: bad-x
recipe: quick
text: {{en: {en}, wo: wo.txt}}
train: {{pos: x}}
test: {{pos: {{wo: x}}}}
blocks: [{{targets: [wo], tasks: [pos], setups: {setups}}}]
seeds: {seeds}
"""
_STUDIES: dict[str, dict[str, str]] = {
    "base-of-nobody": {"base": "~nobody/x"},
    "base-of-no-user": {"base": "~no-such-user-at-all/x"},
    "base-nul": {"base": '"a\\0b"'},
    "base-long": {"base": "x" * 5000},
    "base-escape": {"base": '"\\e]0;owned\\a"'},
    "base-url": {"base": "http://127.0.0.1:9/x"},
    "base-list": {"base": "[x]"},
    "base-stranger": {"base": "stranger/code"},
    "text-of-no-user": {"en": "~no-such-user-at-all/x"},
    "text-nul": {"en": '"a\\0b"'},
    "text-long": {"en": "x" * 5000},
    "text-escape": {"en": '"\\e]0;owned\\a"'},
    "seeds-huge": {"seeds": f"[{'9' * 4400}]"},
    "seeds-many": {"seeds": f"[{', '.join(map(str, range(20_000)))}]"},
    "seeds-date": {"seeds": "[2001-99-99]"},
    "setups-ratio": {"setups": f"['bad-x@{'9' * 4400}:1']"},
    "setups-escape": {"setups": '["\\e]0;owned\\a"]'},
    "setups-many": {"setups": "[" + ", ".join(f"'bad-x@{number}:1'" for number in range(2, 3000)) + "]"},
    "setups-twice": {"setups": "[bad-x, bad-x]"},
}
_PLANNED = ("base-stranger", "base-of-nobody", "base-escape", "base-url", "text-", "seeds-many", "setups-many")
_SOUND = {"base": "base", "en": "en.txt", "setups": "[bad-x]", "seeds": "[1]"}


def artefacts() -> Artefacts:
    """Each text as a recipe and as a study; studies whose values lie; files that are none."""
    recipe = (
        "train",
        "en-wo",
        "--recipe",
        "./file.yaml",
        "--base",
        "base",
        "--text",
        "en=en.txt",
        "--text",
        "wo=wo.txt",
    )
    commands = (Command("train", recipe), Command("study", ("study", "plan", "./file.yaml")))
    for what, text in _YAML.items():
        yield Artefact(f"recipes/{what}", _forge(text), commands)
    for what, values in _STUDIES.items():
        text = _STUDY.format(**{**_SOUND, **values})
        # A plan of what is not there may still be a plan.
        expect: Expect = "either" if what.startswith(_PLANNED) else "refused"
        yield Artefact(f"recipes/study-{what}", _forge(text), (Command("study", commands[1].argv, expect),))
    for what, make in {
        "folder": _folder,
        "device": _device,
        "sparse": _sparse,
    }.items():
        yield Artefact(f"recipes/file-{what}", _placed(make), commands)


def _placed(make: Callable[[Path], object]) -> Callable[[Sandbox], None]:
    def forge(box: Sandbox) -> None:
        _beside(box)
        make(box.root / "file.yaml")

    return forge


def _forge(text: str) -> Callable[[Sandbox], None]:
    return _placed(lambda path: path.write_bytes(text.encode("utf-8", "surrogateescape")))


def _beside(box: Sandbox) -> None:
    for one in box.work.iterdir():
        (box.root / one.name).symlink_to(one)


def _folder(path: Path) -> None:
    path.mkdir()


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 64 * 2**30)

"""The shape of the product code: files, functions and signatures are short, and no type has the name of another."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from badx_hub import cli
from badx_hub.cli import study

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(path for top in ("badx_hub", "cli") for path in (ROOT / top).rglob("*.py"))

FILE, FUNCTION, SIGNATURE = 350, 60, 8
"""The most lines of a file, lines of a function and parameters, `self` not counted."""

REASON = "Many arguments: "
"""How a docstring begins the sentence that says why a signature is longer."""

COMMANDS = {place.replace(":", ".") for _, place, _ in cli._COMMANDS} | {
    f"{run.__module__.rpartition('.')[2]}.{run.__name__}"
    for run in (command.callback for command in study.app.registered_commands)
    if run is not None
}
"""Functions of `cli` whose parameters are the options of a command: as many as the command has."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST, documented: str = "") -> Iterator[tuple[Function, str]]:
    """Each function, and the docstring that is about its parameters: its own, for `__init__` that of the class too."""
    for node in ast.iter_child_nodes(tree):
        own = documented
        if isinstance(node, Function):
            yield node, f"{ast.get_docstring(node)} {documented if node.name == '__init__' else ''}"
        elif isinstance(node, ast.ClassDef):
            own = ast.get_docstring(node) or ""
        yield from functions(node, own)


def parameters(function: Function) -> int:
    every = function.args
    names = [one.arg for one in (*every.posonlyargs, *every.args, *every.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def faults(path: str, source: str) -> Iterator[str]:
    """What is too long in a file; `path` is relative to the root of the repository."""
    length = len(source.splitlines())
    if length > FILE:
        yield f"{path} has {length} lines"
    for function, docstring in functions(ast.parse(source)):
        lines = (function.end_lineno or 0) - function.lineno + 1
        if lines > FUNCTION:
            yield f"{path}: {function.name} has {lines} lines"
        command = path.startswith("cli/") and f"{Path(path).stem}.{function.name}" in COMMANDS
        if parameters(function) > SIGNATURE and REASON not in docstring and not command:
            yield f"{path}: {function.name} has {parameters(function)} parameters and does not say why"


def test_files_functions_and_signatures_are_short_or_say_why() -> None:
    found = [fault for path in FILES for fault in faults(str(path.relative_to(ROOT)), path.read_text("utf-8"))]
    assert found == []


NINE = ", ".join("abcdefghi")


@pytest.mark.parametrize(
    ("path", "source", "count"),
    [
        ("badx_hub/long.py", "x = 1\n" * 351, 1),
        ("badx_hub/long.py", "x = 1\n" * 350, 0),
        ("badx_hub/long.py", "class A:\n    def run(self):\n" + "        x = 1\n" * 60, 1),
        ("badx_hub/wide.py", f"def run({NINE}):\n    pass\n", 1),
        ("badx_hub/wide.py", f"def run({NINE}):\n    '''Many arguments: they belong together.'''\n", 0),
        (
            "badx_hub/wide.py",
            f"class A:\n    '''Many arguments: yes.'''\n    def __init__(self, {NINE}):\n        pass\n",
            0,
        ),
        (
            "badx_hub/wide.py",
            f"class A:\n    '''Many arguments: yes.'''\n    def run(self, {NINE}):\n        pass\n",
            1,
        ),
        ("badx_hub/train.py", f"def train({NINE}):\n    pass\n", 1),
        ("cli/train.py", f"def train({NINE}):\n    pass\n", 0),
        ("cli/train.py", f"def helper({NINE}):\n    pass\n", 1),
    ],
)
def test_what_is_too_long_is_found(path: str, source: str, count: int) -> None:
    assert len(list(faults(path, source))) == count


def defined(tree: ast.Module) -> Iterator[str]:
    """The public classes and aliases of types of a module."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", node)]
        names = [getattr(target, "name", None) or getattr(target, "id", "") for target in targets]
        yield from (name for name in names if re.match("[A-Z][a-z]", name))


def test_a_class_or_an_alias_of_types_has_a_name_of_its_own() -> None:
    found = defaultdict(list)
    for path in FILES:
        for name in defined(ast.parse(path.read_text("utf-8"))):
            found[name].append(str(path.relative_to(ROOT)))
    assert {"Table", "Mixture", "Digest"} <= found.keys()
    assert {name: paths for name, paths in found.items() if len(paths) > 1} == {}

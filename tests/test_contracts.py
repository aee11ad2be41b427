"""The contracts of pyproject.toml about imports are checked, and fail when they are broken."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = Path(sys.executable).with_name("lint-imports")

IMPORTS = """
import grimp

graph = grimp.build_graph("badx_hub", cache_dir=None)
for one in graph.modules:
    for other in graph.find_modules_directly_imported_by(one):
        print(one, other)
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """badx_hub with cli/ and cards/ below it, through links as in build/types, so that a module can be added."""
    folder = tmp_path / "badx_hub"
    folder.mkdir()
    for part in [*(ROOT / "badx_hub").iterdir(), ROOT / "cli", ROOT / "cards"]:
        (folder / part.name).symlink_to(part)
    (tmp_path / "pyproject.toml").symlink_to(ROOT / "pyproject.toml")
    return folder


def check(package: Path) -> subprocess.CompletedProcess[str]:
    command = [str(PROGRAM), "--no-cache", "--no-logo"]
    return subprocess.run(command, cwd=package.parent, capture_output=True, text=True, check=False)


def test_they_hold(package: Path) -> None:
    done = check(package)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout


@pytest.mark.parametrize(
    ("module", "imported", "contract"),
    [
        ("intruder", "badx_hub.cli", "The library does not import the command line"),
        ("intruder", "badx_hub.cli.train", "The library does not import the command line"),
        ("modeling.intruder", "badx_hub.tasks", "A module imports only what stands below it"),
        ("manifest_intruder", "badx_hub.errors", "A module imports only what stands below it"),
        ("data.intruder", "badx_hub.data.lines", "The readers of data"),
        ("tasks.intruder", "badx_hub.tasks.pos", "Tasks do not import each other"),
        ("training.intruder", "badx_hub.modeling.fast._dropout", "A module with an underscore"),
    ],
)
def test_a_broken_one_is_named(package: Path, module: str, imported: str, contract: str) -> None:
    add(package, f"{module}.py".replace(".", "/", module.count(".")), f"import {imported}\n")
    done = check(package)
    assert done.returncode == 1, done.stdout + done.stderr
    broken = " ".join(done.stdout.partition("Broken contracts")[2].split())
    assert contract in broken
    assert f"badx_hub.{module}" in broken


def test_a_circle_between_siblings_is_named(package: Path) -> None:
    add(package, "tasks/one.py", "import badx_hub.tasks.other\n")
    add(package, "tasks/other.py", "def late() -> None:\n    import badx_hub.tasks.one\n")
    done = check(package)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "No cycles are allowed in badx_hub.tasks" in " ".join(done.stdout.split())


def test_no_circle_between_files(package: Path) -> None:
    """A package and its own modules too, which the contracts do not look at."""
    assert circles(package.parent) == []


def test_a_circle_between_a_package_and_its_module_is_found(tmp_path: Path) -> None:
    house = tmp_path / "badx_hub"
    house.mkdir()
    (house / "__init__.py").touch()
    (house / "room").mkdir()
    add(house, "room/__init__.py", "from badx_hub.room.chair import Chair\n")
    add(house, "room/chair.py", "def late() -> None:\n    from badx_hub.room import Chair\n")
    assert circles(tmp_path) == [["badx_hub.room", "badx_hub.room.chair"]]


def add(package: Path, name: str, text: str) -> None:
    """A module below `package`; a linked folder on the way becomes a folder of links."""
    folder = (package / name).parent
    if folder.is_symlink():
        linked = folder.resolve()
        folder.unlink()
        folder.mkdir()
        for part in linked.iterdir():
            (folder / part.name).symlink_to(part)
    (package / name).write_text(text, encoding="utf-8")


def circles(root: Path) -> list[list[str]]:
    """The modules of `badx_hub` in `root` that import one another in a circle, each circle sorted.

    The package itself names the public API for type checkers; its imports are left out.
    """
    done = subprocess.run([sys.executable, "-c", IMPORTS], cwd=root, capture_output=True, text=True, check=True)
    imports: dict[str, set[str]] = {}
    for line in done.stdout.splitlines():
        one, other = line.split()
        if one != "badx_hub":
            imports.setdefault(one, set()).add(other)
    reached = {one: reach(imports, one) for one in imports}
    found = {frozenset({other for other in reached[one] if one in reached.get(other, ())}) for one in imports}
    return sorted(sorted(circle) for circle in found if circle)


def reach(imports: dict[str, set[str]], start: str) -> set[str]:
    """All modules that `start` imports, directly or not."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for other in imports.get(waiting.pop(), set()) - found:
            found.add(other)
            waiting.append(other)
    return found

"""The documentation site: the reference names what there is, the map is drawn from the imports, links are checked."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import badx_hub

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
NOTEBOOKS = sorted(DOCS.glob("tutorials/*.ipynb"))


@pytest.fixture(scope="module")
def site() -> dict[str, Any]:
    return runpy.run_path(str(DOCS / "build_site.py"))


@pytest.fixture(scope="module")
def drawing() -> dict[str, Any]:
    return runpy.run_path(str(DOCS / "make_map.py"))


def test_the_reference_has_the_public_api_and_nothing_that_is_not_there() -> None:
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    names = re.findall(r"^::: (?P<name>\S+)$", text, re.MULTILINE)
    assert {f"badx_hub.{name}" for name in badx_hub.__all__} <= {*names, "badx_hub.BadxError"}
    assert "badx_hub.errors" in names  # the module: BadxError with all the others
    for name in set(names) - {"badx_hub.errors"}:
        module, _, member = name.rpartition(".")
        assert hasattr(import_module(module), member), name


def test_the_map_is_drawn_from_the_imports(drawing: dict[str, Any]) -> None:
    drawn = (DOCS / "assets" / "map.svg").read_text(encoding="utf-8")
    assert drawn == drawing["draw"](drawing["imports"](), drawing["floors"]()), "run: python docs/make_map.py"


def test_the_page_of_files_has_what_their_docstrings_say(drawing: dict[str, Any]) -> None:
    assert (DOCS / "files.md").read_text(encoding="utf-8") == drawing["page"](), "run: python docs/make_map.py"


def test_the_map_sees_every_way_to_import(drawing: dict[str, Any]) -> None:
    source = "import badx_hub.names\nfrom badx_hub import stack\ndef f():\n    from badx_hub.data.lines import read\n"
    assert drawing["imported"](source) == {"names", "stack", "data"}


def test_an_import_upward_is_black_on_the_map(drawing: dict[str, Any]) -> None:
    floors, downward = (("roof",), ("left", "right"), ("ground",)), {("roof", "ground"): 1, ("left", "ground"): 2}
    with pytest.raises(SystemExit, match="right"):  # a part that is not there
        drawing["draw"](downward, floors)
    sound = drawing["draw"]({**downward, ("right", "ground"): 3}, floors)
    broken = drawing["draw"]({**downward, ("right", "roof"): 3}, floors)
    assert (sound.count('fill="#000" stroke'), broken.count('fill="#000" stroke')) == (0, 1)


def test_a_link_that_leads_nowhere_and_a_script_from_elsewhere_are_faults(site: dict[str, Any], tmp_path: Path) -> None:
    head = '<link rel="stylesheet" href="https://cdn.example/font.css"><script src="here.js"></script>'
    body = (
        '<a href="b.html#there">1</a><a href="b.html#gone">2</a><a href="c.html">3</a><a href="https://x.example">4</a>'
    )
    (tmp_path / "a.html").write_text(head + body, encoding="utf-8")
    (tmp_path / "b.html").write_text('<h1 id="there">B</h1><a href="a.html">back</a>', encoding="utf-8")
    (tmp_path / "here.js").touch()
    assert sorted(site["faults"](tmp_path)) == [
        "a.html links to b.html#gone, which is not there",
        "a.html links to c.html, which is not there",
        "a.html loads https://cdn.example/font.css from another host",
    ]


def test_there_are_two_tutorials() -> None:
    assert [path.name for path in NOTEBOOKS] == ["pair.ipynb", "study.ipynb"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_tutorial_is_stored_as_it_ran(notebook: Path) -> None:
    """From top to bottom, without an error, with nothing of the machine that ran it."""
    cells = [cell for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} == {"stream"}
    assert not re.search(r"/tmp|/home|Warning|\\u001b", json.dumps(outputs))


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_tutorial_runs(notebook: Path, tmp_path: Path) -> None:
    """All code cells in one process, without Jupyter: a line `!command` is what it does, a command for a shell.

    Trainings are cut to two steps; `make tutorials` runs the cells as they stand.
    """
    script = tmp_path / "tutorial.py"
    script.write_text(as_script(notebook), encoding="utf-8")
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env={**os.environ, "PATH": programs},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def as_script(notebook: Path) -> str:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    code = re.sub(r'("?(?:la_steps|steps|eval_every|save_every)"?: )\d+', r"\g<1>2", code)
    run = "__import__('subprocess').run({command!r}, shell=True, check=True)"
    return re.sub(r"^!(.*)$", lambda match: run.format(command=match[1]), code, flags=re.MULTILINE)

"""The wheel installs one import name with everything in it, and importing it loads nothing heavy."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import badx_hub
from tests.conftest import SLOW_FIXTURES, SLOW_PLACES

ROOT = Path(__file__).resolve().parents[1]
MAX_WHEEL_BYTES = 32_000_000
HEAVY = {"torch", "transformers", "adapters", "datasets"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the tracked files, so that the checkout stays clean."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in listed.decode().split("\0"):
        if name and (ROOT / name).is_file():
            target = source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_claims_one_import_name(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"badx_hub"}


@pytest.mark.parametrize(
    "member",
    [
        "badx_hub/cli/__init__.py",
        "badx_hub/cards/task.md.j2",
        "badx_hub/recipes/paper.yaml",
        "badx_hub/pages/tree.js",
        "badx_hub/pages/tree.css",
        "badx_hub/demo/base/weights.int8.safetensors",
        "badx_hub/demo/base/README.md",
        "badx_hub/demo/data/text/wo.txt.gz",
        "badx_hub/demo/data/ud/UD_Wolof-WTB/wo_wtb-ud-test.conllu.gz",
        "badx_hub/demo/registry/demo.en-wo/*/adapter.safetensors",
        "badx_hub/demo/registry/demo.en-wo.dp/*/model_head.safetensors",
        "badx_hub/demo/registry/demo.en-wo.pos/*/model_head.safetensors",
        "badx_hub/py.typed",
        "badx_hub/web/static/page.html",
    ],
)
def test_the_wheel_holds(wheel: Path, member: str) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert any(Path(name).match(member) for name in archive.namelist())


def test_the_wheel_holds_every_module(wheel: Path) -> None:
    here = {path.relative_to(ROOT).as_posix() for path in (ROOT / "badx_hub").rglob("*.py")}
    here |= {f"badx_hub/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "cli").rglob("*.py")}
    with zipfile.ZipFile(wheel) as archive:
        assert here - set(archive.namelist()) == set()


def test_the_wheel_stays_small(wheel: Path) -> None:
    assert wheel.stat().st_size < MAX_WHEEL_BYTES


def test_the_installed_wheel_runs(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); import runpy; "
        "sys.argv = ['badx-hub', '--version']; runpy.run_module('badx_hub', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout.startswith("badx-hub "), done.stderr


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, badx_hub; dir(badx_hub); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


def test_the_public_api_is_there() -> None:
    assert all(getattr(badx_hub, name) is not None for name in badx_hub.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        badx_hub.nonsense  # noqa: B018


def test_everything_that_names_the_version_names_the_same(wheel: Path) -> None:
    """`badx_hub.__version__` is the one source."""
    assert wheel.name.startswith(f"badx_hub-{badx_hub.__version__}-")
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"] == badx_hub.__version__
    released = re.findall(r"^## \[(\d[^\]]*)\] - \d{4}-\d\d-\d\d$", text_of("CHANGELOG.md"), flags=re.MULTILINE)
    assert released[0] == badx_hub.__version__
    said = re.compile(r"badx[-_]hub(?: |==|@v)(\d+\.\d+\.\d+)")
    pages = [ROOT / "README.md", ROOT / "SECURITY.md", *(ROOT / "docs").rglob("*.md")]
    assert {version for page in pages for version in said.findall(text_of(page))} <= {badx_hub.__version__}


def test_pinned_versions_serve_every_supported_python() -> None:
    """A pinned version that needs a later Python than ours is pinned for that one alone."""
    oldest = metadata("badx-hub")["Requires-Python"].removeprefix(">=")
    wrong = []
    for pinned in map(Requirement, text_of("constraints.txt").splitlines()):
        for_oldest = pinned.marker is None or pinned.marker.evaluate({"python_version": oldest})
        try:
            known = metadata(pinned.name)
        except PackageNotFoundError:  # of another platform or Python
            continue
        needs = SpecifierSet(known["Requires-Python"] or "")
        if for_oldest and known["Version"] in pinned.specifier and f"{oldest}.0" not in needs:
            wrong.append(f"{pinned.name} needs Python {needs}")
    assert not wrong


def test_ci_tests_from_the_oldest_python_on() -> None:
    workflow = yaml.safe_load(text_of(".github/workflows/ci.yml"))
    pythons = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert f">={pythons[0]}" == metadata("badx-hub")["Requires-Python"]
    assert "make test" in str(workflow["jobs"]["test"]["steps"])


@pytest.mark.parametrize("template", sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("[!c]*.yml")), ids=lambda p: p.name)
def test_issue_templates_are_forms(template: Path) -> None:
    """With what GitHub demands of a form, which it leaves out of its list without a word otherwise."""
    form = yaml.safe_load(text_of(template))
    assert form["name"] and form["description"]
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert all(field["attributes"]["label"] for field in fields)
    assert len({field["id"] for field in fields}) == len(fields) > 0


def test_hooks_run_what_is_installed() -> None:
    """They fetch nothing: all are local, and start a program of .venv or a target of the Makefile."""
    hooks = yaml.safe_load(text_of(".pre-commit-config.yaml"))
    assert {repository["repo"] for repository in hooks["repos"]} == {"local"}
    for hook in (hook for repository in hooks["repos"] for hook in repository["hooks"]):
        program, *arguments = hook["entry"].split()
        assert hook["language"] == "system"
        if program == "make":
            assert re.search(rf"^{arguments[-1]}:", text_of("Makefile"), flags=re.MULTILINE)
        else:
            assert Path(sys.executable).with_name(Path(program).name).is_file()


@pytest.mark.parametrize("place", SLOW_PLACES)
def test_what_is_marked_slow_is_there(place: str) -> None:
    path, _, function = place.partition("::")
    assert (ROOT / path).exists()
    assert not function or f"def {function}(" in text_of(path)


@pytest.mark.parametrize("fixture", SLOW_FIXTURES)
def test_what_makes_a_test_slow_is_a_fixture(fixture: str) -> None:
    assert any(f"\ndef {fixture}(" in text_of(file) for file in (ROOT / "tests").rglob("*.py"))


def text_of(path: str | Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8")

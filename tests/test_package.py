"""The wheel installs one import name with everything in it, and importing it loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAX_EMBEDDED_BYTES = 25_000_000
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
        "badx_hub/demo/base/weights.int8.safetensors",
        "badx_hub/demo/base/README.md",
        "badx_hub/demo/data/text/wo.txt.gz",
        "badx_hub/demo/data/ud/UD_Wolof-WTB/wo_wtb-ud-test.conllu.gz",
        "badx_hub/demo/registry/demo.en-wo/*/adapter.safetensors",
        "badx_hub/demo/registry/demo.en-wo.pos/*/model_head.safetensors",
        "badx_hub/py.typed",
    ],
)
def test_the_wheel_holds(wheel: Path, member: str) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert any(Path(name).match(member) for name in archive.namelist())


def test_what_is_embedded_stays_small(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        embedded = [info.file_size for info in archive.infolist() if info.filename.startswith("badx_hub/demo/")]
    assert sum(embedded) < MAX_EMBEDDED_BYTES


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
    import badx_hub

    assert all(getattr(badx_hub, name) is not None for name in badx_hub.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        badx_hub.nonsense  # noqa: B018

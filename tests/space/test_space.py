"""A Space of the demo's stack: written, pushed, and its app at work in a browser."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest

from badx_hub import load_bilingual_stack
from badx_hub.errors import UsageError
from badx_hub.languages import Mixture
from badx_hub.registry import AdapterQuery, LocalRegistry, open_registry
from badx_hub.registry.hub.readme import metadata_of
from badx_hub.registry.resolve import Resolution, resolve
from badx_hub.registry.space import write_space
from tests.hub.fixture import hub as hub
from tests.hub.machine import Machine
from tests.hub.server import HubServer
from tests.made import made
from tests.refusals import refused

TEXT = "Nanga def?"
STAND_IN = Path(__file__).parent / "stand_in"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture
def written(tmp_path: Path) -> Path:
    folder = tmp_path / "space"
    done = Machine(tmp_path / "home").run("space", "en-wo", "--task", "pos", "--registry", "demo", "--to", str(folder))
    assert (done.code, done.out) == (0, f"{folder}\n"), done
    return folder


@contextmanager
def served(folder: Path, home: Path) -> Iterator[str]:
    """The address of the folder's app, which runs until the block ends."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(STAND_IN),
        "GRADIO_SERVER_PORT": "0",
        "BADX_HUB_HOME": str(home),
    }
    command = [sys.executable, str(folder / "app.py")]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as app:
        assert app.stdout is not None
        try:
            found = re.search(r"http://\S+", app.stdout.readline())
            assert found is not None
            yield found[0]
        finally:
            app.terminate()


def shown(address: str, *texts: str) -> str:
    """The page after its scripts have run, as a browser sees it."""
    assert CHROMIUM is not None
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom")
    query = urlencode([("text", text) for text in texts])
    done = subprocess.run(
        [CHROMIUM, *options, f"{address}/?{query}"], capture_output=True, text=True, timeout=120, check=True
    )
    return html.unescape(done.stdout)


def test_the_folder_has_all_that_a_space_needs(written: Path) -> None:
    assert {path.name for path in written.iterdir()} == {
        *("app.py", "requirements.txt", "README.md", "space.json", "registry"),
    }
    metadata = metadata_of((written / "README.md").read_text())
    assert (metadata["sdk"], metadata["app_file"]) == ("gradio", "app.py")
    assert re.match(r"badx-hub==\S+\n", (written / "requirements.txt").read_text())
    assert {str(entry.name) for entry in LocalRegistry(written / "registry").list()} == {"demo/en-wo", "demo/en-wo/pos"}
    settings = json.loads((written / "space.json").read_text())
    assert settings["stack"]["target"] == "wo" and settings["columns"] == ["word", "tag"]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here to show the app in")
def test_the_app_shows_in_a_browser_what_the_stack_predicts(written: Path, tmp_path: Path) -> None:
    stack = load_bilingual_stack("en", "wo", "pos", registry="demo")
    expected = stack.task.rows(stack.examples([TEXT])[0], stack.predict([TEXT])[0])
    with served(written, tmp_path / "app-home") as address:
        page = shown(address, TEXT)
        assert "<h1>Part-of-speech tags in Wolof</h1>" in page and 'aria-label="Wolof text"' in page
        rows = re.findall(r"<tr>((?:<td>[^<]*</td>)+)</tr>", page)
        assert [tuple(re.findall(r"<td>([^<]*)</td>", row)) for row in rows] == list(expected)
        assert not re.findall(r"<td>", shown(address, " "))


def test_it_is_pushed(hub: HubServer, tmp_path: Path) -> None:
    machine = Machine(tmp_path / "machine", hub.token)
    push = ("space", "en-wo", "--task", "pos", "--registry", "demo", "--to", "acme/wolof-tagger")
    for _ in range(2):
        done = machine.run(*push)
        assert done.code == 0 and done.out.strip().endswith("spaces/acme/wolof-tagger"), done
    files = hub.files("acme/wolof-tagger", kind="space")
    assert {"app.py", "README.md", "requirements.txt", "space.json"} <= files.keys()
    assert sum(name.endswith("adapter.safetensors") for name in files) == 2
    assert hub.repos() == () and hub.repos("space") == ("acme/wolof-tagger",)


def test_what_no_space_can_be_made_of(tmp_path: Path) -> None:
    demo = open_registry("demo")
    query = AdapterQuery(Mixture.parse("en-wo"), "pos")
    found = resolve(demo.list(), query)
    with refused(UsageError, "is there already"):
        write_space(query, found, demo, tmp_path)
    with refused(UsageError, "Name its task"):
        write_space(AdapterQuery(Mixture.parse("en-wo")), found, demo, tmp_path / "x")
    machine = Machine(tmp_path / "machine")
    for to in ("acme", "acme/x@main", "nowhere"):
        assert machine.run("space", "en-wo", "--task", "pos", "--registry", "demo", "--to", to).code == 2


def test_a_base_in_a_folder_is_out_of_reach(tmp_path: Path, tiny_base: Path) -> None:
    registry = LocalRegistry(tmp_path / "registry")
    ba = made(registry, tiny_base, "tiny/en-wo", seed=1)
    ta = made(registry, tiny_base, "tiny/en-wo/pos", seed=2, on=ba)
    query = AdapterQuery(Mixture.parse("en-wo"), "pos")
    with refused(UsageError, "which a Space cannot reach"):
        write_space(query, Resolution(ta, ba), registry, tmp_path / "space")
    assert not (tmp_path / "space").exists()

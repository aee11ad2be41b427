"""Every test has an empty home of its own and no network; tests on real corpora skip where these are missing."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.tiny import write_tiny_base
from tests.waiting import until

# huggingface_hub reads these when it is imported, which happens once for all tests.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="badx-tests-hf-")
os.environ["NO_COLOR"] = "1"
# What `auto` becomes: tests find the same keys and numbers on every machine. Those of precision itself ask for another.
os.environ["BADX_HUB_PRECISION"] = "fp32"
# Tests run side by side (`pytest -n 2`); torch must not take every core in each of them.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long an example takes says more about the machine's other work than about the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
# `make check` asks for a tenth of the examples; `make test` draws all of them.
settings.register_profile("few", deadline=None, max_examples=10)

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"

# The marker `slow` is given here, by what a test asks for and by where it is, and to single tests where they stand.
SLOW_FIXTURES = {
    "browser": "a browser",
    "hub": "a server",
    "preloaded": "torch, and mostly training",
    "shared": "real corpora and tokenizers",
    "tiny_base": "a base that is loaded, and mostly trained on",
}
SLOW_PLACES = (
    "tests/cases/test_conllu.py",
    "tests/faults/",
    "tests/hostile/",
    "tests/hub/",
    "tests/fuzz/test_failed.py::test_what_is_guided_by_coverage_runs",
    "tests/studies/test_parallel.py::test_a_killed_process_is_replaced",
    "tests/modeling/test_base.py::test_a_damaged_copy_of_the_demo_base_is_made_again",
    "tests/modeling/test_mlm.py::test_twenty_steps_of_the_fast_and_the_plain_way_agree",
    "tests/registry/test_local.py::test_a_publish_cut_at_any_point_shows_all_or_nothing",
    "tests/test_docs.py::test_python_examples_run",
    "tests/test_docs.py::test_the_page_about_files_shows_what_the_shipped_tagger_says",
    "tests/test_cases.py",
    "tests/test_contributing.py",
    "tests/test_deprecated.py::test_badx_hub_itself_uses_no_old_name",
    "tests/test_hub_story.py",
    "tests/test_linear.py",
    "tests/test_package.py",
    "tests/test_story.py",
    "tests/training/test_precision.py::test_the_shipped_stack_predicts_alike_in_both",
    "tests/training/test_processes.py",
    "tests/training/test_subwords.py",
)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where slow tests are left out, what holds nothing else is not even imported."""
    place = collection_path.relative_to(ROOT).as_posix()
    is_slow = not {place, f"{place}/"}.isdisjoint(SLOW_PLACES)
    return True if is_slow and config.getoption("markexpr") == "not slow" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks the slow tests. A toy model of a few numbers, as in tests/training/test_loop.py, is not slow.

    Those marked `soak` run only if that marker is asked for.
    """
    soaks = "soak" in (config.getoption("markexpr") or "")
    for item in items:
        if "soak" in item.keywords and not soaks:
            item.add_marker(pytest.mark.skip(reason="takes minutes: make soak"))
        asked = getattr(item, "fixturenames", ())
        if not SLOW_FIXTURES.keys().isdisjoint(asked) or item.nodeid.startswith(SLOW_PLACES):
            item.add_marker("slow")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`$BADX_HUB_HOME`, empty."""
    folder = tmp_path / "home"
    monkeypatch.setenv("BADX_HUB_HOME", str(folder))
    return folder


@pytest.fixture(scope="session", autouse=True)
def no_pictures() -> Iterator[Callable[..., None]]:
    """Curves without their pictures, which take longer than such a training; what draws them, for `pictures`."""
    from badx_hub.training import curves

    draw = curves._write_png
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curves, "_write_png", lambda path, *_: path.write_bytes(b""))
        yield draw


@pytest.fixture
def pictures(no_pictures: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Curves with their pictures, for tests of these; commands in processes of their own draw them always."""
    monkeypatch.setattr("badx_hub.training.curves._write_png", no_pictures)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real corpora and models beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared beside the checkout: tests on its corpora and models are left out")
    return SHARED


@pytest.fixture(scope="session")
def preloaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where `tests.preloaded` listens: commands that need torch start there in no time."""
    place = tmp_path_factory.mktemp("preloaded") / "socket"
    command = [sys.executable, "-W", "ignore", "-m", "tests.preloaded", str(place)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE) as server:
        until(lambda: place.exists() or server.poll() is not None)
        assert server.poll() is None
        yield place
        assert server.stdin is not None
        server.stdin.close()


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random two-layer base called `tiny`."""
    return write_tiny_base(tmp_path_factory.mktemp("bases") / "tiny")

"""Training in several processes: what one process does, published once; and how they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from badx_hub.errors import BadxError, TrainingInterrupted, UsageError
from badx_hub.registry import LocalRegistry
from badx_hub.training.checkpoints import CheckpointFolder
from badx_hub.training.loop import Silent, train
from badx_hub.training.processes import Processes, spread
from tests.test_story import World, write_data
from tests.tiny import write_tiny_base
from tests.training.ranks import in_ranks
from tests.training.regression import Regression, recipe

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 1e-5


class Told(Silent):
    """Remembers the losses it was told."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def stepped(self, step: int, loss: float, units: int) -> None:
        self.losses.append(loss)


def toy(folder: Path, objective: Callable[[], Regression] = Regression, **changes: int) -> Any:
    """The losses, the history and the weights of a run of the toy."""
    told, trained = Told(), objective()
    outcome = train(trained, recipe(steps=20, **changes), CheckpointFolder(folder), told)
    return told.losses, outcome.history, trained.weights()


def same(one: Any, other: Any) -> bool:
    return all(torch.allclose(value, other[name], atol=TOLERANCE) for name, value in one.items())


@pytest.mark.parametrize(("count", "slices"), [(2, 1), (3, 1), (2, 2)])
def test_several_processes_do_what_one_does(tmp_path: Path, count: int, slices: int) -> None:
    """The toy has dropout, and eight rows do not divide by three."""
    losses, history, weights = toy(tmp_path / "one")
    found = in_ranks(count, lambda rank: toy(tmp_path / "several", micro_batches=slices))
    assert [len(told) for told, _, _ in found] == [20, *[0] * (count - 1)]  # the first one speaks
    assert found[0][0] == pytest.approx(losses, abs=TOLERANCE)
    for _, others, trained in found:
        assert [row["perplexity"] for row in others] == pytest.approx([row["perplexity"] for row in history], abs=1e-4)
        assert same(trained, weights)
        assert same(trained, found[0][2])
    assert CheckpointFolder(tmp_path / "several").step == 18


def test_what_accelerate_is_set_to_changes_nothing(tmp_path: Path) -> None:
    """A run has the same key and so the same weights, whatever `accelerate config` has written."""

    def configured(rank: int) -> Any:
        os.environ |= {"ACCELERATE_MIXED_PRECISION": "bf16", "ACCELERATE_DYNAMO_BACKEND": "EAGER"}
        return toy(tmp_path / "configured")

    ((losses, history, weights),) = in_ranks(1, configured)
    expected, others, trained = toy(tmp_path / "one")
    assert (losses, history) == (expected, others)
    assert all(torch.equal(weight, trained[name]) for name, weight in weights.items())


def test_models_in_parts_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(UsageError, match="FSDP, which accelerate is set to, cuts a model into parts"):
        Processes()


def test_a_signal_to_one_process_stops_all_after_the_same_step(tmp_path: Path) -> None:
    """And the run goes on in another number of them."""

    def stopped(rank: int) -> Any:
        def objective() -> Regression:
            made = Regression()
            made.interrupt_at, made.signal = (7, signal.SIGTERM) if rank == 1 else (None, signal.SIGINT)
            return made

        return toy(tmp_path / "run", objective)

    first, second = in_ranks(2, stopped)
    assert isinstance(first, TrainingInterrupted) and isinstance(second, TrainingInterrupted)
    assert (first.fact, first.exit_code) == (second.fact, second.exit_code)
    assert first.exit_code == 143
    assert (first.shared, second.shared) == (False, True)
    assert 0 < CheckpointFolder(tmp_path / "run").step < 20
    _, history, weights = toy(tmp_path / "one")
    for _, others, trained in in_ranks(3, lambda rank: toy(tmp_path / "run")):
        assert [row["loss"] for row in others] == pytest.approx([row["loss"] for row in history], abs=TOLERANCE)
        assert same(trained, weights)


def test_a_process_that_is_killed_ends_the_others_at_once(tmp_path: Path) -> None:
    def killed(rank: int) -> Any:
        class Killed(Regression):
            def prepare(self, step: int) -> None:
                if (rank, step) == (1, 10):
                    os.kill(os.getpid(), signal.SIGKILL)

        with Processes().together():
            return toy(tmp_path, Killed)

    began = time.monotonic()
    first, second = in_ranks(2, killed)
    assert second is None
    assert isinstance(first, BadxError)
    assert first.fact == "Another one of the 2 processes has ended, so this one ends too."
    assert time.monotonic() - began < 60
    assert CheckpointFolder(tmp_path).step == 9


def test_work_is_spread_and_comes_back_in_order() -> None:
    def work(rank: int) -> Any:
        done: list[int] = []
        return spread(range(7), lambda number: done.append(number) or number**2), done

    squares = [number**2 for number in range(7)]
    assert in_ranks(3, work) == [(squares, [0, 3, 6]), (squares, [1, 4]), (squares, [2, 5])]
    assert work(0) == (squares, list(range(7)))


def test_what_the_first_process_refuses_all_refuse(tmp_path: Path) -> None:
    def refuse() -> None:
        raise UsageError("No.")

    errors = in_ranks(2, lambda rank: Processes().first(refuse))
    assert [(type(error), error.fact, error.shared) for error in errors] == [
        (UsageError, "No.", False),
        (UsageError, "No.", True),
    ]


def test_processes_with_other_checkpoints_are_told_so(tmp_path: Path) -> None:
    toy(tmp_path / "0")
    first, second = in_ranks(2, lambda rank: toy(tmp_path / str(rank)))
    assert isinstance(second, UsageError)
    assert "BADX_HUB_HOME" in str(second)
    assert not isinstance(first, tuple)


def test_adapters_are_trained_together_and_published_once(tmp_path: Path) -> None:
    """A language adapter, then a task adapter on it; 59 of 60 sentences leave one process without a slice at times."""
    base, data = write_tiny_base(tmp_path / "tiny"), write_data(tmp_path / "data")

    def adapters(registry: str) -> list[Any]:
        os.environ["BADX_HUB_HOME"] = str(tmp_path / f"home of {registry}")
        world = World(base, data, LocalRegistry(tmp_path / registry))
        entries = [world.train(steps=6).entry, world.train_task(steps=6, batch_size=59).entry]
        return [(entry.manifest.digest, dict[str, float](entry.manifest.metrics["dev"])) for entry in entries]

    first, second = in_ranks(2, lambda rank: adapters("several"))
    assert first == second
    for (_, alone), (_, together) in zip(adapters("one"), first, strict=True):
        assert together == pytest.approx(alone, rel=1e-4)
    assert len(list((tmp_path / "several").glob("*/2*"))) == 2


def launched(folder: Path, launcher: list[str], *arguments: str) -> subprocess.Popen[str]:
    """Training a pair on a tiny base, with a launcher between Python and the command."""
    if not (folder / "tiny").exists():
        write_tiny_base(folder / "tiny")
        write_data(folder / "data")
    text = [part for tag in ("en", "wo") for part in ("--text", f"{tag}={folder / 'data' / tag}.txt")]
    sizes = ["--recipe", "demo", "--max-length", "32", "--batch-size", "4", "--eval-every", "1000"]
    return subprocess.Popen(
        [sys.executable, *launcher, "train", "en-wo", "--base", str(folder / "tiny"), *text, *sizes, *arguments],
        cwd=ROOT,
        env={**os.environ, "BADX_HUB_HOME": str(folder / "home")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


TORCHRUN = ["-m", "torch.distributed.run", "--nproc-per-node=2", "-m", "badx_hub"]
OURS = ["-m", "badx_hub"]


def test_the_command_runs_in_several_processes_and_speaks_once(tmp_path: Path) -> None:
    run = launched(tmp_path, TORCHRUN, "--steps", "4", "--format", "json")
    out, told = run.communicate(timeout=300)
    assert run.returncode == 0, told
    assert json.loads(out)["already"] is False
    assert told.count("recipe: demo, 4 steps") == 1
    assert len(list((tmp_path / "home").rglob("badx.json"))) == 1


@pytest.mark.soak
@pytest.mark.parametrize(("one", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_saves_and_another_number_of_processes_goes_on(tmp_path: Path, one: signal.Signals, code: int) -> None:
    run = launched(tmp_path, OURS, "--processes", "3", "--steps", "2000", "--save-every", "5")
    wait_for(tmp_path, run)
    run.send_signal(one)
    _, told = run.communicate(timeout=60)
    assert run.returncode == code, told
    assert told.count("nothing is lost. The same command goes on from there") == 1
    assert "Traceback" not in told
    again = launched(tmp_path, OURS, "--processes", "2", "--steps", "2000", "--time-limit", "1s")
    _, told = again.communicate(timeout=300)
    assert again.returncode == 130, told
    assert "going on after step" in told


@pytest.mark.soak
@pytest.mark.parametrize("victim", [0, 1, 2])
def test_a_killed_process_ends_all_within_a_minute(tmp_path: Path, victim: int) -> None:
    run = launched(tmp_path, OURS, "--processes", "3", "--steps", "2000", "--save-every", "5")
    wait_for(tmp_path, run)
    workers = workers_of(run.pid)
    began = time.monotonic()
    os.kill(workers[victim], signal.SIGKILL)
    _, told = run.communicate(timeout=120)
    assert time.monotonic() - began < 60
    assert run.returncode == 137, told
    assert "Traceback" not in told
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    again = launched(tmp_path, OURS, "--steps", "2000", "--time-limit", "1s")
    _, told = again.communicate(timeout=300)
    assert again.returncode == 130, told
    assert "going on after step" in told


def wait_for(folder: Path, run: subprocess.Popen[str]) -> None:
    """Until the run has a checkpoint."""
    end = time.monotonic() + 300
    while not list((folder / "home" / "runs").glob("*/step-*")):
        assert run.poll() is None and time.monotonic() < end
        time.sleep(0.1)


def workers_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

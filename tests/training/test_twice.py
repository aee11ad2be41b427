"""The same run started twice, and runs whose process was killed: one of them works, and one version comes of it."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from badx_hub.registry import LocalRegistry
from badx_hub.storage import sha256_file
from tests.preloaded import Command
from tests.tiny import demo_data
from tests.waiting import until

ROOT = Path(__file__).parents[2]


class Job:
    """One command line that trains the same adapter, in a home of its own or in a common one."""

    def __init__(self, preloaded: Path, base: Path, root: Path, *, home: str = "home", steps: int = 40) -> None:
        self.preloaded, self.home, self.registry = preloaded, root / home, root / "registry"
        text = [f"--text={one}={demo_data() / 'text' / f'{one}.txt.gz'}" for one in ("en", "wo")]
        self.command = [
            *("train", "en-wo", "--base", str(base), *text),
            *("--recipe", "quick", "--steps", str(steps), "--eval-every", "10", "--save-every", "5"),
            *("--batch-size", "2", "--max-length", "16", "--registry", str(self.registry), "--format", "quiet"),
        ]
        self.environment = {**os.environ, "BADX_HUB_HOME": str(self.home), "OMP_NUM_THREADS": "1"}

    def start(self, *more: str) -> Command:
        return Command(self.preloaded, [*self.command, *more], cwd=ROOT, env=self.environment)

    def run(self, *more: str) -> tuple[int, str]:
        job = self.start(*more)
        _, told = job.communicate()
        return job.returncode, told

    def wait_for_checkpoint(self, job: Command) -> None:
        until(lambda: any(self.home.glob("runs/*/step-*")) or job.poll() is not None)
        assert job.poll() is None, job.communicate()[1]


@pytest.fixture
def job(preloaded: Path, tiny_base: Path, tmp_path: Path) -> Job:
    return Job(preloaded, tiny_base, tmp_path, steps=100_000)


def files(registry: Path) -> dict[str, object]:
    """The digest of every file of the one version but the card, and its manifest, without what tells times."""
    (entry,) = LocalRegistry(registry).list()
    folder = Path(entry.location)
    manifest = entry.manifest.model_dump(
        mode="json", exclude={"created": True, "training": {"seconds"}, "files": {"README.md"}}
    )
    digests = {one.name: sha256_file(one) for one in folder.iterdir() if one.name not in ("badx.json", "README.md")}
    return {**digests, "badx.json": manifest}


@pytest.mark.parametrize(("one", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_a_signal_ends_the_command_with_one_line_and_its_code(job: Job, one: signal.Signals, code: int) -> None:
    started = job.start()
    job.wait_for_checkpoint(started)
    started.send_signal(one)
    _, told = started.communicate()
    assert started.returncode == code
    assert "Traceback" not in told
    (line,) = [line for line in told.splitlines() if line.startswith("error: ")]
    assert "nothing is lost. The same command goes on from there: badx-hub train en-wo" in line


def test_the_second_one_says_who_works_and_a_dead_one_is_taken_over(job: Job, tiny_base: Path, tmp_path: Path) -> None:
    first = job.start()
    job.wait_for_checkpoint(first)
    code, told = job.run()
    assert code == 1
    assert f"is being trained by process {first.pid} on " in told
    assert len([line for line in told.splitlines() if line.startswith("error: ")]) == 1
    first.send_signal(signal.SIGKILL)
    first.wait()
    code, told = job.run("--time-limit", "1s")
    assert (code, "The time limit is reached: stopped after step" in told) == (130, True), told


def test_two_machines_that_finish_the_same_run_leave_one_version(
    preloaded: Path, tiny_base: Path, tmp_path: Path
) -> None:
    """Homes apart, so that nothing but the folder of the registry stands between them; then all is as of one alone."""
    jobs = [Job(preloaded, tiny_base, tmp_path, home=home).start() for home in ("one", "two")]
    told = [one.communicate()[1] for one in jobs]
    assert [one.returncode for one in jobs] == [0, 0], told
    several = files(tmp_path / "registry")
    shutil.rmtree(tmp_path / "registry")
    assert Job(preloaded, tiny_base, tmp_path, home="three").run()[0] == 0
    assert files(tmp_path / "registry") == several
    assert not [left for left in tmp_path.glob("*/runs/*") if left.name != ".guard"]


def test_a_stopped_run_leaves_what_an_undisturbed_one_does(preloaded: Path, tiny_base: Path, tmp_path: Path) -> None:
    straight, stopped = (Job(preloaded, tiny_base, tmp_path / one, steps=40) for one in ("straight", "stopped"))
    assert straight.run()[0] == 0
    started = stopped.start()
    stopped.wait_for_checkpoint(started)
    started.send_signal(signal.SIGTERM)
    started.communicate()
    assert started.returncode in (0, 143)  # It may have been at its end.
    assert stopped.run()[0] == 0
    assert files(straight.registry) == files(stopped.registry)


def test_other_settings_neither_continue_nor_drop_a_stopped_run_unasked(job: Job) -> None:
    started = job.start()
    job.wait_for_checkpoint(started)
    started.send_signal(signal.SIGTERM)
    started.communicate()
    code, told = job.run("--learning-rate", "0.01", "--steps", "10")
    assert code == 2
    assert "steps was 100000 and is now 10; learning_rate was 0.001 and is now 0.01; " in told
    assert "Give the earlier ones to go on, or --restart to drop it" in told
    assert list(job.home.glob("runs/*/step-*"))
    assert job.run("--learning-rate", "0.01", "--steps", "10", "--restart")[0] == 0
    assert not [left for left in job.home.glob("runs/*") if left.name != ".guard"]

"""Checkpoints: digests, and the one before as a spare. tests/faults kills runs while they save."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import torch

from badx_hub.errors import IntegrityError, TrainingInterrupted
from badx_hub.training.checkpoints import CheckpointFolder
from badx_hub.training.curves import CSV, read_curves, write_curves
from badx_hub.training.loop import EvaluationRow, Silent, TrainingResult, train
from tests.training.regression import Regression, recipe

FILES = ("weights.safetensors", "best_weights.safetensors", "optimizer.safetensors", "state.json", "index.json")


def stopped(folder: Path, *, at: int = 7) -> CheckpointFolder:
    """Where a run lies that was killed: the checkpoints of the steps 3 and 6 are there."""
    objective = Regression()
    objective.killed_at = at
    checkpoints = CheckpointFolder(folder)
    with pytest.raises(RuntimeError, match="killed"):
        train(objective, recipe(), checkpoints, Silent())
    return checkpoints


def finished(checkpoints: CheckpointFolder) -> tuple[TrainingResult, Regression]:
    objective = Regression()
    return train(objective, recipe(), checkpoints, Silent()), objective


def flip(path: Path, *, place: float = 0.7) -> None:
    content = bytearray(path.read_bytes())
    content[int(len(content) * place)] ^= 1
    path.write_bytes(content)


def test_two_checkpoints_are_kept(tmp_path: Path) -> None:
    finished(CheckpointFolder(tmp_path))
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["step-000000006", "step-000000009"]
    assert not list(tmp_path.rglob("*.pt")) and not list(tmp_path.rglob("*.bin"))


@pytest.mark.parametrize("place", [0.1, 0.5, 0.95])
@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_makes_the_run_go_on_from_the_checkpoint_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, place: float
) -> None:
    straight, whole = finished(CheckpointFolder(tmp_path / "whole"))
    checkpoints = stopped(tmp_path / "damaged")
    flip(tmp_path / "damaged" / "step-000000006" / name, place=place)
    with caplog.at_level(logging.WARNING, "badx_hub"):
        resumed, objective = finished(checkpoints)
    assert [record.getMessage().count("goes on from step 3") for record in caplog.records] == [1]
    assert resumed.history == straight.history
    assert all(torch.equal(value, objective.weights()[key]) for key, value in whole.weights().items())
    assert [path.name for path in sorted((tmp_path / "damaged").iterdir())] == ["step-000000006", "step-000000009"]
    saved = checkpoints.load()  # written again over the damaged one, and then followed by another
    assert saved is not None and saved.step == 9


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("weights.safetensors", None),
        ("weights.safetensors", b""),
        ("index.json", b"[" * 100_000),
        ("index.json", b"[]"),
        ("index.json", b'{"files": {}}'),
    ],
)
def test_cut_and_foreign_files_count_as_damage(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, content: bytes | None
) -> None:
    checkpoints = stopped(tmp_path)
    path = tmp_path / "step-000000006" / name
    if content is None:
        path.unlink()
        path.symlink_to("/dev/zero")
    else:
        path.write_bytes(content)
    with caplog.at_level(logging.WARNING, "badx_hub"):
        saved = checkpoints.load()
    # An index of nothing is that of no checkpoint of ours; a checkpoint of before there were digests has no index.
    assert saved is not None and saved.step == 3
    assert "is damaged" in caplog.text


def test_where_both_are_damaged_the_error_says_what_to_delete(tmp_path: Path) -> None:
    checkpoints = stopped(tmp_path)
    for path in tmp_path.glob("step-*"):
        flip(path / "weights.safetensors")
    with pytest.raises(IntegrityError, match=rf"is whole.*Delete {tmp_path}\.") as caught:
        checkpoints.load()
    assert "\n" not in str(caught.value)
    checkpoints.clear()
    assert checkpoints.load() is None


def test_a_state_of_another_step_is_refused(tmp_path: Path) -> None:
    """Also without digests, as earlier versions wrote checkpoints."""
    checkpoints = stopped(tmp_path)
    for path in tmp_path.glob("step-*"):
        (path / "index.json").unlink()
    state = tmp_path / "step-000000006" / "state.json"
    for changes in ({"step": 5}, {"best_row": 7}, {"history": [{"step": "x"}]}, {"losses": None}):
        state.write_text(json.dumps({**json.loads(state.read_text()), **changes}))
        saved = checkpoints.load()
        assert saved is not None and saved.step == 3


def test_checkpoints_without_digests_are_still_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    straight, whole = finished(CheckpointFolder(tmp_path / "whole"))
    checkpoints = stopped(tmp_path / "old")
    for path in (tmp_path / "old").glob("step-*"):
        (path / "index.json").unlink()
        state = json.loads((path / "state.json").read_text())
        (path / "state.json").write_text(json.dumps(state, sort_keys=True))
    with caplog.at_level(logging.WARNING, "badx_hub"):
        resumed, objective = finished(checkpoints)
    assert not caplog.records
    assert resumed.history == straight.history
    assert all(torch.equal(value, objective.weights()[key]) for key, value in whole.weights().items())


class Several(Regression):
    """Its metrics come in an order that is not that of the alphabet."""

    def evaluate(self) -> EvaluationRow:
        found = super().evaluate()["perplexity"]
        return {"wo/perplexity": found, "en/perplexity": 2 * found, "perplexity": found, "accuracy": 0.1}


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize("stop", [5, 8, 11])
def test_curves_are_the_same_to_the_byte_after_a_resume(tmp_path: Path, stop: int) -> None:
    """The last step too: then every row comes from the checkpoint."""
    written = []
    for name, interrupt_at in (("whole", None), ("broken", stop)):
        objective = Several()
        objective.interrupt_at = interrupt_at
        checkpoints = CheckpointFolder(tmp_path / name / "run")
        if interrupt_at is not None:
            with pytest.raises(TrainingInterrupted):
                train(objective, recipe(), checkpoints, Silent())
        outcome = train(Several(), recipe(), checkpoints, Silent())
        folder = tmp_path / name
        metrics = Several.selection.alike(outcome.best)
        write_curves(folder, outcome.history, title="t", metrics=metrics, best_step=outcome.best_step)
        written.append([(folder / file).read_bytes() for file in (CSV, "curves.png")])
    assert written[0] == written[1]
    assert written[0][1].startswith(b"\x89PNG")
    assert written[0][0].startswith(b"step,loss,wo/perplexity,en/perplexity,perplexity,accuracy\n")


def test_a_learning_curve_that_was_changed_is_not_read(tmp_path: Path) -> None:
    from badx_hub.storage import sha256_file

    (tmp_path / CSV).write_text("step,loss\n1,0.5\n")
    digest = sha256_file(tmp_path / CSV)
    assert read_curves(tmp_path, digest) == [{"step": 1.0, "loss": 0.5}]
    (tmp_path / CSV).write_text("step,loss\n1,0.4\n")
    with pytest.raises(IntegrityError, match="not the file that was published"):
        read_curves(tmp_path, digest)

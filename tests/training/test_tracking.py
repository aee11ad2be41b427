"""Runs in an experiment tracker: TensorBoard's files are read back."""

from __future__ import annotations

from pathlib import Path

import pytest

from badx_hub import train_language_adapter
from badx_hub.cli.train import Tracker
from badx_hub.errors import UsageError
from badx_hub.languages import Mixture
from badx_hub.recipes import load_recipe, override
from badx_hub.registry import LocalRegistry
from badx_hub.training.loop import Silent
from badx_hub.training.tracking import TRACKERS, Tracked, track_folder
from tests.tiny import demo_lines


def test_the_command_line_knows_the_trackers() -> None:
    assert tuple(one.value for one in Tracker) == TRACKERS


def test_what_is_no_tracker_or_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"no tracker\. Expected tensorboard, trackio, wandb"):
        Tracked("visdom", Silent())
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="wandb is not installed"):
        Tracked("wandb", Silent())


def test_a_run_in_tensorboard(tiny_base: Path, tmp_path: Path) -> None:
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    text = {}
    for language in ("en", "wo"):
        text[language] = str(tmp_path / f"{language}.txt")
        Path(text[language]).write_text("\n".join(demo_lines(language, 200)), encoding="utf-8")
    recipe = override(
        load_recipe("quick").language_side(2), {"steps": 20, "eval_every": 10, "batch_size": 4, "max_length": 32}
    )
    registry = LocalRegistry(tmp_path / "registry")
    trained = train_language_adapter(
        Mixture.parse("en-wo"),
        recipe,
        registry=registry,
        base=str(tiny_base),
        text=text,
        reporter=Tracked("tensorboard", Silent()),
    )
    manifest = trained.entry.manifest
    assert manifest.run is not None
    folder = track_folder("tensorboard") / f"tiny.en-wo-{manifest.run[:12]}"
    found = accumulators.EventAccumulator(str(folder)).Reload()
    assert {"loss", "en/perplexity", "wo/perplexity"} <= set(found.Tags()["scalars"])
    assert [event.step for event in found.Scalars("loss")] == [10, 20]
    curve = {event.step: event.value for event in found.Scalars("wo/perplexity")}
    kept = manifest.training.best_step
    assert curve[kept] == pytest.approx(manifest.metrics["dev"]["wo/perplexity"])
    (settings,) = folder.rglob("hparams.yml")
    written = settings.read_text()
    assert manifest.run in written and "adapter.reduction_factor" in written and "steps: 20" in written

"""How much room the checkpoints of a BA run take on disk, against those of AdapterTrainer, and the time of one.

    python benchmarks/checkpoints.py [--saves 3]

Both sides train an adapter of the paper's size (reduction 2) on a base of mBERT's size and save every step; steps are
tiny, as they do not change what is saved. What counts is the bytes of the files in the folder of checkpoints after the
last save. AdapterTrainer keeps every checkpoint unless told otherwise (`save_total_limit` None) and saves every 500
steps by default, so the paper's 50,000 steps leave 100 of them; ours keeps the newest one, with the best weights in it,
and removes it when the adapter is published.

The time of a checkpoint is what the training loop spends on it: copying weights and optimizer, since writing goes on on
a spare thread. Every other checkpoint is written in the loop, for comparison. The paper's recipe saves every 500 steps;
they are counted at 20 steps a second, which is a fast GPU.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from measuring import Row, at_most, report, say
from sized import place, write_base

if TYPE_CHECKING:
    from badx_hub.training.loop import Reporter

BATCH, LENGTH = 1, 16
PAPER_EVERY = 500
PAPER_SAVES = 50_000 // PAPER_EVERY
FAST_STEPS = 20
"""Steps a second of a fast GPU."""
LANGUAGES = ("en", "wo")


@dataclass(frozen=True)
class Kept:
    """What a run leaves on disk after its last save."""

    total_bytes: int
    checkpoints: int

    @property
    def one(self) -> float:
        """Bytes of one checkpoint."""
        return self.total_bytes / self.checkpoints


def kept(checkpoints: Sequence[Path]) -> Kept:
    """The files in these folders."""
    files = [file for folder in checkpoints for file in folder.rglob("*") if file.is_file()]
    return Kept(sum(file.stat().st_size for file in files), len(checkpoints))


def ours(base: Path, root: Path, saves: int) -> Kept:
    """A BA run of one step more than it saves: the last step is not saved, it is published."""
    from badx_hub.storage import home
    from badx_hub.training.loop import Silent

    class Watching(Silent):
        seen = Kept(0, 0)

        def stepped(self, step: int, loss: float, units: int) -> None:
            if step == saves + 1:
                self.seen = kept(list(home().glob("runs/*/step-*")))

    watching = Watching()
    train_ba(base, root / "registry", saves, watching)
    return watching.seen


def train_ba(base: Path, registry: Path, saves: int, reporter: Reporter) -> None:
    """Train a BA and save it after each step but the last."""
    from badx_hub.languages import pair
    from badx_hub.recipes import load_recipe, override
    from badx_hub.registry import open_registry
    from badx_hub.training.language_adapter import train_language_adapter

    flags = {"steps": saves + 1, "save_every": 1, "eval_every": saves, "batch_size": BATCH, "max_length": LENGTH}
    recipe = override(load_recipe("paper").language, {**flags, "eval_blocks": 1})
    text = {language: f"demo:text/{language}.txt.gz" for language in LANGUAGES}
    train_language_adapter(
        pair(*LANGUAGES), recipe, registry=open_registry(registry), base=str(base), text=text, reporter=reporter
    )


def loop_seconds(base: Path, root: Path, saves: int) -> tuple[float, float]:
    """Median seconds of the training loop for a checkpoint: as it is, and if it is written in the loop."""
    from badx_hub.training import loop

    beside: list[float] = []
    within: list[float] = []

    class Timed(loop._Run):
        def _save(self) -> None:
            self.saver.settle()  # so that no checkpoint waits for the one before
            began = time.perf_counter()
            super()._save()
            if len(beside) > len(within):
                self.saver.settle()
                within.append(time.perf_counter() - began)
            else:
                beside.append(time.perf_counter() - began)

    with patch.object(loop, "_Run", Timed):
        train_ba(base, root / "timed", 4 * saves, loop.Silent())
    return median(beside), median(within)


def adapter_trainer(base: Path, root: Path, saves: int) -> Kept:
    """As run_mlm.py of `adapters` trains a language adapter, with its default number of checkpoints."""
    import adapters
    from transformers import AutoModelForMaskedLM, AutoTokenizer, DataCollatorForLanguageModeling, TrainingArguments

    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForMaskedLM.from_pretrained(base)
    adapters.init(model)
    model.add_adapter("ba", config=adapters.SeqBnConfig(reduction_factor=2))
    model.train_adapter("ba")
    arguments = TrainingArguments(
        output_dir=str(root / "trainer"),
        max_steps=saves,
        save_steps=1,
        per_device_train_batch_size=BATCH,
        report_to=[],
        disable_tqdm=True,
        log_level="error",
    )
    blocks: list[Any] = [{"input_ids": list(range(100, 100 + LENGTH))}] * saves
    adapters.AdapterTrainer(
        model=model,
        args=arguments,
        train_dataset=blocks,
        processing_class=tokenizer,
        data_collator=DataCollatorForLanguageModeling(tokenizer),
    ).train()
    return kept(list((root / "trainer").glob("checkpoint-*")))


def row(own: Kept, peer: Kept) -> Row:
    """The two sets of checkpoints, with one of each and the paper's run in the note."""
    paper = own.total_bytes / (peer.one * PAPER_SAVES)
    return at_most(
        f"checkpoints on disk after {peer.checkpoints} saves of a BA run, mBERT size",
        "AdapterTrainer's",
        "bytes",
        own.total_bytes,
        peer.total_bytes,
        0.2,
        f"one checkpoint: ours {own.one / 1e6:.0f} MB, best weights included, AdapterTrainer's {peer.one / 1e6:.0f} MB "
        f"with the pretrained decoder in it; ours keeps two, so with the paper's {PAPER_SAVES} it is {paper:.4f}",
    )


def time_row(beside: float, within: float) -> Row:
    """The seconds of the training loop for a checkpoint, against those between two."""
    return at_most(
        "time of the training loop for a checkpoint of a BA run, mBERT size",
        f"the {PAPER_EVERY} steps between two, {FAST_STEPS} a second",
        "s",
        beside,
        PAPER_EVERY / FAST_STEPS,
        0.01,
        f"written in the loop it takes {within:.2f} s",
    )


def main() -> None:
    """Run either side, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--saves", type=int, default=3)
    saves = parser.parse_args().saves
    with place() as root, redirect_stdout(sys.stderr):  # AdapterTrainer prints its log.
        base = write_base(root / "mbert-size")
        own = ours(base, root, saves)
        say(f"ours: {own}")
        beside, within = loop_seconds(base, root, saves)
        say(f"a checkpoint: {beside:.3f} s of the loop; written in it {within:.3f} s")
        peer = adapter_trainer(base, root, saves)
        say(f"AdapterTrainer: {peer}")
    if (own.checkpoints, peer.checkpoints) != (2, saves):
        sys.exit(f"Expected two checkpoints and {saves}; found {own.checkpoints} and {peer.checkpoints}.")
    report(row(own, peer), time_row(beside, within))


if __name__ == "__main__":
    main()

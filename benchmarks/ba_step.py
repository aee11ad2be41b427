"""The training step of a bilingual adapter at mBERT's size: our loop against `AdapterTrainer` with whole logits.

    python benchmarks/ba_step.py [--batches 8 32]

Each run is a process of its own, and the sides take turns: either of them in fp32 and, where this machine is best at
it, in bf16 (the peer's `bf16=True`). Both train an adapter of reduction 2 on blocks of 128 tokens
of the embedded English and Wolof text, on a base of mBERT's size with random weights; the peer is what run_mlm.py
of `adapters` does. A rate is the median of the steps after the first one. Memory is the peak during the steps above
what is in memory when the first step begins: the loaded weights and the libraries.

Weights are what the model's parameters take, the adapter included.

Efficiency is the floating-point work of our step, counted by torch as it runs, over what two large matrix products
take of the same machine in the same precision: the share of the time that would be left if everything but products were
free. Attention makes its scores twice and they count twice: 2.4 of 415 million operations a token.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from measuring import Row, anonymous, at_most, peak_memory, report, say, seconds, times_the_rate
from sized import place, write_base

from badx_hub.modeling.precision import settled
from badx_hub.recipes import Precision

LENGTH, MASKED, RATE = 128, 0.15, 1e-4
STEPS, ROUNDS = {8: 4, 32: 2}, {8: 3, 32: 2}
"""Steps of a run, the first one included, and runs a side, by batch size; of other sizes as of the largest."""

PEER, PEER_BF16 = "AdapterTrainer, whole logits", "AdapterTrainer, whole logits, bf16=True"
SIDES = ("ours", "peer")
"""In fp32; with -bf16 behind it, in bf16."""


@dataclass(frozen=True)
class Run:
    """One run: tokens/s, peak and weights in bytes, and operations a second of a step and of products alone."""

    rate: float
    peak: int
    weights: int = 0
    step_flops: float = 0.0
    product_flops: float = 0.0


class Stamps:
    """When each step ended."""

    def __init__(self) -> None:
        self.ended = list[float]()

    @property
    def step(self) -> float:
        """Median seconds of the steps after the first."""
        times = [later - sooner for sooner, later in zip(self.ended, self.ended[1:], strict=False)]
        return median(times)


def ours(base: Path, batch: int, steps: int, precision: Precision) -> Run:
    """A run of our training on a new registry."""
    from badx_hub.languages import pair
    from badx_hub.recipes import load_recipe, override
    from badx_hub.registry import open_registry
    from badx_hub.training.language_adapter import train_language_adapter
    from badx_hub.training.loop import Silent

    stamps, watch = Stamps(), peak_memory(anonymous)

    class Clock(Silent):
        def started(self, steps: int, done: int, unit: str) -> None:
            self.peak = watch.__enter__()

        def stepped(self, step: int, loss: float, units: int) -> None:
            stamps.ended.append(time.perf_counter())
            if step == steps:
                watch.__exit__(None, None, None)

    clock, recipe = Clock(), load_recipe("demo")
    changed = {
        "steps": steps,
        "batch_size": batch,
        "max_length": LENGTH,
        "learning_rate": RATE,
        "eval_every": steps,
        "save_every": 0,
        "eval_blocks": 1,
        "precision": precision,
    }
    products = product_flops(precision)
    train_language_adapter(
        pair("en", "wo"),
        override(recipe.language, changed),
        registry=open_registry(base.parent / f"registry-{time.time_ns()}"),
        base=str(base),
        text=recipe.text,
        reporter=clock,
    )
    done, weights = counted(base, batch, precision)
    limit = median([products, product_flops(precision)])
    return Run(batch * LENGTH / stamps.step, clock.peak.above, weights, done / stamps.step, limit)


def peer(base: Path, batch: int, steps: int, precision: Precision) -> Run:
    """A run of the peer's training."""
    import adapters
    import torch
    from adapters import AdapterTrainer, SeqBnConfig
    from transformers import (
        AutoModelForMaskedLM,
        AutoTokenizer,
        DataCollatorForLanguageModeling,
        TrainerCallback,
        TrainingArguments,
    )

    stamps, watch = Stamps(), peak_memory(anonymous)

    class Clock(TrainerCallback):
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            self.peak = watch.__enter__()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            stamps.ended.append(time.perf_counter())

    model, clock = AutoModelForMaskedLM.from_pretrained(base), Clock()
    adapters.init(model)
    model.add_adapter("en_wo", config=SeqBnConfig(reduction_factor=2))
    model.train_adapter("en_wo")
    AdapterTrainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(base.parent / "trainer"),
            max_steps=steps,
            per_device_train_batch_size=batch,
            learning_rate=RATE,
            bf16=precision == "bf16",
            use_cpu=not torch.cuda.is_available(),  # It refuses bf16 on a CPU that was not asked for.
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
        ),
        train_dataset=blocks(base, batch * steps),
        data_collator=DataCollatorForLanguageModeling(AutoTokenizer.from_pretrained(base), mlm_probability=MASKED),
        callbacks=[clock],
    ).train()
    watch.__exit__(None, None, None)
    return Run(batch * LENGTH / stamps.step, clock.peak.above)


def blocks(base: Path, count: int) -> Any:
    """Blocks of English text, as run_mlm.py leaves them in a dataset."""
    from datasets import Dataset

    from badx_hub.corpora.blocks import BlockStore
    from badx_hub.corpora.sources import open_source
    from badx_hub.modeling.base import resolve_base
    from badx_hub.modeling.loading import load_tokenizer

    store = BlockStore(open_source("en", "demo:text/en.txt.gz"), load_tokenizer(resolve_base(str(base))), LENGTH)
    return Dataset.from_dict({"input_ids": store.train_batch(range(count), seed=1).tolist()})


def counted(base: Path, batch: int, precision: Precision) -> tuple[float, int]:
    """Operations of the matrix products of one of our steps, forward and backward, and the bytes of the weights."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from badx_hub.languages import pair
    from badx_hub.modeling.base import resolve_base
    from badx_hub.modeling.bfloat16 import hold
    from badx_hub.modeling.fast import cheap_dropout
    from badx_hub.modeling.loading import load_masked_lm
    from badx_hub.modeling.mlm import MaskedLanguageModel
    from badx_hub.modeling.model_adapters import activate, add_adapter, own_parameters
    from badx_hub.names import AdapterName
    from badx_hub.recipes import AdapterRecipe

    model, name = load_masked_lm(resolve_base(str(base))), AdapterName("mbert-size", pair("en", "wo"))
    add_adapter(model, name, AdapterRecipe(), seed=1)
    activate(model, [name])
    for parameter in own_parameters(model, name).values():
        parameter.requires_grad_(True)
    if precision == "bf16":
        hold(model)
    weights = sum(one.numel() * one.element_size() for one in model.parameters())
    ids = torch.randint(10, 1000, (batch, LENGTH))
    positions = torch.arange(0, ids.numel(), round(1 / MASKED))
    with FlopCounterMode(display=False) as counter:
        with cheap_dropout(torch.device("cpu")):
            loss = MaskedLanguageModel(model).train()(ids, positions, ids.flatten()[positions])
        loss.backward()
    return float(counter.get_total_flops()), weights


def product_flops(precision: Precision) -> float:
    """Operations a second of matrix products alone, of the shapes of a feed-forward layer of 8 x 128 tokens."""
    import torch

    from badx_hub.modeling.device import default_device
    from badx_hub.modeling.precision import DTYPES

    how = {"dtype": DTYPES[precision], "device": default_device()}
    states, up = torch.randn(8 * LENGTH, 768, **how), torch.randn(768, 3072, **how)
    down = torch.randn(3072, 768, **how)
    took = sorted(seconds(lambda: (states @ up @ down)[0, 0].item()) for _ in range(15))  # A GPU is waited for.
    return 4 * states.shape[0] * 768 * 3072 / median(took)


def run(side: str, base: Path, batch: int) -> Run:
    """One run in a process of its own."""
    steps = STEPS.get(batch, STEPS[32])
    command = [sys.executable, __file__, "--side", side, "--base", str(base), "--batch", str(batch)]
    done = subprocess.run([*command, "--steps", str(steps)], stdout=subprocess.PIPE, text=True, check=True)
    result = Run(**json.loads(done.stdout))
    say(f"{side} {batch} x {LENGTH}: {result.rate:.0f} tokens/s, {result.peak / 1e9:.2f} GB")
    return result


def measured(base: Path, batch: int) -> list[Row]:
    """The rows of one batch size: speed, memory, efficiency."""
    with_bf16 = settled("auto") == "bf16"
    sides = (*SIDES, *(f"{side}-bf16" for side in SIDES if with_bf16))
    runs: dict[str, list[Run]] = {side: [] for side in sides}
    for _ in range(ROUNDS.get(batch, ROUNDS[32])):
        for side, done in runs.items():
            done.append(run(side, base, batch))
    what = f"BA step, mBERT size, {batch} x {LENGTH}"
    rows = compared(what, runs["ours"], {PEER: (runs["peer"], 2.6)}, memory=0.4, efficiency=0.65)
    if not with_bf16:
        return rows
    peers = {PEER: (runs["peer"], 6.0), PEER_BF16: (runs["peer-bf16"], 2.5)}
    weights = [median(one.weights for one in runs[side]) / 1e6 for side in ("ours-bf16", "ours")]
    return [
        *rows,
        *compared(f"{what}, bf16", runs["ours-bf16"], peers, memory=0.3, efficiency=0.55),
        at_most(f"{what}, bf16, weights", "the same in fp32", "MB", *weights, 0.55),
    ]


def compared(
    what: str,
    mine: Sequence[Run],
    peers: Mapping[str, tuple[Sequence[Run], float]],
    *,
    memory: float,
    efficiency: float,
) -> list[Row]:
    """Speed against each of the peers (their runs, and the target), memory against the first, efficiency."""
    rate, peak, done, limit = (
        median(getattr(one, key) for one in mine) for key in ("rate", "peak", "step_flops", "product_flops")
    )
    speeds = [
        times_the_rate(what, name, "tokens/s", rate, median(one.rate for one in runs), target)
        for name, (runs, target) in peers.items()
    ]
    first, (runs, _) = next(iter(peers.items()))
    theirs = median(one.peak for one in runs)
    return [
        *speeds,
        at_most(f"{what}, peak memory above the weights", first, "MB", peak / 1e6, theirs / 1e6, memory),
        times_the_rate(f"{what}, efficiency", "matrix products alone", "GFLOP/s", done / 1e9, limit / 1e9, efficiency),
    ]


def arguments() -> argparse.Namespace:
    """`--side` and what follows it are for the processes that this script starts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--side", choices=[*SIDES, *(f"{side}-bf16" for side in SIDES)])
    parser.add_argument("--base", type=Path)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--steps", type=int)
    return parser.parse_args()


def main(options: argparse.Namespace) -> None:
    """Measure and report."""
    if options.side:
        with redirect_stdout(sys.stderr):  # AdapterTrainer prints its log.
            side, _, suffix = options.side.partition("-")
            run_of = ours if side == "ours" else peer
            result = run_of(options.base, options.batch, options.steps, "bf16" if suffix else "fp32")
        print(json.dumps(asdict(result)))
        return
    with place() as folder:
        base = write_base(folder / "mbert-size")
        found: Sequence[list[Row]] = [measured(base, batch) for batch in options.batches]
    report(*(row for rows in found for row in rows))


if __name__ == "__main__":
    main(arguments())

"""How much faster the biaffine head is than the stock one of `adapters`: the head alone, forward and backward.

    python benchmarks/dp_head.py [--batches 7] [--threads 1] [--output benchmarks/dp_head.json]

Batches are of 32 sentences of the English training data (their words, sub-words and gold trees; hidden states are
random, 768 wide, and get a gradient as in training), once drawn at random, as an ordinary data loader does, and once
of like length, as our training draws them. Both heads see the same batches in turn and have equal weights and 37
relations; the stock one gets a pad id that leaves no word out. Seconds are processor time, so that other work on the
machine hardly counts; what matters is the ratio of the medians.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import torch
from adapters.heads import BiaffineParsingHead
from torch import Tensor
from torch.nn.functional import pad

from badx_hub.modeling.base import resolve_base
from badx_hub.modeling.biaffine import ParsingHead
from badx_hub.modeling.models import load_tokenizer
from badx_hub.tasks.base import IGNORED, bucketed
from badx_hub.tasks.dp import DpTask
from badx_hub.tasks.parsing import TreeWindow
from badx_hub.tasks.relations import UNIVERSAL

DATA = "demo:ud/UD_English-EWT"
HIDDEN, BATCH, LONGEST, SEED = 768, 32, 256, 1
CONFIG = SimpleNamespace(hidden_size=HIDDEN, hidden_dropout_prob=0.1, classifier_dropout=None, pad_token_id=IGNORED)


def heads() -> tuple[ParsingHead, BiaffineParsingHead]:
    """Ours and the stock head with the same random weights, in training mode."""
    model = SimpleNamespace(config=CONFIG, training=True)
    ours, stock = (kind(model, "dp", len(UNIVERSAL)) for kind in (ParsingHead, BiaffineParsingHead))
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.01)
    stock.load_state_dict(ours.state_dict())
    return ours, stock


def drawn(windows: Sequence[TreeWindow], count: int) -> dict[str, list[list[TreeWindow]]]:
    """`count` full batches of either kind."""
    generator = random.Random(SEED)
    full = [indices for indices in bucketed(windows, BATCH, seed=SEED) if len(indices) == BATCH]
    return {
        "at random": [generator.sample(windows, BATCH) for _ in range(count)],
        "of like length": [[windows[index] for index in indices] for indices in full[:count]],
    }


def seconds(head: Any, inputs: dict[str, Tensor], hidden: Tensor) -> float:
    """Processor time of one step of the head alone: loss and all gradients."""
    head.zero_grad(set_to_none=True)
    hidden = hidden.clone().requires_grad_()
    began = time.process_time()
    output = head((hidden,), return_dict=False, **inputs)
    (output.loss if isinstance(head, ParsingHead) else output[0]).backward()
    return time.process_time() - began


def as_stock(inputs: dict[str, Tensor], length: int) -> dict[str, Tensor]:
    """The stock head wants labels as wide as the sub-words."""
    wide = {key: pad(inputs[key], (0, length - inputs[key].shape[1]), value=IGNORED) for key in inputs}
    return {**wide, "word_starts": inputs["word_starts"]}


def measured(kind: str, batches: Sequence[Sequence[TreeWindow]], report: Callable[[str], None]) -> dict[str, Any]:
    """The medians over the batches of one kind, after one that warms up."""
    ours, stock = heads()
    times: list[tuple[float, float]] = []
    for batch in (batches[0], *batches):
        collated = DpTask().collate(batch, UNIVERSAL, pad_id=0)
        inputs = {key: collated[key] for key in ("word_starts", "labels_arcs", "labels_rels")}
        hidden = torch.randn(*collated["input_ids"].shape, HIDDEN)
        times.append((seconds(ours, inputs, hidden), seconds(stock, as_stock(inputs, hidden.shape[1]), hidden)))
        report(f"{kind}: {hidden.shape[1]} sub-words  ours {times[-1][0]:.3f} s  stock {times[-1][1]:.3f} s")
    own, other = (median(column) for column in zip(*times[1:], strict=True))
    words = sum(window.words for batch in batches for window in batch)
    positions = sum(BATCH * max(map(len, batch)) for batch in batches)
    return {
        "batches": kind,
        "words": round(words / len(batches)),
        "positions": round(positions / len(batches)),
        "ours_seconds": round(own, 3),
        "stock_seconds": round(other, 3),
        "ratio": round(other / own, 1),
    }


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(SEED)
    task = DpTask()
    windows = task.encode(task.read(DATA, "train"), load_tokenizer(resolve_base("demo")), LONGEST)
    whole = [window for window in windows if window.whole]
    kinds = drawn(whole, options.batches)
    rows = [measured(kind, batches, lambda line: print(line, file=sys.stderr)) for kind, batches in kinds.items()]
    machine = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cores": os.cpu_count(),
        "threads": options.threads,
        "load": round(os.getloadavg()[0], 1),
    }
    result = {"batch_size": BATCH, "hidden": HIDDEN, "labels": len(UNIVERSAL), "machine": machine, "measured": rows}
    options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(rows), file=sys.stderr)


if __name__ == "__main__":
    main()

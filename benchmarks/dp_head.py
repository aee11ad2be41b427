"""How much faster the biaffine head is than the stock one of `adapters`: the head alone, forward and backward.

    python benchmarks/dp_head.py [--batches 7]

Batches are of 8 sentences of the English training data (their words, sub-words and gold trees; hidden states are
random, 768 wide, and get a gradient as in training), once drawn at random, as an ordinary data loader draws them, and
once of like length, as our training draws them. The stock head sees the latter padded to 128 sub-words, as run_udp.py
trains it, and also as they are. Both heads have equal weights and 37 relations, and the stock one gets a pad id that
leaves no word out. They take turns, batch by batch, and the first batch of each kind is not counted.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from types import SimpleNamespace
from typing import Any

import torch
from adapters.heads import BiaffineParsingHead
from measuring import Row, report, say, times_faster
from plain import PARSER_LENGTH
from torch import Tensor
from torch.nn.functional import pad

from badx_hub.modeling import IGNORED
from badx_hub.modeling.base import resolve_base
from badx_hub.modeling.heads import ParsingHead
from badx_hub.modeling.loading import load_tokenizer
from badx_hub.tasks.batching import bucketed
from badx_hub.tasks.dp import DpTask
from badx_hub.tasks.labels import UNIVERSAL
from badx_hub.tasks.parsing import TreeWindow

DATA = "demo:ud/UD_English-EWT"
HIDDEN, BATCH, SEED, TARGET = 768, 8, 1, 5.0
CONFIG = SimpleNamespace(hidden_size=HIDDEN, hidden_dropout_prob=0.1, classifier_dropout=None, pad_token_id=IGNORED)


@dataclass(frozen=True)
class Kind:
    """Batches, and the sub-words that the stock head's inputs are padded to (0: the longest of the batch)."""

    name: str
    batches: Sequence[Sequence[TreeWindow]]
    stock_length: int = 0
    note: str = ""


def kinds(windows: Sequence[TreeWindow], count: int) -> tuple[Kind, ...]:
    """`count` full batches of either way to draw them."""
    generator = random.Random(SEED)
    full = [indices for indices in bucketed(windows, BATCH, seed=SEED) if len(indices) == BATCH]
    alike = [[windows[index] for index in indices] for indices in full[:count]]
    return (
        Kind(f"of like length, the stock head's padded to {PARSER_LENGTH} as run_udp.py", alike, PARSER_LENGTH),
        Kind("at random, the same for both", [generator.sample(windows, BATCH) for _ in range(count)]),
        Kind("of like length, the same for both", alike, note="nobody pads: what is left are dense products"),
    )


def heads() -> tuple[ParsingHead, BiaffineParsingHead]:
    """Ours and the stock head with the same random weights, in training mode."""
    model = SimpleNamespace(config=CONFIG, training=True)
    ours, stock = (kind(model, "dp", len(UNIVERSAL)) for kind in (ParsingHead, BiaffineParsingHead))
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.01)
    stock.load_state_dict(ours.state_dict())
    return ours, stock


def seconds(head: Any, inputs: dict[str, Tensor], hidden: Tensor) -> float:
    """Time of one step of the head alone: loss and all gradients."""
    head.zero_grad(set_to_none=True)
    hidden = hidden.clone().requires_grad_()
    began = time.perf_counter()
    output = head((hidden,), return_dict=False, **inputs)
    (output.loss if isinstance(head, ParsingHead) else output[0]).backward()
    return time.perf_counter() - began


def as_stock(inputs: dict[str, Tensor], length: int) -> dict[str, Tensor]:
    """The stock head wants labels as wide as the sub-words."""
    wide = {key: pad(inputs[key], (0, length - inputs[key].shape[1]), value=IGNORED) for key in inputs}
    return {**wide, "word_starts": inputs["word_starts"]}


def measured(kind: Kind) -> Row:
    """The medians over the batches of one kind, after one that warms up."""
    ours, stock = heads()
    times: list[tuple[float, float]] = []
    for batch in (kind.batches[0], *kind.batches):
        collated = DpTask().collate(batch, UNIVERSAL, pad_id=0)
        inputs = {key: collated[key] for key in ("word_starts", "labels_arcs", "labels_rels")}
        hidden = torch.randn(*collated["input_ids"].shape, HIDDEN)
        length = kind.stock_length or hidden.shape[1]
        wide = pad(hidden, (0, 0, 0, length - hidden.shape[1]))
        times.append((seconds(ours, inputs, hidden), seconds(stock, as_stock(inputs, length), wide)))
        say(f"{kind.name}: {hidden.shape[1]} sub-words  ours {times[-1][0]:.3f} s  stock {times[-1][1]:.3f} s")
    own, other = (median(column) for column in zip(*times[1:], strict=True))
    return times_faster(
        f"DP head alone, forward and backward, batch {BATCH}",
        f"stock head, batches {kind.name}",
        own,
        other,
        TARGET,
        kind.note,
    )


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, default=7)
    options = parser.parse_args()
    torch.manual_seed(SEED)
    task = DpTask()
    windows = task.encode(task.read(DATA, "train"), load_tokenizer(resolve_base("demo")), PARSER_LENGTH)
    whole = [window for window in windows if window.whole]
    report(*(measured(kind) for kind in kinds(whole, options.batches)))


if __name__ == "__main__":
    main()

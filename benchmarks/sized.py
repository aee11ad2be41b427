"""A base of mBERT's size with random weights, and adapters for it: what a speed depends on, without a download.

    with place() as folder:
        base = write_base(folder / "mbert-size")
        registry = open_registry(folder / "registry")
        ba = publish_ba(registry, base)
        ta = publish_ta(registry, base, ba, "pos")
        stack = load_entries([ba, ta], registry)

Its tokenizer is the embedded one, which knows fewer words than the model has room for.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import BertConfig, BertForMaskedLM

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from badx_hub.modeling.base import resolve_base
from badx_hub.modeling.loading import load_tokenizer
from badx_hub.registry import Entry, Registry
from tests.made import made

VOCABULARY, LAYERS, HIDDEN = 119_547, 12, 768
REDUCTION = {"ba": 2.0, "ta": 16.0}
_DEVIATION = 0.02
"""Of the adapters' and heads' weights: that of the base itself, so that hidden states keep their size."""


@contextmanager
def place() -> Iterator[Path]:
    """An empty temporary folder, with the home of badx_hub in it, so that a benchmark leaves nothing behind."""
    before = os.environ.get("BADX_HUB_HOME")
    with tempfile.TemporaryDirectory(prefix="badx-bench-") as folder:
        os.environ["BADX_HUB_HOME"] = str(Path(folder) / "home")
        try:
            yield Path(folder)
        finally:
            if before is None:
                del os.environ["BADX_HUB_HOME"]
            else:
                os.environ["BADX_HUB_HOME"] = before


def write_base(folder: Path, *, vocabulary: int = VOCABULARY, layers: int = LAYERS, seed: int = 1) -> Path:
    """Write the base to `folder` unless it is there: config, tokenizer, safetensors (711 MB at mBERT's size).

    The folder's name is the base's in the names of adapters.
    """
    if (folder / "config.json").is_file():
        return folder
    tokenizer = load_tokenizer(resolve_base("demo"))
    config = BertConfig(
        vocab_size=vocabulary, hidden_size=HIDDEN, num_hidden_layers=layers, pad_token_id=tokenizer.pad_token_id
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        BertForMaskedLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def publish_ba(registry: Registry, base: Path, pair: str = "en-wo", *, seed: int = 1) -> Entry:
    """A bilingual adapter as the paper has it (reduction 2), random, not trained."""
    return made(
        registry, base, f"{base.name}/{pair}", seed=seed, reduction_factor=REDUCTION["ba"], deviation=_DEVIATION
    )


def publish_ta(
    registry: Registry, base: Path, ba: Entry, task: str, *, seed: int = 2, longest: int = 256, **options: str | bool
) -> Entry:
    """A task adapter as the paper has it (reduction 16) with its head, on that BA; `options` are the task's."""
    return made(
        registry,
        base,
        f"{ba.name}/{task}",
        seed=seed,
        on=ba,
        reduction_factor=REDUCTION["ta"],
        deviation=_DEVIATION,
        recipe={"max_length": longest, "options": options},
    )

"""Which bases there are, which of them are on this machine, and how well and fast each of those reads a text."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from itertools import islice
from typing import Any

import torch
import yaml

from badx_hub.base_spec import DEMO
from badx_hub.corpora.coverage import Coverage, coverage_of
from badx_hub.corpora.sources import open_source
from badx_hub.errors import BadxError
from badx_hub.hub.model_cache import cached_models
from badx_hub.modeling.base import Base, resolve_base
from badx_hub.modeling.loading import load_encoder, load_tokenizer

_LINES, _BATCH, _LENGTH, _BATCHES = 20_000, 8, 128, 4
_MILLION = 1_000_000


@dataclass(frozen=True)
class KnownBase:
    """A base that people use, as its publisher describes it: nothing here was measured.

    `million`: parameters; `languages`: those of its pretraining; `words`: its vocabulary; `needs`: what is to be done
    before it can be opened.
    """

    base: str
    million: int
    licence: str
    languages: int
    words: int
    needs: str = ""


@dataclass(frozen=True)
class Reading:
    """How a base reads a text; `seconds`: of its encoder alone, on this machine, for a million words."""

    coverage: Coverage
    seconds: float


@lru_cache(1)
def known_bases() -> tuple[KnownBase, ...]:
    """The table of known bases."""
    table = yaml.safe_load((files("badx_hub.modeling") / "known_bases.yaml").read_text(encoding="utf-8"))
    return tuple(KnownBase(**row) for row in table)


def bases_here(asked: Sequence[str] = ()) -> Iterator[tuple[str, Base]]:
    """The bases that can be opened without a network, by the names that `resolve_base` takes.

    First those that are `asked` for, which have to be there (raises as `resolve_base`); then the embedded one and those
    of the Hugging Face cache, of which what is no base of ours is passed over.
    """
    seen = set[str]()
    for spec in dict.fromkeys((*asked, DEMO, *cached_models())):
        try:
            base = resolve_base(spec, offline=True)
            load_tokenizer(base)
        except BadxError:
            if spec in asked:
                raise
            continue
        if base.ref.digest not in seen:
            seen.add(base.ref.digest)
            yield spec, base


def read_text(base: Base, language: str, source: str) -> Reading:
    """How a base reads the beginning of a text source. Raises as `open_source`, and where the base cannot be loaded."""
    lines = [line for line in islice(open_source(language, source).lines(), _LINES) if line.strip()]
    return Reading(coverage_of(load_tokenizer(base), lines), _seconds(base, lines))


@torch.inference_mode()
def _seconds(base: Base, lines: Sequence[str]) -> float:
    """Of a million words in batches of full length, by some batches after one that warms up."""
    tokenizer, model = load_tokenizer(base), load_encoder(base)
    length = min(_LENGTH, base.max_length)
    text = " ".join(islice(lines, _BATCH * _LENGTH * (_BATCHES + 1)))
    ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    wanted = _BATCH * length
    ids = (ids * (1 + wanted // max(1, len(ids))))[: wanted * _BATCHES]
    batches = [
        torch.tensor(ids[at : at + wanted]).view(_BATCH, length) for at in range(0, len(ids) - wanted + 1, wanted)
    ]
    _forward(model, batches[0])
    started = time.perf_counter()
    for batch in batches:
        _forward(model, batch)
    pieces = sum(batch.numel() for batch in batches)
    per_word = coverage_of(tokenizer, lines).pieces_per_word
    return (time.perf_counter() - started) / pieces * per_word * _MILLION


def _forward(model: Any, ids: torch.Tensor) -> None:
    model.base_model(input_ids=ids, attention_mask=torch.ones_like(ids))

"""Training a language adapter: BA, LA and MA differ in their mixture alone (BAD-X)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import nn

from badx_hub.arguments import checked
from badx_hub.corpora.blocks import BlockStore
from badx_hub.corpora.coverage import coverage_of
from badx_hub.corpora.masking import MaskedBatch, generator_for, mask_tokens
from badx_hub.corpora.packing import Ids
from badx_hub.corpora.schedule import draws_before, language_at
from badx_hub.corpora.sources import Source, default_source, open_source
from badx_hub.corpora.subword_list import extend_tokenizer
from badx_hub.errors import UsageError
from badx_hub.languages import Mixture, normalise
from badx_hub.manifest import LanguageAdapterRef, SourceRef
from badx_hub.metric_key import MetricKey
from badx_hub.modeling.base import DEFAULT_BASE, Base, base_of, resolve_base
from badx_hub.modeling.bfloat16 import hold
from badx_hub.modeling.extended_embeddings import extension_parameters
from badx_hub.modeling.fast import Share
from badx_hub.modeling.loading import load_masked_lm, load_tokenizer
from badx_hub.modeling.mlm import MaskedLanguageModel, head_parameters, load_mlm_head, perplexity
from badx_hub.modeling.model_adapters import activate, add_adapter, begin_as, own_parameters
from badx_hub.modeling.precision import with_settled_precision
from badx_hub.names import AdapterName
from badx_hub.recipes import LanguageRecipe
from badx_hub.registry.protocol import Entry, Registry
from badx_hub.registry.stack_checks import verified
from badx_hub.remedies import Advice, CompareBases, Notice
from badx_hub.training.devices import moved
from badx_hub.training.interrupts import StopRequest
from badx_hub.training.loop import Batch, EvaluationRow, Reporter, Silent
from badx_hub.training.processes import spread
from badx_hub.training.profiling import Profiling
from badx_hub.training.runs import Trained, TrainingRun, seed_label
from badx_hub.training.subwords import extend_for_training, subwords_for
from badx_hub.user_paths import source_text

_LOG = logging.getLogger(__name__)

_SUGGESTED_SUBWORDS = 2000
_EVALUATED_BLOCKS = 32
"""Blocks in each forward pass of an evaluation. Fixed, because the held-out masks are drawn pass by pass."""


@dataclass(frozen=True)
class SpecialTokens:
    """What masking must know of a tokenizer."""

    special_ids: tuple[int, ...]
    mask_id: int
    vocab_size: int

    @classmethod
    def of(cls, tokenizer: Any) -> SpecialTokens:
        """Those of a tokenizer of transformers."""
        return cls(tuple(tokenizer.all_special_ids), tokenizer.mask_token_id, len(tokenizer))


class LanguageObjective:
    """Masked-language modelling over a mixture: one language a step, in the mixture's cycle order."""

    unit = "tokens"

    def __init__(
        self,
        model: Any,
        name: AdapterName,
        stores: Mapping[str, BlockStore],
        tokens: SpecialTokens,
        recipe: LanguageRecipe,
    ) -> None:
        self.module: nn.Module = MaskedLanguageModel(model)
        head = {**head_parameters(model, recipe.head), **extension_parameters(model)}
        self.parameters = {**own_parameters(model, name), **head}
        self.mixture, self.stores, self.tokens, self.recipe = name.mixture, stores, tokens, recipe
        for parameter in self.parameters.values():
            parameter.requires_grad_(True)
        if recipe.precision == "bf16":
            hold(model)

    @property
    def selection(self) -> MetricKey:
        """The perplexity of the target (LA: of its language; MA: the mean over its targets)."""
        return MetricKey.target_perplexity(self.mixture.targets)

    def prepare(self, step: int) -> None:
        """Does nothing: every step trains the same adapter."""

    def batches(self, step: int, parts: int) -> Sequence[Batch]:
        """`batch_size` blocks of the step's language, newly masked, in `parts` slices."""
        language, size = language_at(self.mixture, step), self.recipe.batch_size
        first = draws_before(self.mixture, language, step) * size
        rows = self.stores[language].train_batch(range(first, first + size), self.recipe.seed)
        masked = self._masked(rows, generator_for("mask", self.recipe.seed, step))
        origin = f"{language}, blocks {first + 1:,} to {first + size:,} of its training text in the order of the seed"
        return [replace(part, origin=origin) for part in _slices(masked, -(-len(rows) // parts))]

    def evaluate(self) -> EvaluationRow:
        """Perplexity on the held-out masked tokens of every language of the mixture.

        The masks are the same at every step of every run, so that perplexities compare.
        """
        values = self.perplexities(self.mixture.languages)
        metrics = {str(MetricKey.perplexity(language)): value for language, value in values.items()}
        return {**metrics, str(self.selection): fmean(values[target] for target in self.mixture.targets)}

    def perplexities(self, languages: Iterable[str]) -> Mapping[str, float]:
        """The perplexity on the held-out masked tokens of each of these languages, which have a store."""
        return {language: self._perplexity(language) for language in languages}

    def _perplexity(self, language: str) -> float:
        generator, device = generator_for("held out", language), next(iter(self.parameters.values())).device
        blocks = self.stores[language].held_out_blocks(self.recipe.eval_blocks or None)
        passes = [
            _slices(self._masked(blocks[start : start + _EVALUATED_BLOCKS], generator), _EVALUATED_BLOCKS)[0]
            for start in range(0, len(blocks), _EVALUATED_BLOCKS)
        ]
        losses = spread(passes, lambda batch: float(self.module(**moved(batch.inputs, device))))
        return perplexity(sum(losses), sum(batch.labels for batch in passes))

    def _masked(self, rows: Ids, generator: torch.Generator) -> MaskedBatch:
        return mask_tokens(
            torch.from_numpy(rows.astype(np.int64)),
            special_ids=self.tokens.special_ids,
            mask_id=self.tokens.mask_id,
            vocab_size=self.tokens.vocab_size,
            probability=self.recipe.mask_probability,
            generator=generator,
        )


@checked()
def train_language_adapter(
    mixture: Mixture,
    recipe: LanguageRecipe,
    *,
    registry: Registry,
    base: str | None = None,
    text: Mapping[str, str | Path] | None = None,
    label: str | None = None,
    init: Entry | None = None,
    force: bool = False,
    restart: bool | None = None,
    reporter: Reporter | None = None,
    profiling: Profiling | None = None,
    time_limit: float | None = None,
) -> Trained:
    """Train a BA, LA or MA on text and publish it in `registry`.

    Many arguments: one call, without a class to import.

    Args:
        base: `demo`, a folder or a Hub id; default mBERT.
        text: language -> source; default that language's Wikipedia.
        label: the name's last field; default none for seed 1, else `seedN`.
        init: a BA, LA or MA of `registry`, on the same base and of the same shape, whose weights training begins with;
            default new ones, drawn from the seed. What was published of its head is taken over too, if that is trained.
        force: train although the registry holds this very run.
        restart: what to do about a stopped run of this name that had other settings or data. None: leave it alone;
            False: raise SettingsChanged; True: drop it, and what this run did so far, and start again.
        profiling: watches a few steps and writes where their time went; the run stays the same.
        time_limit: seconds, from now on, after which to save a checkpoint and stop; default none.

    Raises:
        UsageError, DataError, NotFoundError, IntegrityError, StorageError: before anything is published.
        TrainingInterrupted: Ctrl-C, SIGTERM, SIGHUP or `time_limit`; the same call continues.
        RunInProgress: another process trains this very run.
    """
    stop = StopRequest(time_limit)
    registry.require_writable()
    recipe = with_settled_precision(recipe)
    run, sources = planned(mixture, recipe, base=base, text=text, label=label, init=init)
    if not force and (done := run.finished_in(registry)):
        return done
    initial = verified(init, registry) if init else None
    # Files that its manifest does not name may lie beside an adapter.
    subwords = initial if init and init.manifest.vocabulary else None
    objective, model = _objective(run, recipe, sources, initial, subwords)
    return run.execute(
        model,
        objective,
        registry,
        reporter or Silent(),
        force=force,
        restart=restart,
        counts=lambda: {language: store.counts for language, store in objective.stores.items()},
        profiling=profiling,
        stop=stop,
    )


def planned(
    mixture: Mixture,
    recipe: LanguageRecipe,
    *,
    base: str | Base | None = None,
    text: Mapping[str, str | Path] | None = None,
    label: str | None = None,
    init: Entry | None = None,
) -> tuple[TrainingRun, Mapping[str, Source]]:
    """The run that `train_language_adapter` would do with the same arguments, and its text. Nothing is trained.

    `base` may also be one that was found before, which saves looking for it.

    Raises what finding the base and opening the text raise.
    """
    if isinstance(base, Base):
        found = base
    else:
        found = resolve_base(base or DEFAULT_BASE) if init is None else base_of(init.manifest.base, base)
    given = _texts(text or {}, mixture)
    sources = {
        language: open_source(language, given.get(language) or default_source(language))
        for language in mixture.languages
    }
    recipe = with_settled_precision(recipe)
    run = TrainingRun(
        AdapterName(found.slug, mixture, label=label or seed_label(recipe.seed)),
        found,
        recipe,
        sources=tuple(
            SourceRef(language=language, name=source.name, digest=source.digest, counts={})
            for language, source in sources.items()
        ),
        initial=None if init is None else _initial(init),
    )
    return run, sources


def _initial(init: Entry) -> LanguageAdapterRef:
    """What training begins with, as a manifest names it. Raises UsageError for a task adapter."""
    if init.name.task is not None:
        raise UsageError(
            f"{init.name} is a task adapter, and training on text begins with a language adapter.",
            remedies=(Advice("Give one, such as {}.", (("init", f"{init.name.base}/{init.name.mixture}"),)),),
        )
    return LanguageAdapterRef(name=str(init.name), digest=init.manifest.digest)


def _texts(text: Mapping[str, str | Path], mixture: Mixture) -> Mapping[str, str]:
    """The text by language tag. Raises UsageError for a language that is not in the mixture or is there twice."""
    tagged: dict[str, str] = {}
    for language, source in text.items():
        tag = normalise(language)
        if tag not in mixture.languages or tag in tagged:
            problem = "there twice" if tag in tagged else f"not in {mixture}"
            raise UsageError(
                f"The text of {language!r} is for a language that is {problem}. "
                f"Give one text of each of {', '.join(mixture.languages)}, or none."
            )
        tagged[tag] = source_text(source, f"text of {tag}")
    return tagged


def _warn_of_same_text(sources: Mapping[str, Source]) -> None:
    """Say so where two languages have one text: it can be of one of them alone."""
    for first, second in combinations(sources, 2):
        if sources[first].digest == sources[second].digest:
            _LOG.warning("the text of %s and the text of %s are the same", first, second)


def _warn_of_poor_reading(run: TrainingRun, tokenizer: Any, sources: Mapping[str, Source], *, extended: bool) -> None:
    """Say so where the base hardly knows the script of a text: no adapter can mend that."""
    for language, source in sources.items():
        read = coverage_of(tokenizer, source.lines())
        if read.is_poor:
            fact = f"{run.base.ref.name} hardly covers the text of {language}: {read}."
            more = Advice("Or give it sub-words for that with {}.", (("extend_vocabulary", _SUGGESTED_SUBWORDS),))
            _LOG.warning(Notice(fact, (CompareBases(language, source.name), *(() if extended else (more,)))))


def _objective(
    run: TrainingRun,
    recipe: LanguageRecipe,
    sources: Mapping[str, Source],
    initial: Path | None = None,
    known: Path | None = None,
) -> tuple[LanguageObjective, Any]:
    """`initial`: the folder of the adapter to begin with; `known`: the same, if it brings sub-words along."""
    tokenizer = plain = load_tokenizer(run.base)
    model = load_masked_lm(run.base)  # Its file is mapped, so that memory is taken when it is used.
    targets = {language: sources[language] for language in run.name.mixture.targets}
    subwords = subwords_for(recipe, targets, plain, known)
    if subwords is not None:
        tokenizer = load_tokenizer(run.base)
        extend_tokenizer(tokenizer, subwords)
        extend_for_training(model, plain, subwords, known, seed=recipe.seed)
    add_adapter(model, run.name, recipe.adapter, seed=recipe.seed)
    if initial is not None:
        begin_as(model, run.name, initial)
        load_mlm_head(model, initial, recipe.head)
    activate(model, [run.name])
    # What is wrong with the base or the adapter to begin with is known before the text is read.
    stores = {
        language: BlockStore(source, tokenizer, recipe.max_length, recipe.held_out)
        for language, source in sources.items()
    }
    for store in stores.values():  # Too little text is found here, before step 1.
        store.held_out_blocks(1)
        store.train_batch(range(1), recipe.seed)
    _warn_of_same_text(sources)
    _warn_of_poor_reading(run, tokenizer, sources, extended=subwords is not None)
    return LanguageObjective(model, run.name, stores, SpecialTokens.of(tokenizer), recipe), model


def _slices(masked: MaskedBatch, rows: int) -> list[Batch]:
    """The batch in slices of `rows` blocks. The masks are drawn before, so they do not depend on the slices."""
    length = masked.input_ids.shape[1]
    slices = []
    for start in range(0, len(masked.input_ids), rows):
        ids = masked.input_ids[start : start + rows]
        first, last = torch.searchsorted(masked.positions, torch.tensor([start, start + rows]) * length).tolist()
        inputs = {
            "input_ids": ids,
            "positions": masked.positions[first:last] - start * length,
            "labels": masked.labels[first:last],
        }
        share = Share(start, start + len(ids), len(masked.input_ids))
        scored = Share(first, last, len(masked.positions))
        slices.append(Batch(inputs, last - first, ids.numel(), share, scored))
    return slices

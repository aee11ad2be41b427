"""The sub-words that a language adapter is trained with beside its base's: learned once from the text, and kept."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from badx_hub.adapter_files import VOCABULARY_FILE
from badx_hub.corpora.packing import PackingRules, training_lines
from badx_hub.corpora.sources import Source
from badx_hub.corpora.subword_learning import learn_subwords
from badx_hub.corpora.subword_list import SubWords
from badx_hub.errors import BadxError, UsageError
from badx_hub.modeling.extended_embeddings import extend_model, first_rows, load_rows
from badx_hub.process_locks import exclusive
from badx_hub.recipes import LanguageRecipe
from badx_hub.remedies import Advice
from badx_hub.storage import digest_of, home

_FORMAT = 1


def subwords_for(
    recipe: LanguageRecipe, targets: Mapping[str, Source], tokenizer: Any, initial: Path | None
) -> SubWords | None:
    """The sub-words of a run: those of the adapter in `initial`, which brings some along, or new ones of the targets.

    Raises UsageError if `initial` has another number of them than the recipe asks for, and what learning raises.
    """
    if initial is not None:
        begun = SubWords.read(initial / VOCABULARY_FILE)
        if recipe.extend_vocabulary != len(begun.words):
            raise UsageError(
                f"The adapter to begin with has {len(begun.words):,} sub-words of its own, and the recipe asks for "
                f"{recipe.extend_vocabulary:,}.",
                remedies=(Advice("Keep them with {}.", (("extend_vocabulary", len(begun.words)),)),),
            )
        return begun
    return _learned(recipe, targets, tokenizer) if recipe.extend_vocabulary else None


def extend_for_training(model: Any, tokenizer: Any, subwords: SubWords, initial: Path | None, *, seed: int) -> None:
    """Extend a model with its decoder; `tokenizer` is the base's, not extended yet. Raises as `first_rows`."""
    rows, bias = first_rows(model, tokenizer, subwords, seed=seed)
    if initial is not None:
        rows, bias = load_rows(initial, subwords, rows.shape[1])
    extend_model(model, subwords, rows, bias)


def _learned(recipe: LanguageRecipe, targets: Mapping[str, Source], tokenizer: Any) -> SubWords:
    """From the cache, if they were learned before: a run that goes on, and every process of it, has the same ones."""
    of = [_FORMAT, PackingRules.of(tokenizer).digest, recipe.extend_vocabulary, recipe.held_out]
    memory = home() / "cache" / "vocabularies" / f"{digest_of([*of, [one.digest for one in targets.values()]])}.json"
    with exclusive(memory.with_suffix(".lock"), wait=3600.0):
        try:
            return SubWords.read(memory)
        except BadxError:  # none yet, or damaged
            texts = (training_lines(source, recipe.held_out) for source in targets.values())
            # In turns, so that each of several targets has its share in the beginning of the text.
            lines = (line for line in chain.from_iterable(zip_longest(*texts)) if line is not None)
            found = learn_subwords(tokenizer, lines, recipe.extend_vocabulary)
            found.write(memory)
            return found

"""The perplexity of a language adapter on held-out text, measured again as its training measured it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from badx_hub.adapter_files import MLM_HEAD_FILE
from badx_hub.corpora.blocks import BlockStore
from badx_hub.corpora.sources import open_source
from badx_hub.errors import BadxError, DataError, IntegrityError, UsageError
from badx_hub.languages import normalise
from badx_hub.manifest import SourceRef
from badx_hub.modeling.base import Base, base_of
from badx_hub.modeling.loading import load_masked_lm, load_tokenizer
from badx_hub.modeling.mlm import load_mlm_head
from badx_hub.modeling.model_adapters import activate, load_adapter, told_of, use_vocabulary
from badx_hub.recipes import LanguageRecipe, load_recipe, override
from badx_hub.registry import Entry, Registry
from badx_hub.registry.stack_checks import verified
from badx_hub.remedies import Advice
from badx_hub.training.language_adapter import LanguageObjective, SpecialTokens

HeadUsed = Literal["published", "frozen", "dropped"]
_MEASURING = ("max_length", "held_out", "mask_probability", "eval_blocks", "precision")
"""The settings of a recipe that decide what is measured. Those that a manifest lacks are the paper's."""


@dataclass(frozen=True)
class Perplexities:
    """Of a language adapter, by language, with the text of each that was read.

    `head` is the one they were measured with: the one that was "published" beside the adapter; the base's, which the
    adapter was trained with as well ("frozen"); or the base's, because the one of training was "dropped". The last kind
    does not compare with what training measured.
    """

    entry: Entry
    values: Mapping[str, float]
    sources: tuple[SourceRef, ...]
    head: HeadUsed

    @property
    def compare(self) -> bool:
        """Whether they compare with those of the training, where the text is the same."""
        return self.head != "dropped"


def measure_perplexity(
    entry: Entry, registry: Registry, text: Mapping[str, str | Path], *, base: str | None = None, offline: bool = False
) -> Perplexities:
    """The perplexity of a BA, LA or MA on the held-out masked tokens of texts, with the masks of every training.

    Args:
        text: language -> source; any language, and of each at least one block of held-out text.
        base: where the base is, if this machine does not know.

    Raises:
        UsageError: a task adapter, no text, or a language that is there twice.
        DataError, NotFoundError, StorageError: text that cannot be read or is too short.
        IntegrityError: a file of the adapter has changed or does not fit the base.
    """
    if entry.name.task is not None:
        raise UsageError(f"{entry.name} has no perplexity: that is of a language adapter. Give its pair alone.")
    recipe = _recipe_of(entry)
    sources = {language: open_source(language, source) for language, source in _by_tag(text).items()}
    found = base_of(entry.manifest.base, base, offline=offline)
    if recipe.max_length > found.max_length:
        raise IntegrityError(
            f"{entry.name} says that it was trained on {recipe.max_length} sub-words at a time, and its base reads at "
            f"most {found.max_length}. Ask its publisher."
        )
    tokenizer, folder = load_tokenizer(found), verified(entry, registry)
    if entry.manifest.vocabulary:
        use_vocabulary(None, tokenizer, entry.name, folder)
    stores = {
        language: BlockStore(source, tokenizer, recipe.max_length, recipe.held_out)
        for language, source in sources.items()
    }
    for language, store in stores.items():
        _require_held_out(language, store)
    model, head = _loaded(entry, folder, found)
    objective = LanguageObjective(model, entry.name, stores, SpecialTokens.of(tokenizer), recipe)
    objective.module.eval()
    with torch.inference_mode():
        values = objective.perplexities(stores)
    refs = tuple(
        SourceRef(language=language, name=source.name, digest=source.digest, counts=stores[language].counts)
        for language, source in sources.items()
    )
    return Perplexities(entry, values, refs, head)


def _by_tag(text: Mapping[str, str | Path]) -> Mapping[str, str]:
    tagged = {normalise(language): os.fspath(source) for language, source in text.items()}
    if not tagged or len(tagged) < len(text):
        raise UsageError("A perplexity is of text: give one source for each language, and each language once.")
    return tagged


def _recipe_of(entry: Entry) -> LanguageRecipe:
    """The recipe of the adapter, as far as it decides what is measured. Raises UsageError for impossible values."""
    stored = entry.manifest.recipe
    known = {field: stored[field] for field in _MEASURING if field in stored}
    # What was trained is not held in bfloat16, so this decides numbers too.
    return override(load_recipe("paper").language, {**known, "head": stored.get("head", "frozen")})


def _require_held_out(language: str, store: BlockStore) -> None:
    try:
        store.held_out_blocks(1)
    except DataError as error:
        raise DataError(
            f"The text of {language} is too little: {error.fact}", remedies=(Advice("Give more of it."),)
        ) from error


def _loaded(entry: Entry, folder: Path, base: Base) -> tuple[Any, HeadUsed]:
    """The model with the adapter in it, and which head it has."""
    model = load_masked_lm(base)
    if entry.manifest.vocabulary:
        use_vocabulary(model, load_tokenizer(base), entry.name, folder)
    load_adapter(model, entry.name, folder)
    activate(model, [entry.name])
    if MLM_HEAD_FILE in entry.manifest.files:
        try:
            load_mlm_head(model, folder)
        except BadxError as error:
            raise told_of(error, entry.name) from error
        return model, "published"
    return model, "frozen" if entry.manifest.recipe.get("head", "frozen") == "frozen" else "dropped"

"""The systems of a study by name: a setup, its ratio, the label of its recipe and of sentences of the target. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from badx_hub.errors import UsageError
from badx_hub.languages import Mixture, pair
from badx_hub.names import plain_label, sentences_in
from badx_hub.setups import LanguageAdapterRole, Setup, setup_named

_LABEL = re.compile(r"(?!merged|seed)[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Variant:
    """A setup, with the ratio of source to target batches if it is not 1:1, and a label.

    The label names another recipe, and then the annotated sentences of the target (`badx_hub.names.few_label`), or one
    of the two. As text: "bad-x@5:1", "mad-x+average", "bad-x+few-wo-20", "bad-x+average-few-wo-20".
    """

    setup: Setup
    ratio: str | None = None
    label: str | None = None

    @classmethod
    def parse(cls, text: str) -> Variant:
        """Read a variant as `str` writes it. Raises UsageError, also for a ratio or sentences that do not fit."""
        system, plus, label = text.partition("+")
        name, at, ratio = system.partition("@")
        setup = setup_named(name)
        if plus and not _LABEL.fullmatch(label):
            raise UsageError(
                f"{text}: after the + comes the label of a recipe, such as average, or few-wo-20 for sentences."
            )
        if sentences_in(label) and setup.training is LanguageAdapterRole.SOURCE:
            raise UsageError(
                f"{text}: {name} trains on the adapter of the source, which is no place for sentences of another "
                f"language. Write tlr+{label}: each language's data is on its own adapter."
            )
        if not at:
            return cls(setup, None, label or None)
        if not setup.has_ratio:
            raise UsageError(f"The setup {name} mixes no pair, so it has no ratio: write {name} alone.")
        mixture = pair("en", "wo", ratio)  # any pair: it is the numbers that are checked
        return cls(setup, None if mixture.is_balanced else mixture.ratio, label or None)

    @property
    def recipe(self) -> str | None:
        """The label of its recipe; None: the study's own."""
        return plain_label(self.label)

    def sentences(self, mixture: Mixture) -> Mapping[str, int]:
        """The annotated sentences of other languages than the source; empty for zero-shot."""
        return sentences_in(self.label, mixture)

    def __str__(self) -> str:
        return self.setup.name + (f"@{self.ratio}" if self.ratio else "") + (f"+{self.label}" if self.label else "")

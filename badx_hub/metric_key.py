"""Keys of scores ("wo/perplexity", "wo/f1/NOUN"): their parts, their unit and how their values are shown. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

TARGETS = "targets"
"""In place of a language: the mean over all target languages of a mixture."""

_PERPLEXITY = "perplexity"
_TITLES = {"macro_f1": "macro F1", "f1": "F1", "uas": "UAS", "las": "LAS"}


class Unit(str, Enum):
    """What the values of a metric are: shares from 0 to 1, or perplexities from 1 up."""

    FRACTION = "fraction"
    PERPLEXITY = "perplexity"


@dataclass(frozen=True)
class MetricKey:
    """A metric of one language's data, and of one label where it is about one.

    Written "LANGUAGE/NAME" or "LANGUAGE/NAME/LABEL". Without a language ("accuracy") it is the metric as such, of
    data that is known from elsewhere. `parse` and `str` are inverse to each other for every text.

    Raises ValueError for a "/" in `name` or `language`, and for a label without a language.
    """

    name: str
    language: str | None = None
    label: str | None = None

    def __post_init__(self) -> None:
        if "/" in self.name or "/" in (self.language or ""):
            raise ValueError(f"A metric's name and language have no slash; got {self.language!r} and {self.name!r}.")
        if self.label is not None and self.language is None:
            raise ValueError(f"A metric of the label {self.label!r} needs a language.")

    @classmethod
    def parse(cls, text: str) -> MetricKey:
        """Read a key of a manifest, a curve or a report. Every text is one."""
        language, slash, rest = text.partition("/")
        if not slash:
            return cls(text)
        name, slash, label = rest.partition("/")
        return cls(name, language, label if slash else None)

    @classmethod
    def perplexity(cls, language: str) -> MetricKey:
        """The perplexity on held-out text of a language."""
        return cls(_PERPLEXITY, language)

    @classmethod
    def target_perplexity(cls, targets: Sequence[str]) -> MetricKey:
        """The perplexity that says how good a language adapter is: the target's, or the mean of several."""
        return cls.perplexity(targets[0] if len(targets) == 1 else TARGETS)

    @property
    def unit(self) -> Unit:
        """What the values are."""
        return Unit.PERPLEXITY if self.name.endswith(_PERPLEXITY) else Unit.FRACTION

    @property
    def larger_is_better(self) -> bool:
        """Whether the best value is the largest one."""
        return self.unit is Unit.FRACTION

    @property
    def title(self) -> str:
        """The metric's name in tables and figures: "macro F1", "UAS", "accuracy"."""
        return _TITLES.get(self.name, self.name.replace("_", " "))

    @property
    def words(self) -> str:
        """The key on a line of text: "wo f1 NOUN"."""
        return str(self).replace("/", " ")

    def shown(self, value: float) -> str:
        """A value for people: a perplexity as it is ("12.35"), a fraction in per cent ("91.2 %")."""
        return f"{value:.2f}" if self.unit is Unit.PERPLEXITY else f"{100 * value:.1f} %"

    def alike(self, keys: Iterable[str]) -> list[str]:
        """Those of `keys` that have this name and no label, of any language: what one picture can show."""
        return [key for key in keys if (other := MetricKey.parse(key)).name == self.name and other.label is None]

    def __str__(self) -> str:
        return "/".join(part for part in (self.language, self.name, self.label) if part is not None)

"""Setups: which language adapters a task adapter is stacked on, in training and at inference. Data; pure.

A language adapter is a BA, an LA or an MA. Code looks at the fields of a `Setup`, never at its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING

from badx_hub.deprecated import keeps_old_attributes, module_getattr
from badx_hub.errors import UsageError
from badx_hub.languages import Mixture


class LanguageAdapterRole(str, Enum):
    """Which language adapters, given a mixture and one of its targets."""

    MIXTURE = "mixture"
    """The adapter of the mixture itself: a BA or an MA."""
    SOURCE = "source"
    """The LA of the source."""
    TARGET = "target"
    """The LA of the target."""
    EACH = "each"
    """The LAs of all languages of the mixture, one a step, in the order of the mixture's cycle."""
    MERGED = "merged"
    """The mean of the LAs of the mixture's languages, weighted as the mixture is (`badx_hub.registry.merging`)."""


class TargetCoverage(str, Enum):
    """Which mixture a task adapter has to be trained on to serve a pair."""

    EXACT = "exact"
    """The pair itself."""
    WIDER = "wider"
    """One with more languages, among them the pair's source and target."""
    BOTH = "both"
    """The pair itself or, where there is no such adapter, one with more languages."""


@keeps_old_attributes
@dataclass(frozen=True)
class Setup:
    """What a task adapter is stacked on.

    `training` and `inference` say which language adapters; None means the bare base. `in_name` is set if the task
    adapter's name has the setup as a field, as in `mbert/en-wo/pos@tlr`: then it was not trained on the adapter of the
    mixture in its name. `trains_base` is set if there is no task adapter and the whole base is trained with a head.
    """

    name: str
    title: str
    training: LanguageAdapterRole | None
    inference: LanguageAdapterRole | None
    coverage: TargetCoverage = TargetCoverage.EXACT
    in_name: bool = False
    trains_base: bool = False

    def mixture(self, mixture: Mixture) -> Mixture:
        """The mixture in the name of the task adapter: all of `mixture`, or the source alone."""
        if self.training in (LanguageAdapterRole.MIXTURE, LanguageAdapterRole.EACH, LanguageAdapterRole.MERGED):
            return mixture
        return Mixture.of(mixture.source)

    @property
    def swaps(self) -> bool:
        """Whether the language adapter at inference may be one that the task adapter was not trained on."""
        return self.inference in (LanguageAdapterRole.TARGET, LanguageAdapterRole.MERGED) and (
            self.inference is not self.training
        )

    @property
    def merges(self) -> bool:
        """Whether a merged adapter has a part in it."""
        return LanguageAdapterRole.MERGED in (self.training, self.inference)

    @property
    def has_ratio(self) -> bool:
        """Whether the ratio of a pair makes a difference to it."""
        mixed = (LanguageAdapterRole.MIXTURE, LanguageAdapterRole.EACH, LanguageAdapterRole.MERGED)
        return self.coverage is not TargetCoverage.WIDER and (self.training in mixed or self.merges)

    def language_adapters(self, mixture: Mixture) -> tuple[Mixture, ...]:
        """The language adapters in training, in the order of the steps that use them; empty for the bare base."""
        if self.training is None:
            return ()
        if self.training is LanguageAdapterRole.EACH:
            return tuple(Mixture.of(language) for language in mixture.cycle)
        return (self.mixture(mixture),)

    def serves(self, trained: Mixture, asked: Mixture) -> bool:
        """Whether a task adapter trained on `trained` can be used where `asked` is asked for."""
        exact = trained == self.mixture(asked)
        if self.coverage is TargetCoverage.EXACT:
            return exact
        return (exact and self.coverage is TargetCoverage.BOTH) or _covers(trained, asked)

    @property
    def name_field(self) -> str | None:
        """The setup as a field of the task adapter's name; None where the name leaves it out."""
        return self.name if self.in_name else None


_ALL = (
    # Parović et al., NAACL 2022, and the setups it compares.
    Setup("bad-x", "BAD-X", LanguageAdapterRole.MIXTURE, LanguageAdapterRole.MIXTURE),
    Setup("mad-x", "MAD-X", LanguageAdapterRole.SOURCE, LanguageAdapterRole.TARGET),
    Setup("ma", "MA", LanguageAdapterRole.MIXTURE, LanguageAdapterRole.MIXTURE, coverage=TargetCoverage.WIDER),
    # Target language-ready task adapters (the same authors, Findings of ACL 2023).
    Setup(
        "tlr", "TLR", LanguageAdapterRole.EACH, LanguageAdapterRole.TARGET, coverage=TargetCoverage.BOTH, in_name=True
    ),
    # No training on the pair: means of LAs (language arithmetic, Klimaszewski et al., COLING 2025).
    Setup("mad-x-merged", "MAD-X on merged LAs", LanguageAdapterRole.SOURCE, LanguageAdapterRole.MERGED),
    Setup("bad-x-merged", "BAD-X on merged LAs", LanguageAdapterRole.MERGED, LanguageAdapterRole.MERGED, in_name=True),
    # The source's LA is left where it was, or taken away (Kunz and Holmström, 2024).
    Setup("source-kept", "Source LA kept", LanguageAdapterRole.SOURCE, LanguageAdapterRole.SOURCE),
    Setup("source-dropped", "Source LA dropped", LanguageAdapterRole.SOURCE, None),
    Setup("ta-only", "TA only", None, None, in_name=True),
    Setup("full", "Full fine-tuning", None, None, in_name=True, trains_base=True),
)

SETUPS: Mapping[str, Setup] = MappingProxyType({setup.name: setup for setup in _ALL})
"""The setups by name; the first is the default."""

DEFAULT = _ALL[0].name


MERGED_LABEL = "merged"
"""The label of merged adapters that setups use, before that of a seed: "merged", "merged-seed2"."""


def merged_label(label: str | None) -> str:
    """The label of the merged adapter that goes with a task adapter or LAs of this label."""
    return f"{MERGED_LABEL}-{label}" if label else MERGED_LABEL


def is_merged_label(label: str | None) -> bool:
    """Whether `merged_label` makes this label."""
    return label is not None and (label == MERGED_LABEL or label.startswith(f"{MERGED_LABEL}-"))


def label_for(role: LanguageAdapterRole | None, label: str | None) -> str | None:
    """The label of a language adapter in this role, where `label` is that of the task adapter."""
    return merged_label(label) if role is LanguageAdapterRole.MERGED else label


NEAREST_LA = "nearest-la"
PROXY_LA = "proxy-la"

FALLBACKS: Mapping[str, str] = MappingProxyType(dict.fromkeys(("mad-x", NEAREST_LA, PROXY_LA), "mad-x"))
"""What the user may allow where the pair's own adapter is missing, with the setup that then serves.

If the target has no LA either, `NEAREST_LA` takes that of the nearest language, and `PROXY_LA` a mean of related ones
(`badx_hub.registry.fallbacks`).
"""


def setup_named(name: str) -> Setup:
    """The setup of that name. Raises UsageError with the list of known ones."""
    if name not in SETUPS:
        raise UsageError(f"The setup {name!r} is not known. Choose one of: {', '.join(SETUPS)}.")
    return SETUPS[name]


def _covers(wider: Mixture, mixture: Mixture) -> bool:
    """Whether `wider` has three languages or more, with the source and all targets of `mixture`.

    A `mixture` of three languages or more has to be the same.
    """
    if mixture.kind == "multilingual":
        return wider == mixture
    return (
        wider.kind == "multilingual" and wider.source == mixture.source and set(mixture.targets) <= set(wider.targets)
    )


if not TYPE_CHECKING:
    __getattr__ = module_getattr(__name__)

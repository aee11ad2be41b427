"""Setups: which language-side adapters carry a task adapter in training, and which one at inference. Data; pure.

Everything else asks a `Setup` what it is made of; nothing asks what it is called.
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
    """Language-side adapters, as seen from a mixture and one of its targets."""

    MIXTURE = "mixture"
    """The adapter of the mixture itself: a BA, or an MA."""
    SOURCE = "source"
    """The LA of the source."""
    TARGET = "target"
    """The LA of the target."""
    EACH = "each"
    """The LAs of all the languages of the mixture, one a step, in the mixture's cycle order."""


class TargetCoverage(str, Enum):
    """Of which mixtures a task adapter serves a pair."""

    EXACT = "exact"
    """Of the pair's own."""
    WIDER = "wider"
    """Of one with more languages that has the pair's source and target."""
    BOTH = "both"
    """Of the pair's own, and where there is none, of a wider one."""


@keeps_old_attributes
@dataclass(frozen=True)
class Setup:
    """One way to carry a task adapter.

    `training` and `inference` None: the bare base. `in_name`: the name of the task adapter says the setup, because the
    adapter of the name's mixture is not what carried it (`mbert/en-wo/pos@tlr`). `trains_base`: no task adapter is
    trained but the whole base, with a head.
    """

    name: str
    title: str
    training: LanguageAdapterRole | None
    inference: LanguageAdapterRole | None
    coverage: TargetCoverage = TargetCoverage.EXACT
    in_name: bool = False
    trains_base: bool = False

    def mixture(self, mixture: Mixture) -> Mixture:
        """The languages in the name of its task adapter: of all of `mixture`, or of the source alone."""
        if self.training in (LanguageAdapterRole.MIXTURE, LanguageAdapterRole.EACH):
            return mixture
        return Mixture.of(mixture.source)

    def language_adapters(self, mixture: Mixture) -> tuple[Mixture, ...]:
        """The cycle of language-side adapters under the task adapter in training; none: the bare base."""
        if self.training is None:
            return ()
        if self.training is LanguageAdapterRole.EACH:
            return tuple(Mixture.of(language) for language in mixture.cycle)
        return (self.mixture(mixture),)

    def serves(self, trained: Mixture, wanted: Mixture) -> bool:
        """Whether a task adapter of the mixture `trained` is one for who asks for `wanted`."""
        exact = trained == self.mixture(wanted)
        if self.coverage is TargetCoverage.EXACT:
            return exact
        return (exact and self.coverage is TargetCoverage.BOTH) or _holds(trained, wanted)

    @property
    def name_field(self) -> str | None:
        """The setup's field in the name of its task adapter."""
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
    Setup("ta-only", "TA only", None, None, in_name=True),
    Setup("full", "Full fine-tuning", None, None, in_name=True, trains_base=True),
)

SETUPS: Mapping[str, Setup] = MappingProxyType({setup.name: setup for setup in _ALL})
"""The setups by name; the first is the default."""

DEFAULT = _ALL[0].name


FALLBACKS = ("mad-x",)
"""Setups that may serve, if the user says so, where the pair's own adapter is missing."""


def setup_named(name: str) -> Setup:
    """The setup of a name. Raises UsageError that lists them."""
    if name not in SETUPS:
        raise UsageError(f"The setup {name!r} is not known. Choose one of: {', '.join(SETUPS)}.")
    return SETUPS[name]


def _holds(wider: Mixture, mixture: Mixture) -> bool:
    """Whether a mixture of three languages or more has the source and all targets of another; for such: is it."""
    if mixture.kind == "multilingual":
        return wider == mixture
    return (
        wider.kind == "multilingual" and wider.source == mixture.source and set(mixture.targets) <= set(wider.targets)
    )


if not TYPE_CHECKING:
    __getattr__ = module_getattr(__name__)

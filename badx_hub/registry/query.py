"""What a user asks for, as a value, and which names and bases it means. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from badx_hub.base_spec import spec_slug
from badx_hub.deprecated import keeps_old_attributes
from badx_hub.errors import UsageError
from badx_hub.languages import Mixture
from badx_hub.manifest import BaseRef
from badx_hub.names import AdapterName, plain_label
from badx_hub.remedies import Advice
from badx_hub.setups import DEFAULT, LanguageAdapterRole, Setup, label_for, setup_named

_DIGEST_PREFIX = re.compile(r"[0-9a-f]{8,64}")


@keeps_old_attributes
@dataclass(frozen=True)
class AdapterQuery:
    """One adapter that somebody asks for.

    `task` is None for a language adapter. `base` is a slug, a Hub id, a folder, or the first 8 or more digits of a
    base's digest; None means any base. `on`: the base has to be this very one, whatever it is called. `setup` is a name
    in `badx_hub.setups.SETUPS`; only a task adapter has another than the default. `label` None means an adapter without
    a label, hence a zero-shot one: what has also learned from annotated sentences of the target has a label of its own
    (`badx_hub.names.few_label`). Raises UsageError for a setup without a task.
    """

    mixture: Mixture
    task: str | None = None
    base: str | None = None
    setup: str = DEFAULT
    label: str | None = None
    on: BaseRef | None = None

    def __post_init__(self) -> None:
        if setup_named(self.setup).name != DEFAULT and self.task is None:
            raise UsageError(
                f"The setup {self.setup} is about a task adapter.",
                remedies=(Advice("Name its task (`{}`).", (("task", "pos"),)),),
            )

    @property
    def setup_definition(self) -> Setup:
        """The setup that `setup` names."""
        return setup_named(self.setup)

    @property
    def mixture_in_name(self) -> Mixture:
        """The mixture in the name of the adapter: some setups train on the source alone."""
        return self.setup_definition.mixture(self.mixture)

    @property
    def setup_in_name(self) -> str | None:
        """The setup as the name of the adapter has it; None where the name leaves it out."""
        return self.setup_definition.name_field


def is_exactly(name: AdapterName, query: AdapterQuery) -> bool:
    """Whether `query` means the adapter of that name, whatever its base."""
    same_fields = (name.task, name.setup, name.label) == (query.task, query.setup_in_name, query.label)
    return same_fields and query.setup_definition.serves(name.mixture, query.mixture)


def is_base(slug: str, digests: Iterable[str], asked: str | None) -> bool:
    """Whether the base with this slug and one of these digests is the one asked for; None asks for any."""
    if asked is None or slug == spec_slug(asked):
        return True
    return _DIGEST_PREFIX.fullmatch(asked) is not None and any(one.startswith(asked) for one in digests)


def target_of(query: AdapterQuery) -> Mixture:
    """The target of a query, as the mixture of its LA. Raises UsageError if there are several targets."""
    if len(query.mixture.targets) > 1:
        raise UsageError(
            f"The setup {query.setup} puts the adapter of one target below the task adapter, and {query.mixture} "
            f"has {len(query.mixture.targets)}. Name a pair, such as {pair_of(query.mixture)}."
        )
    return Mixture.of(query.mixture.targets[0])


def swapped_in(query: AdapterQuery) -> AdapterQuery:
    """The language adapter at inference of a setup that swaps it. Raises UsageError as `target_of` does."""
    setup = query.setup_definition
    to_target = setup.inference is LanguageAdapterRole.TARGET
    mixture = target_of(query) if to_target else query.mixture
    label = label_for(setup.inference, plain_label(query.label))
    return AdapterQuery(mixture, base=query.base, label=label, on=query.on)


def pair_of(mixture: Mixture) -> Mixture:
    """The source and the first target."""
    return Mixture.of(*mixture.languages[:2])

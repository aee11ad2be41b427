"""Finding and loading a stack for the commands that use one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from badx_hub.cli import _output, _registries
from badx_hub.cli._options import PrecisionName

if TYPE_CHECKING:
    import torch

    from badx_hub.cli._options import Fallback
    from badx_hub.registry import AdapterQuery, Resolution
    from badx_hub.registry.chain import RegistryChain
    from badx_hub.stack import BilingualStack


def open_and_find(
    registry: str | None,
    asked: AdapterQuery,
    *,
    lock: Path | None = None,
    fallback: Fallback | None = None,
    offline: bool = False,
) -> tuple[RegistryChain, Resolution]:
    """The registries, and what is asked for in them; nothing heavy is loaded yet.

    What serves in place of the pair's own adapter, and what comes from the Hub, is said on stderr.
    """
    from badx_hub.registry.lock import resolved

    _registries.require_there(registry)
    chain, resolution = resolved(
        asked, registry, lock=lock, fallback=fallback.value if fallback else None, offline=offline
    )
    if resolution.setup != asked.setup and resolution.language_adapter is not None:
        entry, below = resolution.entry, resolution.language_adapter
        own = below.manifest.digest in [ref.digest for ref in entry.manifest.language_adapters]
        _output.warning(
            f"the fallback {fallback.value if fallback else resolution.setup} serves {asked.mixture}: {entry.name} on "
            f"{below.name}, which is {'the adapter of the source' if own else 'not the adapter it was trained on'}."
        )
    for entry in resolution.entries:
        if entry.place is not None:
            _output.note(f"using {entry.location}")
    return chain, resolution


def load(
    chain: RegistryChain,
    resolution: Resolution,
    base: str | None,
    *,
    offline: bool = False,
    options: Mapping[str, str] | None = None,
    precision: PrecisionName = PrecisionName.AUTO,
) -> BilingualStack:
    """The stack of these entries."""
    from badx_hub.stack import load_entries

    return load_entries(
        resolution.entries,
        chain,
        base=folder_of(base),
        setup=resolution.setup,
        dtype=dtype_of(precision),
        offline=offline,
        options=options,
    )


def load_together(
    found: Sequence[tuple[RegistryChain, Resolution]],
    options: Sequence[Mapping[str, str]],
    base: str | None,
    *,
    offline: bool = False,
    precision: PrecisionName = PrecisionName.AUTO,
) -> tuple[BilingualStack, ...]:
    """The stacks of several tasks, each with its options, on one base."""
    from badx_hub.stack import StackParts, load_together

    parts = [
        StackParts(resolution.entries, chain, resolution.setup, given)
        for (chain, resolution), given in zip(found, options, strict=True)
    ]
    return load_together(parts, base=folder_of(base), dtype=dtype_of(precision), offline=offline)


def dtype_of(precision: PrecisionName) -> torch.dtype | None:
    """What stacks are loaded in; None leaves it to the machine."""
    from badx_hub.modeling.precision import DTYPES

    return DTYPES.get(precision.value)


def folder_of(base: str | None) -> str | None:
    """--base has chosen the entries; it says where the base is only if it is a folder.

    Raises UsageError, NotFoundError for a file, and for what can only be the path of a folder that is not there.
    """
    from badx_hub.base_spec import hub_base
    from badx_hub.modeling.base import DEMO, resolve_base
    from badx_hub.user_paths import user_path

    if base is None or base == DEMO or hub_base(base) is not None:
        return None
    if user_path(base).is_dir():
        return base
    if base != Path(base).name:
        resolve_base(base)
    return None  # It names adapters, and a file happens to be called so.

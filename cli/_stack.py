"""Loading a stack for the commands that use one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from badx_hub.cli import _entries

if TYPE_CHECKING:
    from badx_hub.registry import Registry, Resolution, Wanted
    from badx_hub.stack import BilingualStack


def open_and_find(registry: str | None, asked: Wanted) -> tuple[Registry, Resolution]:
    """The registry, and what is asked for in it; nothing heavy is loaded yet."""
    from badx_hub.registry import open_registry

    found = open_registry(registry)
    return found, _entries.find(found, asked)


def load(registry: Registry, resolution: Resolution, base: str | None) -> BilingualStack:
    """The stack of these entries. `base` has chosen them; it says where the base is only if it is a folder."""
    from badx_hub.stack import load_entries

    entries = (*((resolution.carrier,) if resolution.carrier else ()), resolution.entry)
    folder = base if base is not None and Path(base).expanduser().is_dir() else None
    return load_entries(entries, registry, base=folder)

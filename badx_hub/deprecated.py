"""The old names of the public API. Each works for one version after it was renamed, with a DeprecationWarning."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

OLD_NAMES: Mapping[str, Mapping[str, str]] = {
    "badx_hub.setups": {"Carrier": "LanguageAdapterRole"},
    "badx_hub.manifest": {"ParentRef": "LanguageAdapterRef"},
    "badx_hub.registry": {"Wanted": "AdapterQuery", "Offer": "RegistrySnapshot", "Report": "VerificationReport"},
}
"""Names of modules: module -> old name -> new name."""

OLD_ATTRIBUTES: Mapping[str, Mapping[str, str]] = {
    "badx_hub.setups.Setup": {"carriers": "language_adapters", "mark": "name_field"},
    "badx_hub.names.AdapterName": {"parent": "language_adapter"},
    "badx_hub.manifest.ManifestDraft": {"carriers": "language_adapters"},
    "badx_hub.registry.protocol.VerificationReport": {"parent": "language_adapters"},
    "badx_hub.registry.query.AdapterQuery": {"how": "setup_definition"},
    "badx_hub.registry.resolve.Resolution": {"carrier": "language_adapter"},
    "badx_hub.stack.BilingualStack": {"carrier": "language_adapter"},
    "badx_hub.evaluation.Evaluation": {"carrier": "language_adapter"},
}
"""Attributes of classes: class -> old name -> new name."""

_Class = TypeVar("_Class", bound=type)


def module_getattr(module: str) -> Callable[[str], Any]:
    """The `__getattr__` of a module, which knows its old names."""

    def getattr_of_module(name: str) -> Any:
        new = OLD_NAMES[module].get(name)
        if new is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        _warn(f"{module}.{name}", new)
        return getattr(sys.modules[module], new)

    return getattr_of_module


def keeps_old_attributes(cls: _Class) -> _Class:
    """Class decorator: the old attributes of `cls` read the new ones."""
    for old, new in OLD_ATTRIBUTES[f"{cls.__module__}.{cls.__qualname__}"].items():
        setattr(cls, old, _reads(f"{cls.__qualname__}.{old}", new))
    return cls


def _reads(old: str, new: str) -> property:
    def read(instance: object) -> Any:
        _warn(old, new)
        return getattr(instance, new)

    return property(read, doc=f"Deprecated: use `{new}`.")


def _warn(old: str, new: str) -> None:
    warnings.warn(f"{old} is deprecated, use {new}.", DeprecationWarning, stacklevel=3)

"""From what a user writes to a registry: their own, the embedded one, the Hub or a folder."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from badx_hub.errors import NotFoundError, UsageError
from badx_hub.hub.ref import HubRef, parse_location
from badx_hub.registry.local import LocalRegistry
from badx_hub.registry.protocol import Registry
from badx_hub.remedies import Advice
from badx_hub.storage import home

DEMO = "demo"


def open_registry(where: str | Path | None = None) -> Registry:
    """None: the user's own registry; "demo": the embedded one, read-only; "hf:ORG": that namespace on the Hub
    ("hf:" all of it, to search); else the folder of that path.

    A folder that does not exist yet is an empty registry. Raises NotFoundError if this installation
    carries no demo registry, UsageError if the path is a file.
    """
    if where is None:
        return LocalRegistry(home() / "registry")
    if where == DEMO:
        embedded = Path(str(files("badx_hub").joinpath("demo", "registry")))
        if not embedded.is_dir():
            raise NotFoundError("This installation has no demo registry. Reinstall badx_hub from a wheel.")
        return LocalRegistry(embedded, read_only=True)
    root = parse_location(where) if isinstance(where, str) else where.expanduser()
    if isinstance(root, HubRef):
        from badx_hub.registry.hub import HubRegistry

        return HubRegistry(root.namespace)
    if root.exists() and not root.is_dir():
        raise UsageError(
            f"{root} is a file and a registry is a folder.",
            remedies=(Advice("Give a folder (`{}`).", (("registry", "DIR"),)),),
        )
    return LocalRegistry(root)

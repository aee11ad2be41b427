"""badx_hub: bilingual adapters (BAD-X) on top of `adapters` and the Hugging Face Hub.

The public API is loaded when it is used: `import badx_hub` alone loads neither torch nor transformers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from badx_hub.errors import BadxError as BadxError
    from badx_hub.evaluation import evaluate as evaluate
    from badx_hub.languages import Mixture as Mixture
    from badx_hub.names import AdapterName as AdapterName
    from badx_hub.registry import open_registry as open_registry
    from badx_hub.registry.merging import merge as merge
    from badx_hub.stack import BilingualStack as BilingualStack
    from badx_hub.stack import load_bilingual_stack as load_bilingual_stack
    from badx_hub.training.language_adapter import train_language_adapter as train_language_adapter
    from badx_hub.training.task_adapter import train_task_adapter as train_task_adapter

_HOMES = {
    "AdapterName": "badx_hub.names",
    "BadxError": "badx_hub.errors",
    "BilingualStack": "badx_hub.stack",
    "Mixture": "badx_hub.languages",
    "evaluate": "badx_hub.evaluation",
    "load_bilingual_stack": "badx_hub.stack",
    "merge": "badx_hub.registry.merging",
    "open_registry": "badx_hub.registry",
    "train_language_adapter": "badx_hub.training.language_adapter",
    "train_task_adapter": "badx_hub.training.task_adapter",
}

__all__ = sorted(_HOMES)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'badx_hub' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]

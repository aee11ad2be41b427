"""Only the floor below the registries knows huggingface_hub and requests: what is to change with them stands there."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = {"huggingface_hub", "requests"}
FLOOR = {
    f"badx_hub/hub/{name}.py"
    for name in ("card_validation", "client", "datasets", "errors", "metadata", "model_cache", "session", "transport")
}
PRIVATE_TEXTS = {"UniqueRequestIdAdapter"}  # a class that is only compared by name
PRIVATE = {"badx_hub/hub/transport.py": {"UniqueRequestIdAdapter", "build_hf_headers", "hf_raise_for_status"}}
# huggingface_hub.utils has many names, of which its documentation promises few; these submodules are documented.
DOCUMENTED = {
    "huggingface_hub",
    "huggingface_hub.errors",
    "huggingface_hub.hf_api",
    "huggingface_hub.repocard_data",
    "huggingface_hub.utils.tqdm",
}


def sources() -> Iterator[tuple[str, ast.Module]]:
    for folder in ("badx_hub", "cli"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Every import of the libraries, at whatever depth, as module and name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found = [(node.module or "", alias.name) for alias in node.names]
        else:
            continue
        yield from (one for one in found if one[0].partition(".")[0] in LIBRARIES)


def test_one_floor_imports_what_speaks_to_a_hub() -> None:
    assert {path for path, tree in sources() if any(imported(tree))} == FLOOR


def test_private_names_stand_in_one_file() -> None:
    found: dict[str, set[str]] = {}
    for path, tree in sources():
        for module, name in imported(tree):
            hub_utils = module.startswith("huggingface_hub") and module not in DOCUMENTED
            if hub_utils or name.startswith("_") or "._" in module:
                found.setdefault(path, set()).add(name)
        texts = {
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value in PRIVATE_TEXTS
        }
        if texts:
            found.setdefault(path, set()).update(texts)
    assert found == PRIVATE

"""Small real adapters' folders (a few bytes of safetensors) and registries to put them in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from badx_hub.adapter_files import needed_files
from badx_hub.manifest import BaseRef, LanguageAdapterRef, ManifestDraft, SourceRef, Training
from badx_hub.names import AdapterName
from badx_hub.registry import Entry, LocalRegistry
from badx_hub.registry.adapter_folder import prepare
from badx_hub.storage import digest_of

Make = Callable[..., Path]
Put = Callable[..., Entry]

MBERT = BaseRef(
    name="bert-base-multilingual-cased",
    digest="b" * 64,
    model_type="bert",
    hidden_size=768,
    num_layers=12,
    vocab_size=119547,
)


def build(
    folder: Path,
    name: str,
    *,
    weights: float = 1.0,
    size: int = 4,
    files: Mapping[str, bytes] | None = None,
    **changes: Any,
) -> Path:
    """A prepared folder for `name`; `weights` decides its digest, `size` its bytes."""
    parsed = AdapterName.parse(name)
    folder.mkdir(parents=True)
    for file in needed_files(parsed.kind):
        if file.endswith(".safetensors"):
            save_file({"down": np.full(size, weights, dtype=np.float32)}, folder / file)
        else:
            (folder / file).write_text(json.dumps({"mixture": str(parsed.mixture)}))
    for file, content in (files or {}).items():
        (folder / file).write_bytes(content)
    prepare(folder, describe(parsed, **changes))
    return folder


def describe(name: AdapterName, *, parent: LanguageAdapterRef | None = None, **changes: Any) -> ManifestDraft:
    """A draft with figures of every sort; a TA without `parent` or `cycle` names made-up digests."""
    if parent is None and name.language_adapter is not None:
        parent = LanguageAdapterRef(name=str(name.language_adapter), digest="a" * 64)
    if name.setup == "tlr":
        made_up = (LanguageAdapterRef(name=f"{name.base}/{one}", digest=digest_of(one)) for one in name.mixture.cycle)
        changes = {"cycle": tuple(made_up), **changes}
    values: dict[str, Any] = {
        "base": MBERT.model_copy(update={"digest": name.base.encode().hex().ljust(64, "0")[:64]}),
        "recipe": {"name": "quick", "adapter": {"reduction_factor": 2, "leave_out": []}},
        "seed": 7,
        "data": (SourceRef(language="en", name="en.txt", digest="c" * 64, counts={"kept": 1200, "empty": 3}),),
        "training": Training(steps=1000, best_step=500, tokens=2_560_000, seconds=61.7),
        "metrics": {"dev": {"en/perplexity": 12.345678}},
        "versions": {"adapters": "1.3.0", "badx_hub": "0.1.0"},
        "labels": ("NOUN", "VERB") if name.task else None,
        "licence": "mit",
        "created": "2026-01-01T00:00:00Z",
    }
    return ManifestDraft(name=str(name), parent=parent, **{**values, **changes})


@pytest.fixture
def draft() -> Callable[..., ManifestDraft]:
    """draft(AdapterName, ...) -> a draft."""
    return describe


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """make(name, ...) -> a prepared folder."""
    made: list[Path] = []

    def factory(name: str, **options: Any) -> Path:
        made.append(build(tmp_path / "made" / str(len(made)), name, **options))
        return made[-1]

    return factory


@pytest.fixture
def registry(tmp_path: Path) -> LocalRegistry:
    return LocalRegistry(tmp_path / "registry")


@pytest.fixture
def put(registry: LocalRegistry, make: Make) -> Put:
    """put(name, ..., on=BA) -> an entry in `registry`; a TA is trained on the entry `on`, or on a cycle of several."""

    def factory(
        name: str,
        *,
        on: Entry | Sequence[Entry] | None = None,
        into: LocalRegistry | None = None,
        **options: Any,
    ) -> Entry:
        carriers = {"parent": reference(on)} if isinstance(on, Entry) else {}
        if isinstance(on, Sequence):
            carriers = {"cycle": tuple(map(reference, on))}
        return (into or registry).publish(make(name, **carriers, **options))

    return factory


@pytest.fixture
def turns(put: Any) -> tuple[Entry, Entry, Entry]:
    """LAs of English and Wolof in the local registry, and a TA that was trained on them in turn."""
    en, wo = put("mbert/en"), put("mbert/wo", weights=2.0)
    return en, wo, put("mbert/en-wo/pos@tlr", on=(en, wo))


def reference(entry: Entry) -> LanguageAdapterRef:
    """The entry as a manifest names it."""
    return LanguageAdapterRef(name=entry.manifest.name, digest=entry.manifest.digest)

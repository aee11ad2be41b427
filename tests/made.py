"""Real adapters without training: random weights, large enough that one is visibly not another."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from badx_hub.data.pairs import LABELS as CLASSES
from badx_hub.manifest import BaseRef, LanguageAdapterRef, ManifestDraft, SourceRef, Training
from badx_hub.names import AdapterName
from badx_hub.registry import Entry, Registry
from badx_hub.tasks.labels import UNIVERSAL
from badx_hub.tasks.pos import UPOS

_LABELS = {"pos": UPOS, "dp": UNIVERSAL, "nli": CLASSES, "ner": ("O", "B-LOC", "B-PER", "I-LOC", "I-PER")}


def made(
    registry: Registry,
    base: Path,
    text: str,
    *,
    seed: int,
    on: Entry | None = None,
    cycle: Sequence[Entry] = (),
    day: int = 1,
    invertible: bool = False,
    reduction_factor: float = 2.0,
    deviation: float = 0.5,
    recipe: Mapping[str, Any] | None = None,
) -> Entry:
    """Publish the adapter called `text`, made on a day of January; a task adapter is trained on `on`, or on a `cycle`.

    Of a name that says so ("tiny/en/pos@full") the whole base, every weight moved. `deviation` is that of the weights,
    `recipe` what the manifest says was the recipe (default: windows of 64 sub-words).
    """
    import torch

    from badx_hub.modeling.base import resolve_base
    from badx_hub.modeling.full_finetuning import save_model
    from badx_hub.modeling.loading import load_encoder
    from badx_hub.modeling.model_adapters import add_adapter, save_adapter, trained_parameters
    from badx_hub.recipes import AdapterRecipe
    from badx_hub.tasks import task_named

    name, found = AdapterName.parse(text), resolve_base(str(base))
    model = load_encoder(found)
    if name.kind != "model":
        add_adapter(model, name, AdapterRecipe(invertible=invertible, reduction_factor=reduction_factor), seed=seed)
    if name.task:
        task_named(name.task).add_head(model, name.module_name, _LABELS[name.task])
    generator = torch.Generator().manual_seed(seed)
    for parameter in trained_parameters(model, name).values():
        torch.nn.init.normal_(parameter, std=deviation, generator=generator)
    with tempfile.TemporaryDirectory() as folder:
        save = save_model if name.kind == "model" else save_adapter
        save(model, name, Path(folder))
        return registry.publish(
            _prepared(Path(folder), _draft(name, found.ref, on, cycle, day, recipe or {"max_length": 64}))
        )


def _prepared(folder: Path, draft: ManifestDraft) -> Path:
    from badx_hub.registry.adapter_folder import prepare

    prepare(folder, draft)
    return folder


def _reference(entry: Entry) -> LanguageAdapterRef:
    return LanguageAdapterRef(name=str(entry.name), digest=entry.manifest.digest)


def _draft(
    name: AdapterName, base: BaseRef, on: Entry | None, cycle: Sequence[Entry], day: int, recipe: Mapping[str, Any]
) -> ManifestDraft:
    return ManifestDraft(
        name=str(name),
        base=base,
        recipe=dict(recipe),
        seed=0,
        data=(SourceRef(language=name.mixture.source, name="made.txt", digest="c" * 64, counts={}),),
        training=Training(steps=1, best_step=1, seconds=0.0),
        metrics={"dev": {"en/accuracy": 0.5}} if name.task else {"dev": {"wo/perplexity": 9.0}},
        versions={"torch": "2"},
        labels=_LABELS[name.task] if name.task else None,
        parent=_reference(on) if on else None,
        cycle=tuple(_reference(one) for one in cycle),
        created=f"2026-01-{day:02}T00:00:00Z",
    )

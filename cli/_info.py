"""All that badx.json says of an adapter, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from badx_hub.metric_key import MetricKey
from badx_hub.table import Table

if TYPE_CHECKING:
    from badx_hub.manifest import Manifest
    from badx_hub.registry import Entry


def info_tables(entry: Entry) -> list[Table]:
    """What it is, its recipe, its data and its scores."""
    from badx_hub.documents import flattened  # with yaml, and the next with pydantic, which --help does without
    from badx_hub.manifest import MERGED
    from badx_hub.recipes import kept_words

    manifest = entry.manifest
    training = manifest.training
    language_adapters = ", ".join(f"{ref.name} ({ref.digest[:12]})" for ref in manifest.language_adapters)
    read = f"{training.tokens:,} tokens" if training.tokens else f"{training.sentences or 0:,} sentences"
    kept = kept_words(manifest.recipe, training.best_step)
    facts = {
        "name": manifest.name,
        "kind": manifest.kind,
        "version": entry.version,
        "created": manifest.created,
        "base": f"{manifest.base.name} ({manifest.base.digest[:12]})",
        "trained on": f"{language_adapters}, in turn" if manifest.cycle else language_adapters,
        "languages": ", ".join(f"{language}:{weight}" for language, weight in manifest.mixture),
        "task": manifest.task or "",
        "setup": manifest.setup or "",
        **_learned(manifest),
        "labels": ", ".join(manifest.labels or ()),
        "training": ""
        if manifest.origin == MERGED
        else f"{training.steps:,} steps (kept: {kept}), {read}, {training.seconds:,.0f} s",
        "seed": str(manifest.seed),
        "imported from": manifest.imported_from or "",
        "mean of": ", ".join(f"{ref.weight:.3g} {ref.name} ({ref.digest[:12]})" for ref in manifest.merged),
        "began as": f"{manifest.initial.name} ({manifest.initial.digest[:12]})" if manifest.initial else "",
        "licence": manifest.licence or "",
        "digest": manifest.digest,
        "made with": ", ".join(f"{package} {number}" for package, number in sorted(manifest.versions.items())),
    }
    recipe = ((key, str(value)) for key, value in flattened(manifest.recipe))
    return [
        Table.of(("field", "value"), ((k, v) for k, v in facts.items() if v), folding=("value",)),
        Table.of(("recipe", "value"), recipe, folding=("value",)),
        Table.of(
            ("language", "data", "digest", "counts"),
            (
                (
                    source.language,
                    source.name,
                    source.digest[:12],
                    ", ".join(f"{what} {count:,}" for what, count in source.counts.items()),
                )
                for source in manifest.data
            ),
            folding=("data", "counts"),
        ),
        Table.of(
            ("split", "metric", "score"),
            (
                (split, metric, MetricKey.parse(metric).shown(value))
                for split, scores in manifest.metrics.items()
                for metric, value in scores.items()
            ),
            numbers=("score",),
            folding=("metric",),
        ),
    ]


def _learned(manifest: Manifest) -> dict[str, str]:
    return {"annotations": _annotations(manifest), "calibration": _calibration(manifest)}


def _annotations(manifest: Manifest) -> str:
    """What it learned from in addition to, or instead of, all the data of the source."""
    if (known := manifest.annotations) is None:
        return ""
    counted = ", ".join(f"{count:,} sentences of {language}" for language, count in known.sentences.items())
    ratio = ":".join(str(weight) for _, weight in known.mixture)
    turns = f", batches {ratio}" if len(known.mixture) > 1 else ""
    return f"{counted}{turns}; selected on {known.selected_on} dev"


def _calibration(manifest: Manifest) -> str:
    """How its probabilities were set right, and the expected calibration error without and with that."""
    if (known := manifest.calibration) is None:
        return ""
    errors = f"{100 * known.error_before:.2f} % -> {100 * known.error:.2f} %"
    return f"temperature {known.temperature:.3f} of the {known.output}, fitted on {known.language} dev (ECE {errors})"

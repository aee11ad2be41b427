"""`badx-hub info`: all that badx.json says of an adapter. Loads no tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from badx_hub.cli import _entries, _options, _output, _registries
from badx_hub.cli._output import Format
from badx_hub.metric_key import MetricKey
from badx_hub.table import Table

if TYPE_CHECKING:
    from badx_hub.manifest import BaseRef, LanguageAdapterRef, Manifest
    from badx_hub.manifest_fields import MergedRef
    from badx_hub.names import AdapterName
    from badx_hub.registry import Entry, Registry


def info(
    name: _options.NameArgument,
    task: _options.TaskOption = None,
    base: _options.BaseOption = None,
    ratio: _options.RatioOption = None,
    setup: _options.SetupOption = _options.SetupName.BAD_X,
    label: _options.LabelOption = None,
    version: _options.VersionOption = None,
    registry: _options.RegistryOption = None,
    revision: _options.RevisionOption = None,
    offline: _options.OfflineOption = False,
    format: _options.FormatOption = Format.TABLE,
) -> None:
    """Show what an adapter is: training, data, scores and files.

    ORG/mbert.en-wo is one on the Hub, of which badx.json alone is read. --format json prints all of badx.json;
    --format quiet prints where the adapter is.
    """
    found, named = _registries.named(name, registry, revision=revision, offline=offline)
    if named is None:
        named = _entries.name_of(found, name, **_entries.options(task, base, ratio, setup, label))
    entry = found.get(named, version if _registries.is_hub(found) else _version(found, named, version))
    _output.show(
        format,
        tables=_tables(entry),
        document={**entry.manifest.model_dump(mode="json"), "version": entry.version, "location": entry.location},
        quiet=[entry.location],
    )
    if format is Format.TABLE:  # folded into a cell, a path could not be copied
        _output.note(f"It is in {entry.location}")


def _version(registry: Registry, name: AdapterName, version: str | None) -> str | None:
    if version is None or not (found := _entries.versions(registry, name)):
        return None
    return _entries.version_named(tuple(one.version for one in found), name, version)


def _tables(entry: Entry) -> list[Table]:
    """What it is, its recipe, its data and its scores."""
    from badx_hub.json_toml_yaml import flattened  # with yaml, which --help does without

    manifest = entry.manifest
    recipe = ((key, str(value)) for key, value in flattened(manifest.recipe))
    data = (
        (
            source.language,
            source.name,
            source.digest[:12],
            ", ".join(f"{what} {count:,}" for what, count in source.counts.items()),
        )
        for source in manifest.data
    )
    scores = (
        (split, metric, MetricKey.parse(metric).shown(value))
        for split, of_split in manifest.metrics.items()
        for metric, value in of_split.items()
    )
    return [
        Table.of(("field", "value"), ((k, v) for k, v in _facts(entry).items() if v), folding=("value",)),
        Table.of(("recipe", "value"), recipe, folding=("value",)),
        Table.of(("language", "data", "digest", "counts"), data, folding=("data", "counts")),
        Table.of(("split", "metric", "score"), scores, numbers=("score",), folding=("metric",)),
    ]


def _facts(entry: Entry) -> dict[str, str]:
    manifest = entry.manifest
    language_adapters = ", ".join(map(_named, manifest.language_adapters))
    return {
        "name": manifest.name,
        "kind": manifest.kind,
        "version": entry.version,
        "created": manifest.created,
        "base": _named(manifest.base),
        "trained on": f"{language_adapters}, in turn" if manifest.cycle else language_adapters,
        "languages": ", ".join(f"{language}:{weight}" for language, weight in manifest.mixture),
        "task": manifest.task or "",
        "setup": manifest.setup or "",
        "annotations": _annotations(manifest),
        "calibration": _calibration(manifest),
        "labels": ", ".join(manifest.labels or ()),
        "training": _training(manifest),
        "seed": str(manifest.seed),
        "imported from": manifest.imported_from or "",
        "mean of": ", ".join(f"{ref.weight:.3g} {_named(ref)}" for ref in manifest.merged),
        "began as": _named(manifest.initial) if manifest.initial else "",
        "licence": manifest.licence or "",
        "digest": manifest.digest,
        "made with": ", ".join(f"{package} {number}" for package, number in sorted(manifest.versions.items())),
    }


def _named(ref: LanguageAdapterRef | MergedRef | BaseRef) -> str:
    return f"{ref.name} ({ref.digest[:12]})"


def _training(manifest: Manifest) -> str:
    from badx_hub.manifest import MERGED  # with pydantic, which --help does without
    from badx_hub.recipes import kept_words

    if manifest.origin == MERGED:
        return ""
    training = manifest.training
    read = f"{training.tokens:,} tokens" if training.tokens else f"{training.sentences or 0:,} sentences"
    kept = kept_words(manifest.recipe, training.best_step)
    return f"{training.steps:,} steps (kept: {kept}), {read}, {training.seconds:,.0f} s"


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

"""Recording scores: a new version of the same weights, with the scores in its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from badx_hub.adapter_files import CARD_FILE
from badx_hub.errors import IntegrityError, UsageError
from badx_hub.evaluation import Evaluation
from badx_hub.languages import normalise
from badx_hub.manifest import Manifest, ManifestDraft, utc_now
from badx_hub.manifest_fields import EvaluationRef
from badx_hub.metric_key import MetricKey
from badx_hub.registry import Entry, Registry
from badx_hub.registry.adapter_folder import prepare
from badx_hub.registry.chain import RegistryChain
from badx_hub.registry.protocol import newest
from badx_hub.registry.size_limits import size_limit
from badx_hub.remedies import Advice, VerifyAdapter
from badx_hub.storage import scratch_folder
from badx_hub.untrusted_files import copy_plain

_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class Recorded:
    """The version that has the scores; `already` if the newest version had the same scores before."""

    entry: Entry
    already: bool


def record(evaluation: Evaluation, registry: Registry, *, language: str) -> Recorded:
    """Publish a new version of the evaluated weights with the scores in its manifest and on its card.

    `metrics[split]` gets "wo/accuracy" and so on, and "wo/f1/NOUN" for every gold label. `evaluations` gets name and
    digest of the data. Earlier scores on the same split and language are replaced; all others stay.

    Args:
        registry: the one the stack was loaded from. The version is published there; of a chain, in the first registry.
        language: of the data.

    Raises:
        UsageError: an unknown language; a language adapter that the task adapter was not trained on; read-only.
        IntegrityError, StorageError: as `fetch` and `publish` do.
    """
    own = {ref.digest for ref in evaluation.entry.manifest.language_adapters}
    if evaluation.language_adapter is not None and evaluation.language_adapter.manifest.digest not in own:
        raise UsageError(
            f"These scores are not of {evaluation.entry.name} alone: in the stack was the adapter of another language, "
            "not its own.",
            remedies=(Advice("Leave {} out, or train the pair's own adapter.", (("record", None),)),),
        )
    target = next(registry.registries) if isinstance(registry, RegistryChain) else registry
    known = _newest_of(evaluation.entry, target)
    draft = _with_scores(known.manifest, evaluation, normalise(language))
    if (draft.metrics, draft.evaluations) == (known.manifest.metrics, known.manifest.evaluations):
        return Recorded(known, already=True)
    with scratch_folder() as folder:
        building = folder / "adapter"
        _copy_files(registry.fetch(known), building, known.manifest)
        manifest = prepare(building, draft)
        if manifest.digest != known.manifest.digest:
            raise IntegrityError(
                f"The files of {known.name} changed in the meantime.", remedies=(VerifyAdapter(str(known.name)),)
            )
        return Recorded(target.publish(building), already=False)


def _newest_of(entry: Entry, registry: Registry) -> Entry:
    """The newest version of these weights: others may have recorded scores on it in the meantime."""
    same = [one for one in registry.by_digest(entry.manifest.digest, str(entry.name)) if one.name == entry.name]
    return newest([entry, *same])


def _with_scores(manifest: Manifest, evaluation: Evaluation, language: str) -> ManifestDraft:
    split, known = evaluation.split, manifest.metrics.get(evaluation.split, {})
    others = {key: value for key, value in known.items() if MetricKey.parse(key).language != language}
    files = tuple(
        EvaluationRef(split=split, language=language, name=file.name, digest=file.digest, examples=evaluation.examples)
        for file in evaluation.references
    )
    kept = tuple(ref for ref in manifest.evaluations if (ref.split, ref.language) != (split, language))
    changed = {
        "metrics": {**manifest.metrics, split: {**others, **_scores(evaluation, language)}},
        "evaluations": (*kept, *files),
        "created": _after(manifest.created),
    }
    fields = {field: getattr(manifest, field) for field in ManifestDraft.model_fields}
    return ManifestDraft.checked(**{**fields, **changed})


def _scores(evaluation: Evaluation, language: str) -> Mapping[str, float]:
    scores = evaluation.scores
    whole = {str(MetricKey(name, language)): float(value) for name, value in scores.metrics.items()}
    labels = {str(MetricKey("f1", language, row.label)): float(row.f1) for row in scores.table if row.support}
    return whole | labels


def _after(created: str) -> str:
    """The time now, but later than `created`, so that the older version never sorts as the newer one."""
    next_second = datetime.strptime(created, _TIME) + timedelta(seconds=1)
    return max(utc_now(), next_second.strftime(_TIME))


def _copy_files(source: Path, target: Path, manifest: Manifest) -> None:
    target.mkdir()
    for name in manifest.files:
        if name != CARD_FILE:
            copy_plain(source / name, target / name, limit=size_limit(manifest, name))

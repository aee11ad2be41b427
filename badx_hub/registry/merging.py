"""Weighted means of adapters: nothing is trained (language arithmetic, Klimaszewski et al., COLING 2025).

Means of the LAs of a pair stand in for its BA, or for the LA of the target at inference (`badx_hub.setups`, "merged");
means over seeds are soups. The weights of a bottleneck are averaged one by one, so all parents have the same shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from math import isclose
from pathlib import Path
from typing import TYPE_CHECKING, Any

from badx_hub.arguments import checked
from badx_hub.errors import UsageError
from badx_hub.languages import Mixture
from badx_hub.manifest import MERGED, LanguageAdapterRef, ManifestDraft, SourceRef, Training
from badx_hub.manifest_fields import MergedRef
from badx_hub.modeling.base import Base, base_of
from badx_hub.names import AdapterName
from badx_hub.registry.adapter_folder import prepare
from badx_hub.registry.protocol import Entry, Registry, newest
from badx_hub.registry.stack_checks import verified
from badx_hub.remedies import Advice
from badx_hub.setups import merged_label
from badx_hub.storage import digest_of, scratch_folder

if TYPE_CHECKING:
    from torch import Tensor

_NAME_IT = Advice("Say what to call it with {}.", (("name", "NAME"),))
_NO_PART = ("publish_head",)
"""Settings of the parents that say nothing about their mean: it has no head of masked-language modelling."""

_NO_SHAPE = ("dropout", "init_weights", "init_weights_seed")
"""Settings that say nothing about weights as they are used."""


@dataclass(frozen=True)
class Merged:
    """The registered adapter; `already` is set if the registry had this very mean before."""

    entry: Entry
    already: bool


@checked()
def merge(
    parents: Sequence[Entry],
    registry: Registry,
    *,
    weights: Sequence[float] | None = None,
    name: AdapterName | str | None = None,
    on: Entry | None = None,
    base: str | None = None,
    licence: str | None = None,
) -> Merged:
    """Register the weighted mean of adapters in `registry`, with origin "merged" and its parents in the manifest.

    Args:
        parents: two or more entries of `registry`: LAs, BAs, MAs or task adapters of one task, all of one kind, on one
            base and of one shape; task adapters have the same labels and options.
        weights: above 0, one a parent; only their ratio counts. Default: those of the mixture in the name where the
            parents are the LAs of its languages, in its order; else equal ones.
        name: of the mean. Default, for LAs of different languages: their pair or mixture in the ratio of the weights,
            with the label "merged", which the setups "bad-x-merged" and "mad-x-merged" look for. Without a base in
            front ("en-wo#merged") that of the parents is meant.
        on: the language adapter that merged task adapters are used on; default the one that all were trained on.
        base: where the base is, if this machine does not know.
        licence: of the mean; default that of the parents, if they have one in common.

    Raises:
        UsageError: parents that do not fit together, or a name or weights that do not fit them.
        NotFoundError: the base is not on this machine.
        IntegrityError: a file of a parent has changed, or does not fit the base.
    """
    plan = planned(parents, weights=weights, name=name, on=on)
    registry.require_writable()
    if same := [entry for entry in registry.list() if entry.manifest.run == plan.key]:
        return Merged(newest(same), already=True)
    folders = [verified(one, registry) for one in parents]
    found = base_of(parents[0].manifest.base, base)
    _require_no_vocabulary(parents)
    _require_one_shape(parents, folders, found)
    with scratch_folder() as building:
        _write_mean(building, plan, parents, folders, found)
        prepare(building, _draft(plan, parents, found, licence))
        return Merged(registry.publish(building), already=False)


@dataclass(frozen=True)
class MergePlan:
    """What `merge` makes: the name of the mean, its parents, what it is used on, and the key of the run."""

    name: AdapterName
    parents: tuple[MergedRef, ...]
    parent: LanguageAdapterRef | None = None
    cycle: tuple[LanguageAdapterRef, ...] = ()

    @property
    def key(self) -> str:
        """sha256 over all of it."""
        below = [ref.digest for ref in ((self.parent,) if self.parent else self.cycle)]
        return digest_of(
            {
                "name": str(self.name),
                "merged": [(ref.digest, ref.weight) for ref in self.parents],
                **({"on": below} if below else {}),
            }
        )


def planned(
    parents: Sequence[Entry],
    *,
    weights: Sequence[float] | None = None,
    name: AdapterName | str | None = None,
    on: Entry | None = None,
) -> MergePlan:
    """What `merge` would do with the same arguments. Nothing is read but manifests. Raises UsageError as it does."""
    _require_alike(parents)
    shares = _shares(weights, len(parents)) if weights is not None else None
    called = _checked_name(name, parents) if name is not None else _default_name(parents, weights)
    merged = tuple(
        MergedRef(name=str(one.name), digest=one.manifest.digest, weight=share)
        for one, share in zip(parents, _agreeing(shares, called, parents), strict=True)
    )
    parent, cycle = _language_adapters(parents, on)
    return MergePlan(called, merged, parent, cycle)


def _require_alike(parents: Sequence[Entry]) -> None:
    """Raises UsageError unless there are several, all different, of one kind, task, base and set of labels."""
    if len(parents) < 2:
        raise UsageError("A mean is of two adapters or more. Name another one.")
    if len({(one.name, one.version) for one in parents}) < len(parents):
        raise UsageError("An adapter is named twice. Name each once and give it more weight.")
    first = parents[0]
    if first.name.kind == "model":
        raise UsageError(f"{first.name} is a whole model. Only adapters are merged: leave it out.")
    for other in parents[1:]:
        for what, one, another in (
            ("kind", first.name.kind, other.name.kind),
            ("task", first.name.task, other.name.task),
            ("setup", first.name.setup, other.name.setup),
            ("base", _base(first), _base(other, of=first)),
            ("labels", first.manifest.labels, other.manifest.labels),
            *((field, first.manifest.recipe.get(field), other.manifest.recipe.get(field)) for field in _of_task(first)),
        ):
            if one != another:
                told = "" if what == "labels" else f" ({one or 'none'} and {another or 'none'})"
                raise UsageError(
                    f"{first.name} and {other.name} differ in their {what}{told}, so they have no mean. "
                    "Merge adapters that are alike."
                )


def _of_task(entry: Entry) -> tuple[str, ...]:
    return ("max_length", "options") if entry.name.task else ()


def _base(entry: Entry, of: Entry | None = None) -> str:
    """Its base, or that of another entry if it has the same weights."""
    base = entry.manifest.base
    same = of if of is not None and base.has_weights_of(of.manifest.base) else entry
    return f"{same.manifest.base.name} {same.manifest.base.digest[:12]}"


def _shares(weights: Sequence[float], count: int) -> tuple[float, ...]:
    """The weights as shares of 1. Raises UsageError for another number of them, and for any not above 0."""
    if len(weights) != count or not all(0 < weight < float("inf") for weight in weights):
        raise UsageError(
            f"The weights are {', '.join(f'{weight:g}' for weight in weights) or 'none'}: "
            f"expected {count} numbers above 0, one an adapter."
        )
    total = sum(weights)
    return tuple(weight / total for weight in weights)


def _checked_name(name: AdapterName | str, parents: Sequence[Entry]) -> AdapterName:
    """The name as asked for. Raises UsageError for one of another base, of another kind or of a parent."""
    first, text = parents[0].name, str(name)
    slug = first.base
    called = AdapterName.parse(text if text.startswith(f"{slug}/") else f"{slug}/{text}")
    if (called.task, called.setup) != (first.task, first.setup):
        raise UsageError(
            f"{called} is no name for a mean of adapters such as {first}: the task and the setup have to be theirs. "
            "Change the languages or the label alone."
        )
    if called in [one.name for one in parents]:
        raise UsageError(f"{called} is the name of one of the adapters to merge. Choose another label, as in #mean.")
    return called


def _default_name(parents: Sequence[Entry], weights: Sequence[float] | None) -> AdapterName:
    """That of the mixture of the parents' languages. Raises UsageError if they are not LAs of different languages."""
    names = [one.name for one in parents]
    languages = [name.mixture.source for name in names]
    labels = {name.label for name in names}
    whole = weights is None or all(float(weight).is_integer() for weight in weights)
    if {name.kind for name in names} != {"language"} or len(set(languages)) < len(names) or len(labels) > 1:
        raise UsageError(f"{' and '.join(map(str, names))} have no name in common.", remedies=(_NAME_IT,))
    if not whole:
        raise UsageError(
            f"Weights in a name are whole numbers, as in {names[0].base}/{'-'.join(languages[:2])}@3:7#merged.",
            remedies=(_NAME_IT,),
        )
    mixture = Mixture.of(*languages)
    if weights is not None:
        mixture = mixture.with_ratio(":".join(str(int(weight)) for weight in weights))
    return AdapterName(names[0].base, mixture, label=merged_label(labels.pop()))


def _agreeing(shares: tuple[float, ...] | None, called: AdapterName, parents: Sequence[Entry]) -> tuple[float, ...]:
    """The shares, from the name where it says them. Raises UsageError if it says others than those asked for."""
    names = [one.name for one in parents]
    said = {name.mixture.languages for name in names if name.kind == "language"}
    if called.kind == "language" or said != {(language,) for language in called.mixture.languages}:
        return shares or _shares([1] * len(parents), len(parents))
    weights = dict(called.mixture.parts)
    expected = _shares([weights[name.mixture.source] for name in names], len(names))
    if shares is not None and not all(map(isclose, shares, expected)):
        raise UsageError(
            f"{called} says that its languages have the weights {called.mixture.ratio}, and "
            f"{', '.join(f'{share:.3g}' for share in shares)} were asked for. Leave the weights out, or put them into "
            f"the name, as in {called.mixture.balanced}@3:7."
        )
    return expected


def _language_adapters(
    parents: Sequence[Entry], on: Entry | None
) -> tuple[LanguageAdapterRef | None, tuple[LanguageAdapterRef, ...]]:
    """`parent` and `cycle` of the manifest. Raises UsageError if it is not clear what the mean is used on."""
    first = parents[0].manifest
    if on is not None:
        if first.parent is None or on.name.task is not None:
            raise UsageError(
                f"{first.name} is not used on one language adapter, or {on.name} is none.",
                remedies=(Advice("Leave out {}.", (("on", None),)),),
            )
        return on.ref, ()
    if len({one.manifest.language_adapters for one in parents}) > 1:
        raise UsageError(
            f"{' and '.join(str(one.name) for one in parents)} were trained on different language adapters.",
            remedies=(Advice("Say which one their mean is used on with {}.", (("on", "NAME"),)),),
        )
    return first.parent, first.cycle


def _require_no_vocabulary(parents: Sequence[Entry]) -> None:
    """Raises UsageError if one has sub-words of its own: a mean of rows of different words is none."""
    if extended := [one.name for one in parents if one.manifest.vocabulary]:
        raise UsageError(
            f"{extended[0]} has sub-words of its own (extend_vocabulary), and such adapters have no mean. "
            "Merge adapters without."
        )


def _require_one_shape(parents: Sequence[Entry], folders: Sequence[Path], base: Base) -> None:
    """Raises UsageError if two configurations differ in anything that decides shapes or what is computed."""
    from badx_hub.modeling.adapter_configs import adapter_config

    settings = [adapter_config(folder, layers=base.ref.num_layers).settings for folder in folders]
    for other, theirs in zip(parents[1:], settings[1:], strict=True):
        for field, value in settings[0].items():
            if field not in _NO_SHAPE and theirs[field] != value:
                raise UsageError(
                    f"{parents[0].name} and {other.name} are not of the same shape: {field} is {value} and "
                    f"{theirs[field]}. Merge adapters of one recipe."
                )


def _write_mean(target: Path, plan: MergePlan, parents: Sequence[Entry], folders: Sequence[Path], base: Base) -> None:
    """Write the mean to `target` as `adapters` does. Sums are in double precision, so their order hardly matters."""
    import torch

    from badx_hub.modeling.loading import load_encoder
    from badx_hub.modeling.model_adapters import own_parameters, save_adapter

    model, name = load_encoder(base), plan.name
    total: dict[str, Tensor] = {}
    for one, folder, ref in zip(parents, folders, plan.parents, strict=True):
        if total:
            model.delete_adapter(name.module_name)
            if name.task:
                model.delete_head(name.module_name)
        _load(model, name, one, folder)
        for key, weight in own_parameters(model, name).items():
            part = ref.weight * weight.detach().double()
            total[key] = total[key] + part if key in total else part
    with torch.no_grad():
        for key, weight in own_parameters(model, name).items():
            weight.copy_(total[key])
    save_adapter(model, name, target)


def _load(model: Any, name: AdapterName, entry: Entry, folder: Path) -> None:
    """Load a parent under the name of the mean. Raises as `load_adapter`, of the parent's name."""
    from badx_hub.errors import BadxError
    from badx_hub.modeling.adapter_configs import ExpectedHead
    from badx_hub.modeling.model_adapters import insert_adapter, load_head, told_of
    from badx_hub.tasks import task_named

    try:
        insert_adapter(model, name, folder)
        if name.task:
            load_head(model, name, folder, ExpectedHead(task_named(name.task).head_type, entry.manifest.labels or ()))
    except BadxError as error:
        raise told_of(error, entry.name) from error


def _draft(plan: MergePlan, parents: Sequence[Entry], base: Base, licence: str | None) -> ManifestDraft:
    manifests = [one.manifest for one in parents]
    first, others = manifests[0], manifests[1:]
    licences, seeds = {one.licence for one in manifests}, {one.seed for one in manifests}
    data = dict.fromkeys(_known(source) for one in manifests for source in one.data)
    return ManifestDraft.checked(
        name=str(plan.name),
        run=plan.key,
        base=base.ref,
        parent=plan.parent,
        cycle=plan.cycle,
        recipe={
            key: value
            for key, value in first.recipe.items()
            if key not in _NO_PART and all(one.recipe.get(key) == value for one in others)
        },
        seed=seeds.pop() if len(seeds) == 1 else 0,
        data=tuple(SourceRef(language=tag, name=source, digest=digest, counts={}) for tag, source, digest in data),
        labels=first.labels,
        training=Training(steps=0, best_step=0, seconds=0.0),
        metrics={},
        versions={package: version(package) for package in ("badx-hub", "adapters", "torch")},
        licence=licence or (licences.pop() if len(licences) == 1 else None),
        origin=MERGED,
        merged=plan.parents,
    )


def _known(source: SourceRef) -> tuple[str, str, str]:
    return source.language, source.name, source.digest

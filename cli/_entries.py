"""Registry entries as the commands find and show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from badx_hub.cli import _output
from badx_hub.cli._options import SetupName
from badx_hub.errors import NotFoundError, UsageError
from badx_hub.metric_key import MetricKey
from badx_hub.remedies import Advice
from badx_hub.table import Table

if TYPE_CHECKING:
    from badx_hub.names import AdapterName
    from badx_hub.registry import AdapterQuery, Entry, Problem, Registry, Resolution

FAULTS_SHOWN = 20
"""The first problems, which are told one by one."""

COLUMNS = ("name", "kind", "metric", "created", "version")
_HASH_SHOWN = 7


def query(
    pair: str,
    *,
    task: str | None = None,
    setup: str = "bad-x",
    base: str | None = None,
    ratio: str | None = None,
    label: str | None = None,
) -> AdapterQuery:
    """What the pair and its options ask for. Raises UsageError, also for an unknown task."""
    from badx_hub.languages import Mixture
    from badx_hub.registry import AdapterQuery
    from badx_hub.tasks import task_named

    if task is not None:
        task_named(task)
    return AdapterQuery(Mixture.parse(pair).with_ratio(ratio), task, base=base, setup=setup, label=label)


def find(registry: Registry, asked: AdapterQuery) -> Resolution:
    """The newest entry that is asked for, with its language adapter."""
    from badx_hub.registry import chain

    return chain.find(chain.RegistryChain([registry]), asked)


def name_of(registry: Registry, text: str, **options: str | None) -> AdapterName:
    """The adapter that a full name, or a pair with options, means in this registry."""
    if "/" not in text:
        given = {key: value for key, value in options.items() if value is not None}
        try:
            return find(registry, query(text, **given)).entry.name
        except NotFoundError as error:
            if (hidden := _hidden(registry)) is None:
                raise
            raise hidden from error
    from badx_hub.names import AdapterName

    if any(value is not None for value in options.values()):
        flags = ", ".join(f"--{key}" for key, value in options.items() if value is not None)
        raise UsageError(f"{text!r} is a full name and says it all. Leave out {flags}, or give a pair (en-wo).")
    return AdapterName.parse(text)


def _hidden(registry: Registry) -> NotFoundError | None:
    """The error if the registry is a namespace on the Hub of which this account sees nothing at all."""
    from badx_hub.hub.ref import HubRef
    from badx_hub.registry.hub import HubRegistry

    place = HubRef.parse(registry.location)
    if place is None or place.owner is None or registry.list():
        return None
    if isinstance(registry, HubRegistry) and registry.offline:
        return NotFoundError(
            f"Nothing of {place.owner} is in the cache, and you are offline.",
            remedies=(Advice("Unset HF_HUB_OFFLINE and leave out --offline to ask the Hub."),),
        )
    return NotFoundError(
        f"{place.owner} has published no adapter that you may see: the name is another one, or they are private.",
        remedies=(Advice("Check the name, or log in (`hf auth login`)."),),
    )


def options(
    task: str | None, base: str | None, ratio: str | None, setup: SetupName, label: str | None
) -> dict[str, str | None]:
    """The options as given, for `name_of`: the default setup counts as none."""
    given = None if setup is SetupName.BAD_X else setup.value
    return {"task": task, "base": base, "ratio": ratio, "setup": given, "label": label}


def is_of(name: AdapterName, text: str) -> bool:
    """Whether the adapter has these languages, and this ratio if the text gives one."""
    from badx_hub.languages import Mixture

    asked = Mixture.parse(text)
    if name.mixture.languages != asked.languages:
        return False
    return asked.is_balanced or name.mixture == asked


def versions(registry: Registry, name: AdapterName) -> list[Entry | Problem]:
    """Every version of the adapter, unreadable ones too, newest first."""
    entries, problems = registry.contents()
    everything: list[Entry | Problem] = [*entries, *problems]
    found = [one for one in everything if one.name == name]
    return sorted(found, key=lambda one: one.version, reverse=True)


def version_named(versions: tuple[str, ...], name: AdapterName, version: str) -> str:
    """The one of `versions` that is meant by `version`: all of it, or first digits of its hash."""
    found = [full for full in versions if full == version or full.partition("-")[2].startswith(version)]
    if len(found) == 1:
        return found[0]
    there = ", ".join(versions)
    if found:
        raise UsageError(f"{version!r} begins {len(found)} versions of {name}. Give one of: {there}.")
    raise NotFoundError(f"{name} has no version {version!r}. It has {there}.")


def short(version: str) -> str:
    """The first digits of a version's hash."""
    return version.partition("-")[2][:_HASH_SHOWN] or version


def document(entry: Entry) -> dict[str, Any]:
    """What scripts need of an entry; `info --format json` has everything."""
    manifest = entry.manifest
    return {
        "name": manifest.name,
        "kind": manifest.kind,
        "version": entry.version,
        "created": manifest.created,
        "digest": manifest.digest,
        "base": manifest.base.name,
        "parent": manifest.parent.model_dump() if manifest.parent else None,
        "target_sentences": dict(manifest.target_sentences),
        "carriers": [ref.model_dump() for ref in manifest.language_adapters],
        "metrics": {split: dict(scores) for split, scores in manifest.metrics.items()},
        "location": entry.location,
    }


def row(entry: Entry) -> tuple[str, ...]:
    """The entry's cells below `COLUMNS`."""
    manifest = entry.manifest
    return (manifest.name, manifest.kind, headline(entry), manifest.created[:10], short(entry.version))


def table(entries: tuple[Entry, ...]) -> Table:
    """One row an entry."""
    return Table.of(COLUMNS, (row(entry) for entry in entries), folding=("name", "metric"))


def show(entry: Entry, format: _output.Format, **more: object) -> None:
    """Print an entry that was just registered; `more` is for scripts."""
    _output.show(format, tables=[table((entry,))], document={**document(entry), **more}, quiet=[str(entry.name)])


def headline(entry: Entry) -> str:
    """The figure that tells most.

    That is the first score of a task adapter in another language than the source, zero-shot unless it learned from
    sentences of that language; of a language adapter the target's perplexity; else the first score on the dev set.
    Perplexities under a frozen head and under a trained one do not compare, so the rarer, frozen one is marked.
    """
    if (transferred := _transferred(entry)) is not None:
        return transferred
    scores = entry.manifest.metrics.get("dev", {})
    selected = MetricKey.target_perplexity(entry.name.mixture.targets)
    text = str(selected) if str(selected) in scores else next(iter(scores), None)
    if text is None:
        return ""
    key = MetricKey.parse(text)
    frozen = key == selected and entry.manifest.recipe.get("head", "frozen") == "frozen"
    return f"{key.words} {key.shown(scores[text])}{' (frozen)' if frozen else ''}"


def _transferred(entry: Entry) -> str | None:
    """A score in another language than the source, that of the test set first."""
    if entry.manifest.task is None:
        return None
    splits = sorted(entry.manifest.metrics.items(), key=lambda one: (one[0] != "test", one[0]))
    for _, scores in splits:
        for text, value in scores.items():
            key = MetricKey.parse(text)
            if key.language not in (None, entry.name.mixture.source) and key.label is None:
                few = entry.manifest.target_sentences.get(key.language or "")
                how = "zero-shot" if few is None else f"{few:,} sentences,"
                return f"{how} {key.words} {key.shown(value)}"
    return None

"""Model cards: README.md rendered from a manifest by the templates in `badx_hub.cards`.

A manifest's values are data. Whatever a template prints is written as character references where Markdown
or HTML could read it as structure; YAML is written by `ModelCardData`, never by a template.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from operator import itemgetter
from typing import Any

from jinja2 import Environment
from pydantic import JsonValue

from badx_hub.adapter_files import CURVES_FILE
from badx_hub.hub.metadata import EvalResult, ModelCardData
from badx_hub.hub.ref import HubRef
from badx_hub.json_toml_yaml import flattened
from badx_hub.languages import Mixture, name_of
from badx_hub.manifest import IMPORTED, MERGED, LanguageAdapterRef, Manifest
from badx_hub.manifest_fields import EvaluationRef
from badx_hub.metric_key import MetricKey
from badx_hub.names import AdapterName
from badx_hub.recipes import kept_words
from badx_hub.registry.card_base import hub_name, opened
from badx_hub.templates import templates

_LIBRARY = "adapter-transformers"  # what the Hub calls `adapters`: its snippet, filter and download counts hang on it
_DEMO = "demo"
_KIND_WORDS = {
    "language": "language adapter (LA)",
    "bilingual": "bilingual adapter (BA)",
    "multilingual": "multilingual adapter (MA)",
    "task": "task adapter (TA)",
    "model": "fully fine-tuned model",
}
_TEMPLATES = {"task": "task.md.j2", "model": "model.md.j2"}
_PIPELINES = {
    "pos": "token-classification",
    "dp": "token-classification",
    "ner": "token-classification",
    "nli": "text-classification",
}
_UNKNOWN = "unknown"  # what the Hub's own tools write where an evaluation's data set has no id
_UD_FILE = re.compile(r"(?P<config>[a-z]{2,3}_[a-z0-9]+)-ud-(?:train|dev|test)[a-z0-9-]*\.conllu(?:\.gz)?")
_LICENCE_ID = re.compile(r"[a-z0-9][a-z0-9.-]{0,49}")
_STRUCTURE = re.compile(
    r"[\\`*\[\]{}<>|~#!$&@\"']"
    r"|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])"  # inside a word it emphasises nothing
    r"|:(?=//)|(?<=www)\.",  # addresses become links by themselves
    re.IGNORECASE,
)
_PLAIN_CODE = re.compile(r"[^\\`|<>&]+")
_UNPRINTABLE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]+")


class _Safe(str):
    """Text that is Markdown already."""


def render_card(
    manifest: Manifest, *, published: Mapping[LanguageAdapterRef, str] | None = None, location: str | None = None
) -> str:
    """README.md for `manifest`: YAML metadata, then Markdown. The same arguments give the same text.

    Args:
        published: where the adapters that a task adapter was trained on are published, "org/repo@commit"; it stands
            in the lineage and, being a Hub address, in the code that loads both. Default: their repositories' names.
        location: where this one is (to be) published, "org/repo"; default not known.
    """
    template = _TEMPLATES.get(manifest.kind, "language.md.j2")
    metadata = _Safe(card_data(manifest).to_yaml())
    context = _context(manifest, location, published or {})
    return _environment().get_template(template).render(metadata=metadata, **context)


def card_data(manifest: Manifest) -> ModelCardData:
    """The card's metadata, which the Hub searches by: languages, base, datasets, licence, tags, zero-shot scores."""
    name = manifest.adapter_name
    base = hub_name(manifest.base.name)
    datasets = [found for source in manifest.data if (found := _dataset(source.name)) is not None]
    results = list(_results(manifest))
    return ModelCardData(
        base_model=base,
        base_model_relation=base and ("finetune" if manifest.kind == "model" else "adapter"),
        language=list(name.mixture.languages),
        library_name=_LIBRARY,
        license=_licence(manifest.licence),
        license_name=_line(manifest.licence) if _licence(manifest.licence) == "other" else None,
        datasets=list(dict.fromkeys(datasets)) or None,
        pipeline_tag=_PIPELINES.get(name.task or ""),
        tags=[
            _LIBRARY,
            "badx",
            f"badx:{name.kind}",
            f"badx-source:{name.mixture.source}",
            *(f"badx-target:{target}" for target in name.mixture.targets),
            *([f"badx-task:{name.task}"] if name.task else []),
            *(f"badx-sentences:{language}:{count}" for language, count in manifest.target_sentences.items()),
        ],
        model_name=name.repo_name if results else None,
        eval_results=results or None,
    )


def _results(manifest: Manifest) -> Iterator[EvalResult]:
    """The scores of a task adapter in other languages than the source: zero-shot if it saw no labels of them."""
    for split, key, value in _scores(manifest):
        language = key.language
        if manifest.task is None or key.label or not language or language == manifest.languages.source:
            continue
        files = [file for file in manifest.evaluations if (file.split, file.language) == (split, language)]
        yield EvalResult(
            task_type=_PIPELINES.get(manifest.task, manifest.task),
            task_name=manifest.task,
            dataset_type="universal_dependencies" if _ud_config(files) else _UNKNOWN,
            dataset_name=_line(", ".join(file.name for file in files)) or _UNKNOWN,
            dataset_config=_ud_config(files) or _line(language),
            dataset_split=_line(split),
            dataset_args={"sha256": [file.digest for file in files]} if files else None,
            metric_type=_line(key.name),
            metric_value=value,
        )


def _ud_config(files: Sequence[EvaluationRef]) -> str | None:
    """ "wo_wtb", if the files are named as Universal Dependencies names the parts of one treebank."""
    found = {match["config"] if (match := _UD_FILE.fullmatch(file.name)) else None for file in files}
    return found.pop() if len(found) == 1 else None


def _context(manifest: Manifest, location: str | None, published: Mapping[LanguageAdapterRef, str]) -> dict[str, Any]:
    name = manifest.adapter_name
    # Where several took turns, the code in the card uses the last one, the target's.
    language_adapter = manifest.language_adapters[-1] if manifest.language_adapters else None
    published_at = published.get(language_adapter) if language_adapter else None
    scores = list(_scores(manifest))
    place = _place(location)
    registry = str(HubRef(place.owner)) if place else None
    return {
        "manifest": manifest,
        "name": name,
        "kind": _KIND_WORDS[name.kind],
        "imported": manifest.origin == IMPORTED,
        "merged": manifest.origin == MERGED,
        "languages": _named(name.mixture),
        "source": name_of(name.mixture.source),
        "targets": " and ".join(name_of(target) for target in name.mixture.targets),
        "language_adapter": language_adapter,
        "swaps": name.task is not None and name.setup is None and name.mixture.kind == "language",
        "lineage": [
            (ref.name, published.get(ref, AdapterName.parse(ref.name).repo_name), ref.digest)
            for ref in manifest.language_adapters
        ],
        "files": _files(name, location),
        "language_adapter_files": language_adapter and _files(AdapterName.parse(language_adapter.name), published_at),
        "from_hub": place is not None or _place(published_at) is not None,
        "base_on_hub": hub_name(manifest.base.name) is not None,
        "opened": opened(manifest.base),
        "base_place": (
            'resolve_base("demo").folder of badx_hub.modeling.base'
            if manifest.base.name == _DEMO
            else "the folder of the base, see Lineage"
        ),
        "options": _options(name) + (f" --registry {registry}" if registry else ""),
        "train": _options(name),
        "repo": place and place.repo,
        "load": _arguments(manifest, registry),
        "data": [(s.language, s.name, s.digest[:12], _counts(s.counts)) for s in manifest.data],
        "recipe": [
            *_settings(manifest.recipe),
            *(_training(manifest) if manifest.origin not in (IMPORTED, MERGED) else []),
        ],
        "scores": [(split, key.language or "", key.name, f"{v:.4g}") for split, key, v in scores if not key.label],
        "labelled": [(split, key.language, key.label, key.name, f"{v:.4g}") for split, key, v in scores if key.label],
        "measured": [(e.split, e.language, e.name, e.digest[:12], f"{e.examples:,}") for e in manifest.evaluations],
        "zero_shot": not manifest.target_sentences and any(True for _ in _results(manifest)),
        **_annotated(manifest),
        "calibration": manifest.calibration,
        "calibrated_on": name_of(manifest.calibration.language) if manifest.calibration else "",
        "versions": sorted(manifest.versions.items()),
        "curves": CURVES_FILE if CURVES_FILE in manifest.files else None,
    }


@cache
def _environment() -> Environment:
    environment = templates("badx_hub.cards", autoescape=False, finalize=as_markdown)
    environment.filters.update(code=_code, python=_python, verbatim=_verbatim, safe_part=_Safe)
    return environment


def as_markdown(value: object) -> str:
    """Any value as inert inline Markdown, in tables too."""
    if isinstance(value, _Safe):
        return value
    return _STRUCTURE.sub(_reference, _line(str(value)))


def _code(value: object) -> _Safe:
    """Inline code. HTML with character references where backticks would not hold the value."""
    text = _line(str(value))
    if _PLAIN_CODE.fullmatch(text):
        return _Safe(f"`{text}`")
    return _Safe(f"<code>{as_markdown(text)}</code>")


def _python(value: object) -> _Safe:
    """A Python literal for a fenced block: one line, and backticks that no fence can be made of."""
    return _Safe(repr(_line(str(value))).replace("`", "\\x60"))


def _verbatim(value: object) -> _Safe:
    """A name that cannot hold anything special by its own type (adapter names, options), for a fenced block."""
    return _Safe(_line(str(value)).replace("`", ""))


def _reference(match: re.Match[str]) -> str:
    return f"&#{ord(match[0])};"


def _line(text: str | None) -> str:
    return _UNPRINTABLE.sub(" ", text or "").strip()


def _licence(licence: str | None) -> str | None:
    if licence is None:
        return None
    return licence.lower() if _LICENCE_ID.fullmatch(licence.lower()) else "other"


def _named(mixture: Mixture) -> str:
    return ", ".join(
        f"{name_of(language)} ({language})" + ("" if mixture.is_balanced else f" x {weight}")
        for language, weight in mixture.parts
    )


def _ratio(mixture: Mixture) -> str | None:
    return None if mixture.is_balanced else mixture.ratio


def _options(name: AdapterName) -> str:
    """What a badx-hub command says to mean this adapter: the mixture and flags."""
    flags = {"ratio": _ratio(name.mixture), "task": name.task, "setup": name.setup, "label": name.label}
    return " ".join((str(name.mixture.balanced), *(f"--{flag} {value}" for flag, value in flags.items() if value)))


def _arguments(manifest: Manifest, registry: str | None) -> str | None:
    """The arguments of `load_bilingual_stack`, for the kinds it loads: a TA of a pair, of its publisher.

    If language adapters took turns, the task adapter serves every target; the arguments name the last one.
    """
    name = manifest.adapter_name
    if not (manifest.cycle or (name.mixture.kind == "bilingual" and name.setup is None)):
        return None
    source, target = name.mixture.source, name.mixture.targets[-1]
    base = None if hub_name(manifest.base.name) or manifest.base.name == _DEMO else "path/to/base"
    ratio = _ratio(name.mixture) if name.mixture.kind == "bilingual" else None
    options = {"ratio": ratio, "setup": name.setup, "label": name.label, "base": base, "registry": registry}
    given = [f'{option}="{value}"' for option, value in options.items() if value is not None]
    return ", ".join((f'"{source}", "{target}", "{name.task}"', *given))


def _annotated(manifest: Manifest) -> dict[str, str]:
    """What the card says of labels in other languages than the source, if the adapter saw any."""
    few = " and ".join(
        f"{count:,} labelled sentences of {name_of(language)}" for language, count in manifest.target_sentences.items()
    )
    return {
        "besides": f" and {few}" if few else "",
        "unseen": ", of which it has seen some labels" if few else ", of which it has seen no labels",
        "selected_on": name_of(manifest.annotations.selected_on) if manifest.annotations else "",
    }


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))


def _training(manifest: Manifest) -> Iterator[tuple[str, str]]:
    training = manifest.training
    # The recipes of badx_hub hold these two; others need not.
    if "seed" not in manifest.recipe:
        yield "seed", str(manifest.seed)
    if "steps" not in manifest.recipe:
        yield "steps", f"{training.steps:,}"
    averaged, step = manifest.recipe.get("select") == "average", training.best_step
    yield ("kept", kept_words(manifest.recipe, step)) if averaged else ("step kept", f"{step:,}")
    if training.tokens is not None:
        yield "tokens seen", f"{training.tokens:,}"
    if training.sentences is not None:
        yield "sentences seen", f"{training.sentences:,}"
    yield "seconds", f"{training.seconds:,.0f}"


def _settings(recipe: Mapping[str, JsonValue]) -> Iterator[tuple[str, str]]:
    for key, value in sorted(flattened(recipe), key=itemgetter(0)):
        yield key, value if isinstance(value, str) else json.dumps(value)


def _scores(manifest: Manifest) -> Iterator[tuple[str, MetricKey, float]]:
    """(split, key, value), in the order of the texts."""
    for split, scores in sorted(manifest.metrics.items()):
        for key, value in sorted(scores.items()):
            yield split, MetricKey.parse(key), value


def _files(name: AdapterName, location: str | None) -> _Safe:
    """The Python expression for the folder of an adapter's files: downloaded, where the Hub has them."""
    place = _place(location)
    if place is None:
        return _python(f"./{name.repo_name}")
    revision = f", revision={_python(place.revision)}" if place.revision else ""
    return _Safe(f"snapshot_download({_python(place.repo)}{revision})")


def _place(location: str | None) -> HubRef | None:
    """The repository on a Hub that a location means, as it is now or at a commit."""
    place = HubRef.parse(location, bare=True) if location else None
    return place if place and place.name and place.revision == place.commit else None


def _dataset(source: str) -> str | None:
    """The id of the data set on the Hub that "hf:org/name:config:split" is from."""
    place = HubRef.parse(":".join(source.split(":")[:2]))
    return place.repo if place and place.name and place.revision is None else None

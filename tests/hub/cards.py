"""README metadata as the Hub reads it: the YAML block, the tags derived from it, and what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from tests.hub.objects import Blob

# The C parser, where PyYAML has it: a listing reads thousands of cards.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEEPEST = 1000
_BLOCK = re.compile(r"\A\s*---[ \t]*\r?\n(.*?)^---[ \t]*$", re.DOTALL | re.MULTILINE)
_ARXIV = re.compile(r"arxiv\.org/(?:abs|pdf)/(\d{4}\.\d{4,5})")
_MODEL_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]+)*|code|multilingual")
# The licences a test may need; the real list is longer, and as closed.
_PERMISSIVE = ("apache-2.0", "bsd", "bsd-2-clause", "bsd-3-clause", "mit", "unlicense")
_COPYLEFT = ("agpl-3.0", "gpl", "gpl-2.0", "gpl-3.0", "lgpl", "lgpl-3.0", "mpl-2.0")
_COMMONS = ("cc", "cc0-1.0", *(f"cc-by{terms}-{n}.0" for terms in ("", "-sa", "-nc", "-nc-sa", "-nd") for n in (3, 4)))
_LICENSES = frozenset((*_PERMISSIVE, *_COPYLEFT, *_COMMONS, "odbl", "openrail", "other", "unknown"))


@dataclass(frozen=True)
class Card:
    """What one README says: the metadata as written, and the tags of the repository that holds it."""

    data: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()


def read_card(readme: str, files: Iterable[str]) -> Card:
    # As JSON has it: dates are text, NaN and infinities are null.
    text = json.dumps(_metadata(readme), default=str, skipkeys=True)
    data = json.loads(text, parse_constant=lambda _: None)
    names = frozenset(files)
    return Card(data=data, tags=tuple(dict.fromkeys(_tags(data, readme, names))))


def problems(readme: str) -> tuple[list[str], list[str]]:
    """The errors and the warnings the Hub would answer for a README."""
    match = _BLOCK.match(readme)
    if match is None:
        return [], ["empty or missing yaml metadata in repo card"]
    try:
        data = _loaded(match[1])
    except yaml.YAMLError as error:
        return [f"bad YAML: {error}"], []
    if data is None:
        return [], ["empty or missing yaml metadata in repo card"]
    if not isinstance(data, dict):
        return ['"metadata" must be of type object'], []
    return list(_errors(data)), []


def is_lfs_by_attributes(path: str, gitattributes: str) -> bool:
    """Whether a `*.ending filter=lfs` line, the one form the Hub writes, claims the path."""
    endings = re.findall(r"^\*(\.\S+) filter=lfs", gitattributes, re.MULTILINE)
    return path.endswith(tuple(endings))


def _metadata(readme: str) -> dict[str, Any]:
    match = _BLOCK.match(readme)
    if match is None:
        return {}
    try:
        data = _loaded(match[1])
    except yaml.YAMLError:
        return {}
    return data if isinstance(data, dict) else {}


def _loaded(text: str) -> Any:
    """The metadata of a card. Raises YAMLError for anything that is wrong with it."""
    # Only what has many of these can nest on one line; the parser's stack has an end, and ends the process with it.
    if sum(map(text.count, "[{-?")) > _DEEPEST:
        depth = 0
        for event in yaml.parse(text, _LOADER):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                raise yaml.YAMLError(f"nested deeper than {_DEEPEST}")
    try:
        return yaml.load(text, _LOADER)
    except (ValueError, AttributeError) as error:  # dates that there are not, words tagged as timestamps
        raise yaml.YAMLError(f"{error}") from error


def _tags(data: Mapping[str, Any], readme: str, files: frozenset[str]) -> Iterator[str]:
    if "library_name" in data:
        yield str(data["library_name"])
    if any(name.endswith(".safetensors") for name in files):
        yield "safetensors"
    yield from _texts(data.get("tags"))
    if "pipeline_tag" in data:
        yield str(data["pipeline_tag"])
    if data.get("model-index"):
        yield "model-index"
    yield from _texts(data.get("language"))
    yield from (f"dataset:{name}" for name in _texts(data.get("datasets")))
    yield from (f"arxiv:{number}" for number in _ARXIV.findall(readme))
    for base in _texts(data.get("base_model")):
        yield f"base_model:{base}"
        yield f"base_model:{_relation(data, files)}:{base}"
    yield from (f"license:{name}" for name in _texts(data.get("license")))
    yield "region:us"


def _relation(data: Mapping[str, Any], files: frozenset[str]) -> str:
    if "base_model_relation" in data:
        return str(data["base_model_relation"])
    return "adapter" if "adapter_config.json" in files else "finetune"


def _texts(value: object) -> list[str]:
    if value is None:
        return []
    return [str(item) for item in (value if isinstance(value, list) else [value])]


def _errors(data: Mapping[str, Any]) -> Iterator[str]:
    for index, tag in enumerate(data.get("tags") or []):
        if not isinstance(tag, str):
            yield f'"tags[{index}]" must be a string'
    for language in _texts(data.get("language")):
        if not _LANGUAGE.fullmatch(language):
            yield f'"language" with value "{language}" is not valid. It must be an ISO 639-1, 639-2 or 639-3 code'
    for name in _texts(data.get("license")):
        if name not in _LICENSES:
            yield f'"license" must be one of {sorted(_LICENSES)}'
    for base in _texts(data.get("base_model")):
        if not _MODEL_ID.fullmatch(base):
            yield f'"base_model" with value "{base}" is not valid. Use a model id from https://hf.co/models.'
    yield from _index_errors(data.get("model-index"))


def _index_errors(index: object) -> Iterator[str]:
    if index is None:
        return
    if not isinstance(index, list) or not all(isinstance(model, dict) for model in index):
        yield '"model-index" must be an array of objects'
        return
    for number, model in enumerate(index):
        where = f"model-index[{number}]"
        if not isinstance(model.get("name"), str):
            yield f'"{where}.name" is required'
        for place, result in enumerate(model.get("results") or []):
            for part, key in (("task", "type"), ("dataset", "type"), ("dataset", "name")):
                if not isinstance((result.get(part) or {}).get(key), str):
                    yield f'"{where}.results[{place}].{part}.{key}" is required'
            for metric in result.get("metrics") or []:
                if not isinstance(metric.get("type"), str) or "value" not in metric:
                    yield f'"{where}.results[{place}].metrics" must each have a type and a value'


class Cards:
    """Cards by commit: a commit never changes, so its README is parsed once."""

    def __init__(self) -> None:
        self._known: dict[str, Card] = {}

    def of(self, sha: str, files: Mapping[str, Blob], readme: bytes | None) -> Card:
        if sha not in self._known:
            text = "" if readme is None else readme.decode("utf-8", "replace")
            self._known[sha] = read_card(text, files)
        return self._known[sha]

"""Every parser of text that strangers wrote, by name: what the tests of time and the fuzzer try."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from badx_hub.cli._output import printable
from badx_hub.control_characters import escaped, steering
from badx_hub.data.conllu import read_conllu
from badx_hub.data.entity_columns import read_columns
from badx_hub.data.pairs import read_pairs
from badx_hub.hub.errors import one_line
from badx_hub.hub.ref import HubRef, parse_location
from badx_hub.json_toml_yaml import read_json, read_toml, read_yaml
from badx_hub.languages import Mixture, normalise
from badx_hub.manifest import Manifest
from badx_hub.metric_key import MetricKey
from badx_hub.modeling.families import checked_config
from badx_hub.names import AdapterName, base_slug
from badx_hub.pickles import pickled_tensors
from badx_hub.recipes import load_recipe
from badx_hub.registry.cards import as_markdown
from badx_hub.registry.hub.readme import is_ours, merged
from badx_hub.registry.lock import Lock
from badx_hub.studies.study import load_study
from badx_hub.tasks.words import words_of
from badx_hub.web.inception import read_cas
from badx_hub.web.limits import Limits
from badx_hub.web.request_texts import read as read_served


def _filed(suffix: str, read: Callable[[Path], Any]) -> Callable[[str, Path], None]:
    def parse(text: str, folder: Path) -> None:
        path = folder / f"test{suffix}"
        path.write_bytes(text.encode())
        read(path)

    return parse


def _of(read: Callable[[str], Any]) -> Callable[[str, Path], None]:
    return lambda text, _: read(text)


NO_TYPES = '<typeSystemDescription xmlns="http://uima.apache.org/resourceSpecifier"/>'
NO_DOCUMENT = '<xmi:XMI xmlns:xmi="http://www.omg.org/XMI" xmi:version="2.0"/>'

PARSERS: dict[str, Callable[[str, Path], None]] = {
    "adapter-name": _of(AdapterName.parse),
    "repository-name": _of(AdapterName.from_repo_name),
    "module-name": _of(AdapterName.from_module_name),
    "base-slug": _of(base_slug),
    "mixture": _of(Mixture.parse),
    "ratio": _of(lambda text: Mixture.parse(f"en-wo@{text}")),
    "language": _of(normalise),
    "hub-place": _of(lambda text: HubRef.parse(f"hf:{text}")),
    "hub-revision": _of(lambda text: HubRef.parse(f"hf:a/b@{text}")),
    "location": _of(parse_location),
    "server-message": _of(one_line),
    "metric": _of(MetricKey.parse),
    "manifest": _of(lambda text: Manifest.from_json(text, "x")),
    "lock": _of(lambda text: Lock.parse(text.encode(), "x")),
    "card": _of(lambda text: merged(text, "---\na: b\n---\nx\n")),
    "card-metadata": _of(lambda text: merged(f"---\n{text}", "---\na: b\n---\nx\n")),
    "card-seal": _of(lambda text: is_ours(f"{text}<!-- badx-card x")),
    "markdown": _of(as_markdown),
    "escaping": _of(lambda text: (escaped(text), steering(text), printable(text))),
    "json": _of(lambda text: read_json(text, "x")),
    "toml": _of(lambda text: read_toml(text, "x")),
    "yaml": _of(lambda text: read_yaml(text[: 2**17], "x")),
    "study": _filed(".yaml", load_study),
    "recipe": _filed(".yaml", lambda path: load_recipe(str(path))),
    "conllu": _filed(".conllu", lambda path: list(read_conllu(path))),
    "columns": _filed(".conll", read_columns),
    "pairs": _filed(".tsv", lambda path: read_pairs(str(path), "test")),
    "records": _filed(".jsonl", lambda path: read_pairs(str(path), "test")),
    "words": _of(words_of),
    "base-config": _of(lambda text: checked_config(read_json(text, "x"), "x")),
    "pickle": _of(lambda text: pickled_tensors(BytesIO(text.encode("latin-1", "replace")), Path("x"))),
    "served-text": _of(lambda text: read_served(text, Limits())),
    "served-conllu": _of(lambda text: read_served(text, Limits(), conllu=True)),
    "cas": _of(lambda text: read_cas(text, NO_TYPES)),
    "cas-types": _of(lambda text: read_cas(NO_DOCUMENT, text)),
}

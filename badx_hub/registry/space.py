"""A Space of a Hub that shows a stack at work: app, requirements, card, and the stack's own files.

The adapters travel with the app, as a registry beside it, so that it shows the very versions that were chosen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from badx_hub.adapter_files import CARD_FILE
from badx_hub.errors import UsageError
from badx_hub.hub.client import HubClient
from badx_hub.hub.ref import HubRef
from badx_hub.languages import name_of
from badx_hub.names import sentences_in
from badx_hub.registry.cards import as_markdown, card_data
from badx_hub.registry.local import LocalRegistry
from badx_hub.registry.protocol import Registry
from badx_hub.registry.query import AdapterQuery
from badx_hub.registry.resolve import Resolution
from badx_hub.registry.transfer import copy
from badx_hub.storage import atomic_folder, scratch_folder

APP_FILE = "app.py"
_SETTINGS_FILE = "space.json"
_REGISTRY = "registry"
_DEMO = "demo"
_COLUMNS = {
    "pos": ("word", "tag"),
    "ner": ("word", "entity"),
    "dp": ("number", "word", "head", "relation"),
    "nli": ("premise", "hypothesis", "label"),
}
_INPUTS = {"nli": ("Premise", "Hypothesis")}
_WORDS = {
    "pos": "Part-of-speech tags",
    "ner": "Named entities",
    "dp": "Dependency trees",
    "nli": "Natural-language inference",
}


def write_space(query: AdapterQuery, found: Resolution, source: Registry, folder: Path) -> None:
    """Writes a Space to `folder`, which must not be there yet; it appears whole or not at all.

    `found` is what `query` means in `source`. In the folder: app.py (Gradio), requirements.txt, README.md with the
    Space's metadata, space.json with what the app shows, and registry/ with the adapters.

    Raises:
        UsageError: the query has no task, the base is a folder here, which a Space cannot reach, or `folder` is there.
        NotFoundError, IntegrityError, StorageError: as copying the adapters does.
    """
    if query.task is None:
        raise UsageError("A Space shows a task adapter at work. Name its task, such as pos.")
    if folder.exists():
        raise UsageError(f"{folder} is there already. Give a folder that is not there yet.")
    base = _base_of(found)
    with atomic_folder(folder) as staged:
        registry = LocalRegistry(staged / _REGISTRY)
        for entry in found.entries:
            copy(entry, source, registry)
        settings = _settings(query, base)
        app = files("badx_hub.cards").joinpath("space.py.j2").read_text(encoding="utf-8")
        texts = {
            APP_FILE: app,
            "requirements.txt": f"badx-hub=={version('badx-hub')}\ngradio>=5\n",
            _SETTINGS_FILE: json.dumps(settings, ensure_ascii=False, indent=2) + "\n",
            CARD_FILE: _card(found, settings, base),
        }
        for name, text in texts.items():
            (staged / name).write_text(text, encoding="utf-8")


def push_space(
    query: AdapterQuery, found: Resolution, source: Registry, place: HubRef, client: HubClient, *, private: bool = False
) -> str:
    """Publishes a Space as the repository `place`, which is made if it is not there. Returns its address.

    Raises like `write_space`, and DataError (the Hub refuses the card), HubError, NotFoundError.
    """
    with scratch_folder() as scratch:
        folder = scratch / "space"
        write_space(query, found, source, folder)
        client.check_card((folder / CARD_FILE).read_text(encoding="utf-8"), place.repo, kind="space")
        return client.push_space(place.repo, folder, private=private, message=f"Show {found.entry.name}")


def _base_of(found: Resolution) -> str:
    """The base as a Space can name it. Raises UsageError."""
    manifest = found.entry.manifest
    if manifest.base.name == _DEMO or card_data(manifest).base_model:
        return manifest.base.name
    raise UsageError(
        f"{found.entry.name} needs the base {manifest.base.name}, a folder here, which a Space cannot reach. "
        "Publish the base on the Hub and train on it under its id."
    )


def _settings(query: AdapterQuery, base: str) -> dict[str, Any]:
    mixture, task = query.mixture, str(query.task)
    ratio = None if mixture.is_balanced else mixture.ratio
    stack: Mapping[str, str | None] = {
        "source": mixture.source,
        "target": mixture.targets[-1],
        "task": task,
        "setup": query.setup,
        "ratio": ratio,
        "label": query.label,
        "base": base if base == _DEMO else None,
    }
    target = name_of(mixture.targets[-1])
    annotation = " and ".join(map(name_of, (mixture.source, *sentences_in(query.label, mixture))))
    alone = "" if sentences_in(query.label) else " alone"
    return {
        "title": f"{_WORDS.get(task, task)} in {target}",
        "description": f"Trained on {annotation} annotation{alone}, for {target} text (BAD-X).",
        "task": task,
        "inputs": _INPUTS.get(task, (f"{target} text",)),
        "columns": _COLUMNS.get(task, ("input", "prediction")),
        "stack": {key: value for key, value in stack.items() if value is not None},
    }


def _card(found: Resolution, settings: Mapping[str, Any], base: str) -> str:
    cards = [card_data(entry.manifest) for entry in found.entries]
    repos = [entry.place.repo for entry in found.entries if entry.place]
    bases = [str(card.base_model) for card in cards if card.base_model]
    metadata = {
        "title": settings["title"],
        "emoji": "🌍",
        "colorFrom": "blue",
        "colorTo": "green",
        "sdk": "gradio",
        "app_file": APP_FILE,
        "pinned": False,
        "models": list(dict.fromkeys([*repos, *bases])),
        "license": cards[-1].license,
        "tags": ["badx", "adapter-transformers"],
    }
    block = yaml.safe_dump(
        {k: v for k, v in metadata.items() if v not in (None, [])}, sort_keys=False, allow_unicode=True
    )
    lines = [f"- {as_markdown(entry.name)} ({entry.version})" for entry in found.entries]
    return (
        f"---\n{block}---\n\n# {as_markdown(settings['title'])}\n\n{as_markdown(settings['description'])}\n\n"
        f"Inside the base {as_markdown(base)}, with these adapters, which are in `{_REGISTRY}/`:\n\n"
        + "\n".join(lines)
        + "\n"
    )

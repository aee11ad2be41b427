"""A CoNLL-U file as one page that needs nothing else: trees, search, filters, and what differs from gold."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from badx_hub.annotation import output_name, probabilities
from badx_hub.control_characters import escaped
from badx_hub.data.conllu import RawSentence, Sentence, read_conllu, read_raw_conllu
from badx_hub.data.lines import BOM
from badx_hub.errors import DataError, UsageError
from badx_hub.pages import asset, json_in_html
from badx_hub.pages.differences import GoldComparison, compared, matched
from badx_hub.remedies import Advice
from badx_hub.storage import atomic_write_text, storage_errors
from badx_hub.tasks import TASKS
from badx_hub.templates import templates

MAX_CHARACTERS = 64_000_000
"""The most characters of a file that is shown: browsers open no page that is much longer."""

_MARK = '<meta name="generator" content="badx_hub.pages.view">'
_MARKED_BYTES = 2**10
_ENDINGS = (".html", ".htm")
_ANOTHER_NAME = (Advice("Give another name: {}.", (("output", "page.html"),)),)
_PROBABILITIES = [column for task in TASKS.values() if (column := task.probability_column)]


def write_view(path: Path, gold: Path | None = None, output: Path | None = None) -> Path:
    """Write the page of a CoNLL-U file and give back where it is: `output`, in that folder, or beside the file.

    A page that this function made is replaced; any other file is not. Raises what `view_page` does, UsageError for an
    `output` that cannot be it and StorageError.
    """
    target = _target(path, output)
    atomic_write_text(target, view_page(path, gold))
    return target


def view_page(path: Path, gold: Path | None = None) -> str:
    """The page of a CoNLL-U file; with `gold`, differences are marked and counted.

    Raises what `badx_hub.data.conllu.read_conllu` does, and DataError if a file has no sentence or is too long for a
    page, or if `gold` does not have the same words.
    """
    raws, sentences = [], []
    for raw, sentence in _bounded(path):
        raws.append(raw)
        sentences.append(sentence)
    if not sentences:
        raise DataError(f"{path} has no sentence. Give a CoNLL-U file that has one.")
    pairs = None if gold is None else matched(sentences, read_conllu(gold), (str(path), str(gold)))
    comparison = None if pairs is None else compared(pairs)
    return _rendered(
        {
            "file": escaped(path.name),
            "gold": escaped(gold.name) if gold else None,
            "sentences": len(sentences),
            "words": sum(len(sentence.words) for sentence in sentences),
            "scores": comparison.scores if comparison else {},
            "data": json_in_html(_data(raws, comparison)),
        }
    )


def _target(path: Path, output: Path | None) -> Path:
    """Where the page goes. Raises UsageError for what is no place for a page or would be lost."""
    name = Path(output_name(path).removesuffix(".gz")).with_suffix(_ENDINGS[0]).name
    target = path.parent / name if output is None else output / name if output.is_dir() else output
    if target.suffix.lower() not in _ENDINGS:
        raise UsageError(f"{target} is no name of a page: it does not end in {_ENDINGS[0]}.", remedies=_ANOTHER_NAME)
    with storage_errors(target):
        if target.exists() and not (target.is_file() and _is_page(target)):
            fact = f"{target} is there already and is no page of trees."
            raise UsageError(fact, remedies=_ANOTHER_NAME)
    return target


def _is_page(path: Path) -> bool:
    with path.open("rb") as stream:
        return _MARK.encode() in stream.read(_MARKED_BYTES)


def _bounded(path: Path) -> Iterator[tuple[RawSentence, Sentence]]:
    """The sentences of a file of bounded length. Raises what `read_raw_conllu` does, and DataError for a longer one."""
    length = 0
    for raw in read_raw_conllu(path):
        length += sum(map(len, raw.lines))
        if length > MAX_CHARACTERS:
            limit = f"{MAX_CHARACTERS:,}"
            raise DataError(f"{path} has more than {limit} characters, too many for one page. Give a part of it.")
        if raw.sentence is not None:
            yield raw, raw.sentence


def _data(raws: Sequence[RawSentence], comparison: GoldComparison | None) -> dict[str, Any]:
    """What the script of the page works on. Lists are in the order of the sentences."""
    certain = [probabilities(raw, _PROBABILITIES) for raw in raws]
    data: dict[str, Any] = {
        "sentences": [str(raw).removeprefix(BOM).rstrip() for raw in raws],
        "mean": [round(sum(found) / len(found), 3) if found else None for found in certain],
        "lowest": [min(found, default=None) for found in certain],
    }
    if comparison is not None:
        data["differences"] = [
            {str(number): difference._asdict() for number, difference in words.items()}
            for words in comparison.differences
        ]
        data["wrong"] = comparison.wrong
        data["labels"] = {
            column: [
                # Where the labels agree nobody looks for the sentences.
                [pair.gold, pair.file, len(places), [] if pair.gold == pair.file else sorted(set(places))]
                for pair, places in pairs.items()
            ]
            for column, pairs in comparison.labels.items()
        }
    return data


def _rendered(values: dict[str, Any]) -> str:
    script, style = asset("tree.js") + asset("view.js"), asset("tree.css") + asset("view.css")
    return (
        templates("badx_hub.pages")
        .get_template("view.html.j2")
        .render(
            **values,
            mark=Markup(_MARK),
            script=Markup(script),
            style=Markup(style),
            script_digest=_digest(script),
            style_digest=_digest(style),
        )
    )


def _digest(text: str) -> str:
    """As a Content-Security-Policy names a script or a style sheet that it allows."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"

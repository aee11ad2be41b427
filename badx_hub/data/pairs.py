"""Sentence pairs and their labels, read from tables, JSON lines and data sets of the Hub."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from badx_hub.data.dataset_rows import Rows, open_split
from badx_hub.data.lines import RETURN_HINT, json_objects, numbered_lines
from badx_hub.data.splits import DataReference, FileKind, Split
from badx_hub.errors import DataError, UsageError
from badx_hub.hub.ref import HUB
from badx_hub.languages import distance, normalise
from badx_hub.remedies import Advice
from badx_hub.storage import digest_of

_LOG = logging.getLogger(__name__)

LABELS = ("entailment", "neutral", "contradiction")
PAIR_FILES = FileKind("a table or JSON lines of pairs", (".tsv", ".jsonl", ".txt"), "*.{split}.tsv")

_NAMED: dict[str, str | None] = {
    **{label: label for label in LABELS},
    **dict(zip("enc", LABELS, strict=True)),  # in ANLI
    "contradictory": "contradiction",  # in the translated training data of XNLI
    "-": None,  # annotators disagreed (SNLI, MultiNLI)
    "": None,
}
_COLUMNS = {
    "premise": ("premise", "sentence1", "sentence_A", "context"),
    "hypothesis": ("hypothesis", "hypo", "sentence2", "sentence_B"),
    "label": ("gold_label", "label", "entailment_label", "entailment_judgment"),
}
_ROLES = frozenset(name for names in _COLUMNS.values() for name in names)
_HUB_NO_GOLD = -1

_ANNOTATOR = re.compile(r"label[1-5]")
_QUOTED = re.compile(r'"[^"]*(?:""[^"]*)*"')
_DOUBLED = re.compile(r'"(?:[^"]*"")+[^"]*"')
_PLAIN = (Advice("Quotes are text here: write cells without them, as csv.QUOTE_NONE does."),)

PlacedRow = tuple[str, Mapping[str, Any]]
"""FILE:LINE of a row, and its fields by name."""


@dataclass(frozen=True)
class Pair:
    """Two sentences and their label, one of `LABELS`, or None if it is unknown."""

    premise: str
    hypothesis: str
    label: str | None = None


def label_named(text: str) -> str | None:
    """One of `LABELS` by name, in any case; None for a mark of a missing label. Raises KeyError for other names."""
    return _NAMED[text.strip().lower()]


def read_pairs(data: str | Path, split: Split, language: str = "") -> tuple[Pair, ...]:
    """The pairs of a split, with or without a gold label; `data` is what `FileKind.split_files` takes, or `hf:...`.

    A table (`.tsv`, `.txt`) has a line of column names: premise, hypothesis and label, or sentence1, sentence2 and
    gold_label, as JSON lines (`.jsonl`) have fields; quotes are text. The own files of
    MultiNLI, XNLI, SICK and ANLI are such.
    `hf:DATASET[:CONFIG[:SPLIT]]` streams from the Hub. `language`, a tag or a name, is that of the rows that are read
    where a column `language` says it; empty: there is only one.

    Raises NotFoundError, UsageError and StorageError for the place, UsageError for what is no language. Raises
    DataError, starting with "FILE:LINE:", for missing columns, unknown labels (it lists all), labels that are numbers
    without names, cells quoted as in CSV, and several languages at once or none of those that are asked for.
    """
    data = os.fspath(data)
    if data.startswith(HUB):
        return _pairs(_streamed(open_split(data, split)), data, language)
    return tuple(
        pair
        for path in PAIR_FILES.split_files(data, split)
        for pair in _pairs(_reader(path)(path), str(path), language)
    )


def pair_references(data: str | Path, split: Split) -> tuple[DataReference, ...]:
    """Name and digest of what `read_pairs` reads."""
    data = os.fspath(data)
    if data.startswith(HUB):
        rows = open_split(data, split)
        return (DataReference(rows.name, digest_of([rows.name, rows.split, rows.content])),)
    return tuple(DataReference.of(path) for path in PAIR_FILES.split_files(data, split))


def _pairs(rows: Iterable[PlacedRow], source: str, language: str) -> tuple[Pair, ...]:
    pairs: list[Pair] = []
    unknown: dict[str, list[str]] = {}
    languages: set[str] = set()
    for place, row in _of_language(rows, source, language):
        premise, hypothesis, label = (_value(place, row, role) for role in _COLUMNS)
        languages.add(str(row.get("language", "")))
        name = _label(place, label)
        try:
            pairs.append(Pair(_text(place, premise), _text(place, hypothesis), label_named(name)))
        except KeyError:
            unknown.setdefault(name, []).append(place)
    _refuse(source, unknown, languages, len(pairs))
    if without := sum(pair.label is None for pair in pairs):
        _LOG.warning("%s: %d of %d pairs have no gold label and count for nothing", source, without, len(pairs))
    return tuple(pairs)


def _of_language(rows: Iterable[PlacedRow], source: str, language: str) -> Iterator[PlacedRow]:
    """The rows of a language, all of them if none is asked for."""
    if not language:
        yield from rows
        return
    wanted = normalise(language)
    there: dict[str, bool] = {}
    for place, row in rows:
        if (called := row.get("language")) is None:
            raise DataError(f"{place}: no column language that says which rows are {wanted}. Leave the language out.")
        if there.setdefault(str(called), _is(str(called), wanted)):
            yield place, row
    if not any(there.values()):
        raise DataError(f"{source} has no rows in {wanted}; there are: {', '.join(sorted(there)) or 'none'}.")


def _is(called: str, wanted: str) -> bool:
    """Whether rows are in the language, also where one of both is called by its macrolanguage (XNLI's sw is swh)."""
    try:
        return distance(wanted, normalise(called)) == 0
    except UsageError:
        return False


def _refuse(source: str, unknown: Mapping[str, list[str]], languages: set[str], pairs: int) -> None:
    if unknown:
        names = ", ".join(f"{label!r} ({len(places)}, first {places[0]})" for label, places in unknown.items())
        raise DataError(f"Unknown labels: {names}; expected {', '.join(LABELS)}, or - for none.")
    if len(languages) > 1:
        raise DataError(
            f"{source} mixes the languages {', '.join(sorted(languages))}.",
            remedies=(Advice("Say which is meant: {}.", (("options", ("language", sorted(languages)[0])),)),),
        )
    if not pairs:
        raise DataError(f"{source}: no pair; expected a premise, a hypothesis and a label in each row.")


def _value(place: str, row: Mapping[str, Any], role: str) -> Any:
    name = next((name for name in _COLUMNS[role] if name in row), None)
    if name is None:
        names = " or ".join(_COLUMNS[role])
        raise DataError(f"{place}: no column {names}; there is: {', '.join(row) or 'nothing'}.")
    return row[name]


def _text(place: str, value: Any) -> str:
    if not isinstance(value, str):
        raise DataError(
            f"{place}: expected a sentence, got {type(value).__name__}; give rows of one language, as text."
        )
    return value.strip()


def _label(place: str, value: Any) -> str:
    if value is not None and not isinstance(value, str):
        raise DataError(
            f"{place}: the label is {value!r}, and what a number means is not said; write {', '.join(LABELS)}."
        )
    return value or ""


# --- files ---


def _reader(path: Path) -> Callable[[Path], Iterator[PlacedRow]]:
    return json_objects if path.name.lower().removesuffix(".gz").endswith(".jsonl") else _table_rows


def _table_rows(path: Path) -> Iterator[PlacedRow]:
    lines = numbered_lines(path)
    first = next((line for _, line in islice(lines, 1)), "")
    if "\r" in first:
        raise DataError(f"{path}:1: {RETURN_HINT}")
    columns = [name.strip() for name in first.split("\t")]
    if twice := [name for name in columns if name in _ROLES and columns.count(name) > 1]:
        raise DataError(f"{path}:1: two columns are called {twice[0]}; leave the one that is meant.")
    if quoted := next((name for name in columns if _QUOTED.fullmatch(name)), None):
        raise DataError(f"{path}:1: the column {quoted} is quoted as in CSV.", remedies=_PLAIN)
    for number, line in lines:
        if not line.strip():
            continue
        if "\r" in line:
            raise DataError(f"{path}:{number}: {RETURN_HINT}")
        cells = line.split("\t")
        # Rows of MultiNLI's train.txt end after the first of five annotators' labels.
        if len(cells) < len(columns) and all(map(_ANNOTATOR.fullmatch, columns[len(cells) :])):
            cells += [""] * (len(columns) - len(cells))
        if len(cells) != len(columns):
            broken = any(map(_opens_quote, cells))
            raise DataError(
                f"{path}:{number}: {len(cells)} tab-separated columns, "
                f"the first line has {len(columns)}: {line[:60]!r}.",
                remedies=_PLAIN if broken else (),
            )
        row = dict(zip(columns, cells, strict=True))
        if any(map(_DOUBLED.fullmatch, cells)) or all(map(_QUOTED.fullmatch, cells)):
            raise DataError(f"{path}:{number}: cells are quoted as in CSV: {line[:60]!r}.", remedies=_PLAIN)
        yield f"{path}:{number}", row


def _opens_quote(cell: str) -> bool:
    """Whether the quote at the start of a cell is not closed in it."""
    return cell.startswith('"') and cell.count('"') % 2 == 1


# --- the Hub ---


def _streamed(rows: Rows) -> Iterator[PlacedRow]:
    for number, row in rows.numbered():
        yield f"{rows.name}: row {number}", {**row, **_named_labels(row, rows.stream.features)}


def _named_labels(row: Mapping[str, Any], features: Mapping[str, Any] | None) -> dict[str, str | None]:
    """Labels that the data set stores as numbers, as the names that the data set gives them."""
    named = {}
    for column in _COLUMNS["label"]:
        names, value = getattr((features or {}).get(column), "names", None), row.get(column)
        if names is not None and isinstance(value, int):
            named[column] = None if value == _HUB_NO_GOLD else names[value]
    return named

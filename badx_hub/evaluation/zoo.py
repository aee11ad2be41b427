"""A table of what is published: base x pair x task with scores, sizes and licences, from manifests alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from badx_hub.adapter_files import WEIGHT_FILES
from badx_hub.errors import UsageError
from badx_hub.hub.client import HubClient
from badx_hub.manifest import Manifest
from badx_hub.metric_key import MetricKey, Unit
from badx_hub.registry.protocol import Entry
from badx_hub.table import Cell, Table, to_csv, to_markdown
from badx_hub.templates import templates

_MISSING = "–"  # noqa: RUF001 - the dash of tables
_TITLE = "Published adapters"
_NOTES = (
    "Zero-shot scores are of languages that the adapter saw no labels of, the mean if there are several; on test "
    "data where it was measured there, else on dev data. Source scores are of the language of its labels, on dev data.",
    "Perplexities are of masked words in held-out text of the target and compare only within one base. "
    "Size: bytes of the weights.",
)


def zoo_table(entries: Iterable[Entry], size_of: Callable[[Entry], int | None]) -> Table:
    """One row an adapter, in the order base, languages, task; the columns of scores are those that occur.

    Scores that are fractions stand in per cent. `size_of` gives an entry's bytes, None where they are not known.
    """
    chosen = sorted(entries, key=lambda entry: (entry.name, entry.location))
    scores = [_scores(entry.manifest) for entry in chosen]
    columns = sorted({title for one in scores for title in one}, key=_rank)
    rows = []
    for entry, found in zip(chosen, scores, strict=True):
        numbers = [_number(found.get(column)) for column in columns]
        rows.append((*_who(entry), *numbers, _size(size_of(entry)), *_where(entry)))
    header = ("base", "languages", "task", "setup", *columns, "size", "licence", "where")
    return Table(header, tuple(rows), _TITLE, "zoo", _NOTES if rows else ())


def weight_bytes(entry: Entry, client: HubClient | None) -> int | None:
    """The bytes of an entry's weights: of its files in a folder, as listed by a Hub; None if nobody can be asked."""
    names = entry.manifest.files.keys() & set(WEIGHT_FILES)
    if entry.place is None:
        paths = [Path(entry.location) / name for name in names]
        return sum(path.stat().st_size for path in paths) if all(path.is_file() for path in paths) else None
    if client is None:
        return None
    listed = client.files(entry.place)
    return sum(listed[name].size for name in names) if names <= listed.keys() else None


def rendered(table: Table, ending: str) -> str:
    """The table as the ending of a file wants it: ".md", ".html" (self-contained) or ".csv". Raises UsageError."""
    writers: Mapping[str, Callable[[Table], str]] = {".md": to_markdown, ".html": _to_html, ".csv": to_csv}
    if ending not in writers:
        raise UsageError(
            f"{ending or 'No ending'} is no form of the table. Expected a file named *.md, *.html or *.csv."
        )
    return writers[ending](table)


def _to_html(table: Table) -> str:
    section = {"name": table.name, "title": f"{len(table.rows)} adapters", "parts": (table,)}
    page = templates("badx_hub.cards").get_template("report.html.j2")
    return page.render(title=_TITLE, introduction=(), sections=(section,), address="", citation="")


def _scores(manifest: Manifest) -> dict[str, float]:
    """The figures of a row by their columns. The mean where a column has several languages."""
    if manifest.task is None:
        targets = MetricKey.target_perplexity(manifest.languages.targets)
        value = manifest.metrics.get("dev", {}).get(str(targets))
        return {} if value is None else {f"target {targets.title}": value}
    source = manifest.languages.source
    found: dict[str, list[float]] = {}
    splits = sorted(manifest.metrics, key=lambda split: (split != "test", split))
    for split in splits:
        of_split: dict[str, list[float]] = {}
        for text, value in manifest.metrics[split].items():
            key = MetricKey.parse(text)
            if key.label is not None or key.language is None:
                continue
            few = key.language in manifest.target_sentences
            sort = "source" if key.language == source else "few-shot" if few else "zero-shot"
            if sort != "source" or split == "dev":
                of_split.setdefault(_column(sort, key), []).append(_shown(key, value))
        found = of_split | found
    return {column: sum(values) / len(values) for column, values in found.items()}


def _column(sort: str, key: MetricKey) -> str:
    return f"{sort} {key.title}{' (%)' if key.unit is Unit.FRACTION else ''}"


def _shown(key: MetricKey, value: float) -> float:
    return 100 * value if key.unit is Unit.FRACTION else value


def _rank(column: str) -> tuple[int, str]:
    """Zero-shot scores first, then few-shot ones, those of the source, then perplexities."""
    return ("zero-shot", "few-shot", "source", "target").index(column.partition(" ")[0]), column


def _who(entry: Entry) -> Sequence[Cell]:
    name = entry.name
    texts = (entry.manifest.base.name, str(name.mixture), name.task or name.kind, name.setup or "")
    return [Cell.of_text(text) for text in texts]


def _where(entry: Entry) -> Sequence[Cell]:
    place = entry.place.repo if entry.place else str(entry.name)
    return [Cell.of_text(entry.manifest.licence or ""), Cell.of_text(place)]


def _number(value: float | None) -> Cell:
    return Cell(_MISSING) if value is None else Cell(f"{value:.1f}", round(value, 4))


def _size(count: int | None) -> Cell:
    return Cell(_MISSING) if count is None else Cell(f"{count:,}", count)

"""Annotated words on the Hub, kept in the cache as files: the treebanks of a data set of Universal Dependencies as the
CoNLL-U that they were, and rows of other data sets.

The data set (`DATASET_VARIABLE`) has parquet files with a sentence a row: tokens, upos, head, deprel and the other
columns of CoNLL-U as lists, `mwt` and `empty_nodes` for what lies between the words. Each treebank has a folder, or
files, that begin with its code, such as wo_wtb.
"""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, unquote

from badx_hub.data.conllu import COLUMNS, NOT_ANNOTATED
from badx_hub.data.dataset_rows import open_split
from badx_hub.data.splits import SPLITS, DataReference, Split, split_in
from badx_hub.errors import DataError, NotFoundError, UsageError
from badx_hub.hub.datasets import HubDataset
from badx_hub.hub.ref import HUB
from badx_hub.languages import normalise
from badx_hub.storage import atomic_folder, digest_of, home

DATASET_VARIABLE = "BADX_HUB_UD"
DEFAULT_DATASET = "commul/universal_dependencies"

_CODE = re.compile(r"[a-z]{2,3}_[a-z0-9]+")
_FIELDS = {
    "LEMMA": ("lemmas", "lemma"),
    "UPOS": ("upos", "upos_tags", "pos_tags"),
    "XPOS": ("xpos",),
    "FEATS": ("feats",),
    "HEAD": ("head", "heads"),
    "DEPREL": ("deprel", "deprels"),
    "DEPS": ("deps",),
    "MISC": ("misc",),
}
_STRUCTURED = ("XPOS", "FEATS", "DEPS", "MISC")
_WORDS = ("tokens", "words", "form", "forms")
_TAGS = ("ner_tags", "tags", "ner", "labels")
_DIGITS = 16


def dataset() -> str:
    """The data set on the Hub that `ud:` names are looked up in: $BADX_HUB_UD, by default that of CommUL."""
    return os.environ.get(DATASET_VARIABLE) or DEFAULT_DATASET


def cached_treebank(name: str, revision: str | None) -> Path | None:
    """The folder of a treebank fetched before, at a commit or else the latest fetched; None if there is none."""
    pattern = f"{_slug(dataset())}@{revision or ''}*/{name}"
    found = [path for path in _cache().glob(pattern) if path.is_dir()] if _cache().is_dir() else []
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def fetched_treebank(name: str, revision: str | None) -> Path:
    """The folder of a treebank, "UD_Wolof-WTB", after fetching it, with a file wo_wtb-ud-test.conllu a split.

    Raises NotFoundError for a treebank that the data set does not have, HubError where the Hub cannot be asked, and
    DataError for files that are no treebank.
    """
    found = HubDataset.at(dataset(), revision)
    code, files = _files_of(found, name)
    final = _cache() / f"{_slug(found.repo)}@{found.commit}" / name
    if final.is_dir():
        return final
    with atomic_folder(final) as folder:
        for split, paths in files.items():
            rows = chain.from_iterable(map(_rows, found.download(paths)))
            text = "".join(_sentence(row, f"{found.repo}: {paths[0]}") for row in rows)
            (folder / f"{code}-ud-{split}.conllu").write_text(text, encoding="utf-8", newline="\n")
    return final


def sentences_file(data: str, split: Split) -> Path:
    """The rows of `hf:DATASET[:CONFIG[:SPLIT]]`, with columns as in such data sets, as a CoNLL-U file in the cache."""
    return _written(data, split, ".conllu", _sentence)


def entities_file(data: str, split: Split) -> Path:
    """The rows of `hf:DATASET[:CONFIG[:SPLIT]]`, tokens and ner_tags, as columns of words and tags in the cache."""
    return _written(data, split, ".txt", _tagged)


def references(paths: Iterable[Path]) -> tuple[DataReference, ...]:
    """Name and digest of files, for manifests; the name of a fetched one says from which commit."""
    found = ((_origin_of(path), DataReference.of(path)) for path in paths)
    return tuple(replace(one, name=f"{origin}{one.name}") for origin, one in found)


def _origin_of(path: Path) -> str:
    """Where a fetched file is from, with the commit, as the beginning of its name in manifests; else empty."""
    if _cache() not in path.absolute().parents:
        return ""
    treebank, place = path.absolute().parts[-2:-4:-1]
    return f"{HUB}{unquote(place)}/{treebank}/"


def _written(data: str, split: Split, ending: str, line_of: Callable[[Mapping[str, Any], str], str]) -> Path:
    """The file that a data set's rows make; the name of its folder changes with their content."""
    rows = open_split(data, split)
    final = _cache() / f"{_slug(rows.name.removeprefix(HUB))}@{digest_of(rows.content)[:_DIGITS]}" / f"{split}{ending}"
    if not final.is_dir():
        names = {name: _names_in(feature) for name, feature in (rows.stream.features or {}).items()}
        known = {name: found for name, found in names.items() if found}
        with atomic_folder(final) as folder, (folder / f"{split}{ending}").open("w", encoding="utf-8") as stream:
            for number, row in rows.numbered():
                stream.write(line_of(_named(dict(row), known), f"{rows.name}: row {number}"))
    return final / f"{split}{ending}"


def _names_in(feature: Any) -> list[str] | None:
    """The names of labels in a column of lists of `datasets`."""
    inner = feature[0] if isinstance(feature, list) else getattr(feature, "feature", None)
    return getattr(inner, "names", None)


def _tagged(row: Mapping[str, Any], where: str) -> str:
    """A row as columns of words and tags. Raises DataError."""
    words, tags = _column(row, _WORDS), _column(row, _TAGS)
    if words is None or tags is None:
        raise DataError(f"{where}: expected the columns tokens and ner_tags; there is: {', '.join(row)}.")
    if len(words) != len(tags) or not all(isinstance(tag, str) for tag in tags):
        raise DataError(f"{where}: expected a named tag for each of {len(words)} words, got {str(tags)[:60]}.")
    lines = [f"{_cell(word, 'FORM')}\t{tag}\n" for word, tag in zip(words, tags, strict=True)]
    return "".join([*lines, "\n"])


def _cache() -> Path:
    return home() / "cache" / "treebanks"


def _slug(repo: str) -> str:
    return quote(repo, safe="")


def _files_of(found: HubDataset, name: str) -> tuple[str, dict[Split, list[str]]]:
    """The code of a treebank in the data set, and its parquet files by split."""
    files: dict[str, dict[Split, list[str]]] = {}
    for file in sorted(found.files):
        if (place := _place(file)) is not None:
            files.setdefault(place[0], {}).setdefault(place[1], []).append(file)
    language, _, bank = name.removeprefix("UD_").partition("-")
    codes = [code for code in files if code.partition("_")[2] == bank.lower()]
    if len(codes) > 1:
        codes = [code for code in codes if _same_language(code.partition("_")[0], language)]
    if not codes or not _may_be(codes[0].partition("_")[0], language):
        raise NotFoundError(f"The data set {found.repo} has no treebank {name}; set {DATASET_VARIABLE} to another.")
    return codes[0], {split: files[codes[0]][split] for split in SPLITS if split in files[codes[0]]}


def _place(file: str) -> tuple[str, Split] | None:
    """The code of the treebank and the split of a parquet file; None for any other file."""
    path = PurePosixPath(file)
    if path.suffix != ".parquet":
        return None
    code = next((part for part in path.parts[:-1] if _CODE.fullmatch(part)), None)
    if code is None and (match := re.match(rf"({_CODE.pattern})[-.]", path.name)):
        code = match[1]
    split = split_in(path.stem) or next(filter(None, map(split_in, path.parts[:-1])), None)
    return (code, split) if code and split else None


def _same_language(code: str, language: str) -> bool:
    with suppress(UsageError):
        return normalise(code) == normalise(language.replace("_", " "))
    return False


def _may_be(code: str, language: str) -> bool:
    """Whether a code may be of a language that UD calls so: UD has codes and names that BCP-47 does not have."""
    try:
        return normalise(code) == normalise(language.replace("_", " "))
    except UsageError:
        return True


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as table:
            names = _class_names(table.schema_arrow.metadata or {})
            for batch in table.iter_batches(batch_size=256):
                yield from (_named(row, names) for row in batch.to_pylist())
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path.name} is not a sound parquet file ({error}). Fetch it again.") from error


def _class_names(metadata: Mapping[bytes, bytes]) -> dict[str, list[str]]:
    """The names of labels that `datasets` stores as numbers, by column."""
    with suppress(ValueError, AttributeError, KeyError, TypeError):
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        inner = {key: value.get("feature", value) for key, value in features.items() if isinstance(value, dict)}
        return {key: value["names"] for key, value in inner.items() if isinstance(value, dict) and value.get("names")}
    return {}


def _named(row: dict[str, Any], names: Mapping[str, list[str]]) -> dict[str, Any]:
    return {
        key: [names[key][one] if isinstance(one, int) and 0 <= one < len(names[key]) else one for one in value]
        if key in names and value
        else value
        for key, value in row.items()
    }


def _sentence(row: Mapping[str, Any], where: str) -> str:
    """A row as CoNLL-U. Raises DataError for columns that are missing or of other lengths than the words."""
    words = _column(row, _WORDS)
    if words is None:
        raise DataError(f"{where} has no column tokens; its columns are {', '.join(row)}.")
    numbers = [str(number) for number in range(1, len(words) + 1)]
    columns = [numbers, [_cell(word, "FORM") for word in words]]
    for name, fields in _FIELDS.items():
        cells = _column(row, fields)
        if cells is not None and len(cells) != len(words):
            raise DataError(f"{where}: {len(cells)} cells of {name} for {len(words)} words.")
        columns.append([_cell(cell, name) for cell in cells] if cells is not None else [NOT_ANNOTATED] * len(words))
    lines = ["\t".join(cells) for cells in zip(*columns, strict=True)]
    return "\n".join([*_comments(row), *_with_others(lines, row, where), "", ""])


def _column(row: Mapping[str, Any], names: Sequence[str]) -> Sequence[Any] | None:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _cell(value: Any, column: str) -> str:
    """A cell of CoNLL-U; also of what older data sets wrote, Python's text of None, a dict or a list."""
    text = str(value) if isinstance(value, str | int) else ""
    if column in _STRUCTURED and (text == "None" or text[:1] in ("{", "[")):
        with suppress(ValueError, SyntaxError):
            value = ast.literal_eval(text)
            text = ""
    if isinstance(value, dict):
        text = "|".join(key if one is None else f"{key}={one}" for key, one in value.items())
    elif isinstance(value, list):
        text = "|".join(f"{pair[1]}:{pair[0]}" for pair in value if isinstance(pair, tuple) and len(pair) == 2)
    return re.sub(r"[\t\r\n]+", " ", text) or NOT_ANNOTATED


def _comments(row: Mapping[str, Any]) -> list[str]:
    given = [re.sub(r"[\r\n]+", " ", one) for one in row.get("comments") or () if isinstance(one, str)]
    comments = [one if one.startswith("#") else f"# {one}" for one in given]
    for key, fields in (("sent_id", ("sent_id", "idx")), ("text", ("text",))):
        value = next((row[name] for name in fields if row.get(name)), None)
        if isinstance(value, str) and not any(re.match(rf"# *{key} *=", one) for one in comments):
            comments.append(f"# {key} = " + re.sub(r"[\r\n]+", " ", value))
    return comments


def _with_others(lines: list[str], row: Mapping[str, Any], where: str) -> list[str]:
    """The lines of the words with range lines before, and empty nodes after, the words they belong to."""
    before: dict[int, list[str]] = {}
    after: dict[int, list[str]] = {}
    for one in chain(row.get("mwt") or (), row.get("empty_nodes") or ()):
        line, identifier = _other(one), str(one.get("id") if isinstance(one, dict) else "")
        if match := re.fullmatch(r"([0-9]+)-[0-9]+", identifier):
            before.setdefault(int(match[1]), []).append(line)
        elif match := re.fullmatch(r"([0-9]+)\.[0-9]+", identifier):
            after.setdefault(int(match[1]), []).append(line)
        else:
            raise DataError(f"{where}: {one!r} is neither a range of words nor an empty node.")
    found = list(after.get(0, ()))
    for number, line in enumerate(lines, start=1):
        found += [*before.get(number, ()), line, *after.get(number, ())]
    return found


def _other(one: Any) -> str:
    fields = one if isinstance(one, dict) else {}
    named = {"ID": ("id",), "FORM": ("form", "token"), **_FIELDS}
    cells = (
        (next((fields[key] for key in named[name] if fields.get(key) is not None), None), name) for name in COLUMNS
    )
    return "\t".join(_cell(cell, name) for cell, name in cells)

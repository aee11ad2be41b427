"""CoNLL-U: a strict, streaming reader and a writer (https://universaldependencies.org/format.html).

Reading keeps the file: the `RawSentence`s of a file are all of it, byte for byte, and only the cells that are replaced
change. We do not use the `conllu` package: errors in other people's treebanks have to name the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from badx_hub.data.lines import BOM, RETURN_HINT, numbered_whole_lines, stripped
from badx_hub.errors import DataError

COLUMNS = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")
NOT_ANNOTATED = "_"
NO_SPACE = "SpaceAfter=No"

_FORM, _UPOS, _HEAD, _DEPREL, _MISC = (COLUMNS.index(name) for name in ("FORM", "UPOS", "HEAD", "DEPREL", "MISC"))
_SUFFIXES = tuple(name + end for name in (".conllu", ".conll") for end in ("", ".gz"))
_WORD_ID = re.compile(r"[1-9][0-9]{0,8}")
_RANGE_ID = re.compile(r"([1-9][0-9]{0,8})-([1-9][0-9]{0,8})")
_EMPTY_NODE_ID = re.compile(r"[0-9]{1,9}\.[1-9][0-9]{0,8}")
_HEAD_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")
_COMMENT = re.compile(r"# *(text|sent_id) *= ?(.*)")
_GLOBAL_COLUMNS = re.compile(r"# *global\.columns *=(.*)")
_CELL_BREAK = re.compile(r"[\t\r\n]")
_LINE_BREAKS = re.compile(r"[\r\n]+")


@dataclass(frozen=True)
class Sentence:
    """The syntactic words of a sentence with one tag, head and relation each.

    `upos` and `deprels` hold "_" and `heads` None where nothing is annotated; a head is the number of a
    word, counted from 1, or 0 for the root. `line` is where the sentence starts in its file, 0 without a file;
    comparisons ignore it. Raises DataError for a sentence that cannot be written as CoNLL-U.
    """

    words: tuple[str, ...]
    upos: tuple[str, ...]
    heads: tuple[int | None, ...]
    deprels: tuple[str, ...]
    text: str | None = None
    sent_id: str | None = None
    line: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        if not len(self.words) == len(self.upos) == len(self.heads) == len(self.deprels):
            raise DataError("A sentence needs one tag, one head and one relation for each of its words.")
        for cell in (*self.words, *self.upos, *self.deprels):
            if not cell or _CELL_BREAK.search(cell):
                raise DataError(f"{cell!r} is no word or tag: these are not empty and hold no tab or line break.")

    @classmethod
    def of(
        cls,
        words: Iterable[str],
        upos: Iterable[str] | None = None,
        *,
        text: str | None = None,
        sent_id: str | None = None,
    ) -> Sentence:
        """A sentence without a tree and, unless `upos` is given, without tags."""
        words = tuple(words)
        blank = (NOT_ANNOTATED,) * len(words)
        tags = blank if upos is None else tuple(upos)
        return cls(words, tags, (None,) * len(words), blank, text, sent_id)


@dataclass(frozen=True)
class RawSentence:
    """A piece of a CoNLL-U file as it stands there, and the sentence in it.

    `lines` have their ends, and the first one of a file its byte order mark; `words` are the indices of the lines of
    the syntactic words. `sentence` is None for what has no word, such as comments or blank lines that stand alone.

    A column is named as in `COLUMNS`, or "MISC.KEY" for the value of one key in MISC; "_" is no value, and no key.
    """

    lines: tuple[str, ...]
    words: tuple[int, ...] = ()
    sentence: Sentence | None = None

    @classmethod
    def of(cls, sentence: Sentence) -> RawSentence:
        """A sentence that comes from no file; without words it has no lines."""
        text = to_conllu(sentence)
        lines = tuple(f"{line}\n" for line in text.split("\n")[:-1])
        first = len(lines) - 1 - len(sentence.words)
        return cls(lines, tuple(range(first, len(lines) - 1)), sentence)

    def __str__(self) -> str:
        return "".join(self.lines)

    def cells(self, column: str) -> tuple[str, ...]:
        """What the column says of each word; "_" where it says nothing."""
        name, _, key = column.partition(".")
        index = COLUMNS.index(name)
        found = (_content(self.lines[line]).split("\t")[index] for line in self.words)
        return tuple(_attribute(cell, key) for cell in found) if key else tuple(found)

    def replaced(self, columns: Mapping[str, Sequence[str]]) -> RawSentence:
        """The same piece with other cells, one a word, in these columns; everything else stays as it is.

        Raises DataError for a cell that is empty or would break its line, or if there is not one for each word.
        """
        if self.sentence is None:
            return self
        for name, cells in columns.items():
            if len(cells) != len(self.words):
                raise DataError(f"{len(cells)} cells for {name}; expected one for each of {len(self.words)} words.")
            if wrong := [cell for cell in cells if not cell or _CELL_BREAK.search(cell)]:
                raise DataError(f"{wrong[0]!r} is no cell: cells are not empty and hold no tab or line break.")
        lines = list(self.lines)
        for position, line in enumerate(self.words):
            content = _content(lines[line])
            row = content.split("\t")
            for name, cells in columns.items():
                _put(row, name, cells[position])
            lines[line] = "\t".join(row) + lines[line][len(content) :]
        return replace(self, lines=tuple(lines), sentence=_viewed(self.sentence, columns))

    def surface(self) -> str:
        """The text that the surface tokens make: ranges in place of their words, no space after SpaceAfter=No."""
        pieces: list[str] = []
        number = end_of_range = 0
        for index, line in enumerate(self.lines):
            row = _content(line).removeprefix(BOM).split("\t")
            if match := _RANGE_ID.fullmatch(row[0]):
                end_of_range = int(match[2])
            elif index in self.words:
                number += 1
                if number <= end_of_range:
                    continue
            else:
                continue
            pieces += [row[_FORM], "" if NO_SPACE in row[_MISC].split("|") else " "]
        return "".join(pieces).rstrip(" ")


def is_conllu_name(path: Path) -> bool:
    """Whether a file's name says that it is CoNLL-U: .conllu or .conll, in any case, also with .gz."""
    return path.name.lower().endswith(_SUFFIXES)


def looks_like_conllu(line: str) -> bool:
    """Whether a line without its end can be the first row of a sentence: no line of text has ten columns."""
    row = line.split("\t")
    return len(row) == len(COLUMNS) and re.match(r"(?:1|1-[0-9]+|0\.1)\Z", row[0]) is not None


def read_conllu(path: Path) -> Iterator[Sentence]:
    """The sentences of a `.conllu` or `.conllu.gz` file; memory holds one sentence at a time.

    Surface tokens (`1-2`) and empty nodes (`1.1`) are checked and left out: the syntactic words remain. The last blank
    line may be missing.

    Raises what `numbered_lines` does, and DataError, starting with "FILE:LINE:", for anything that is not CoNLL-U.
    """
    return (raw.sentence for raw in read_raw_conllu(path) if raw.sentence is not None)


def read_raw_conllu(path: Path) -> Iterator[RawSentence]:
    """All of a file, piece by piece: joined, the pieces are the file. Errors and memory as in `read_conllu`."""
    return raw_sentences(numbered_whole_lines(path), str(path))


def raw_sentences(lines: Iterable[tuple[int, str]], name: str) -> Iterator[RawSentence]:
    """The pieces that numbered whole lines make; errors are those of `read_conllu` and call the file `name`."""
    piece: list[str] = []
    start = 1
    for number, line in lines:
        if not piece:
            start = number
        piece.append(line)
        if not stripped(number, line).strip(" "):
            yield _piece(name, start, piece)
            piece = []
    if piece:
        yield _piece(name, start, piece)


def to_conllu(sentence: Sentence) -> str:
    """The sentence as CoNLL-U, with its closing blank line; columns that a Sentence does not hold are "_".

    If all words are found in its text, MISC says where no space follows. A sentence without words is the empty text.
    """
    if not sentence.words:
        return ""
    comments = [
        f"# {key} = {_LINE_BREAKS.sub(' ', value)}"
        for key, value in (("sent_id", sentence.sent_id), ("text", sentence.text))
        if value is not None
    ]
    spacing = _spacing(sentence.words, sentence.text)
    annotation = zip(sentence.words, sentence.upos, sentence.heads, sentence.deprels, spacing, strict=True)
    rows = [
        f"{number}\t{word}\t_\t{tag}\t_\t_\t{NOT_ANNOTATED if head is None else head}\t{relation}\t_\t{space}"
        for number, (word, tag, head, relation, space) in enumerate(annotation, start=1)
    ]
    return "\n".join([*comments, *rows, "", ""])


def _spacing(words: Sequence[str], text: str | None) -> list[str]:
    """MISC of each word: whether the next one follows it in the text without a space."""
    spacing = [NOT_ANNOTATED] * len(words)
    end = 0
    for index, word in enumerate(words):
        start = -1 if text is None else text.find(word, end)
        if start < 0:
            return [NOT_ANNOTATED] * len(words)
        if index and start == end:
            spacing[index - 1] = NO_SPACE
        end = start + len(word)
    return spacing


def _content(line: str) -> str:
    return line.rstrip("\r\n")


def _attribute(misc: str, key: str) -> str:
    values = (part.partition("=") for part in misc.split("|"))
    return next((value for name, equals, value in values if name == key and equals), NOT_ANNOTATED)


def _put(row: list[str], column: str, cell: str) -> None:
    """Write a cell into the columns of a row."""
    name, _, key = column.partition(".")
    if not key:
        row[COLUMNS.index(name)] = cell
        return
    index = COLUMNS.index(name)
    parts = [] if row[index] == NOT_ANNOTATED else row[index].split("|")
    places = [place for place, part in enumerate(parts) if part.startswith(f"{key}=")]
    at = places[0] if places else len(parts)
    for place in reversed(places):
        del parts[place]
    parts[at:at] = [] if cell == NOT_ANNOTATED else [f"{key}={cell}"]
    row[index] = "|".join(parts) or NOT_ANNOTATED


def _viewed(sentence: Sentence, columns: Mapping[str, Sequence[str]]) -> Sentence:
    heads = sentence.heads
    if "HEAD" in columns:
        heads = tuple(None if cell == NOT_ANNOTATED else int(cell) for cell in columns["HEAD"])
    return replace(
        sentence,
        upos=tuple(columns.get("UPOS", sentence.upos)),
        deprels=tuple(columns.get("DEPREL", sentence.deprels)),
        heads=heads,
    )


def _piece(name: str, start: int, lines: Sequence[str]) -> RawSentence:
    """One sentence as it stands in the file; `sentence` is None for blank lines and for comments without words."""
    contents = [stripped(start + index, line) for index, line in enumerate(lines)]
    rows = _word_rows(name, start, contents)
    if not rows:
        return RawSentence(tuple(lines))
    comments = {match[1]: match[2] for line in contents if line[:1] == "#" and (match := _COMMENT.fullmatch(line))}
    sentence = Sentence(
        words=tuple(row[_FORM] for _, row in rows),
        upos=tuple(row[_UPOS] for _, row in rows),
        heads=tuple(_head(f"{name}:{start + index}", row, len(rows)) for index, row in rows),
        deprels=tuple(row[_DEPREL] for _, row in rows),
        text=comments.get("text"),
        sent_id=comments.get("sent_id"),
        line=start,
    )
    return RawSentence(tuple(lines), tuple(index for index, _ in rows), sentence)


def _word_rows(name: str, start: int, lines: Sequence[str]) -> list[tuple[int, list[str]]]:
    """(index of its line, columns) of each syntactic word; `start` is the number of the first line."""
    rows: list[tuple[int, list[str]]] = []
    end_of_range = 0
    inside, where = False, ""
    for index, line in enumerate(lines):
        if not line.strip(" "):
            continue
        where = f"{name}:{start + index}"
        if line.startswith("#"):
            if inside:
                raise DataError(f"{where}: a comment inside a sentence; is the blank line above it missing?")
            if (match := _GLOBAL_COLUMNS.fullmatch(line)) and tuple(match[1].split()) != COLUMNS:
                raise DataError(f"{where}: CoNLL-U Plus; expected CoNLL-U with the columns {' '.join(COLUMNS)}.")
            continue
        inside = True
        columns = _columns(where, line)
        identifier, due = columns[0], len(rows) + 1
        if _WORD_ID.fullmatch(identifier):
            if int(identifier) != due:
                raise DataError(f"{where}: word {identifier} where word {due} is due; is a blank line missing?")
            rows.append((index, columns))
        elif match := _RANGE_ID.fullmatch(identifier):
            first, last = int(match[1]), int(match[2])
            if not end_of_range < first == due < last:
                raise DataError(f"{where}: range {identifier} is out of place; word {due} is due.")
            end_of_range = last
        elif not _EMPTY_NODE_ID.fullmatch(identifier):
            raise DataError(f"{where}: ID is {identifier!r}, not a word (1), a range (1-2) or an empty node (1.1).")
    if end_of_range > len(rows) or (inside and not rows):
        raise DataError(f"{where}: the sentence ends after word {len(rows)}, more words were announced.")
    return rows


def _columns(where: str, line: str) -> list[str]:
    columns = line.split("\t")
    if "\r" in line:
        raise DataError(f"{where}: {RETURN_HINT}")
    if len(columns) != len(COLUMNS):
        raise DataError(f"{where}: {len(columns)} tab-separated columns, expected {len(COLUMNS)}: {line[:60]!r}.")
    if "" in columns:
        name = COLUMNS[columns.index("")]
        raise DataError(f"{where}: column {name} is empty; CoNLL-U writes _ for a missing value.")
    return columns


def _head(where: str, columns: list[str], words: int) -> int | None:
    identifier, head = columns[0], columns[_HEAD]
    if head == NOT_ANNOTATED:
        return None
    if not _HEAD_NUMBER.fullmatch(head):
        raise DataError(f"{where}: HEAD is {head!r}, expected the number of a word, 0 or _.")
    if int(head) > words or head == identifier:
        raise DataError(
            f"{where}: HEAD of word {identifier} is {head}; the sentence has {words} words, none heads itself."
        )
    return int(head)

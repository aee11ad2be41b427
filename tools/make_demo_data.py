"""Build the embedded data (``badx_hub/demo/data``) from a folder of corpora.

    python tools/make_demo_data.py ../shared/data

Only redistributable text is taken: the English Web Treebank and the Wolof treebank (CC BY-SA 4.0) and the
Wolof New Testament of the bible-corpus (CC0). What lies between them in the source files has other terms and
stays out. The same folder always gives the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, takewhile
from pathlib import Path

from badx_hub.errors import DataError

TARGET = Path(__file__).parents[1] / "badx_hub" / "demo" / "data"

EWT = "UD_English-EWT/en_ewt-ud-{split}.conllu"
WTB = "UD_Wolof-WTB/wo_wtb-ud-{split}.conllu"

# Matthew 1:1 and Revelation 22:21 enclose the New Testament; no other text of wo.txt holds either line.
FIRST_VERSE = "Lii mooy cosaanu Yeesu Kirist, sëtu Daawuda, sëtu Ibraayma."
LAST_VERSE = "Na yiwu Boroom bi Yeesu ànd ak yéen ñépp."
VERSES = 7957

# The splits go through the genres of the web one after the other: every fourth sentence keeps all of them.
DEV_STRIDE = 4

_COLUMNS = 10
_BLANKED = frozenset({4, 5, 8, 9})  # XPOS, FEATS, DEPS, MISC
_KEPT_COMMENTS = ("# sent_id =", "# text =")


def read_lines(path: Path) -> tuple[str, ...]:
    """The lines of a UTF-8 file, split at newlines only (a line may hold other Unicode separators)."""
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}); give the folder of text/ and ud/") from error
    return tuple(text.removesuffix("\n").split("\n"))


def treebank_texts(path: Path) -> frozenset[str]:
    """The sentences of a CoNLL-U file, from their ``# text`` comments."""
    prefix = "# text = "
    return frozenset(line.removeprefix(prefix) for line in read_lines(path) if line.startswith(prefix))


def leading_sentences(lines: Sequence[str], sentences: frozenset[str], source: str) -> tuple[str, ...]:
    """The lines at the start that are sentences of the treebank; the first other line ends them.

    Raises:
        DataError: not even the first line belongs to the treebank.
    """
    found = tuple(takewhile(sentences.__contains__, lines))
    if not found:
        raise DataError(f"the text does not start with the training sentences of {source}")
    return found


def new_testament(lines: Sequence[str]) -> tuple[str, ...]:
    """The verses from Matthew 1:1 to Revelation 22:21, which end the file.

    Raises:
        DataError: the two verses do not enclose the end of the text.
    """
    if lines.count(FIRST_VERSE) != 1 or lines[-1] != LAST_VERSE:
        raise DataError(
            "the Wolof text must end with the New Testament, Matthew 1:1 to Revelation 22:21; "
            "without this border its licence cannot be told"
        )
    verses = tuple(lines[lines.index(FIRST_VERSE) :])
    if len(verses) > VERSES:
        raise DataError(f"{len(verses)} lines after Matthew 1:1, but the New Testament has {VERSES} verses")
    return verses


def sentences_of(path: Path) -> Iterator[tuple[str, ...]]:
    """The sentences of a CoNLL-U file, each as its lines without the empty one that ends it."""
    block: list[str] = []
    for line in read_lines(path):
        if line:
            block.append(line)
        elif block:
            yield tuple(block)
            block = []
    if block:
        yield tuple(block)


def slim(sentence: Sequence[str]) -> tuple[str, ...]:
    """A sentence with XPOS, FEATS, DEPS and MISC blanked and only the comments ``sent_id`` and ``text``.

    Empty nodes go as well: they live in DEPS alone.
    """
    kept = []
    for line in sentence:
        if line.startswith("#"):
            if line.startswith(_KEPT_COMMENTS):
                kept.append(line)
            continue
        columns = line.split("\t")
        if len(columns) != _COLUMNS:
            raise DataError(f"expected {_COLUMNS} tab-separated columns, found {len(columns)}: {line!r}")
        if "." not in columns[0]:
            kept.append("\t".join("_" if i in _BLANKED else value for i, value in enumerate(columns)))
    return tuple(kept)


def write_gzip(path: Path, lines: Iterable[str]) -> None:
    """Write lines as gzip without a time stamp or a file name, so that equal lines give equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{line}\n" for line in lines)
    path.write_bytes(gzip.compress(text.encode("utf-8"), compresslevel=9, mtime=0))


def write_treebank(source: Path, target: Path, stride: int = 1) -> None:
    """Write every ``stride``-th sentence of a CoNLL-U file, slimmed and compressed."""
    picked = islice(sentences_of(source), 0, None, stride)
    write_gzip(target, (line for sentence in picked for line in (*slim(sentence), "")))


def make_data(corpora: Path, target: Path = TARGET) -> None:
    """Build the data folder from ``corpora/text`` and ``corpora/ud``.

    Raises:
        DataError: a file is missing, or holds something else than expected.
    """
    ud = corpora / "ud"
    ewt, wtb = (treebank_texts(ud / name.format(split="train")) for name in (EWT, WTB))
    english = read_lines(corpora / "text/en.txt")
    wolof = read_lines(corpora / "text/wo.txt")
    write_gzip(target / "text/en.txt.gz", leading_sentences(english, ewt, "UD_English-EWT"))
    write_gzip(
        target / "text/wo.txt.gz",
        (*leading_sentences(wolof, wtb, "UD_Wolof-WTB"), *new_testament(wolof)),
    )
    for name, split, stride in (
        (EWT, "train", 1),
        (EWT, "dev", DEV_STRIDE),
        (WTB, "dev", 1),
        (WTB, "test", 1),
    ):
        file = name.format(split=split)
        write_treebank(ud / file, target / "ud" / f"{file}.gz", stride)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Build the embedded demo data.")
    parser.add_argument("corpora", type=Path, help="folder with text/{en,wo}.txt and ud/UD_*/")
    parser.add_argument("--target", type=Path, default=TARGET)
    options = parser.parse_args(arguments)
    make_data(options.corpora, options.target)


if __name__ == "__main__":
    main()

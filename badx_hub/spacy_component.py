"""A component for spaCy: what the stacks of a pair predict, written into its documents.

    nlp = spacy.blank("xx")
    nlp.add_pipe("badx_hub", config={"pair": "en-wo", "tasks": ["pos", "dp"]})

spaCy finds it by its entry point; nothing else of badx_hub imports this module. It has to do without
`from __future__ import annotations`: spaCy reads the types of the factory's parameters.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc, Span

from badx_hub.errors import IntegrityError, UsageError
from badx_hub.languages import Mixture
from badx_hub.registry import AdapterQuery
from badx_hub.registry.lock import resolved
from badx_hub.stack import BilingualStack, StackParts, load_together
from badx_hub.storage import atomic_write_text
from badx_hub.tasks import task_named
from badx_hub.tasks.labels import ROOT
from badx_hub.user_paths import user_path

FACTORY = "badx_hub"
ROOT_OF_SPACY = "ROOT"
"""spaCy's name of the relation of a root, which its own components look for."""

_STACKS_FILE = "stacks.json"
_LINE_PARTS = re.compile(r"[\t\r\n]")
_ErrorHandler = Callable[[str, Any, list[Doc], Exception], object]


@Language.factory(
    FACTORY,
    assigns=["token.pos", "token.dep", "token.head", "doc.sents", "doc.ents"],
    default_config={
        "setup": "bad-x",
        "base": None,
        "ratio": None,
        "label": None,
        "registry": None,
        "lock": None,
        "fallback": None,
        "offline": False,
        "batch_size": 32,
    },
)
def make_component(
    nlp: Language,
    name: str,
    pair: str,
    tasks: list[str],
    setup: str,
    base: str | None,
    ratio: str | None,
    label: str | None,
    registry: str | list[str] | None,
    lock: str | None,
    fallback: str | None,
    offline: bool,
    batch_size: int,
) -> "StackComponent":
    """The component, with its stacks loaded and checked.

    Many arguments: they are the config of the component, and mean what they mean in `load_bilingual_stack`. `tasks` are
    some of "pos", "dp" and "ner"; `batch_size` is windows a forward pass. Raises what `load_bilingual_stack` does.
    """
    if len({*tasks}) != len(tasks) or not tasks:
        raise UsageError(f"The tasks are {tasks!r}; expected each of them once, at least one.")
    wanted = Mixture.parse(pair).with_ratio(ratio)
    parts = []
    for task in tasks:
        if not task_named(task).columns:
            raise UsageError(f"What {task} predicts has no place in a document of spaCy. Take pos, dp or ner.")
        query = AdapterQuery(wanted, task, base=base, setup=setup, label=label)
        found_lock = None if lock is None else user_path(lock)
        chain, found = resolved(query, registry, lock=found_lock, fallback=fallback, offline=offline)
        parts.append(StackParts(found.entries, chain, found.setup))
    return StackComponent(name, load_together(parts, base=base, offline=offline), batch_size)


@dataclass(frozen=True)
class _Piece:
    """A sentence of a document, or all of one without sentences: its tokens that are no white space."""

    doc: Doc
    tokens: tuple[int, ...]
    spaces: tuple[int, ...]

    @property
    def words(self) -> list[str]:
        return [_LINE_PARTS.sub(" ", self.doc[token].text) for token in self.tokens]


class StackComponent:
    """Writes the predictions of stacks into documents of spaCy.

    A document with sentence boundaries is read sentence by sentence, any other as one sentence. Parsing sets the
    sentences: each tree is one. White space gets the tag SPACE and hangs on the word before it.
    """

    def __init__(self, name: str, stacks: Sequence[BilingualStack], batch_size: int) -> None:
        self.name = name
        self.stacks = tuple(stacks)
        self.batch_size = batch_size
        self._on_error: _ErrorHandler = _raised

    def __call__(self, doc: Doc) -> Doc:
        self._fill([doc])
        return doc

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """The documents, in order; `batch_size` of them are predicted together, and no more are held."""
        source = iter(stream)
        while docs := list(islice(source, batch_size)):
            try:
                self._fill(docs)
            except Exception as error:
                self._on_error(self.name, self, docs, error)
            else:
                yield from docs

    def set_error_handler(self, handler: _ErrorHandler) -> None:
        """What `Language.set_error_handler` sets: called with the documents that failed, which are left out."""
        self._on_error = handler

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """Names and digests of the adapters; the weights stay in their registry."""
        return json.dumps(self._versions(), indent=2, ensure_ascii=False).encode()

    def from_bytes(self, content: bytes, *, exclude: Iterable[str] = ()) -> "StackComponent":
        """Check that the adapters are those that were saved. Raises IntegrityError."""
        if json.loads(content) != self._versions():
            raise IntegrityError(
                "The adapters that were found are not those that the pipeline was saved with: "
                f"{_told(json.loads(content))} then, {_told(self._versions())} now. Name the lock file of those in the "
                'config: "lock".'
            )
        return self

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """`to_bytes` in a folder."""
        atomic_write_text(Path(path) / _STACKS_FILE, self.to_bytes().decode())

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> "StackComponent":
        """`from_bytes` of what `to_disk` wrote. Raises IntegrityError."""
        return self.from_bytes((Path(path) / _STACKS_FILE).read_bytes())

    def _versions(self) -> dict[str, dict[str, str]]:
        return {
            stack.task.name: {str(entry.name): entry.manifest.digest for entry in stack.entries}
            for stack in self.stacks
        }

    def _fill(self, docs: Sequence[Doc]) -> None:
        pieces = [piece for doc in docs for piece in _pieces(doc)]
        found = [[stack.task.prepare(piece.words) for piece in pieces] for stack in self.stacks]
        for stack, examples in zip(self.stacks, found, strict=True):
            predictions = stack.predict_examples(examples, batch_size=self.batch_size)
            cells = [stack.task.cells(*pair) for pair in zip(examples, predictions, strict=True)]
            columns = [dict(zip(stack.task.columns, one, strict=True)) for one in cells]
            if "UPOS" in stack.task.columns:
                _tag(docs, pieces, [column["UPOS"] for column in columns])
            elif "HEAD" in stack.task.columns:
                heads = [[int(cell) for cell in column["HEAD"]] for column in columns]
                _attach(docs, pieces, heads, [column["DEPREL"] for column in columns])
            else:
                records = [stack.task.record(*pair) for pair in zip(examples, predictions, strict=True)]
                _set_entities(docs, pieces, [record["entities"] for record in records])


def _pieces(doc: Doc) -> Iterator[_Piece]:
    """The sentences of a document that have a word."""
    for span in doc.sents if doc.has_annotation("SENT_START") else [doc[:]]:
        tokens = tuple(token.i for token in span if not token.is_space)
        if tokens:
            yield _Piece(doc, tokens, tuple(token.i for token in span if token.is_space))


def _tag(docs: Sequence[Doc], pieces: Sequence[_Piece], tags: Sequence[Sequence[str]]) -> None:
    for piece, of_piece in zip(pieces, tags, strict=True):
        for token, tag in zip(piece.tokens, of_piece, strict=True):
            piece.doc[token].pos_ = tag
    for space in (token for doc in docs for token in doc if token.is_space):
        space.pos_ = "SPACE"


def _attach(
    docs: Sequence[Doc], pieces: Sequence[_Piece], heads: Sequence[Sequence[int]], relations: Sequence[Sequence[str]]
) -> None:
    """Set heads and relations of whole documents at once: spaCy derives the sentences from them."""
    # A sentence of white space alone has no word to hang on.
    arrays: dict[int, Any] = {
        id(doc): np.array([(0, doc.vocab.strings.add(ROOT_OF_SPACY))] * len(doc), np.uint64) for doc in docs
    }
    for piece, numbers, names in zip(pieces, heads, relations, strict=True):
        array, strings = arrays[id(piece.doc)], piece.doc.vocab.strings
        for token, number, relation in zip(piece.tokens, numbers, names, strict=True):
            offset = piece.tokens[number - 1] - token if number else 0
            label = ROOT_OF_SPACY if relation == ROOT else relation
            array[token] = (np.int64(offset).astype(np.uint64), strings.add(label))
        for token in piece.spaces:
            before = max((word for word in piece.tokens if word < token), default=piece.tokens[0])
            array[token] = (np.int64(before - token).astype(np.uint64), strings.add("dep"))
    for doc in docs:
        if len(doc):
            doc.from_array(["HEAD", "DEP"], arrays[id(doc)])


def _set_entities(docs: Sequence[Doc], pieces: Sequence[_Piece], entities: Sequence[Sequence[dict[str, Any]]]) -> None:
    spans: dict[int, list[Span]] = {id(doc): [] for doc in docs}
    for piece, found in zip(pieces, entities, strict=True):
        for entity in found:
            first, last = piece.tokens[entity["start"]], piece.tokens[entity["end"] - 1]
            spans[id(piece.doc)].append(Span(piece.doc, first, last + 1, label=entity["type"]))
    for doc in docs:
        doc.set_ents(spans[id(doc)], default="outside")


def _told(versions: dict[str, dict[str, str]]) -> str:
    entries = sorted({(name, digest) for of_task in versions.values() for name, digest in of_task.items()})
    return ", ".join(f"{name} {digest[:12]}" for name, digest in entries)


def _raised(name: str, component: Any, docs: list[Doc], error: Exception) -> None:
    raise error

"""INCEpTION's protocol for external recommenders: a document comes in as UIMA CAS XMI and goes back with suggestions.

The protocol is version 1 of INCEpTION's developer guide ("External recommender"): POST predict and POST train below
the address that the user enters. Documents are read with `dkpro-cassis` (the extra `inception`).
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any
from xml.etree import ElementTree

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from badx_hub.data.conllu import NOT_ANNOTATED, RawSentence, Sentence
from badx_hub.data.entity_columns import entities_of
from badx_hub.web.jobs import JobRunner
from badx_hub.web.limits import RequestRefused
from badx_hub.web.request_texts import AnnotatedSentence, bounded

_DKPRO = "de.tudarmstadt.ukp.dkpro.core.api"
TOKEN, SENTENCE = f"{_DKPRO}.segmentation.type.Token", f"{_DKPRO}.segmentation.type.Sentence"
POS, DEPENDENCY = f"{_DKPRO}.lexmorph.type.pos.POS", f"{_DKPRO}.syntax.type.dependency.Dependency"
ENTITY = f"{_DKPRO}.ner.type.NamedEntity"

TASK_OF = {
    (POS, "PosValue"): "pos",
    (POS, "coarseValue"): "pos",
    (DEPENDENCY, "DependencyType"): "dp",
    (ENTITY, "value"): "ner",
}
"""Which task makes suggestions for a layer and its feature."""

MAX_TYPES, MAX_FEATURES, MAX_INHERITANCE = 2_000, 20_000, 12
"""What a type system may have, inherited features counted for each type; INCEpTION's own has some 200 types."""

PREDICTED = "inception_internal_predicted"
_DECLARATION = re.compile(r"\s*<\?xml([^>]*)\?>")
_UTF8 = re.compile(r"""encoding\s*=\s*["']utf-?8["']""", re.IGNORECASE)
_BREAKS = re.compile(r"[\t\r\n]+")


class _Message(BaseModel):
    """Later versions of INCEpTION may say more than is read here."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class CasMetadata(_Message):
    """What INCEpTION wants suggestions for."""

    layer: str
    feature: str


class CasDocument(_Message):
    """A document of a user."""

    xmi: str
    document_id: int | str | None = Field(None, alias="documentId")
    user_id: str | None = Field(None, alias="userId")


class PredictRequest(_Message):
    """A document that suggestions are asked for."""

    metadata: CasMetadata
    document: CasDocument
    type_system: str = Field(alias="typeSystem")


class PredictResponse(_Message):
    """The document with the suggestions in it, as XMI."""

    document: str


@dataclass(frozen=True)
class _Unit:
    """A sentence of the document: its tokens, and the same as a sentence to predict on."""

    tokens: Sequence[Any]
    raw: RawSentence


def add_recommender(app: FastAPI, jobs: JobRunner) -> None:
    """The routes below /inception, one address a stack; /inception/predict is for the only one."""

    @app.post("/inception/{stack}/predict", summary="INCEpTION: suggestions for a document")
    async def predict(stack: str, asked: PredictRequest, request: Request) -> PredictResponse:
        return await _predicted(jobs, stack, asked, request)

    @app.post("/inception/predict", summary="INCEpTION: the same where one stack is served")
    async def predict_with_the_only_one(asked: PredictRequest, request: Request) -> PredictResponse:
        return await _predicted(jobs, None, asked, request)

    @app.post("/inception/{stack}/train", summary="INCEpTION: refused, since a stack is trained already")
    @app.post("/inception/train", include_in_schema=False)
    async def train() -> Response:
        raise RequestRefused(
            501,
            "A stack is trained from files, before it is served. Untick Trainable in the settings of the recommender.",
        )


async def _predicted(jobs: JobRunner, stack: str | None, asked: PredictRequest, request: Request) -> PredictResponse:
    choice = jobs.served.choice(stack)
    wanted = (asked.metadata.layer, asked.metadata.feature)
    task = TASK_OF.get(wanted)
    if task is None:
        known = ", ".join(f"{layer.rpartition('.')[2]} ({feature})" for layer, feature in TASK_OF)
        raise RequestRefused(422, f"No task makes suggestions for that layer and feature; there are {known}.")
    if task not in choice.tasks:
        raise RequestRefused(422, f"{choice.key} has no task {task}; it has {', '.join(choice.tasks)}.")
    cas = await asyncio.to_thread(read_cas, asked.document.xmi, asked.type_system)
    units = await asyncio.to_thread(_units, cas)
    pieces = bounded((unit.raw for unit in units), jobs.served.limits)
    done = await jobs.run(request, choice, jobs.served.annotating(choice, (task,), pieces))
    return PredictResponse(document=await asyncio.to_thread(_suggesting, cas, units, done, wanted))


def read_cas(xmi: str, type_system: str) -> Any:
    """The document. Raises RequestRefused: 501 without the extra, 400 for what is no CAS."""
    if find_spec("cassis") is None:
        raise RequestRefused(501, "INCEpTION's documents need one package more: pip install 'badx-hub[inception]'.")
    import cassis

    for part in (xmi, type_system):
        _refuse_entities(part)
    try:
        _refuse_deep_types(type_system)
        return cassis.load_cas_from_xmi(xmi, cassis.load_typesystem(type_system))
    except RequestRefused:
        raise
    except Exception as error:  # lxml and cassis raise what they come across
        raise RequestRefused(400, f"The document is no UIMA CAS as XMI ({type(error).__name__}).") from error


def _refuse_entities(xml: str) -> None:
    """XML in UTF-8 without a document type: none that defines entities or names files."""
    declared = _DECLARATION.match(xml)
    if (declared and "encoding" in declared[1] and not _UTF8.search(declared[1])) or "<!DOCTYPE" in xml:
        raise RequestRefused(400, "XML is read in UTF-8 and without a document type (<!DOCTYPE).")


def _refuse_deep_types(type_system: str) -> None:
    """Bound the types, and the features they have and inherit, which cost `cassis` time with the square and more.

    Raises ParseError for what is no XML.
    """
    above: dict[str | None, str | None] = {}
    own: dict[str | None, int] = {}
    for one in ElementTree.fromstring(type_system.encode()).iter():
        if str(one.tag).rpartition("}")[2] == "typeDescription":
            name = one.findtext("{*}name")
            above[name] = one.findtext("{*}supertypeName")
            own[name] = len(one.findall("{*}features/{*}featureDescription"))
    if len(above) > MAX_TYPES:
        raise RequestRefused(413, f"The type system has more than {MAX_TYPES:,} types.")
    features = 0
    for name in above:
        kind, depth = name, 0
        while kind in above:
            features, kind, depth = features + own[kind], above[kind], depth + 1
            if depth > MAX_INHERITANCE or features > MAX_FEATURES:
                raise RequestRefused(
                    413,
                    f"The type system inherits through more than {MAX_INHERITANCE} types, or its types have more than "
                    f"{MAX_FEATURES:,} features.",
                )


def _units(cas: Any) -> tuple[_Unit, ...]:
    """The sentences that have a token; without sentences the whole document is one."""
    try:
        groups = _grouped(list(cas.select(SENTENCE)), list(cas.select(TOKEN)))
    except Exception as error:  # types that are not there, offsets outside of the text
        raise RequestRefused(400, "The document has no tokens and sentences of DKPro Core.") from error
    found = []
    for group in groups:
        words = [_BREAKS.sub(" ", token.get_covered_text()) for token in group]
        tokens = [token for token, word in zip(group, words, strict=True) if word.strip()]
        if tokens:
            found.append(_Unit(tokens, RawSentence.of(Sentence.of(word for word in words if word.strip()))))
    return tuple(found)


def _grouped(sentences: Sequence[Any], tokens: Sequence[Any]) -> list[list[Any]]:
    """The tokens of each sentence, in order, each of them in one: in the first, should sentences overlap."""
    if not sentences:
        return [list(tokens)]
    groups = []
    due = deque(sorted(tokens, key=lambda one: (one.begin, one.end)))
    for sentence in sorted(sentences, key=lambda one: (one.begin, one.end)):
        group = []
        while due and due[0].begin < sentence.end:
            token = due.popleft()
            if token.begin >= sentence.begin and token.end <= sentence.end:
                group.append(token)
        groups.append(group)
    return groups


def _suggesting(cas: Any, units: Sequence[_Unit], done: Sequence[AnnotatedSentence], wanted: tuple[str, str]) -> str:
    """The document as XMI, with a suggestion for each tag, arc or name."""
    layer, feature = wanted
    suggest = _SUGGESTIONS[layer]
    try:
        kind = cas.typesystem.get_type(layer)
        known = {one.name for one in kind.all_features}
        if PREDICTED not in known:
            raise RequestRefused(400, f"The layer has no feature {PREDICTED}; expected what INCEpTION sends.")
        for unit, one in zip(units, done, strict=True):
            for fields, score in suggest(unit, one, feature):
                if (scored := f"{feature}_score") in known and score is not None:
                    fields[scored] = score
                cas.add(kind(**fields, **{PREDICTED: True}))
        return str(cas.to_xmi())
    except RequestRefused:
        raise
    except Exception as error:
        raise RequestRefused(400, f"The layer cannot take suggestions ({type(error).__name__}).") from error


ScoredFeatures = tuple[dict[str, Any], float | None]
"""The features of an annotation, and how probable it is."""


def _tags(unit: _Unit, one: AnnotatedSentence, feature: str) -> Iterator[ScoredFeatures]:
    for token, tag, score in zip(unit.tokens, one.raw.cells("UPOS"), one.probabilities["UPOS"], strict=True):
        yield {"begin": token.begin, "end": token.end, feature: tag}, score


def _arcs(unit: _Unit, one: AnnotatedSentence, feature: str) -> Iterator[ScoredFeatures]:
    """Relations from head to dependent; the root is its own head, as in DKPro Core."""
    rows = zip(unit.tokens, one.raw.cells("HEAD"), one.raw.cells("DEPREL"), one.probabilities["HEAD"], strict=True)
    for token, head, relation, score in rows:
        governor = unit.tokens[int(head) - 1] if int(head) else token
        fields = {"begin": token.begin, "end": token.end, "Governor": governor, "Dependent": token, feature: relation}
        yield fields, score


def _names(unit: _Unit, one: AnnotatedSentence, feature: str) -> Iterator[ScoredFeatures]:
    """Names of one or more words; a name is as probable as its least probable word."""
    tags = [tag if tag != NOT_ANNOTATED else None for tag in one.raw.cells("MISC.name")]
    for kind, first, last in entities_of(tags):
        scores = [score for score in one.probabilities["NAME"][first : last + 1] if score is not None]
        fields = {"begin": unit.tokens[first].begin, "end": unit.tokens[last].end, feature: kind}
        yield fields, min(scores, default=None)


_SUGGESTIONS: dict[str, Callable[[_Unit, AnnotatedSentence, str], Iterator[ScoredFeatures]]] = {
    POS: _tags,
    DEPENDENCY: _arcs,
    ENTITY: _names,
}

"""The routes of the server, behind the guard that checks every request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus
from importlib.resources import files
from typing import Any, Literal

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field

from badx_hub import __version__
from badx_hub.data.conllu import NOT_ANNOTATED
from badx_hub.errors import BadxError, DataError, UsageError
from badx_hub.pages import asset
from badx_hub.web.guard import AsgiApp, Guard, Policy
from badx_hub.web.inception import add_recommender
from badx_hub.web.jobs import JobRunner
from badx_hub.web.limits import RequestRefused
from badx_hub.web.reference import reference_page
from badx_hub.web.request_texts import AnnotatedSentence, read
from badx_hub.web.served_stacks import Choice, ServedStacks

_SCRIPT, _STYLE = "text/javascript; charset=utf-8", "text/css; charset=utf-8"
_OWN_FILES = {"page.js": _SCRIPT, "document.js": _SCRIPT, "page.css": _STYLE}
_TREE_FILES = {"tree.js": _SCRIPT, "tree.css": _STYLE}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AnnotateRequest(_Body):
    """A text to annotate."""

    text: str = Field(description="CoNLL-U, or text, a sentence a line: CoNLL-U if the first row has ten columns.")
    stack: str | None = Field(None, description="One of the keys of GET /api/stacks; not needed if there is one.")
    tasks: tuple[str, ...] | None = Field(
        None, description="Such as pos, dp; in this order. Default: all of the stack; []: only read the text."
    )
    overwrite: bool = Field(False, description="Replace what is annotated. Default: fill only what is _.")
    conllu: bool = Field(False, description="The text is known to be CoNLL-U, whatever its first row.")
    output: Literal["json", "conllu"] = Field("json", description="conllu: only the CoNLL-U, as text/plain.")


class AnnotatedWord(_Body):
    """A syntactic word; `probability` is that of what was filled in now: of the tag, the head, the entity tag."""

    form: str
    upos: str | None
    head: int | None
    deprel: str | None
    name: str | None
    probability: dict[str, float]


class AnnotatedPiece(_Body):
    """A piece of the text as CoNLL-U. The pieces, joined, are the whole; one without words is comments or blank."""

    conllu: str
    words: tuple[AnnotatedWord, ...]


class AnnotateResponse(_Body):
    """The annotated text."""

    pieces: tuple[AnnotatedPiece, ...]


class StackDescription(_Body):
    """A stack that is served."""

    key: str
    title: str
    languages: tuple[str, ...]
    base: str
    tasks: tuple[str, ...]
    labels: dict[str, tuple[str, ...]] = Field(description="What each task may say of a word.")


class NoAnswer(_Body):
    """Why there is no answer, in one line."""

    error: str


_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": NoAnswer, "description": HTTPStatus(status).phrase}
    for status in (400, 401, 403, 404, 408, 413, 415, 421, 422, 429, 500, 503)
}


def application(served: ServedStacks, policy: Policy, explain: Callable[[BadxError], str] = str) -> AsgiApp:
    """All of the server as an ASGI application; `explain` is how an error of ours is told."""
    app = FastAPI(
        title="badx_hub",
        version=__version__,
        description="Tags, trees and names by the stacks of a registry.",
        docs_url=None,
        redoc_url=None,
        responses=_ERRORS,
    )
    _add_pages(app)
    jobs = JobRunner(served, explain)
    _add_api(app, jobs)
    add_recommender(app, jobs)
    _add_errors(app, explain)
    return Guard(app, policy, served.limits)


def _add_pages(app: FastAPI) -> None:
    contents = {name: files("badx_hub.web").joinpath("static", name).read_text("utf-8") for name in _OWN_FILES}
    contents |= {name: asset(name) for name in _TREE_FILES}
    kinds = _OWN_FILES | _TREE_FILES
    page = files("badx_hub.web").joinpath("static", "page.html").read_text("utf-8")

    @app.get("/", include_in_schema=False)
    async def show_page() -> HTMLResponse:
        return HTMLResponse(page)

    @app.get("/static/{name}", include_in_schema=False)
    async def show_file(name: str) -> Response:
        if name not in contents:
            raise RequestRefused(404, "There is no such file.")
        return Response(contents[name], media_type=kinds[name], headers={"cache-control": "no-cache"})

    @app.get("/api", include_in_schema=False)
    async def show_reference() -> HTMLResponse:
        return HTMLResponse(reference_page(app.openapi()))


def _add_api(app: FastAPI, jobs: JobRunner) -> None:
    served = jobs.served

    @app.get("/health", summary="Whether the server is up, and how many texts it is working on")
    async def health() -> dict[str, str | int]:
        return {"status": "ok", "waiting": served.waiting}

    @app.get("/api/stacks", summary="The stacks that can be chosen")
    async def stacks() -> tuple[StackDescription, ...]:
        return tuple(_described(choice) for choice in served.choices.values())

    @app.post("/api/annotate", summary="Fill the empty columns of a text")
    async def annotate(asked: AnnotateRequest, request: Request) -> AnnotateResponse:
        pieces = await asyncio.to_thread(read, asked.text, served.limits, conllu=asked.conllu)
        if asked.tasks == ():
            done = tuple(AnnotatedSentence(raw, {}) for raw in pieces)
        else:
            choice = served.choice(asked.stack)
            tasks = _known(choice, asked.tasks)
            done = await jobs.run(request, choice, served.annotating(choice, tasks, pieces, overwrite=asked.overwrite))
        if asked.output == "conllu":
            whole = "".join(str(one.raw) for one in done)
            return PlainTextResponse(whole)  # type: ignore[return-value]
        return AnnotateResponse(pieces=tuple(map(_piece, done)))


def _known(choice: Choice, tasks: tuple[str, ...] | None) -> tuple[str, ...]:
    if unknown := [task for task in tasks or () if task not in choice.tasks]:
        raise RequestRefused(422, f"{choice.key} has no task {unknown[0]!r}; it has {', '.join(choice.tasks)}.")
    return choice.tasks if tasks is None else tuple(dict.fromkeys(tasks))


def _described(choice: Choice) -> StackDescription:
    return StackDescription(
        key=choice.key,
        title=choice.title,
        languages=choice.languages,
        base=choice.base,
        tasks=choice.tasks,
        labels={task: part.entries[-1].manifest.labels or () for task, part in choice.parts.items()},
    )


def _piece(one: AnnotatedSentence) -> AnnotatedPiece:
    raw = one.raw
    columns = [raw.cells(column) for column in ("FORM", "UPOS", "HEAD", "DEPREL", "MISC.name")]
    numbers = {name.lower(): column for name, column in one.probabilities.items()}
    words = (
        AnnotatedWord(
            form=form,
            upos=_value(upos),
            head=int(head) if head != NOT_ANNOTATED else None,
            deprel=_value(deprel),
            name=_value(name),
            probability={key: value for key, column in numbers.items() if (value := column[index]) is not None},
        )
        for index, (form, upos, head, deprel, name) in enumerate(zip(*columns, strict=True))
    )
    return AnnotatedPiece(conllu=str(raw), words=tuple(words))


def _value(cell: str) -> str | None:
    return None if cell == NOT_ANNOTATED else cell


def _add_errors(app: FastAPI, explain: Callable[[BadxError], str]) -> None:
    def told(status: int, fact: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
        return JSONResponse({"error": " ".join(fact.split())}, status, dict(headers or {}))

    @app.exception_handler(BadxError)
    async def ours(request: Request, error: BadxError) -> JSONResponse:
        if isinstance(error, RequestRefused):
            after = {} if error.retry_after is None else {"retry-after": str(error.retry_after)}
            return told(error.status, error.fact, after)
        return told(422 if isinstance(error, DataError | UsageError) else 500, explain(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"] if part != "body")[:100]
        return told(422, f"{place or 'The request'}: {problem['msg']}. See /api.")

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> JSONResponse:
        return told(error.status_code, f"{error.detail}. See /api.", error.headers)

    @app.exception_handler(404)
    async def missing(request: Request, error: HTTPException) -> JSONResponse:
        return told(404, "There is no such page. See /api.")

    @app.exception_handler(405)
    async def other_method(request: Request, error: HTTPException) -> JSONResponse:
        return told(405, f"That is no address for {request.method}. See /api.", error.headers)

"""`badx-hub serve`: a page, a JSON API and INCEpTION's protocol on this machine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

from badx_hub.cli import _entries, _load_stack, _options, _output, _registries
from badx_hub.cli._errors import message
from badx_hub.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from badx_hub.registry import AdapterQuery, Resolution
    from badx_hub.registry.chain import RegistryChain
    from badx_hub.web.served_stacks import Choice

_NEEDED = ("fastapi", "uvicorn")
_TOKEN_VARIABLE = "BADX_HUB_SERVE_TOKEN"

_PairsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="PAIR", help="Source-target, such as en-wo. [default: all of the registry]"),
]
_TokenOption = Annotated[
    str | None,
    typer.Option(
        "--token",
        metavar="TOKEN",
        envvar=_TOKEN_VARIABLE,
        show_envvar=False,
        help=f"What everybody has to show; also from {_TOKEN_VARIABLE}. [default: none on this machine alone]",
    ),
]


def serve(
    pairs: _PairsArgument = None,
    tasks: Annotated[
        str | None, typer.Option("--tasks", metavar="TASKS", help="Such as pos,dp. [default: all there are]")
    ] = None,
    port: Annotated[int, typer.Option("--port", metavar="N", min=0, max=65535, help="0: any that is free.")] = 8642,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Whom to listen to; beyond this machine with a token.")
    ] = "127.0.0.1",
    token: _TokenOption = None,
    setup: _options.SetupOption = _options.SetupName.BAD_X,
    base: _options.BaseOption = None,
    ratio: _options.RatioOption = None,
    label: _options.LabelOption = None,
    registry: _options.RegistryOption = None,
    lock: _options.LockOption = None,
    fallback: _options.FallbackOption = None,
    offline: _options.OfflineOption = False,
    precision: _options.PrecisionOption = _options.PrecisionName.AUTO,
) -> None:
    """Annotate and correct in a browser, on a page that this machine serves.

    A JSON API (/api) and INCEpTION's recommender protocol (/inception) are beside it. Ctrl-C ends it.
    """
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise UsageError(f"serve needs {' and '.join(missing)}. Type: pip install 'badx-hub[web]'")
    from badx_hub.registry.chain import RegistryChain
    from badx_hub.web.limits import Limits
    from badx_hub.web.served_stacks import ServedStacks, choices_in, nothing_to_serve, open_bases
    from badx_hub.web.server import ServerAddress, WebServer

    place = ServerAddress(host, port, token).guarded()
    names = _task_names(tasks)
    asked = [
        _entries.query(pair, task=names[0], setup=setup.value, base=base, ratio=ratio, label=label)
        for pair in pairs or ()
    ]
    _refuse_without_pair(pairs, base=base, ratio=ratio, label=label, lock=lock, fallback=fallback)
    find = partial(_load_stack.open_and_find, registry, lock=lock, fallback=fallback, offline=offline)
    choices, folder = [_choice(one, names, find, every=tasks is not None) for one in asked], _load_stack.folder_of(base)
    for choice in choices:
        open_bases(choice, folder, offline=offline)
    if not asked:
        _registries.require_there(registry)
        choices = list(choices_in(RegistryChain([registry], offline=offline), names, setup.value))
    if not choices:
        raise nothing_to_serve(registry or "Your registry")
    served = ServedStacks(
        {choice.key: choice for choice in choices},
        Limits(),
        offline,
        folder,
        _load_stack.dtype_of(precision),
    )
    server = WebServer(served, place, message)
    server.run(lambda: _tell(server.address))
    _output.note("stopped")


def _tell(address: str) -> None:
    _output.write(address)
    sys.stdout.flush()  # A program may be waiting for the line.
    _output.note("Ctrl-C stops the server.")


def _task_names(tasks: str | None) -> tuple[str, ...]:
    """The tasks to serve, in the order in which they run. Raises UsageError."""
    from badx_hub.tasks import task_named
    from badx_hub.web.served_stacks import ANNOTATING

    if tasks is None:
        return ANNOTATING
    names = tuple(dict.fromkeys(part.strip() for part in tasks.split(",")))
    for name in names:
        if not task_named(name).columns:
            raise UsageError(f"What {name} predicts has no place in CoNLL-U. Give --tasks of {', '.join(ANNOTATING)}.")
    return names


def _refuse_without_pair(pairs: Sequence[str] | None, **options: object) -> None:
    if not pairs and (given := [name for name, value in options.items() if value is not None]):
        raise UsageError(f"--{given[0]} is about one pair. Name it, such as badx-hub serve en-wo --{given[0]} ...")


def _choice(
    asked: AdapterQuery,
    names: Sequence[str],
    find: Callable[[AdapterQuery], tuple[RegistryChain, Resolution]],
    *,
    every: bool,
) -> Choice:
    """What there is for a pair. Raises NotFoundError if a task is missing: any with `every`, else all of them."""
    from badx_hub.web.served_stacks import choice_of

    found = {}
    missing: NotFoundError | None = None
    for name in names:
        try:
            found[name] = find(replace(asked, task=name))
        except NotFoundError as error:
            missing = missing or error
    if missing is not None and (every or not found):
        raise missing
    return choice_of(found, asked.setup)

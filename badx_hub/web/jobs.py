"""Between a request and the worker that does what it asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import Request

from badx_hub.errors import BadxError
from badx_hub.web.limits import RequestRefused
from badx_hub.web.served_stacks import Choice, ServedStacks
from badx_hub.web.workers import Job

T = TypeVar("T")


@dataclass(frozen=True)
class JobRunner:
    """Takes work to the workers, and waits for it as long as the client does and the limits allow."""

    served: ServedStacks
    explain: Callable[[BadxError], str]

    async def run(self, request: Request, choice: Choice, job: Job[T]) -> T:
        """What the job returns.

        Raises RequestRefused: 503 after the time limit, 500 if a stack cannot be loaded or used.
        """
        future = asyncio.wrap_future(self.served.worker(choice).submit(job))
        gone = asyncio.ensure_future(_gone(request))
        seconds = self.served.limits.answer_seconds
        try:
            both: set[asyncio.Future[Any]] = {future, gone}
            await asyncio.wait(both, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if future.done():
                return _result(future, self.explain)
            if gone.done():
                raise RequestRefused(408, "The client is gone.")
            raise RequestRefused(
                503, f"This took longer than {seconds:.0f} seconds and was ended. Send a shorter text.", retry_after=10
            )
        finally:
            gone.cancel()
            future.cancel()


def _result(future: asyncio.Future[T], explain: Callable[[BadxError], str]) -> T:
    try:
        return future.result()
    except BadxError as error:  # The text was read before: it is no fault of who asked.
        raise RequestRefused(500, explain(error)) from error


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass

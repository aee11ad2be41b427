"""The deployment for Ray Serve: a gate that reads requests, and replicas that hold the stacks. Needs the extra `ray`.

`serve run FILE` calls `application` with the `args` in FILE (`extras/ray-serve/stacks.yaml`). The gate asks again where
a replica is lost before it has answered, as a prediction may be made twice; clients see that as a longer wait.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from badx_hub.errors import UsageError
from badx_hub.remedies import Advice
from badx_hub.serving.config import ServingConfig, read_config
from badx_hub.serving.loaded_stacks import Input, LoadedStacks, Refusal, StackAnswer, StackRequest, described, found
from badx_hub.serving.requests import InputsRequest, read_request

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

ATTEMPTS = 10
"""How often a request is put to replicas, when one after the other is lost."""
_PAUSE_SECONDS = 0.2
_RETRY_AFTER = {"retry-after": "1"}


def application(args: dict[str, Any]) -> Any:
    """The application that `serve run` deploys, for the configuration in `args` (`ServingConfig`).

    Raises UsageError without Ray Serve or for a configuration that is not valid, and what `load_bilingual_stack` raises
    for a stack that is not there.
    """
    serve = _serve()
    config = read_config(args)
    descriptions = [described(one, found(one, offline=config.offline)[1]) for one in config.stacks]
    # Two batches: one that is computed, and the next one, which fills meanwhile.
    replicas = serve.deployment(Replica, name="Stacks").options(
        max_ongoing_requests=2 * config.batch, max_queued_requests=config.waiting
    )
    most = config.waiting + 2 * config.batch
    gate = serve.deployment(Gate, name="Gate").options(max_ongoing_requests=most, max_queued_requests=most)
    return gate.bind(replicas.bind(args), args, descriptions)


class Replica:
    """One process with all the stacks. Requests that arrive together are computed together."""

    def __init__(self, args: Mapping[str, Any]) -> None:
        """Load the stacks of the configuration."""
        self.config = read_config(args)
        self.loaded = LoadedStacks.load(self.config)
        self._computing_since: float | None = None
        self._batched = _serve().batch(
            self._compute, max_batch_size=self.config.batch, batch_wait_timeout_s=self.config.batch_wait
        )

    async def predict(self, stack: str, inputs: tuple[Input, ...]) -> StackAnswer | Refusal:
        """The answer to one request."""
        prepared = self.loaded.prepared(stack, inputs)
        if isinstance(prepared, Refusal):
            return prepared
        answer: StackAnswer = await self._batched(prepared)
        return answer

    def check_health(self) -> None:
        """Ray Serve asks this now and then, and replaces a replica that raises."""
        since = self._computing_since
        if since is not None and time.monotonic() - since > self.config.answer_seconds:
            raise RuntimeError(f"a batch has been computed for more than {self.config.answer_seconds:.0f} seconds")

    async def _compute(self, requests: list[StackRequest]) -> list[StackAnswer]:
        self._computing_since = time.monotonic()
        try:
            return await asyncio.to_thread(self.loaded.answers, requests)  # The loop stays free for new requests.
        finally:
            self._computing_since = None


class Gate:
    """What clients talk to: reads requests, puts them to replicas, and says why there is no answer."""

    def __init__(self, replicas: Any, args: Mapping[str, Any], descriptions: list[dict[str, Any]]) -> None:
        """`replicas` is the handle of the deployment of `Replica`."""
        self.replicas, self.descriptions = replicas, descriptions
        self.config: ServingConfig = read_config(args)

    async def __call__(self, request: Request) -> Response:
        """GET /health, GET /stacks and POST /predict."""
        from starlette.responses import JSONResponse

        route = request.method, request.url.path.rstrip("/")
        if route == ("GET", "/health"):
            return JSONResponse({"status": "ok"})
        if route == ("GET", "/stacks"):
            return JSONResponse({"stacks": self.descriptions})
        if route != ("POST", "/predict"):
            return _told(Refusal(404, "There is GET /health, GET /stacks and POST /predict, and nothing else."))
        asked = read_request(await _body(request, self.config.body_bytes), self.config)
        answer = asked if isinstance(asked, Refusal) else await self._answer(asked)
        if isinstance(answer, Refusal):
            return _told(answer)
        return JSONResponse({"predictions": answer.predictions})

    async def _answer(self, asked: InputsRequest) -> StackAnswer | Refusal:
        try:
            return await asyncio.wait_for(self._asked(asked), self.config.answer_seconds)
        except (asyncio.TimeoutError, TimeoutError):
            return Refusal(504, f"There was no answer within {self.config.answer_seconds:.0f} seconds.")

    async def _asked(self, asked: InputsRequest) -> StackAnswer | Refusal:
        """Put the request to a replica, and to another one where that is lost."""
        from ray.exceptions import RayActorError
        from ray.serve.exceptions import BackPressureError

        for _ in range(ATTEMPTS):
            try:
                answer: StackAnswer | Refusal = await self.replicas.predict.remote(asked.stack, asked.inputs)
                return answer
            except BackPressureError:
                return Refusal(503, f"{self.config.waiting} requests are waiting already. Try again in a moment.")
            except RayActorError:
                await asyncio.sleep(_PAUSE_SECONDS)
        return Refusal(503, f"{ATTEMPTS} replicas were lost before they could answer. Try again in a moment.")


async def _body(request: Request, limit: int) -> bytes:
    """The body of a request, or what is more than `limit` bytes of it."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            break
    return bytes(body)


def _told(refusal: Refusal) -> Response:
    from starlette.responses import JSONResponse

    return JSONResponse({"error": refusal.fact}, refusal.status, _RETRY_AFTER if refusal.status == 503 else None)


def _serve() -> Any:
    try:
        from ray import serve
    except ImportError as error:
        raise UsageError(
            "Ray Serve is not installed.", remedies=(Advice("Type `pip install 'badx-hub[ray]'`, on every node."),)
        ) from error
    return serve

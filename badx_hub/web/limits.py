"""How much one request, one client and all of them together may ask for, and how a request is refused."""

from __future__ import annotations

from dataclasses import dataclass

from badx_hub.errors import BadxError
from badx_hub.json_toml_yaml import MIB


@dataclass(frozen=True)
class Limits:
    """The bounds of a server; what is beyond them is refused with a reason, and costs no more than reading it.

    `waiting` counts the requests in the queue of one base, `client_requests` those of one address that are not answered
    yet. A text is worked on for `answer_seconds` at most, waiting included; a step of work that has begun is finished.
    """

    body_bytes: int = 8 * MIB
    lines: int = 400_000
    characters_a_line: int = 100_000
    sentences: int = 5_000
    words: int = 50_000
    words_a_sentence: int = 1_000
    characters_a_word: int = 1_000
    head_seconds: float = 10.0
    body_seconds: float = 30.0
    answer_seconds: float = 120.0
    waiting: int = 16
    client_requests: int = 8
    connections: int = 256


class RequestRefused(BadxError):  # noqa: N818 - named like RunInProgress
    """A request that is not answered; `status` is that of HTTP, `retry_after` the seconds after which to try again."""

    def __init__(self, status: int, fact: str, *, retry_after: int | None = None) -> None:
        super().__init__(fact)
        self.status = status
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[object, ...]:
        return RequestRefused, (self.status, self.fact)

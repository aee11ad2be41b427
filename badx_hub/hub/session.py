"""HTTP sessions for huggingface_hub that wait for no answer for ever and take no more bytes than an answer may have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import ChunkedEncodingError, ContentDecodingError, ReadTimeout
from requests.exceptions import ConnectionError as RequestsConnectionError
from urllib3.exceptions import DecodeError, ProtocolError, ReadTimeoutError

from badx_hub.errors import IntegrityError
from badx_hub.hub.waiting import current

TIME_LIMITS = (10.0, 60.0)
"""Seconds to connect, and of silence."""

MAX_ANSWER = 32 * 2**20
"""Bytes that an answer may have which is read as a whole, unpacked: a page of a listing has a hundredth of that."""

_MAX_REFUSAL = 64 * 2**10  # Only the first words of a refusal are shown.
_CHUNK = 1 << 14


class BoundedResponse(requests.Response):
    """An answer that is never read beyond its bound, whatever its length and packing.

    A refusal is cut there. A longer answer is an IntegrityError, one that takes too long a ReadTimeout.
    """

    @property
    def content(self) -> bytes:
        """The body."""
        if self._content is False and not self._content_consumed and self.raw is not None:
            self._content = b"".join(self._pieces())
            self._content_consumed = True
        return super().content or b""

    def _pieces(self) -> Iterator[bytes]:
        refused = self.status_code >= 400
        left = _MAX_REFUSAL if refused else MAX_ANSWER
        while piece := self._piece():
            if len(piece) > left:
                self.raw.close()
                if not refused:
                    raise IntegrityError(
                        f"The Hub's answer has more than the {MAX_ANSWER:,} bytes that it may have. Check HF_ENDPOINT."
                    )
                yield piece[:left]
                return
            left -= len(piece)
            yield piece

    def _piece(self) -> bytes:
        """What has arrived, unpacked; requests' own `iter_content` waits for a whole chunk."""
        patience = current()
        if patience is not None and patience.left == 0:
            self.raw.close()
            raise ReadTimeout("the answer took too long")
        try:
            piece: bytes = self.raw.read1(_CHUNK, decode_content=True)
        except ProtocolError as error:
            raise ChunkedEncodingError(error) from error
        except DecodeError as error:
            raise ContentDecodingError(error) from error
        except ReadTimeoutError as error:
            raise RequestsConnectionError(error) from error
        return piece


class _Adapter(HTTPAdapter):
    def build_response(self, req: Any, resp: Any) -> requests.Response:
        response = super().build_response(req, resp)
        response.__class__ = BoundedResponse
        return response


class LimitedSession(requests.Session):
    """Requests without time limits of their own get `TIME_LIMITS`; none waits longer than its call has patience."""

    def __init__(self) -> None:
        super().__init__()
        self.mount("https://", _Adapter())
        self.mount("http://", _Adapter())

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """As `requests` does it."""
        return super().send(request, **{**options, "timeout": _limits(options.get("timeout"))})


def _limits(asked: float | tuple[float, float] | None) -> tuple[float, float]:
    connect, silence = asked if isinstance(asked, tuple) else (TIME_LIMITS[0], asked or TIME_LIMITS[1])
    patience = current()
    left = None if patience is None else patience.left
    if left is None:
        return connect, silence
    return max(0.01, min(connect, left)), max(0.01, min(silence, left))

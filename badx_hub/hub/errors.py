"""What goes wrong between here and a Hub, as one line that says what to type. No token is ever in it."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from requests import RequestException
from requests.exceptions import ConnectionError as RequestsConnectionError
from requests.exceptions import Timeout

from badx_hub.errors import BadxError, HubError, NotFoundError, UsageError
from badx_hub.remedies import Advice, Remedy, RunAgain

# What huggingface_hub lets through. RuntimeError: what it raises `from` the failure of an upload thread.
FAILURES = (RequestException, LocalTokenNotFoundError, OfflineModeIsEnabled, HFValidationError, RuntimeError)

_TOKEN = re.compile(r"\b(?:hf|api_org|hf_oauth)_[A-Za-z0-9_.-]{6,}|(?i:bearer)\s+\S+|(?i:token)=[^\s&]+")
_WORTH_ANOTHER_TRY = frozenset({408, 429, 500, 502, 503, 504})
_MAX_SAID = 160
_ADVICE = {
    400: "it found the request wrong; check the names and options",
    401: "it asks who you are; log in (`hf auth login`) or set HF_TOKEN to a valid token",
    403: "your account may not do that; ask its owner for access, or log in with a token that may (`hf auth login`)",
    405: "this Hub does not offer that operation",
    409: "something else is in the way there",
    410: "it is gone",
    412: "somebody else changed the repository at the same time",
    413: "it takes no files of that size",
    416: "it cannot send a part of that file",
    429: "it has had too many requests from you",
    501: "this Hub does not offer that operation",
}
_REMEDIES: dict[int, tuple[Remedy, ...]] = {
    409: (Advice("Look at the repository."), RunAgain()),
    412: (RunAgain(),),
    416: (RunAgain(),),
    501: (Advice("Do without it (pull requests, for example: leave out {}).", (("create_pr", True),)),),
}
_FAILED = "the Hub itself failed; try again later"
_UNREACHABLE = "no connection, or it broke"
_CONNECT = Advice("Check the network and HF_ENDPOINT, or set HF_HUB_OFFLINE=1 to use what is here.")


class NoSuchFile(NotFoundError):  # noqa: N818 - named like its parent
    """The repository is there, and a file of it is not."""


def cause_of(error: Exception) -> Exception:
    """The failure itself: huggingface_hub wraps what an upload thread met in a RuntimeError."""
    inner = error.__cause__
    return inner if isinstance(error, RuntimeError) and isinstance(inner, FAILURES) else error


def status_of(error: Exception) -> int | None:
    """The HTTP status of the Hub's answer, if there was one."""
    response = getattr(cause_of(error), "response", None)
    status = getattr(response, "status_code", None)
    if status is None:
        return 404 if isinstance(error, RepositoryNotFoundError) else None
    return int(status)


def is_passing(error: Exception) -> bool:
    """Whether the same request may succeed a little later: lost connections, timeouts, 408, 429, 500, 502-504."""
    error = cause_of(error)
    if (status := status_of(error)) is not None:
        return status in _WORTH_ANOTHER_TRY
    # Broken bodies and unreadable JSON are other RequestExceptions: a cut connection makes these too.
    return isinstance(error, RequestException) and not isinstance(error, HfHubHTTPError)


def is_silence(error: Exception) -> bool:
    """Whether the Hub was reached and then said nothing until the time was over."""
    return isinstance(cause_of(error), Timeout)


def asked_to_wait(error: Exception) -> float | None:
    """The seconds of the answer's Retry-After header (a number or a date), if it has one."""
    response = getattr(cause_of(error), "response", None)
    value = None if response is None else response.headers.get("Retry-After")
    if value is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return max(0.0, (moment - datetime.now(timezone.utc)).total_seconds())


def hub_error(error: Exception, doing: str) -> BadxError:
    """`error` for the user; `doing` begins the sentence ("Reading org/name")."""
    error = cause_of(error)
    status = status_of(error)
    if status is not None:
        return _answered(error, status, doing)
    if isinstance(error, OfflineModeIsEnabled):
        return HubError(f"{doing}: HF_HUB_OFFLINE is set, so nothing was asked. Unset it to use the Hub.")
    if isinstance(error, LocalTokenNotFoundError):
        return HubError(f"{doing}: this needs a login. Type `hf auth login` or set HF_TOKEN.", 401)
    if isinstance(error, HFValidationError):
        return UsageError(f"{doing}: {one_line(str(error))}")
    if isinstance(error, Timeout):
        return HubError(f"{doing}: the Hub did not answer in time; {_UNREACHABLE}.", remedies=(_CONNECT,))
    if isinstance(error, RequestsConnectionError):
        return HubError(f"{doing}: {_UNREACHABLE}.", remedies=(_CONNECT,))
    return HubError(f"{doing}: the answer broke off or is no answer of a Hub; check HF_ENDPOINT and try again.")


def one_line(text: str) -> str:
    """What a server says, fit for an error: one short line, no control characters, no tokens."""
    plain = _TOKEN.sub("[token]", "".join(c if c.isprintable() else " " for c in text))
    plain = " ".join(plain.split())
    return plain if len(plain) <= _MAX_SAID else f"{plain[: _MAX_SAID - 3]}..."


def without_token(text: str, token: Any) -> str:
    """`text` without this very token, whatever it looks like."""
    return text.replace(token, "[token]") if isinstance(token, str) and token else text


def _answered(error: Exception, status: int, doing: str) -> BadxError:
    said = one_line(without_token(getattr(error, "server_message", None) or "", _token_of(error)))
    quoted = f' (it says: "{said}")' if said else ""
    # To a stranger, the Hub of Hugging Face answers 401 for what is not there.
    hidden = isinstance(error, RepositoryNotFoundError) and not isinstance(error, GatedRepoError)
    if isinstance(error, EntryNotFoundError):
        return NoSuchFile(f"{doing}: the repository has no such file.")
    if status == 404 or hidden:
        return NotFoundError(
            f"{doing}: there is no such thing on the Hub, or it is private and not yours{quoted}. "
            "Check the name, or log in (`hf auth login`)."
        )
    advice = _ADVICE.get(status, _FAILED if status >= 500 else "it refused")
    if status == 429 and (wait := asked_to_wait(error)) is not None:
        advice += f"; try again in {wait:.0f} s"
    elif status == 429:
        advice += "; try again in some minutes"
    return HubError(
        f"{doing}: the Hub answered {status}: {advice}{quoted}.", status, remedies=_REMEDIES.get(status, ())
    )


def _token_of(error: Exception) -> str | None:
    """What the failed request carried: a server may send it back in its complaint."""
    request = getattr(getattr(error, "response", None), "request", None)
    sent = getattr(request, "headers", {}).get("authorization")
    return None if sent is None else str(sent).removeprefix("Bearer ")

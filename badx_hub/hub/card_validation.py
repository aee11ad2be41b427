"""Whether a Hub takes a card's metadata: its own validator, or huggingface_hub's local checks where it has none."""

from __future__ import annotations

from typing import Any

from huggingface_hub import HfApi, ModelCard, get_session

from badx_hub.errors import DataError
from badx_hub.hub.errors import one_line
from badx_hub.hub.transport import RetryPolicy, attempt
from badx_hub.remedies import Advice

_NO_VALIDATOR = frozenset({401, 403, 404, 405, 501})
_REFUSED = frozenset({400, 422})
_MOST = 3


def check_card(api: HfApi, text: str, repo: str, *, kind: str, retries: RetryPolicy) -> None:
    """Raises DataError if the Hub would refuse README.md for its metadata, HubError if it cannot be asked.

    Args:
        text: all of README.md.
        repo: whose card it is, for the error: "org/name".
        kind: "model" or "space".
    """

    def ask() -> list[str] | None:
        response = get_session().post(f"{api.endpoint}/api/validate-yaml", json={"content": text, "repoType": kind})
        if response.status_code in _NO_VALIDATOR:
            return None
        if response.status_code in _REFUSED:
            return _errors(response.json()) or [f"status {response.status_code}"]
        response.raise_for_status()
        return []

    found = attempt(ask, f"Checking the card of {repo}", retries)
    problems = _local_errors(text) if found is None else found
    if problems:
        raise DataError(
            f"The metadata of the card of {repo} are refused: {'; '.join(problems[:_MOST])}. Nothing was published.",
            remedies=(Advice("Give other values ({}).", (("card_field", ("KEY", "VALUE")),)),),
        )


def _errors(answer: Any) -> list[str]:
    """The messages in the answer of a validator, each one line."""
    errors = answer.get("errors") if isinstance(answer, dict) else None
    found = [error.get("message") if isinstance(error, dict) else error for error in errors or []]
    return [one_line(str(message)).rstrip(".") for message in found]


def _local_errors(text: str) -> list[str]:
    try:
        ModelCard(text)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return [one_line(str(error)).rstrip(".")]
    return []

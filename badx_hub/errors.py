"""Errors a user can meet. Each message is one line: what happened, what was expected, what to type next."""

from __future__ import annotations


class BadxError(Exception):
    """Base of all errors that badx_hub raises on purpose; ``str(error)`` is written for the user."""


class UsageError(BadxError, ValueError):
    """A bad name, flag, recipe, or ratio."""


class DataError(BadxError, ValueError):
    """Bad file content; the message names the file and, where there is one, the line."""


class NotFoundError(BadxError, LookupError):
    """An adapter, base, or data set that is not there."""


class IntegrityError(BadxError):
    """Something is there but not what it claims to be: digest, weights, base, or parent do not match."""


class TrainingDiverged(BadxError):  # noqa: N818 - named like its sibling
    """The loss is no longer a number."""


class TrainingInterrupted(BadxError):  # noqa: N818 - an interruption the user asked for is not an error
    """Training stopped by Ctrl-C; the message says what to type to go on."""


class StorageError(BadxError, OSError):
    """The file system refused: disk full, no permission. ``errno`` is that of the wrapped ``OSError``."""


class HubError(BadxError):
    """A Hub refused, failed, or cannot be reached; ``status`` is the HTTP status where there was an answer."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status

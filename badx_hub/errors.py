"""Errors a user can meet: what happened and what was expected in whole sentences, and as data what to do next."""

from __future__ import annotations

from collections.abc import Iterable

from badx_hub.remedies import Remedy, in_python


class BadxError(Exception):
    """Base of all errors that badx_hub raises on purpose.

    `fact` says what happened, without advice; `remedies` say what to do next, in the order in which to try it.
    ``str(error)`` is both, for somebody who calls badx_hub from Python. `shared`: this is one of several processes
    that all raise it, and the first of them tells of it.
    """

    shared = False

    def __init__(self, fact: str, *, remedies: Iterable[Remedy] = ()) -> None:
        super().__init__(fact)
        self.fact = fact
        self.remedies = tuple(remedies)

    def __str__(self) -> str:
        return " ".join((self.fact, *map(in_python, self.remedies)))


class UsageError(BadxError, ValueError):
    """A bad name, option, recipe, or ratio."""


class DataError(BadxError, ValueError):
    """Bad file content; the message names the file and, where there is one, the line."""


class NotFoundError(BadxError, LookupError):
    """An adapter, base, or data set that is not there."""


class IntegrityError(BadxError):
    """Something is there but not what it claims to be: digest, weights, base, or parent do not match."""


class TrainingDiverged(BadxError):  # noqa: N818 - named like its sibling
    """The loss or the gradient is no longer a number, or the gradient has exploded."""


class TrainingInterrupted(BadxError):  # noqa: N818 - an interruption the user asked for is not an error
    """Training stopped by a signal or a limit of time; its remedy goes on from there.

    `exit_code` is what a shell expects: 130 after Ctrl-C and at a limit of time, 143 after SIGTERM, 129 after SIGHUP.
    """

    def __init__(self, fact: str, exit_code: int = 130, *, remedies: Iterable[Remedy] = ()) -> None:
        super().__init__(fact, remedies=remedies)
        self.exit_code = exit_code


class RunInProgress(BadxError):  # noqa: N818 - named like its siblings
    """Another process trains this very run."""


class SettingsChanged(UsageError):  # noqa: N818 - named like its siblings
    """A stopped run of the same name had other settings or data; it is neither continued nor dropped unasked."""


class StorageError(BadxError, OSError):
    """The file system refused: disk full, no permission. ``errno`` is that of the wrapped ``OSError``."""


class HubError(BadxError):
    """A Hub refused, failed, or cannot be reached; ``status`` is the HTTP status where there was an answer."""

    def __init__(self, fact: str, status: int | None = None, *, remedies: Iterable[Remedy] = ()) -> None:
        super().__init__(fact, remedies=remedies)
        self.status = status


def is_panic(error: BaseException) -> bool:
    """Whether a library's Rust code gave up, which is told by an exception that is no `Exception`."""
    return type(error).__name__ == "PanicException"

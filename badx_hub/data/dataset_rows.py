"""Rows of data sets on the Hugging Face Hub, or of folders with the same layout, streamed through `datasets`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from badx_hub.data.splits import Split, split_called
from badx_hub.errors import BadxError, DataError, HubError, NotFoundError, UsageError
from badx_hub.hub.ref import HUB
from badx_hub.remedies import Advice, Remedy, RunAgain
from badx_hub.storage import cached_sha256, digest_of
from badx_hub.user_paths import user_path

_HUB_TIMEOUT = 10.0
_SPLITS: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "dev": ("validation", "validation_matched", "dev"),
    "test": ("test",),
}


@dataclass(frozen=True)
class Rows:
    """One split of a data set: `stream` is an `IterableDataset`, `content` changes whenever its rows may have changed.

    `name` is the specification without the folders above a local data set.
    """

    name: str
    split: str
    content: str
    stream: Any

    def numbered(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """The rows, counted from 1. Raises DataError, with the number of the last row, if reading stops early."""
        from datasets.exceptions import DatasetsError

        number = 0
        try:
            for number, row in enumerate(self.stream, start=1):
                yield number, row
        except BadxError:
            raise
        except (OSError, ValueError, DatasetsError) as error:
            raise DataError(
                f"Reading {self.name} stopped after row {number} ({first_line(error)}).", remedies=(RunAgain(),)
            ) from error


def parsed(spec: str, fields: str) -> list[str]:
    """The fields of `hf:DATASET:...`, empty where left out; `fields` names them as a message shows them.

    Raises UsageError if there is no DATASET.
    """
    count = fields.count(":") + 1
    given = [part.strip() for part in spec.removeprefix(HUB).split(":", count - 1)]
    if not given[0]:
        raise UsageError(f"{spec!r} names no dataset; expected {HUB}{fields}.")
    return given + [""] * (count - len(given))


def open_rows(spec: str, dataset: str, config: str, splits: Sequence[str], *, advice: Remedy) -> Rows:
    """The first of `splits` that a data set has, at a fixed revision; only its description is read.

    Args:
        spec: what the user typed, the name in manifests.
        dataset: an id on the Hub or a local folder; config: empty for the default.
        advice: what to do instead of reading it.

    Raises:
        NotFoundError: no such data set, configuration or split, or the Hub cannot be reached.
    """
    from datasets import load_dataset_builder
    from datasets.exceptions import DatasetsError

    folder = user_path(dataset)
    local = folder.is_dir()
    try:
        revision = None if local else _commit_of(dataset)
        builder = load_dataset_builder(str(folder) if local else dataset, config or None, revision=revision)
        split, stream = _stream(builder, splits)
    except (OSError, ValueError, RuntimeError, DatasetsError) as error:
        wanted = ":".join(part for part in (dataset, config, splits[0]) if part)
        raise NotFoundError(
            f"The dataset {wanted} cannot be loaded ({first_line(error)}).", remedies=(advice,)
        ) from error
    content = _folder_digest(builder, split) if local else builder.hash
    _, colon, rest = spec.removeprefix(HUB).partition(":")
    return Rows(f"{HUB}{folder.name}{colon}{rest}" if local else spec, split, content, stream)


def open_split(data: str, split: Split) -> Rows:
    """The rows of a split of annotated data, `hf:DATASET[:CONFIG[:SPLIT]]`. Raises what `open_rows` does."""
    dataset, config, asked = parsed(data, "DATASET[:CONFIG[:SPLIT]]")
    if asked and split != "test" and split_called(asked) != split:
        raise NotFoundError(f"{data} has no {split} split; leave out the name of the split, {asked}.")
    splits: Sequence[str] = (asked,) if asked else _SPLITS[split]
    advice = Advice("Give a file of your own instead: {}.", (("data", "FILE"),))
    return open_rows(data, dataset, config, splits, advice=advice)


def first_line(error: BaseException) -> str:
    """The first line of another library's error, for a message of one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(". ")


def _stream(builder: Any, splits: Sequence[str]) -> tuple[str, Any]:
    for split in splits[:-1]:
        with suppress(ValueError):
            return split, builder.as_streaming_dataset(split=split)
    return splits[-1], builder.as_streaming_dataset(split=splits[-1])


def _commit_of(dataset: str) -> str | None:
    """The commit to stream; None in offline mode, where `datasets` looks into its cache. Asked first, because
    `datasets` itself retries for half a minute before it gives up on a missing network.
    """
    from badx_hub.hub.client import HubClient
    from badx_hub.hub.transport import RetryPolicy

    try:
        return HubClient(retries=RetryPolicy(tries=1)).dataset_commit(dataset, silence=_HUB_TIMEOUT)
    except NotFoundError as error:
        raise FileNotFoundError("no such dataset on the Hub, or no access to it") from error
    except HubError as error:
        raise ConnectionError(
            "the Hub cannot be reached" if error.status is None else f"the Hub answered {error.status}"
        ) from error


def _folder_digest(builder: Any, split: str) -> str:
    files = (builder.config.data_files or {}).get(split, ())
    return digest_of([cached_sha256(Path(os.fspath(file))) for file in files])

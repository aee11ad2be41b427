"""The stacks to serve: what a registry holds for the tasks that fill columns, loaded when they are first used."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock

import torch

from badx_hub.data.conllu import RawSentence
from badx_hub.errors import BadxError, NotFoundError
from badx_hub.modeling.base import base_of
from badx_hub.names import AdapterName
from badx_hub.registry import AdapterQuery, Resolution
from badx_hub.registry.chain import RegistryChain, find
from badx_hub.remedies import ListAdapters
from badx_hub.setups import DEFAULT, setup_named
from badx_hub.stack import BilingualStack, StackLoader, StackParts
from badx_hub.tasks import TASKS
from badx_hub.web.limits import Limits, RequestRefused
from badx_hub.web.request_texts import AnnotatedSentence, filled
from badx_hub.web.workers import Job, Worker

ANNOTATING = tuple(name for name, task in TASKS.items() if task.columns)
"""The tasks whose predictions have a place in CoNLL-U."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """The task adapters for one pair on one base.

    `key` is the name in addresses ("demo.en-wo"), `parts` what the stack of each task is made of.
    """

    key: str
    title: str
    languages: tuple[str, ...]
    base: str
    base_digest: str
    parts: Mapping[str, StackParts]

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks, in the order in which they are run."""
        return tuple(self.parts)


def choice_of(found: Mapping[str, tuple[RegistryChain, Resolution]], setup: str = DEFAULT) -> Choice:
    """The choice that what was found for each task makes. Raises BadxError if these are on different bases."""
    parts = {
        task: StackParts(resolution.entries, chain, resolution.setup, {}) for task, (chain, resolution) in found.items()
    }
    last = [part.entries[-1] for part in parts.values()]
    name, base = last[0].name, last[0].manifest.base
    if any(entry.manifest.base.digest != base.digest for entry in last):
        raise BadxError(
            f"The adapters of {name.mixture} for {', '.join(parts)} are on different bases. "
            "Choose one of these with the option for the base."
        )
    key = AdapterName(name.base, name.mixture, label=name.label).repo_name
    marks = [f".{setup}" if setup != DEFAULT else "", f", {setup_named(setup).title}" if setup != DEFAULT else ""]
    title = f"{name.mixture} on {name.base}{marks[1]}{f', {name.label}' if name.label else ''}"
    return Choice(f"{key}{marks[0]}", title, name.mixture.languages, base.name, base.digest, parts)


def choices_in(chain: RegistryChain, tasks: Sequence[str], setup: str = DEFAULT) -> Iterator[Choice]:
    """All that the registry has of one setup; what cannot be used is left out, with a warning that says why."""
    field_in_name = setup_named(setup).name_field
    names = {
        (name.base, name.mixture, name.label): None
        for name in sorted(entry.name for entry in chain.list())
        if name.task in tasks and name.setup == field_in_name
    }
    for base, mixture, label in names:
        found = {}
        for task in tasks:
            asked = AdapterQuery(mixture, task, base=base, setup=setup, label=label)
            try:
                found[task] = (chain, find(chain, asked))
            except NotFoundError:
                continue
            except BadxError as error:
                _LOG.warning("%s is left out for %s: %s", mixture, task, error.fact)
        if found:
            yield choice_of(found, setup)


def open_bases(choice: Choice, base: str | None = None, *, offline: bool = False) -> None:
    """Check the base of these adapters, so that what is wrong with it is told before a page is served.

    `base`: a folder with it, as in `load_bilingual_stack`. Raises as `base_of`.
    """
    for ref in {part.entries[-1].manifest.base: None for part in choice.parts.values()}:
        base_of(ref, base, offline=offline)


@dataclass
class ServedStacks:
    """The choices, and a worker for each base among them, which all stacks on that base share."""

    choices: Mapping[str, Choice]
    limits: Limits
    offline: bool = False
    base: str | None = None
    dtype: torch.dtype | None = None
    _workers: dict[str, Worker] = field(default_factory=dict)
    _loaders: dict[str, StackLoader] = field(default_factory=dict)
    _loaded: dict[str, Mapping[str, BilingualStack]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def choice(self, key: str | None) -> Choice:
        """The one of that key; None is the only one. Raises RequestRefused."""
        if key is None and len(self.choices) == 1:
            return next(iter(self.choices.values()))
        if key is None or key not in self.choices:
            raise RequestRefused(404, f"Name one of the stacks that are served: {', '.join(self.choices)}.")
        return self.choices[key]

    def worker(self, choice: Choice) -> Worker:
        """The worker of the base of this choice."""
        with self._lock:
            name = choice.base_digest
            if name not in self._workers:
                self._workers[name] = Worker(f"stacks on {choice.base}", self.limits.waiting)
            return self._workers[name]

    def stacks(self, choice: Choice) -> Mapping[str, BilingualStack]:
        """The stacks by task, loaded the first time; only for the thread of the worker."""
        if choice.key not in self._loaded:
            loader = self._loaders.get(choice.base_digest)
            if loader is None:
                loader = self._loaders[choice.base_digest] = StackLoader(
                    base=self.base, dtype=self.dtype, offline=self.offline
                )
            stacks = loader.load(tuple(choice.parts.values()))
            self._loaded[choice.key] = dict(zip(choice.tasks, stacks, strict=True))
        return self._loaded[choice.key]

    def annotating(
        self, choice: Choice, tasks: Sequence[str], pieces: Sequence[RawSentence], *, overwrite: bool = False
    ) -> Job[tuple[AnnotatedSentence, ...]]:
        """The job of `filled` with the stacks of these tasks, which are loaded in it."""

        def job() -> Generator[None, None, tuple[AnnotatedSentence, ...]]:
            stacks = self.stacks(choice)
            yield
            return (yield from filled([stacks[task] for task in tasks], pieces, overwrite=overwrite))

        return job

    @property
    def waiting(self) -> int:
        """The texts that are being worked on, or wait for that."""
        return sum(worker.waiting for worker in self._workers.values())

    def stop(self, seconds: float = 3.0) -> None:
        """End all work; see `Worker.stop`."""
        for worker in self._workers.values():
            worker.stop(seconds)


def nothing_to_serve(where: str) -> NotFoundError:
    """The error where no choice is left."""
    return NotFoundError(f"{where} has no task adapter for {', '.join(ANNOTATING)}.", remedies=(ListAdapters(),))

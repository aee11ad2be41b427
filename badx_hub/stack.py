"""From a pair's name to a ready stack: resolve, check, load, predict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from badx_hub.errors import IntegrityError, UsageError
from badx_hub.languages import pair
from badx_hub.modeling.base import Base, base_of
from badx_hub.modeling.inference import predict_windows
from badx_hub.modeling.models import load_encoder, load_tokenizer
from badx_hub.modeling.stacks import activate, load_adapter
from badx_hub.names import AdapterName
from badx_hub.registry import Entry, Registry, Wanted, open_registry, resolve
from badx_hub.tasks import AnyTask, task_named


@dataclass(frozen=True)
class BilingualStack:
    """A base with its stack of adapters active, in evaluation mode.

    `entries` are what was loaded, the language-side adapter first and the task adapter last.
    """

    model: Any
    tokenizer: Any
    task: AnyTask
    entries: tuple[Entry, ...]

    @property
    def name(self) -> AdapterName:
        """The task adapter's name."""
        return self.entries[-1].name

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels the task adapter was trained with."""
        return self.entries[-1].manifest.labels or ()

    @property
    def max_length(self) -> int:
        """Sub-words a window, as in training; longer sentences are read in overlapping windows."""
        return int(str(self.entries[-1].manifest.recipe["max_length"]))

    def examples(self, inputs: Sequence[str] | Sequence[Sequence[str]]) -> tuple[Any, ...]:
        """The inputs as the task reads them: a text is split into words, a split sentence is taken as it is."""
        return tuple(self.task.prepare(given) for given in inputs)

    def predict(self, inputs: Sequence[str] | Sequence[Sequence[str]], *, batch_size: int = 32) -> tuple[Any, ...]:
        """One prediction an input, in the order given; POS: a tag a word, so none for an empty text.

        Args:
            inputs: texts, or sentences already split into words (better: no guess about word boundaries).
            batch_size: windows a forward pass.

        Raises:
            UsageError: a single string in place of a list.
        """
        if isinstance(inputs, str):
            raise UsageError("predict expects a list of texts; got one string. Type predict([text]).")
        return self.predict_examples(self.examples(inputs), batch_size=batch_size)

    def predict_examples(self, examples: Sequence[Any], *, batch_size: int = 32) -> tuple[Any, ...]:
        """One prediction an example, as read by the task."""
        windows = self.task.encode(examples, self.tokenizer, self.max_length)
        return predict_windows(
            self.model,
            self.task,
            windows,
            examples=examples,
            labels=self.labels,
            pad_id=self.tokenizer.pad_token_id,
            batch_size=batch_size,
        )


def load_bilingual_stack(
    source: str,
    target: str,
    task: str,
    *,
    base: str | None = None,
    ratio: str | None = None,
    setup: str = "bad-x",
    label: str | None = None,
    registry: Registry | str | Path | None = None,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
) -> BilingualStack:
    """The stack that transfers `task` from `source` to `target`, ready to predict.

    Args:
        source, target: languages, as codes or names ("wo", "wol", "Wolof").
        task: a task's name, such as "pos".
        base: where the base is (`demo`, a folder or a Hub id); default: what the adapters were trained on.
        ratio: source to target batches of the bilingual adapter ("5:1"); default the balanced 1:1.
        setup: "bad-x", or "ta-only" for a task adapter on the bare base.
        label: the last field of the adapters' names; default none.
        registry: default the user's own; "demo" for the embedded one; a folder.
        device: default the GPU where there is one, else the CPU.
        dtype: default float32.

    Raises:
        UsageError: an unknown language or task, or several bases to choose from.
        NotFoundError: no such adapter (the nearest are listed) or no such base on this machine.
        IntegrityError: another base, another BA, a missing or changed file, missing weights.
    """
    found = registry if registry is not None and not isinstance(registry, (str, Path)) else open_registry(registry)
    mixture = pair(source, target, ratio)
    wanted = Wanted(mixture, task, base=base, setup=setup, label=label)
    resolution = resolve(found.list(), wanted, broken=found.problems())
    carriers = (resolution.carrier,) if resolution.carrier else ()
    return load_entries((*carriers, resolution.entry), found, base=base, device=device, dtype=dtype)


def load_entries(
    entries: Sequence[Entry],
    registry: Registry,
    *,
    base: str | None = None,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
) -> BilingualStack:
    """The stack of exactly these entries, the language-side adapter first; errors as in `load_bilingual_stack`."""
    last = entries[-1].manifest
    _check_chain(entries)
    folders = [_verified(entry, registry) for entry in entries]
    found = base_of(last.base, base)
    model = _model(found, entries, folders, dtype or torch.float32)
    return BilingualStack(
        model=model.to(device or default_device()),
        tokenizer=load_tokenizer(found),
        task=task_named(str(last.task)),
        entries=tuple(entries),
    )


def default_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _model(base: Base, entries: Sequence[Entry], folders: Sequence[Path], dtype: torch.dtype) -> Any:
    model = load_encoder(base, dtype=dtype)
    for entry, folder in zip(entries, folders, strict=True):
        load_adapter(model, entry.name, folder)
    activate(model, [entry.name for entry in entries])
    model.active_head = entries[-1].name.module_name
    return model.to(dtype).eval()


def _check_chain(entries: Sequence[Entry]) -> None:
    last = entries[-1].manifest
    expected = [last.parent.digest] if last.parent else []
    found = [entry.manifest.digest for entry in entries[:-1]]
    if expected != found:
        wanted = expected[0][:12] if expected else "no adapter"
        given = found[0][:12] if found else "none"
        raise IntegrityError(
            f"{entries[-1].name} was trained on {wanted} and would stand on {given}. "
            "Load the adapter it was trained on, or train it anew on this one."
        )
    for entry in entries:
        if entry.manifest.base.digest != last.base.digest:
            raise IntegrityError(
                f"{entry.name} and {entries[-1].name} were trained on different bases. Train one of them anew."
            )


def _verified(entry: Entry, registry: Registry) -> Path:
    folder = registry.fetch(entry)
    if faults := [check for check in registry.verify(entry).faults if check.state != "extra"]:
        raise IntegrityError(
            f"{entry.name}: {faults[0].name} is {faults[0].state} in {folder}. "
            f"Remove it (`badx-hub remove '{entry.name}' --force`) and pull or train it again."
        )
    return folder

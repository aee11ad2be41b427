"""From a pair's name to a ready stack: resolve, check, load, predict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from badx_hub.arguments import checked
from badx_hub.deprecated import keeps_old_attributes
from badx_hub.errors import DataError, UsageError
from badx_hub.languages import pair
from badx_hub.manifest import Manifest
from badx_hub.modeling.adapter_configs import ExpectedHead
from badx_hub.modeling.base import Base, base_of
from badx_hub.modeling.bfloat16 import place
from badx_hub.modeling.device import usable_device
from badx_hub.modeling.full_finetuning import load_model
from badx_hub.modeling.loading import load_encoder, load_tokenizer
from badx_hub.modeling.model_adapters import activate, are_active, load_adapter, use_vocabulary
from badx_hub.names import AdapterName
from badx_hub.recipes.model import MAX_LENGTH, MIN_LENGTH
from badx_hub.registry import AdapterQuery, Entry, Registry
from badx_hub.registry.adapter_folder import signed_by
from badx_hub.registry.chain import Where
from badx_hub.registry.lock import resolved
from badx_hub.registry.stack_checks import stacked, verified, with_vocabulary
from badx_hub.setups import DEFAULT
from badx_hub.tasks import Task, task_named
from badx_hub.tasks.batching import decode_windows


@keeps_old_attributes
@dataclass(frozen=True)
class BilingualStack:
    """A base with its stack of adapters active, in evaluation mode.

    `entries` are the loaded adapters, the language adapter first and the task adapter last. `setup` is the name of the
    setup in use (`badx_hub.setups`). With "mad-x" the task adapter is used on the LA of the target, not on the language
    adapter it was trained on.
    """

    model: Any
    tokenizer: Any
    task: Task
    entries: tuple[Entry, ...]
    setup: str = DEFAULT

    @property
    def language_adapter(self) -> Entry | None:
        """The language adapter that the task adapter is stacked on; None for the bare base."""
        return self.entries[0] if len(self.entries) > 1 else None

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
        return _max_length(self.entries[-1].manifest)

    @property
    def temperature(self) -> float:
        """What scores are divided by before they become probabilities: as fitted after training, 1 if it was not."""
        fitted = self.entries[-1].manifest.calibration
        return fitted.temperature if fitted else 1.0

    def examples(self, inputs: Sequence[str] | Sequence[Sequence[str]]) -> tuple[Any, ...]:
        """The inputs as the task reads them: a text is split into words, a split sentence is taken as it is."""
        return tuple(self.task.prepare(given) for given in inputs)

    @checked("inputs")
    def predict(self, inputs: Sequence[str] | Sequence[Sequence[str]], *, batch_size: int = 32) -> tuple[Any, ...]:
        """One prediction an input, in the order given; POS: a tag a word, so none for an empty text.

        Args:
            inputs: texts, or sentences already split into words (better: no guess about word boundaries).
            batch_size: windows of 64 sub-words a forward pass, and as many others as have room in their place.

        Raises:
            UsageError: a single string in place of a list.
        """
        if isinstance(inputs, str | bytes):
            raise UsageError("predict expects a list of texts; got one string. Type predict([text]).")
        if not isinstance(inputs, Iterable):
            raise UsageError(f"predict expects a list of texts; got {type(inputs).__name__}.")
        return self.predict_examples(self.examples(inputs), batch_size=batch_size)

    def activate(self) -> None:
        """Make this the stack that `model` computes with. `predict` does it where several stacks share a model."""
        activate(self.model, self._adapters)
        self.model.active_head = self.name.module_name

    @property
    def _adapters(self) -> list[AdapterName]:
        return [entry.name for entry in self.entries if entry.name.kind != "model"]

    @checked("examples")
    def predict_examples(self, examples: Sequence[Any], *, batch_size: int = 32) -> tuple[Any, ...]:
        """One prediction an example, as read by the task."""
        return self.task.merge(examples, self._parts(examples, batch_size))

    @checked("examples")
    def predict_with_probabilities(
        self, examples: Sequence[Any], *, batch_size: int = 32
    ) -> tuple[tuple[Any, ...], tuple[tuple[float, ...], ...]]:
        """The predictions, and how probable the model holds them: for each example a number a word, or one."""
        parts = self._parts(examples, batch_size)
        return self.task.merge(examples, parts), self.task.probabilities(examples, parts)

    def _parts(self, examples: Sequence[Any], batch_size: int) -> list[Any]:
        # Two stacks may have a task adapter, and so a head, in common, each on another language adapter.
        if self.model.active_head != self.name.module_name or not are_active(self.model, self._adapters):
            self.activate()
        windows = self.task.encode(examples, self.tokenizer, self.max_length)
        return decode_windows(
            self.model,
            self.task,
            windows,
            labels=self.labels,
            pad_id=self.tokenizer.pad_token_id,
            batch_size=batch_size,
            temperature=self.temperature,
        )


@checked()
def load_bilingual_stack(
    source: str,
    target: str,
    task: str,
    *,
    base: str | None = None,
    ratio: str | None = None,
    setup: str = "bad-x",
    label: str | None = None,
    registry: Where = None,
    lock: str | Path | None = None,
    fallback: str | None = None,
    offline: bool = False,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    options: Mapping[str, Any] | None = None,
    require_signature: str | Path | None = None,
) -> BilingualStack:
    """The stack that transfers `task` from `source` to `target`, ready to predict.

    Many arguments: this is the one call that most programs make, and each is a word of its own.

    Args:
        source, target, task: languages, as codes or names ("wo", "wol", "Wolof"); the name of a task, such as "pos".
        base: where the base is (`demo`, a folder or a Hub id); default: what the adapters were trained on.
        ratio: source to target batches of the bilingual adapter ("5:1"); default the balanced 1:1.
        setup: which adapters the task adapter is used on, in training and here: "bad-x", "mad-x", "ma", "tlr",
            "ta-only" or "full" (no adapters at all: the whole base fine-tuned).
        label: the last field of the adapters' names; default none.
        registry: default the user's own and, only where that has nothing that fits, the Hub; "demo" for the embedded
            one; a folder; "hf:ORG" for a namespace on the Hub; or several of these, in the order to look into them.
        lock: a lock file (`badx_hub.registry.lock`); exactly the versions in it are loaded, whatever else there is.
        fallback: "mad-x" takes, where nothing else fits, the task adapter of the source's LA on the LA of the
            target; the stack's `setup` says so. If the target has no LA either, "nearest-la" takes that of the nearest
            language, and "proxy-la" a mean of related ones, made before. Default: an error.
        offline: ask nothing of the network; default only if HF_HUB_OFFLINE is set.
        device: default the GPU where there is one, else the CPU.
        dtype: default bfloat16 where the device is better at it (`badx_hub.modeling.precision`), else float32. Bfloat16
            is for the layers' weights and the products with them; LayerNorms, heads and probabilities stay float32.
        options: of the task, in place of those it was trained with, such as `{"decoding": "greedy"}` for dp.
        require_signature: a file of allowed signers (`badx_hub.signing`), one of whom has to have signed each adapter.

    Raises:
        UsageError: an unknown language, task or option, or several bases to choose from.
        NotFoundError: no such adapter (the nearest are listed) or no such base on this machine.
        IntegrityError: another base, another BA, a missing or changed file, missing weights, not what is locked.
        HubError: a registry on the Hub, named as the first one, cannot be read.
    """
    query = AdapterQuery(pair(source, target, ratio), task, base=base, setup=setup, label=label)
    chain, resolution = resolved(query, registry, lock=lock, fallback=fallback, offline=offline)
    if require_signature is not None:
        for entry in resolution.entries:
            signed_by(chain.fetch(entry), Path(require_signature).expanduser(), str(entry.name))
    parts = StackParts(resolution.entries, chain, resolution.setup, options)
    return load_together([parts], base=base, device=device, dtype=dtype, offline=offline)[0]


@checked()
def load_entries(
    entries: Sequence[Entry],
    registry: Registry,
    *,
    base: str | None = None,
    setup: str | None = None,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    offline: bool = False,
    options: Mapping[str, Any] | None = None,
) -> BilingualStack:
    """The stack of exactly these entries, the language adapter first; errors as in `load_bilingual_stack`.

    `setup` is by default the one in the task adapter's name. If it uses the LA of the target at inference, a task
    adapter that was trained on LAs works on any LA. Otherwise the language adapter has to be the one it was trained on.
    """
    parts = StackParts(tuple(entries), registry, setup, options)
    return load_together([parts], base=base, device=device, dtype=dtype, offline=offline)[0]


@dataclass(frozen=True)
class StackParts:
    """What a stack is made of: its entries, where they are, and the setup and task options as in `load_entries`."""

    entries: tuple[Entry, ...]
    registry: Registry
    setup: str | None = None
    options: Mapping[str, Any] | None = None


def load_together(
    parts: Sequence[StackParts],
    *,
    base: str | None = None,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    offline: bool = False,
) -> tuple[BilingualStack, ...]:
    """The stacks, in order, sharing what they can: a base is loaded once, and so is an adapter. Errors: `load_entries`.

    Each stack predicts what it would predict alone. Two things need a model of their own: a fine-tuned base, and
    another version of an adapter that is loaded already, as both have the same name in a model.
    """
    return StackLoader(base=base, device=device, dtype=dtype, offline=offline).load(parts)


class StackLoader:
    """Loads stacks, now or later, onto the bases that it has in memory already. Not for several threads at once."""

    def __init__(
        self,
        *,
        base: str | None = None,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
        offline: bool = False,
    ) -> None:
        """Arguments as in `load_bilingual_stack`."""
        self._base, self._offline = base, offline
        self._device, self._dtype = usable_device(device), dtype
        if dtype is not None and not dtype.is_floating_point:
            raise UsageError(f"Stacks do not compute in {dtype}. Take torch.float32 or torch.bfloat16.")
        self._models: list[_SharedModel] = []

    def load(self, parts: Sequence[StackParts]) -> tuple[BilingualStack, ...]:
        """`load_together`, with all that was loaded before as company; of a stack that fails, nothing stays in it."""
        stacks = [self._stack(part) for part in parts]
        for stack in reversed(stacks):
            stack.activate()
        return tuple(stacks)

    def _stack(self, part: StackParts) -> BilingualStack:
        chosen = stacked(part.entries, part.setup)
        folders = [verified(entry, part.registry) for entry in part.entries]
        found = base_of(part.entries[-1].manifest.base, self._base, offline=self._offline)
        shared = next((model for model in self._models if model.takes(found, part.entries)), None)
        shared = shared or _SharedModel(found, load_encoder(found), {}, _vocabulary(part.entries))
        tokenizer = shared.tokenizer(part.entries, folders)
        task = _task(part)
        shared.add(part.entries, folders, task)
        place(shared.model, self._device, self._dtype)
        if not any(shared is model for model in self._models):  # Not before: half a fine-tuned base is nobody's.
            self._models.append(shared)
        return BilingualStack(shared.model, tokenizer, task, part.entries, chosen.name)


@dataclass(frozen=True)
class _SharedModel:
    """A base in memory, the digest of what is loaded into it, by name, and that of the sub-words it was extended by."""

    base: Base
    model: Any
    loaded: dict[AdapterName, str]
    vocabulary: str | None

    def takes(self, base: Base, entries: Sequence[Entry]) -> bool:
        """Whether a stack can be added without a change to those that are there."""
        alone = any(name.kind == "model" for name in (*self.loaded, *(entry.name for entry in entries)))
        fits = all(self.loaded.get(entry.name, entry.manifest.digest) == entry.manifest.digest for entry in entries)
        # The digest is of the weights; with other settings or words they are another base.
        here, there = ((one.ref.digest, one.ref.config, one.ref.tokenizer) for one in (self.base, base))
        return here == there and _vocabulary(entries) == self.vocabulary and fits and not alone

    def tokenizer(self, entries: Sequence[Entry], folders: Sequence[Path]) -> Any:
        """A tokenizer for these entries; the model gets the sub-words that they bring along."""
        made = load_tokenizer(self.base)
        if (source := with_vocabulary(entries)) is not None:
            use_vocabulary(self.model, made, source.name, folders[entries.index(source)])
        return made

    def add(self, entries: Sequence[Entry], folders: Sequence[Path], task: Task) -> None:
        for entry, folder in zip(entries, folders, strict=True):
            if entry.name in self.loaded:
                continue
            head = ExpectedHead(task.head_type, entry.manifest.labels or ())
            if entry.name.kind == "model":
                load_model(self.model, entry.name, folder, head)
            else:
                load_adapter(self.model, entry.name, folder, head if entry.name.task else None)
            self.loaded[entry.name] = entry.manifest.digest
        task.patch_head(self.model, entries[-1].name.module_name)


def _vocabulary(entries: Sequence[Entry]) -> str | None:
    """The digest of the sub-words that these entries bring along; None if they read as the base does."""
    source = with_vocabulary(entries)
    return source.manifest.vocabulary if source else None


def _task(part: StackParts) -> Task:
    """The task with the options it was trained with, and those of the part in their place."""
    last = part.entries[-1].manifest
    _max_length(last)
    trained_with = last.recipe.get("options")
    options = {**(trained_with if isinstance(trained_with, dict) else {}), **(part.options or {})}
    return task_named(str(last.task), options)


def _max_length(manifest: Manifest) -> int:
    """The sub-words a window had in training. Raises DataError for a manifest that does not say it."""
    value = manifest.recipe.get("max_length")
    if type(value) is not int or not MIN_LENGTH <= value <= MAX_LENGTH:
        raise DataError(
            f"{manifest.name} does not say how long its inputs are: max_length in its recipe is no whole number from "
            f"{MIN_LENGTH} to {MAX_LENGTH:,}. Train it again, or tell its publisher."
        )
    return value

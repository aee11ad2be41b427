"""The stacks of one replica in memory, and answering requests to them. Knows nothing of Ray."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from badx_hub.errors import BadxError
from badx_hub.registry.lock import resolved
from badx_hub.serving.config import ServingConfig, StackConfig

if TYPE_CHECKING:
    from badx_hub.registry import Resolution
    from badx_hub.registry.chain import RegistryChain
    from badx_hub.stack import BilingualStack

Input = str | Sequence[str]
"""A text, or its parts: the words of a sentence, or premise and hypothesis."""


@dataclass(frozen=True)
class StackRequest:
    """A request to one stack, as its task reads it."""

    stack: str
    examples: tuple[Any, ...]


@dataclass(frozen=True)
class StackAnswer:
    """Of each input its prediction as JSON values, with its probabilities: one a word, or one."""

    predictions: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Refusal:
    """Why there is no answer; `status` is that of HTTP."""

    status: int
    fact: str


def found(stack: StackConfig, *, offline: bool = False) -> tuple[RegistryChain, Resolution]:
    """The entries of a stack; nothing is loaded. Raises as `load_bilingual_stack`."""
    return resolved(stack.query, stack.registry, lock=stack.lock, fallback=stack.fallback, offline=offline)


def described(stack: StackConfig, resolution: Resolution) -> dict[str, Any]:
    """What a client is told of a stack."""
    last = resolution.entry.manifest
    return {
        "stack": stack.key,
        "task": str(last.task),
        "setup": resolution.setup,
        "base": last.base.name,
        "adapters": [f"{entry.name} {entry.version}" for entry in resolution.entries],
        "labels": list(last.labels or ()),
    }


class LoadedStacks:
    """The stacks by their names. Those on one base share it, as `badx_hub.stack.load_together` says."""

    def __init__(self, stacks: Mapping[str, BilingualStack]) -> None:
        self.stacks = stacks

    @classmethod
    def load(cls, config: ServingConfig) -> LoadedStacks:
        """Load all stacks of a configuration. Raises as `load_bilingual_stack`."""
        from badx_hub.stack import StackLoader, StackParts
        from badx_hub.user_paths import user_path

        loaders: dict[str | None, StackLoader] = {}
        stacks = {}
        for one in config.stacks:
            # A name of a base has chosen the entries; only a folder says where the base is.
            place = one.base if one.base is not None and user_path(one.base).is_dir() else None
            loader = loaders.setdefault(place, StackLoader(base=place, offline=config.offline))
            chain, resolution = found(one, offline=config.offline)
            parts = StackParts(resolution.entries, chain, resolution.setup, dict(one.options))
            stacks[one.key] = loader.load([parts])[0]
        return cls(stacks)

    def prepared(self, name: str, inputs: Sequence[Input]) -> StackRequest | Refusal:
        """A request, if there is such a stack and its task can read the inputs."""
        if name not in self.stacks:
            return Refusal(404, f"There is no stack {name!r}. Expected one of {_some(self.stacks)}.")
        try:
            return StackRequest(name, self.stacks[name].examples(inputs))
        except BadxError as error:
            return Refusal(422, error.fact)

    def answers(self, requests: Sequence[StackRequest]) -> list[StackAnswer]:
        """The answers, in order. Requests to the same stack are computed together."""
        places = defaultdict[str, list[int]](list)
        for place, request in enumerate(requests):
            places[request.stack].append(place)
        found: dict[int, StackAnswer] = {}
        for name, here in places.items():
            records = iter(self._records(name, [one for place in here for one in requests[place].examples]))
            for place in here:
                found[place] = StackAnswer(tuple(islice(records, len(requests[place].examples))))
        return [found[place] for place in range(len(requests))]

    def _records(self, name: str, examples: Sequence[Any]) -> list[dict[str, Any]]:
        stack = self.stacks[name]
        predictions, probabilities = stack.predict_with_probabilities(examples)
        return [
            {**stack.task.record(example, prediction), "probabilities": list(numbers)}
            for example, prediction, numbers in zip(examples, predictions, probabilities, strict=True)
        ]


def _some(names: Mapping[str, Any]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(list(names)[:10]) + more

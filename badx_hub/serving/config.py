"""What a deployment serves, and how much it takes at a time: the `args` of the file that `serve run` is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from badx_hub.json_toml_yaml import MIB
from badx_hub.languages import Mixture
from badx_hub.recipes.load import validated
from badx_hub.recipes.model import StrictModel
from badx_hub.registry.query import AdapterQuery
from badx_hub.setups import DEFAULT

_Text = Annotated[str, Field(min_length=1, max_length=1000)]


class StackConfig(StrictModel):
    """A stack. All but `name` are what `load_bilingual_stack` takes; `name` is what requests call it by.

    Attributes:
        pair: such as "en-wo" or "en-wo@5:1".
        name: default pair and task: "en-wo/pos".
        options: of the task, in place of those it was trained with.
    """

    pair: _Text
    task: _Text
    name: _Text | None = None
    setup: _Text = DEFAULT
    label: _Text | None = None
    base: _Text | None = None
    registry: _Text | None = None
    lock: _Text | None = None
    fallback: Literal["mad-x", "nearest-la", "proxy-la"] | None = None
    options: Mapping[str, str | bool | int | float] = {}

    @property
    def key(self) -> str:
        """The name in requests."""
        return self.name or f"{self.pair}/{self.task}"

    @property
    def query(self) -> AdapterQuery:
        """What is looked for. Raises UsageError for an unknown language, task or setup."""
        return AdapterQuery(Mixture.parse(self.pair), self.task, base=self.base, setup=self.setup, label=self.label)


class ServingConfig(StrictModel):
    """The stacks, and the bounds within which they are served.

    Attributes:
        batch: requests that are computed together, at most.
        batch_wait: seconds that the first of them waits for others.
        waiting: requests that wait for a replica, at most; further ones get 503.
        answer_seconds: after which a request gets 504, and a replica that computes for longer is replaced.
        inputs, characters: of one request, and of one of its inputs.
        offline: nothing is asked of the network.
    """

    stacks: Annotated[tuple[StackConfig, ...], Field(min_length=1, max_length=1000)]
    batch: Annotated[int, Field(ge=1, le=1024)] = 32
    batch_wait: Annotated[float, Field(ge=0.0, le=1.0)] = 0.01
    waiting: Annotated[int, Field(ge=1, le=100_000)] = 256
    answer_seconds: Annotated[float, Field(gt=0.0, le=3600.0)] = 120.0
    inputs: Annotated[int, Field(ge=1, le=10_000)] = 256
    characters: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    body_bytes: Annotated[int, Field(ge=64, le=64 * MIB)] = MIB
    offline: bool = False

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        keys = [stack.key for stack in self.stacks]
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise ValueError(f"{', '.join(twice)} is there twice; give one of them a name")
        return self


def read_config(given: Mapping[str, Any]) -> ServingConfig:
    """The configuration in `args`. Raises UsageError that lists every problem."""
    return validated(ServingConfig, given, where="the configuration of the deployment")

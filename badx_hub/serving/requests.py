"""Reading a request to predict: plain JSON within the bounds of the deployment. Knows nothing of Ray."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from badx_hub.errors import DataError
from badx_hub.json_toml_yaml import read_json
from badx_hub.serving.config import ServingConfig
from badx_hub.serving.loaded_stacks import Input, Refusal

_SHAPE = 'Expected {"stack": "en-wo/pos", "inputs": ["a text", ["or", "its", "words"]]}.'


@dataclass(frozen=True)
class InputsRequest:
    """What to predict with which stack."""

    stack: str
    inputs: tuple[Input, ...]


def read_request(body: bytes, config: ServingConfig) -> InputsRequest | Refusal:
    """The request in a body. `stack` may be left out where there is one alone."""
    if len(body) > config.body_bytes:
        return Refusal(413, f"The request has more than {config.body_bytes:,} bytes.")
    try:
        value = read_json(body, "The request", limit=config.body_bytes)
    except DataError as error:
        return Refusal(400, error.fact)
    if not isinstance(value, dict) or not value.keys() <= {"stack", "inputs"}:
        return Refusal(422, f"The request is of another shape. {_SHAPE}")
    stack = value.get("stack", config.stacks[0].key if len(config.stacks) == 1 else None)
    inputs = value.get("inputs")
    if not isinstance(stack, str):
        return Refusal(422, f"The request names no stack; GET /stacks lists them. {_SHAPE}")
    if not isinstance(inputs, list) or not all(map(_is_input, inputs)):
        return Refusal(422, f"The inputs are no list of texts or of lists of words. {_SHAPE}")
    if len(inputs) > config.inputs:
        return Refusal(413, f"The request has {len(inputs):,} inputs; at most {config.inputs:,} are read.")
    if any(_length(one) > config.characters for one in inputs):
        return Refusal(413, f"An input has more than {config.characters:,} characters.")
    return InputsRequest(stack, tuple(inputs))


def _is_input(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(part, str) for part in value))


def _length(value: Input) -> int:
    return len(value) if isinstance(value, str) else sum(map(len, value)) + len(value)

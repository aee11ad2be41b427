"""adapter_config.json and head_config.json as strangers may write them: what is taken, and within which bounds.

Taken are the bottleneck adapters of our recipes and of plain `adapters` (seq_bn, double_seq_bn, with invertible
adapters or without), and the heads of our tasks. Everything else is refused before `adapters` sees it. Loads no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from badx_hub.adapter_files import ADAPTER_CONFIG_FILE, HEAD_CONFIG_FILE
from badx_hub.errors import DataError
from badx_hub.json_toml_yaml import MIB, read_json
from badx_hub.manifest_fields import first_problem
from badx_hub.tensor_files import shown_name
from badx_hub.untrusted_files import read_plain

MAX_CONFIG_BYTES = MIB
SMALLEST_REDUCTION = 0.5
"""A bottleneck has at most twice the hidden size; those of the literature have half of it or less."""

HeadType = Literal["tagging", "classification", "dependency_parsing"]
_Reduction = Annotated[float, Field(ge=SMALLEST_REDUCTION, le=2**16)]
_Share = Annotated[float, Field(ge=0, lt=1)]
_Name = Annotated[str, Field(min_length=1, max_length=1000)]
_Word = Annotated[str, Field(max_length=100)]
_Layer = Annotated[int, Field(ge=0, lt=1000)]
_Config = TypeVar("_Config", bound=BaseModel)


class _Known(BaseModel):
    """What a loader builds a module from: a field that is not known could mean anything."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False, defer_build=True)


class Bottleneck(_Known):
    """The fields of `adapters.BnConfig` that change what is computed, with the values that are taken.

    Fields for other kinds of modules (gates, PHM layers, cross attention) have to say that there are none.
    """

    architecture: None = None
    mh_adapter: bool
    output_adapter: bool
    reduction_factor: _Reduction
    non_linearity: Literal["relu", "gelu", "swish", "silu", "tanh", "leakyrelu", "gelu_new"]
    original_ln_before: bool = False
    original_ln_after: bool = True
    ln_before: Literal[False] = False
    ln_after: bool = False
    init_weights: Literal["bert", "mam_adapter", "houlsby"] = "bert"
    init_weights_seed: int | None = None
    is_parallel: Literal[False] = False
    scaling: Annotated[float, Field(gt=0, le=1000)] | Literal["learned", "channel"] = 1.0
    use_gating: Literal[False] = False
    residual_before_ln: bool | Literal["post_add"] = True
    adapter_residual_before_ln: bool = False
    inv_adapter: Literal["nice", "glow"] | None = None
    inv_adapter_reduction_factor: _Reduction | None = None
    cross_adapter: Literal[False] = False
    leave_out: Annotated[list[_Layer], Field(max_length=1000)] = Field(default_factory=list)
    dropout: _Share = 0.0
    phm_layer: Literal[False] = False
    phm_dim: Annotated[int, Field(ge=1, le=1024)] = 4
    factorized_phm_W: bool | None = True  # noqa: N815 - the name in the file
    shared_W_phm: bool | None = False  # noqa: N815
    shared_phm_rule: bool | None = True
    factorized_phm_rule: bool | None = False
    phm_c_init: _Word | None = "normal"
    phm_init_range: Annotated[float, Field(ge=0, le=1)] | None = 0.0001
    learn_phm: bool | None = True
    hypercomplex_nonlinearity: _Word | None = "glorot-uniform"
    phm_rank: Annotated[int, Field(ge=1, le=1024)] | None = 1
    phm_bias: bool | None = True
    stochastic_depth: Annotated[float, Field(ge=0, le=0)] | None = 0.0


class _Head(_Known):
    """The configuration of a head of one of our tasks, as `adapters` writes it."""

    num_labels: Annotated[int, Field(ge=1, le=10_000)]
    label2id: Annotated[dict[_Word, int], Field(max_length=10_000)] | None = None


class _LinearHead(_Head):
    layers: Annotated[int, Field(ge=1, le=4)] = 1
    activation_function: Literal["relu", "gelu", "swish", "tanh", "leakyrelu"] | None = "tanh"
    dropout_prob: _Share | None = None


class _TaggingHead(_LinearHead):
    head_type: Literal["tagging"]


class _ClassificationHead(_LinearHead):
    head_type: Literal["classification"]
    use_pooler: Literal[False] = False
    bias: bool = True


class _ParsingHead(_Head):
    head_type: Literal["dependency_parsing"]


class _File(BaseModel):
    """What stands around the settings. Other fields (name of the base, version) are for people."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", defer_build=True)
    name: _Name


class _AdapterFile(_File):
    config: Bottleneck


class _HeadFile(_File):
    config: Annotated[_TaggingHead | _ClassificationHead | _ParsingHead, Field(discriminator="head_type")]


@dataclass(frozen=True)
class NamedConfig:
    """The settings of an adapter or head as arguments for `adapters`, and the name it has in its file of weights."""

    name: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class ExpectedHead:
    """What a task's head has to be: its type, and its labels in the order of their ids."""

    head_type: HeadType
    labels: Sequence[str]


def adapter_config(folder: Path, *, layers: int) -> NamedConfig:
    """The settings of the adapter in `folder`, for a base with that many layers. Raises DataError, StorageError."""
    read = _read(folder / ADAPTER_CONFIG_FILE, _AdapterFile)
    if strange := [layer for layer in read.config.leave_out if layer >= layers]:
        raise _refused(folder / ADAPTER_CONFIG_FILE, f"leave_out names layer {strange[0]} of a base with {layers}")
    if not (read.config.mh_adapter or read.config.output_adapter) or len(set(read.config.leave_out)) == layers:
        raise _refused(folder / ADAPTER_CONFIG_FILE, "no layer would have an adapter")
    return NamedConfig(read.name, read.config.model_dump(exclude={"architecture"}))


def head_config(folder: Path, expected: ExpectedHead) -> NamedConfig:
    """The settings of the head in `folder`. Raises DataError (also for another head than `expected`), StorageError."""
    path = folder / HEAD_CONFIG_FILE
    read = _read(path, _HeadFile)
    labels, found = tuple(expected.labels), read.config
    if found.head_type != expected.head_type:
        raise _refused(path, f"its head is for {found.head_type}, and the task needs {expected.head_type}")
    if found.num_labels != len(labels):
        raise _refused(path, f"its head has {found.num_labels} labels, and the task has {len(labels)}")
    if found.label2id is not None and found.label2id != {label: number for number, label in enumerate(labels)}:
        raise _refused(path, "its labels are not those of the manifest, in their order")
    settings = found.model_dump(exclude_unset=True)
    return NamedConfig(read.name, settings | {"label2id": dict(zip(labels, range(len(labels)), strict=True))})


def _read(path: Path, schema: type[_Config]) -> _Config:
    content = read_json(read_plain(path, limit=MAX_CONFIG_BYTES), path.name, limit=MAX_CONFIG_BYTES)
    if not isinstance(content, dict) or not isinstance(content.get("config"), dict):
        raise DataError(f"{path.name} is not one of `adapters`: there is no `config` with its settings.")
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        raise _refused(path, shown_name(first_problem(error))) from error


def _refused(path: Path, reason: str) -> DataError:
    return DataError(f"{path.name} does not describe an adapter that is loaded here: {reason}.")

"""The bases that can be opened, and what their config.json may say. Loads no torch.

A base is named by strangers' manifests, and transformers runs what a configuration asks for: code of the repository
(`auto_map`), kernels of another one (`attn_implementation`), quantisers. So a configuration of ours is made from the
fields below, in their bounds; what could run or take memory is refused, and the rest is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from typing_extensions import Self

from badx_hub.errors import DataError, UsageError
from badx_hub.manifest_fields import first_problem
from badx_hub.remedies import Advice
from badx_hub.tensor_files import shown_name

if TYPE_CHECKING:
    from transformers import PretrainedConfig

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Family:
    """Models of one `model_type`: their configuration's class in transformers, the prefix of the encoder's weights.

    `counts_padding`: positions begin behind the padding's own, so that the longest input is shorter. `padding` is the
    padding's number where config.json gives none.
    """

    config_class: str
    prefix: str
    padding: int
    counts_padding: bool
    tokenizers: tuple[str, ...]


FAMILIES = {
    "bert": Family("BertConfig", "bert.", 0, False, ("BertTokenizer", "BertTokenizerFast")),
    "roberta": Family("RobertaConfig", "roberta.", 1, True, ("RobertaTokenizer", "RobertaTokenizerFast")),
    "xlm-roberta": Family("XLMRobertaConfig", "roberta.", 1, True, ("XLMRobertaTokenizer", "XLMRobertaTokenizerFast")),
}
"""By `model_type`."""

ATTENTION = "sdpa"
"""The implementation of attention that every base is loaded with: torch's own."""

_PLAIN_ATTENTION = ("eager", "sdpa", None)
# Each of these can bring code, files of elsewhere, or other weights.
_REFUSED = ("auto_map", "quantization_config", "adapters", "prediction_heads", "custom_heads", "model_heads")

_Share = Annotated[float, Field(ge=0, lt=1)]
_Token = Annotated[int, Field(ge=0, lt=2**22)]


class BaseConfig(BaseModel):
    """The fields of config.json that decide what is computed. A word that is not here is not read."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False, defer_build=True)

    model_type: Literal["bert", "roberta", "xlm-roberta"]
    vocab_size: Annotated[int, Field(ge=1, le=2**22)]
    hidden_size: Annotated[int, Field(ge=1, le=2**13)]
    num_hidden_layers: Annotated[int, Field(ge=1, le=96)]
    num_attention_heads: Annotated[int, Field(ge=1, le=256)]
    intermediate_size: Annotated[int, Field(ge=1, le=2**16)]
    max_position_embeddings: Annotated[int, Field(ge=4, le=2**16)] = 512
    type_vocab_size: Annotated[int, Field(ge=1, le=64)] = 2
    hidden_act: Literal["gelu", "gelu_new", "relu", "silu"] = "gelu"
    hidden_dropout_prob: _Share = 0.1
    attention_probs_dropout_prob: _Share = 0.1
    classifier_dropout: _Share | None = None
    layer_norm_eps: Annotated[float, Field(gt=0, le=0.01)] = 1e-12
    initializer_range: Annotated[float, Field(ge=0, le=1)] = 0.02
    pad_token_id: _Token | None = None
    bos_token_id: _Token | None = None
    eos_token_id: _Token | list[_Token] | None = None
    position_embedding_type: Literal["absolute"] = "absolute"
    is_decoder: Literal[False] = False
    add_cross_attention: Literal[False] = False
    is_encoder_decoder: Literal[False] = False
    tie_word_embeddings: bool = True
    chunk_size_feed_forward: Annotated[int, Field(ge=0, le=0)] = 0
    pruned_heads: Annotated[dict[str, list[int]], Field(max_length=0)] = Field(default_factory=dict)
    num_labels: Annotated[int, Field(ge=0, le=100_000)] | None = None
    id2label: Annotated[dict[str, Any], Field(max_length=100_000)] | None = None
    dtype: Literal["float32", "float16", "bfloat16"] | None = None
    torch_dtype: Literal["float32", "float16", "bfloat16"] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(f"{self.num_attention_heads} heads do not share a hidden size of {self.hidden_size}")
        if self.pad_token_id is not None and self.pad_token_id >= self.vocab_size:
            raise ValueError(f"pad_token_id {self.pad_token_id} is beyond the vocabulary of {self.vocab_size}")
        return self

    @property
    def family(self) -> Family:
        return FAMILIES[self.model_type]

    @property
    def max_length(self) -> int:
        """The longest input, in sub-words."""
        return self.max_position_embeddings - (self.padding + 1 if self.family.counts_padding else 0)

    @property
    def padding(self) -> int:
        """The number of the padding token."""
        return self.family.padding if self.pad_token_id is None else self.pad_token_id

    def settings(self) -> dict[str, Any]:
        """What the encoder is made from: the fields that config.json gives, except those about labels and storage."""
        return self.model_dump(exclude_unset=True, exclude={"id2label", "num_labels", "dtype", "torch_dtype"})

    def identity(self) -> dict[str, Any]:
        """What decides the numbers that a forward pass gives: two files with the same are the same base."""
        unused = {"initializer_range", "bos_token_id", "eos_token_id", "id2label", "num_labels"}
        return {**self.model_dump(mode="json", exclude=unused | {"dtype", "torch_dtype"}), "pad_token_id": self.padding}

    def for_transformers(self) -> PretrainedConfig:
        """The configuration that transformers takes."""
        import transformers

        made: PretrainedConfig = getattr(transformers, self.family.config_class)(
            **{key: value for key, value in self.settings().items() if key not in ("model_type", "pruned_heads")}
        )
        return made

    def shapes(self) -> Shapes:
        """The encoder's weights, by their names without the prefix."""
        return dict(self._shapes())

    def _shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        hidden, wide = self.hidden_size, self.intermediate_size
        for what, rows in (
            ("word", self.vocab_size),
            ("position", self.max_position_embeddings),
            ("token_type", self.type_vocab_size),
        ):
            yield f"embeddings.{what}_embeddings.weight", (rows, hidden)
        yield from _norm("embeddings.LayerNorm", hidden)
        for number in range(self.num_hidden_layers):
            layer = f"encoder.layer.{number}"
            for what in ("query", "key", "value"):
                yield from _linear(f"{layer}.attention.self.{what}", hidden, hidden)
            yield from _linear(f"{layer}.attention.output.dense", hidden, hidden)
            yield from _norm(f"{layer}.attention.output.LayerNorm", hidden)
            yield from _linear(f"{layer}.intermediate.dense", hidden, wide)
            yield from _linear(f"{layer}.output.dense", wide, hidden)
            yield from _norm(f"{layer}.output.LayerNorm", hidden)


def _linear(name: str, inputs: int, outputs: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (outputs, inputs)
    yield f"{name}.bias", (outputs,)


def _norm(name: str, size: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (size,)
    yield f"{name}.bias", (size,)


def checked_config(content: Any, base: str) -> BaseConfig:
    """The configuration of the base that errors call `base`, from the value of its config.json.

    Raises:
        UsageError: a type of model that is not supported.
        DataError: it is not a configuration, asks for code, or is out of bounds.
    """
    if not isinstance(content, dict):
        raise _refused(base, "it is not a table")
    if code := next((key for key in content if key in _REFUSED and content[key]), None):
        raise _refused(base, f"{code} can run code or load other weights, which a base may not")
    for key, value in content.items():
        if "attn_implementation" in key and not key.endswith("_autoset") and value not in _PLAIN_ATTENTION:
            raise _refused(base, f"{shown_name(key)} can load a kernel, which runs code; eager and sdpa are taken")
        if "kernel" in key:
            raise _refused(base, f"{shown_name(key)} can load a kernel, which runs code")
    kind = content.get("model_type")
    if isinstance(kind, str) and kind not in FAMILIES:
        raise UsageError(
            f"Bases of type '{shown_name(kind)}' are not supported.",
            remedies=(Advice("Take a BERT, RoBERTa or XLM-RoBERTa model, such as {}.", (("base", "demo"),)),),
        )
    try:
        return BaseConfig.model_validate(content)
    except ValidationError as error:
        raise _refused(base, shown_name(first_problem(error))) from error


def _refused(base: str, reason: str) -> DataError:
    return DataError(
        f"{base}/config.json does not describe a transformer that is opened here: {reason}.",
        remedies=(Advice("Give {} a folder written by `save_pretrained`.", (("base", None),)),),
    )

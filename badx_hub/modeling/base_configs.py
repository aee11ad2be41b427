"""What config.json may say, a class for each layout of a family, and the shapes of the weights that follow from it.

transformers runs what a configuration asks for, so a configuration of ours is made from the fields below, in their
bounds, and the rest is left out. Which `model_type` has which class is said in `badx_hub.modeling.families`. Loads no
torch.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from typing_extensions import Self

Shapes = Mapping[str, tuple[int, ...]]
_Shapes = Iterator[tuple[str, tuple[int, ...]]]

_Share = Annotated[float, Field(ge=0, lt=1)]
_Token = Annotated[int, Field(ge=0, lt=2**22)]
_Hidden = Annotated[int, Field(ge=1, le=2**13)]
_Layers = Annotated[int, Field(ge=1, le=96)]
_Heads = Annotated[int, Field(ge=1, le=256)]
_Wide = Annotated[int, Field(ge=1, le=2**16)]
_Positions = Annotated[int, Field(ge=4, le=2**16)]
_Epsilon = Annotated[float, Field(gt=0, le=0.01)]
_Theta = Annotated[float, Field(ge=1, le=1e9)]
_Activation = Literal["gelu", "gelu_new", "relu", "silu"]
_UNUSED = frozenset({"initializer_range", "bos_token_id", "eos_token_id", "id2label", "num_labels"})
_STORAGE = frozenset({"id2label", "num_labels", "dtype", "torch_dtype"})


class BaseConfig(BaseModel):
    """The fields that every family has. A word that is not a field is not read."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False, defer_build=True)

    default_padding: ClassVar[int] = 0
    """The number of the padding token where config.json gives none."""

    unread: ClassVar[frozenset[str]] = frozenset({"model_type", "pruned_heads"})
    """Fields that say what is expected, and are no arguments of the class in transformers."""

    model_type: str
    vocab_size: Annotated[int, Field(ge=1, le=2**22)]
    hidden_size: _Hidden
    num_hidden_layers: _Layers
    num_attention_heads: _Heads
    intermediate_size: _Wide
    max_position_embeddings: _Positions = 512
    initializer_range: Annotated[float, Field(ge=0, le=1)] = 0.02
    pad_token_id: _Token | None = None
    bos_token_id: _Token | None = None
    eos_token_id: _Token | list[_Token] | None = None
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
        if self.padding >= self.vocab_size:
            raise ValueError(f"pad_token_id {self.padding} is beyond the vocabulary of {self.vocab_size}")
        return self

    @property
    def padding(self) -> int:
        """The number of the padding token."""
        return self.default_padding if self.pad_token_id is None else self.pad_token_id

    @property
    def max_length(self) -> int:
        """The longest input, in sub-words."""
        return self.max_position_embeddings

    @property
    def token_types(self) -> int:
        """How many token types the embeddings know; 1 is as good as none."""
        return 1

    def settings(self) -> dict[str, Any]:
        """What the encoder is made from: the fields that config.json gives, except those about labels and storage."""
        return self.model_dump(exclude_unset=True, by_alias=True, exclude=set(_STORAGE | self.unread))

    def identity(self) -> dict[str, Any]:
        """What decides the numbers that a forward pass gives: two files with the same are the same base."""
        dumped = self.model_dump(mode="json", by_alias=True, exclude=set(_UNUSED | {"dtype", "torch_dtype"}))
        return {**dumped, "pad_token_id": self.padding}

    def shapes(self) -> Shapes:
        """The encoder's weights, by their names without the prefix."""
        return dict(self._shapes())

    @abstractmethod
    def _shapes(self) -> _Shapes:
        """The encoder's weights one by one."""


class BertLikeConfig(BaseConfig):
    """BERT's: norms after each block, learnt positions that are counted from 0."""

    type_vocab_size: Annotated[int, Field(ge=1, le=64)] = 2
    hidden_act: _Activation = "gelu"
    hidden_dropout_prob: _Share = 0.1
    attention_probs_dropout_prob: _Share = 0.1
    classifier_dropout: _Share | None = None
    layer_norm_eps: _Epsilon = 1e-12
    position_embedding_type: Literal["absolute"] = "absolute"

    @property
    def token_types(self) -> int:
        return self.type_vocab_size

    @property
    def _embedded(self) -> int:
        """The size of an embedding."""
        return self.hidden_size

    def _shapes(self) -> _Shapes:
        hidden, wide = self.hidden_size, self.intermediate_size
        for what, rows in (
            ("word", self.vocab_size),
            ("position", self.max_position_embeddings),
            ("token_type", self.type_vocab_size),
        ):
            yield f"embeddings.{what}_embeddings.weight", (rows, self._embedded)
        yield from _norm("embeddings.LayerNorm", self._embedded)
        for number in range(self.num_hidden_layers):
            layer = f"encoder.layer.{number}"
            for what in ("query", "key", "value"):
                yield from _linear(f"{layer}.attention.self.{what}", hidden, hidden)
            yield from _linear(f"{layer}.attention.output.dense", hidden, hidden)
            yield from _norm(f"{layer}.attention.output.LayerNorm", hidden)
            yield from _linear(f"{layer}.intermediate.dense", hidden, wide)
            yield from _linear(f"{layer}.output.dense", wide, hidden)
            yield from _norm(f"{layer}.output.LayerNorm", hidden)


class RobertaLikeConfig(BertLikeConfig):
    """RoBERTa's: positions begin behind the padding's own number, so that the longest input is shorter."""

    default_padding: ClassVar[int] = 1

    @property
    def max_length(self) -> int:
        return self.max_position_embeddings - self.padding - 1


class ElectraLikeConfig(BertLikeConfig):
    """ELECTRA's: BERT's, with embeddings of a size of their own."""

    embedding_size: _Hidden = 128

    @property
    def _embedded(self) -> int:
        return self.embedding_size

    def _shapes(self) -> _Shapes:
        yield from super()._shapes()
        if self.embedding_size != self.hidden_size:
            yield from _linear("embeddings_project", self.embedding_size, self.hidden_size)


class DistilBertLikeConfig(BaseConfig):
    """DistilBERT's: BERT's layers under other names, without token types."""

    hidden_size: _Hidden = Field(alias="dim")
    num_hidden_layers: _Layers = Field(alias="n_layers")
    num_attention_heads: _Heads = Field(alias="n_heads")
    intermediate_size: _Wide = Field(alias="hidden_dim")
    activation: _Activation = "gelu"
    dropout: _Share = 0.1
    attention_dropout: _Share = 0.1
    seq_classif_dropout: _Share = 0.2
    sinusoidal_pos_embds: bool = False  # The positions are in the weights, whichever way they were made.

    def _shapes(self) -> _Shapes:
        hidden, wide = self.hidden_size, self.intermediate_size
        yield "embeddings.word_embeddings.weight", (self.vocab_size, hidden)
        yield "embeddings.position_embeddings.weight", (self.max_position_embeddings, hidden)
        yield from _norm("embeddings.LayerNorm", hidden)
        for number in range(self.num_hidden_layers):
            layer = f"transformer.layer.{number}"
            for what in ("q", "k", "v", "out"):
                yield from _linear(f"{layer}.attention.{what}_lin", hidden, hidden)
            yield from _norm(f"{layer}.sa_layer_norm", hidden)
            yield from _linear(f"{layer}.ffn.lin1", hidden, wide)
            yield from _linear(f"{layer}.ffn.lin2", wide, hidden)
            yield from _norm(f"{layer}.output_layer_norm", hidden)


class ModernBertLikeConfig(BaseConfig):
    """ModernBERT's: norms before each block, rotary positions, most layers see only their neighbourhood.

    transformers 5 writes two of its fields in another way (`rope_parameters`, `layer_types`), and leaves out the ones
    that version 4 reads: then its defaults would be taken, which are not those of mmBERT.
    """

    default_padding: ClassVar[int] = 50283
    unread: ClassVar[frozenset[str]] = BaseConfig.unread | {"rope_scaling"}

    max_position_embeddings: _Positions = 8192
    hidden_activation: _Activation = "gelu"
    classifier_activation: _Activation = "gelu"
    norm_eps: _Epsilon = 1e-5
    norm_bias: bool = False
    attention_bias: bool = False
    mlp_bias: bool = False
    decoder_bias: bool = True
    classifier_bias: bool = False
    attention_dropout: _Share = 0.0
    embedding_dropout: _Share = 0.0
    mlp_dropout: _Share = 0.0
    classifier_dropout: _Share = 0.0
    global_attn_every_n_layers: Annotated[int, Field(ge=1, le=96)] = 3
    local_attention: Annotated[int, Field(ge=2, le=2**16)] = 128
    global_rope_theta: _Theta = 160_000.0
    local_rope_theta: _Theta | None = 10_000.0
    rope_scaling: None = None

    @model_validator(mode="before")
    @classmethod
    def _as_version_4(cls, content: Any) -> Any:
        if not isinstance(content, Mapping):
            return content
        said = dict(content)
        for kind, field in (("full_attention", "global_rope_theta"), ("sliding_attention", "local_rope_theta")):
            if (theta := _theta(said.get("rope_parameters"), kind)) is not None:
                said.setdefault(field, theta)
        if (kinds := said.get("layer_types")) is not None:
            said.setdefault("global_attn_every_n_layers", _period(kinds))
        return said

    @model_validator(mode="after")
    def _turns(self) -> Self:
        if self.hidden_size // self.num_attention_heads % 2:
            raise ValueError("a head has an odd size, which cannot be turned by rotary positions")
        return self

    def _shapes(self) -> _Shapes:
        hidden, wide = self.hidden_size, self.intermediate_size
        yield "embeddings.tok_embeddings.weight", (self.vocab_size, hidden)
        yield from _norm("embeddings.norm", hidden, bias=self.norm_bias)
        for number in range(self.num_hidden_layers):
            layer = f"layers.{number}"
            if number:
                yield from _norm(f"{layer}.attn_norm", hidden, bias=self.norm_bias)
            yield from _linear(f"{layer}.attn.Wqkv", hidden, 3 * hidden, bias=self.attention_bias)
            yield from _linear(f"{layer}.attn.Wo", hidden, hidden, bias=self.attention_bias)
            yield from _norm(f"{layer}.mlp_norm", hidden, bias=self.norm_bias)
            yield from _linear(f"{layer}.mlp.Wi", hidden, 2 * wide, bias=self.mlp_bias)
            yield from _linear(f"{layer}.mlp.Wo", wide, hidden, bias=self.mlp_bias)
        yield from _norm("final_norm", hidden, bias=self.norm_bias)


def _theta(parameters: Any, kind: str) -> Any:
    """The period of a kind of layer, from `rope_parameters`. Raises ValueError for scaled positions."""
    found = parameters.get(kind) if isinstance(parameters, Mapping) else None
    if not isinstance(found, Mapping):
        return None
    if found.get("rope_type", "default") != "default":
        raise ValueError(f"rope_parameters: positions of {kind} are scaled, and only plain ones are taken")
    return found.get("rope_theta")


def _period(kinds: Any) -> int:
    """Every how many layers there is one that sees everything. Raises ValueError if there is no such number."""
    is_list = isinstance(kinds, list) and 0 < len(kinds) <= 96
    whole = [number for number, kind in enumerate(kinds) if kind == "full_attention"] if is_list else []
    period = whole[1] if len(whole) > 1 else len(kinds) if whole else 0
    if not period or whole != list(range(0, len(kinds), period)):
        raise ValueError("layer_types: expected full_attention in the first layer and then every so many layers")
    return period


def _linear(name: str, inputs: int, outputs: int, *, bias: bool = True) -> _Shapes:
    yield f"{name}.weight", (outputs, inputs)
    if bias:
        yield f"{name}.bias", (outputs,)


def _norm(name: str, size: int, *, bias: bool = True) -> _Shapes:
    yield f"{name}.weight", (size,)
    if bias:
        yield f"{name}.bias", (size,)

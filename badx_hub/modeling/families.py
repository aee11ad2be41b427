"""The table of families: which bases can be opened, and all that differs between them. Loads no torch.

Nothing else in the package asks for a `model_type`. Of a base that is not in the table, `OTHERS` says why not.

A base is named by strangers' manifests, and transformers runs what a configuration asks for: code of the repository
(`auto_map`), kernels of another one (`attn_implementation`), quantisers. What could run or take memory is refused
here; which fields are read at all is said in `badx_hub.modeling.base_configs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pydantic import ValidationError

from badx_hub.errors import DataError, UsageError
from badx_hub.manifest_fields import first_problem
from badx_hub.modeling.base_configs import (
    BaseConfig,
    BertLikeConfig,
    DistilBertLikeConfig,
    ElectraLikeConfig,
    ModernBertLikeConfig,
    RobertaLikeConfig,
)
from badx_hub.remedies import Advice
from badx_hub.tensor_files import shown_name

if TYPE_CHECKING:
    from transformers import PretrainedConfig

GELU = "gelu"
"""A step of a head that is no module of the model, but the function."""


@dataclass(frozen=True)
class Family:
    """Models of one `model_type`.

    Paths are attributes, joined by dots: from the encoder (`layers`), or from the model with its pretrained head
    (`head`).

    Attributes:
        title: what people call it.
        config: the fields of config.json that are read, the shapes of the weights, the longest input.
        config_class: the class of configurations in transformers; it decides which class of models is loaded.
        settings: arguments of that class that config.json has no say in.
        prefix: of the encoder's weights in files of the model with a head.
        tokenizers: the classes that tokenizer_config.json may name.
        adapter_model: module and class of the encoder with exchangeable heads.
        plain_model: the class of plain `adapters` that opens the base; None where it has none, so that it loads the
            adapters in the model with the pretrained head, and no heads of tasks.
        attention: the implementation of attention: torch's own ("sdpa"), where the family has it.
        layers: the list of layers.
        last_layer: the function of `badx_hub.modeling.last_layers` that runs the last layer on some positions; None
            where a shortcut is not known, so that all of it runs.
        head: what the pretrained head does before its decoder, step by step: modules, or `GELU`. Parameters of the
            modules are what `head: transform` trains.
        stands_in: special tokens that take the place of ones that a tokenizer does not name.
    """

    title: str
    config: type[BaseConfig]
    config_class: str
    prefix: str
    tokenizers: tuple[str, ...]
    adapter_model: tuple[str, str]
    layers: str
    head: tuple[str, ...]
    last_layer: str | None = None
    attention: Literal["sdpa", "eager"] = "sdpa"
    plain_model: str | None = "AutoAdapterModel"
    settings: Mapping[str, Any] = field(default_factory=dict)
    stands_in: Mapping[str, str] = field(default_factory=dict)


_BERT_TOKENIZERS = ("BertTokenizer", "BertTokenizerFast")
_XLMR_TOKENIZERS = ("XLMRobertaTokenizer", "XLMRobertaTokenizerFast")

FAMILIES: Mapping[str, Family] = {
    "bert": Family(
        title="BERT",
        config=BertLikeConfig,
        config_class="BertConfig",
        prefix="bert.",
        tokenizers=_BERT_TOKENIZERS,
        adapter_model=("adapters", "BertAdapterModel"),
        layers="encoder.layer",
        last_layer="of_bert",
        head=("cls.predictions.transform",),
    ),
    "roberta": Family(
        title="RoBERTa",
        config=RobertaLikeConfig,
        config_class="RobertaConfig",
        prefix="roberta.",
        tokenizers=("RobertaTokenizer", "RobertaTokenizerFast"),
        adapter_model=("adapters", "RobertaAdapterModel"),
        layers="encoder.layer",
        last_layer="of_bert",
        head=("lm_head.dense", GELU, "lm_head.layer_norm"),
    ),
    "xlm-roberta": Family(
        title="XLM-RoBERTa",
        config=RobertaLikeConfig,
        config_class="XLMRobertaConfig",
        prefix="roberta.",
        tokenizers=_XLMR_TOKENIZERS,
        adapter_model=("adapters", "XLMRobertaAdapterModel"),
        layers="encoder.layer",
        last_layer="of_bert",
        head=("lm_head.dense", GELU, "lm_head.layer_norm"),
    ),
    "distilbert": Family(
        title="DistilBERT",
        config=DistilBertLikeConfig,
        config_class="DistilBertConfig",
        prefix="distilbert.",
        tokenizers=("DistilBertTokenizer", "DistilBertTokenizerFast", *_BERT_TOKENIZERS),
        adapter_model=("adapters", "DistilBertAdapterModel"),
        layers="transformer.layer",
        last_layer="of_distilbert",
        head=("vocab_transform", "activation", "vocab_layer_norm"),
    ),
    # Of the two models of an ELECTRA, the generator, which fills masks.
    "electra": Family(
        title="ELECTRA (the generator)",
        config=ElectraLikeConfig,
        config_class="ElectraConfig",
        prefix="electra.",
        tokenizers=("ElectraTokenizer", "ElectraTokenizerFast", *_BERT_TOKENIZERS),
        adapter_model=("adapters", "ElectraAdapterModel"),
        layers="encoder.layer",
        head=("generator_predictions",),
        attention="eager",
    ),
    # Its layers are compiled unless it is told not to, and `adapters` works by hooks that a compiled layer skips.
    "modernbert": Family(
        title="ModernBERT",
        config=ModernBertLikeConfig,
        config_class="ModernBertConfig",
        prefix="model.",
        tokenizers=("GemmaTokenizer", "GemmaTokenizerFast"),
        adapter_model=("badx_hub.modeling.modernbert", "ModernBertAdapterModel"),
        plain_model=None,
        layers="layers",
        head=("head",),
        settings={"reference_compile": False},
        stands_in={"cls_token": "bos_token", "sep_token": "eos_token"},
    ),
}
"""By `model_type`."""

_DECODER = "is a decoder: it reads from left to right and has not learnt to fill masks"
_ENCODER_DECODER = "is made of an encoder and a decoder and has learnt to write text, not to fill masks"
_NO_ADAPTERS = "fills masks, but `adapters` does not know its layers"
_CODE = "is code of its repository, which is never run"
_LESS_KNOWN = {
    _DECODER: "opt falcon mpt phi3 olmo olmo2 cohere cohere2 deepseek_v2 deepseek_v3 smollm3 granite starcoder2 bitnet "
    "gpt_oss qwen2_moe qwen3_moe mixtral stablelm codegen gpt_neo gpt_bigcode modernbert-decoder",
    _ENCODER_DECODER: "marian fsmt encoder-decoder pegasus prophetnet xlm-prophetnet nllb-moe t5gemma blenderbot led "
    "longt5 switch_transformers plbart seamless_m4t seamless_m4t_v2",
    _NO_ADAPTERS: "roformer ernie luke esm funnel ibert mobilebert mra nystromformer squeezebert convbert fnet "
    "data2vec-text layoutlm megatron-bert yoso roberta-prelayernorm",
    "reads images, not text": "vit swin beit deit dinov2 clip siglip siglip2 blip convnext resnet",
    "reads sound, not text": "whisper wav2vec2 wav2vec2-bert hubert wavlm speecht5",
    "reads images or sound beside text and writes text": "mistral3 gemma3n qwen2_vl qwen2_5_vl qwen3_vl idefics3 llava "
    "paligemma mllama",
    _CODE: "neobert jina-bert new",
}

OTHERS: Mapping[str, tuple[str, str]] = {
    "camembert": ("CamemBERT", "is an XLM-RoBERTa of French alone, under a name that `adapters` does not know"),
    "albert": ("ALBERT", "has one layer that is run many times, so that there is one adapter in place of one a layer"),
    "deberta": ("DeBERTa", "comes with a head for filling masks that transformers does not load"),
    "deberta-v2": ("DeBERTa-v3 (mDeBERTa)", "has learnt to find replaced words and has no trained head to fill masks"),
    "xmod": ("X-MOD", "has an adapter of its own for each language inside, so that ours would stand on those"),
    "xlm": ("XLM", _NO_ADAPTERS),
    "xlm-roberta-xl": ("XLM-R XL", _NO_ADAPTERS),
    "rembert": ("RemBERT", _NO_ADAPTERS),
    "canine": ("CANINE", "reads characters and has no sub-words that could be masked"),
    "mpnet": ("MPNet", _NO_ADAPTERS),
    "flaubert": ("FlauBERT", _NO_ADAPTERS),
    "longformer": ("Longformer", _NO_ADAPTERS),
    "big_bird": ("BigBird", _NO_ADAPTERS),
    "nomic_bert": ("Nomic BERT", _CODE),
    "eurobert": ("EuroBERT", _CODE),
    "t5": ("T5", _ENCODER_DECODER),
    "mt5": ("mT5", _ENCODER_DECODER),
    "umt5": ("UMT5", _ENCODER_DECODER),
    "bart": ("BART", _ENCODER_DECODER),
    "mbart": ("mBART", _ENCODER_DECODER),
    "m2m_100": ("M2M-100 (NLLB)", _ENCODER_DECODER),
    "gpt2": ("GPT-2", _DECODER),
    "gpt_neox": ("GPT-NeoX", _DECODER),
    "gptj": ("GPT-J", _DECODER),
    "xglm": ("XGLM", _DECODER),
    "bloom": ("BLOOM", _DECODER),
    "llama": ("Llama", _DECODER),
    "mistral": ("Mistral", _DECODER),
    "gemma": ("Gemma", _DECODER),
    "gemma2": ("Gemma 2", _DECODER),
    "gemma3": ("Gemma 3", _DECODER),
    "gemma3_text": ("Gemma 3", _DECODER),
    "qwen2": ("Qwen 2", _DECODER),
    "qwen3": ("Qwen 3", _DECODER),
    "phi": ("Phi", _DECODER),
    **{kind: (kind, reason) for reason, kinds in _LESS_KNOWN.items() for kind in kinds.split()},
}
"""Families that are not opened, by `model_type`: what people call them, and why not."""

_PLAIN_ATTENTION = ("eager", "sdpa", None)
# Each of these can bring code, files of elsewhere, or other weights.
_REFUSED = ("auto_map", "quantization_config", "adapters", "prediction_heads", "custom_heads", "model_heads")
_TAKE = Advice(
    "Take an encoder that has learnt to fill masks: {}, {} or {}.",
    (("base", "FacebookAI/xlm-roberta-base"), ("base", "bert-base-multilingual-cased"), ("base", "demo")),
)


class _Typed(Protocol):
    @property
    def model_type(self) -> str: ...


def find_family(typed: _Typed) -> Family | None:
    """The family of a configuration, ours or transformers', or of a manifest's base; None if it is not in the table."""
    return FAMILIES.get(typed.model_type)


def family_of(typed: _Typed) -> Family:
    """The same. Raises UsageError if it is not in the table."""
    if (family := find_family(typed)) is None:
        raise _not_supported(typed.model_type)
    return family


def plain_type(config: BaseConfig) -> str:
    """The `model_type` that plain `adapters` knows the base by."""
    same = (kind for kind, row in FAMILIES.items() if row.config_class == family_of(config).config_class)
    return next(same)


def for_transformers(config: BaseConfig) -> PretrainedConfig:
    """The configuration that transformers takes."""
    import transformers

    family = family_of(config)
    made: PretrainedConfig = getattr(transformers, family.config_class)(**config.settings(), **family.settings)
    return made


def checked_config(content: Any, base: str) -> BaseConfig:
    """The configuration of the base that errors call `base`, from the value of its config.json.

    Raises:
        UsageError: a type of model that is not supported.
        DataError: it is not a configuration, asks for code, or is out of bounds.
    """
    if not isinstance(content, dict):
        raise _refused(base, "it is not a table")
    kind = content.get("model_type")
    if not isinstance(kind, str):
        raise _refused(base, "model_type does not say which kind of model it is")
    if kind not in FAMILIES:
        raise _not_supported(kind)
    if code := next((key for key in content if key in _REFUSED and content[key]), None):
        raise _refused(base, f"{code} can run code or load other weights, which a base may not")
    for key, value in content.items():
        if "attn_implementation" in key and not key.endswith("_autoset") and value not in _PLAIN_ATTENTION:
            raise _refused(base, f"{shown_name(key)} can load a kernel, which runs code; eager and sdpa are taken")
        if "kernel" in key:
            raise _refused(base, f"{shown_name(key)} can load a kernel, which runs code")
    try:
        return FAMILIES[kind].config.model_validate(content)
    except ValidationError as error:
        raise _refused(base, shown_name(first_problem(error))) from error


def _not_supported(kind: str) -> UsageError:
    """What the kind of model is, why it cannot be a base, and what to take."""
    title, reason = OTHERS.get(kind, (None, None))
    known = ", ".join(family.title for family in FAMILIES.values())
    why = f"{title} {reason}" if title else f"known are {known}"
    return UsageError(f"Bases of type '{shown_name(kind)}' are not supported: {why}.", remedies=(_TAKE,))


def _refused(base: str, reason: str) -> DataError:
    return DataError(
        f"{base}/config.json does not describe a transformer that is opened here: {reason}.",
        remedies=(Advice("Give {} a folder written by `save_pretrained`.", (("base", None),)),),
    )

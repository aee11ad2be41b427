"""A tiny random base of each family, in the layout of its real files: config.json, weights, a tokenizer of its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.tiny import SPECIAL, demo_lines

if TYPE_CHECKING:
    from tokenizers import Tokenizer

LAYERS = 2
WORDS = 500
_ANGLED = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
_GEMMA = ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>")
_BERT_SIZES = {"hidden_size": 32, "num_hidden_layers": LAYERS, "num_attention_heads": 2, "intermediate_size": 48}


@dataclass(frozen=True)
class Made:
    """How a tiny base is made: its `model_type`, sizes as its config.json calls them, and its tokenizer.

    `tokenizer_config` is what tokenizer_config.json says.
    """

    model_type: str
    sizes: Mapping[str, Any]
    tokenizer: Callable[[], Tokenizer]
    tokenizer_config: Mapping[str, Any]


def _trained(tokenizer: Tokenizer, trainer: Any) -> Tokenizer:
    tokenizer.train_from_iterator([*demo_lines("en", 300), *demo_lines("wo", 300)], trainer)
    return tokenizer


def _framed(tokenizer: Tokenizer, first: str, last: str, second: str) -> Tokenizer:
    from tokenizers import processors

    special = [(token, tokenizer.token_to_id(token)) for token in dict.fromkeys((first, last))]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}", pair=f"{first} $A {second} $B {last}", special_tokens=special
    )
    return tokenizer


@cache
def word_pieces() -> Tokenizer:
    """BERT's kind."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    _trained(tokenizer, trainers.WordPieceTrainer(vocab_size=WORDS, special_tokens=SPECIAL))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


@cache
def byte_pairs(special: Sequence[str] = _ANGLED) -> Tokenizer:
    """RoBERTa's and ModernBERT's kind: pairs of bytes, a space before a word is part of it."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=WORDS, special_tokens=list(special), initial_alphabet=alphabet)
    _trained(tokenizer, trainer)
    if special is _ANGLED:
        return _framed(tokenizer, "<s>", "</s>", "</s> </s>")
    return _framed(tokenizer, "[CLS]", "[SEP]", "[SEP]")


@cache
def unigrams() -> Tokenizer:
    """XLM-RoBERTa's kind: a sentencepiece model, a space is put before the text."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=WORDS, special_tokens=list(_ANGLED), unk_token="<unk>")
    return _framed(_trained(tokenizer, trainer), "<s>", "</s>", "</s> </s>")


@cache
def gemma_pairs() -> Tokenizer:
    """mmBERT's kind: pairs of characters over whole lines, bytes for what is unknown, no space before the text."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")  # Training needs words.
    bytes_ = [f"<0x{number:02X}>" for number in range(256)]
    _trained(tokenizer, trainers.BpeTrainer(vocab_size=WORDS + 256, special_tokens=[*_GEMMA, *bytes_]))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    return _framed(tokenizer, "<bos>", "<eos>", "<eos>")


def _named(tokens: Sequence[str], *fields: str) -> dict[str, str]:
    return dict(zip((f"{field}_token" for field in fields), tokens, strict=True))


_BRACKETED = _named(SPECIAL, "pad", "unk", "cls", "sep", "mask")
_OF_S = {**_named(_ANGLED, "bos", "pad", "eos", "unk", "mask"), "cls_token": "<s>", "sep_token": "</s>"}
_MODERN = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24}

BASES: Mapping[str, Made] = {
    "bert": Made(
        "bert",
        {**_BERT_SIZES, "max_position_embeddings": 96},
        word_pieces,
        {**_BRACKETED, "tokenizer_class": "BertTokenizer", "do_lower_case": False},
    ),
    "roberta": Made(
        "roberta",
        {**_BERT_SIZES, "max_position_embeddings": 98, "type_vocab_size": 1},
        byte_pairs,
        {**_OF_S, "tokenizer_class": "RobertaTokenizer"},
    ),
    "xlm-roberta": Made(
        "xlm-roberta",
        {**_BERT_SIZES, "max_position_embeddings": 98, "type_vocab_size": 1},
        unigrams,
        {**_OF_S, "tokenizer_class": "XLMRobertaTokenizer"},
    ),
    "distilbert": Made(
        "distilbert",
        {"dim": 32, "n_layers": LAYERS, "n_heads": 2, "hidden_dim": 48, "max_position_embeddings": 96},
        word_pieces,
        {**_BRACKETED, "do_lower_case": False},
    ),
    "electra": Made(
        "electra",
        {**_BERT_SIZES, "embedding_size": 16, "max_position_embeddings": 96},
        word_pieces,
        {**_BRACKETED, "tokenizer_class": "ElectraTokenizer", "do_lower_case": False},
    ),
    "modernbert": Made(
        "modernbert",
        {**_MODERN, "pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3, "local_attention": 8},
        lambda: byte_pairs(tuple(SPECIAL)),
        {**_BRACKETED, "tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": ["input_ids"]},
    ),
    # Nothing but the beginning and the end of a text is named, and what version 5 of transformers calls its positions.
    "mmbert": Made(
        "modernbert",
        {
            **_MODERN,
            "pad_token_id": 0,
            "cls_token_id": 1,
            "sep_token_id": 1,
            "position_embedding_type": "sans_pos",
            "local_attention": 8,
            "layer_types": ["full_attention", "sliding_attention", "sliding_attention"],
            "rope_parameters": {
                "full_attention": {"rope_theta": 160000, "rope_type": "default"},
                "sliding_attention": {"rope_theta": 160000, "rope_type": "default"},
            },
        },
        gemma_pairs,
        {**_named(_GEMMA, "pad", "eos", "bos", "unk", "mask"), "tokenizer_class": "PreTrainedTokenizerFast"},
    ),
}
"""By the name of the folder. A family has one or more."""


def write_base(folder: Path, name: str, *, seed: int = 0) -> Path:
    """Write the base called `name` in `BASES` to `folder`, which is made."""
    import torch
    from transformers import AutoModelForMaskedLM

    from badx_hub.modeling.families import checked_config, for_transformers
    from badx_hub.storage import atomic_write_text, canonical_json

    made = BASES[name]
    tokenizer = made.tokenizer()
    folder.mkdir(parents=True)
    content = {"model_type": made.model_type, "vocab_size": tokenizer.get_vocab_size(), **made.sizes}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForMaskedLM.from_config(for_transformers(checked_config(content, name)))
    model.save_pretrained(folder)
    atomic_write_text(folder / "config.json", canonical_json(content))
    atomic_write_text(folder / "tokenizer_config.json", canonical_json(dict(made.tokenizer_config)))
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder

"""The names of a base's files: which of a folder or a repository are wanted, and which say that it has to be converted.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

CONFIG_FILE = "config.json"
TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
INDEX_FILE = "model.safetensors.index.json"
WEIGHTS_FILE = "model.safetensors"
PICKLE_FILE = "pytorch_model.bin"
PICKLE_INDEX_FILE = "pytorch_model.bin.index.json"
SENTENCEPIECE_FILE = "sentencepiece.bpe.model"
_BESIDE_TOKENIZER = (TOKENIZER_CONFIG_FILE, "special_tokens_map.json", "added_tokens.json")
_VOCABULARIES = ("vocab.txt", "vocab.json", "merges.txt")
_PICKLED_PART = re.compile(r"pytorch_model-[0-9]{5}-of-[0-9]{5}\.bin")
_SHARD = re.compile(r"model-[0-9]{5}-of-[0-9]{5}\.safetensors")
# What is there in place of a base: names of files, and what they say.
_INSTEAD = (
    (r"badx\.json|adapter_config\.json|adapter_model\..*|pytorch_adapter\.bin", "it is an adapter, not a base"),
    (r"0_Transformer", "it is a model of sentence-transformers, whose transformer lies in its folder 0_Transformer"),
    (r"model_index\.json", "it is a pipeline of diffusers"),
    (r"snapshots", "it is a repository in the Hugging Face cache, whose files lie in the folders below its snapshots"),
    (r".*\.(incomplete|part|crdownload|aria2)", "a download was cut short"),
    (r".*\.gguf", "its weights are in GGUF, which is read for answers and not for training"),
    (r"tf_model.*\.h5|.*\.ckpt\.(index|meta|data.*)|saved_model\.pb", "its weights are those of TensorFlow alone"),
    (r"flax_model.*\.msgpack", "its weights are those of Flax alone"),
    (r"onnx|.*\.onnx|openvino_model.*", "it is a graph for inference (ONNX, OpenVINO)"),
    (r".*\.safetensors", "its weights have another name than transformers opens"),
    (r".*\.(bin|pt|pth|ckpt|pkl)", "its weights are a pickle under another name than pytorch_model.bin"),
)


def weights_among(names: Iterable[str]) -> tuple[str, ...]:
    """The files of weights that transformers would load of these: one with all of them, or else all of their parts."""
    there = set(names)
    return (WEIGHTS_FILE,) if WEIGHTS_FILE in there else tuple(sorted(filter(_SHARD.fullmatch, there)))


def pickles_among(names: Iterable[str]) -> tuple[str, ...]:
    """The pickles of weights, as `weights_among`."""
    there = set(names)
    return (PICKLE_FILE,) if PICKLE_FILE in there else tuple(sorted(filter(_PICKLED_PART.fullmatch, there)))


def is_of_weights(name: str) -> bool:
    """Whether a file of this name holds weights."""
    return bool(weights_among((name,)) or pickles_among((name,)))


def is_of_base(name: str) -> bool:
    """Whether a file of this name can be a part of a base: others are not downloaded."""
    beside = (CONFIG_FILE, TOKENIZER_FILE, *_BESIDE_TOKENIZER, *_VOCABULARIES, SENTENCEPIECE_FILE)
    return is_of_weights(name) or name in (*beside, INDEX_FILE, PICKLE_INDEX_FILE)


def wanted_among(names: Iterable[str]) -> tuple[str, ...]:
    """The files that a base is opened from."""
    there = set(names)
    weights = weights_among(there)
    index = () if WEIGHTS_FILE in weights else (INDEX_FILE,)
    wanted = (CONFIG_FILE, *weights, *index, TOKENIZER_FILE, *_BESIDE_TOKENIZER, *_VOCABULARIES)
    return tuple(name for name in wanted if name in there)


def needs_fast_tokenizer(names: Iterable[str]) -> bool:
    """Whether a base with these files has a sentencepiece model and no tokenizer that opens without it."""
    there = set(names)
    return SENTENCEPIECE_FILE in there and TOKENIZER_FILE not in there


def has_tokenizer(names: Iterable[str]) -> bool:
    """Whether these files have a tokenizer that opens as a fast one."""
    there = set(names)
    return TOKENIZER_FILE in there or "vocab.txt" in there or {"vocab.json", "merges.txt"} <= there


def needs_conversion(names: Iterable[str]) -> bool:
    """Whether a base with these files has something that conversion makes loadable."""
    there = set(names)
    return (not weights_among(there) and bool(pickles_among(there))) or needs_fast_tokenizer(there)


def wanted_to_convert(names: Iterable[str]) -> tuple[str, ...]:
    """The files that a base is converted from: those it is opened from, and in place of missing ones their sources."""
    there = set(names)
    wanted = list(wanted_among(there))
    if not weights_among(there):
        pickles = pickles_among(there)
        wanted += [*pickles, *([] if PICKLE_FILE in pickles else [PICKLE_INDEX_FILE])]
    if needs_fast_tokenizer(there):
        wanted.append(SENTENCEPIECE_FILE)
    return tuple(name for name in wanted if name in there)


def instead_of_base(names: Iterable[str]) -> str | None:
    """What a folder or repository without a base's files is, told by the names of those it has; None if unknown."""
    there = tuple(names)
    return next((what for pattern, what in _INSTEAD if any(re.fullmatch(pattern, name) for name in there)), None)

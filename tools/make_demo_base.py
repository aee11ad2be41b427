"""Build the embedded base (``badx_hub/demo/base``) from a small multilingual masked-language model.

    python tools/make_demo_base.py ../shared/models/mini-mmt

The Unigram vocabulary is cut to what the embedded data needs, and matrices are stored as int8 with one
float16 scale a row. `badx_hub.modeling.embedded_base` reads the result. The same model and data always give the same
bytes.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from badx_hub.errors import UsageError
from badx_hub.modeling.embedded_base import SCALE, TOKENIZER, WEIGHTS, Array, write_tensors

DATA = Path(__file__).parents[1] / "badx_hub" / "demo" / "data"
TARGET = Path(__file__).parents[1] / "badx_hub" / "demo" / "base"

# Source text has many names seen once or twice; smaller pieces spell them. The target keeps all it ever uses.
SOURCE_FILES, SOURCE_MINIMUM = ("text/en.txt.gz", "ud/UD_English-EWT/*.conllu.gz"), 3
TARGET_FILES, TARGET_MINIMUM = ("text/wo.txt.gz", "ud/UD_Wolof-WTB/*.conllu.gz"), 1

WORD_BOUNDARY = "▁"
INT8_MAX = 127


def strings_of(path: Path) -> Iterator[str]:
    """What a tokenizer gets to see of a file: the lines of a text, the words of a treebank."""
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        for line in file:
            if ".conllu" not in path.name:
                yield line.rstrip("\n")
            elif line[0].isdigit():
                yield line.split("\t")[1]


def token_counts(tokenizer: PreTrainedTokenizerFast, strings: Iterable[str]) -> Counter[int]:
    """How often each token id occurs, special tokens that the tokenizer adds left out."""
    encoded = tokenizer(list(strings), add_special_tokens=False, verbose=False)
    return Counter(token for ids in encoded["input_ids"] for token in ids)


def used_tokens(
    tokenizer: PreTrainedTokenizerFast, data: Path, patterns: Sequence[str], minimum: int
) -> frozenset[int]:
    """The ids that occur at least ``minimum`` times in one of the files."""
    files = [file for pattern in patterns for file in sorted(data.glob(pattern))]
    counts = [token_counts(tokenizer, strings_of(file)) for file in files]
    return frozenset(token for count in counts for token, times in count.items() if times >= minimum)


def kept_tokens(tokenizer: PreTrainedTokenizerFast, data: Path) -> tuple[int, ...]:
    """The ids to keep, ascending: special tokens, single characters, and what the embedded data uses."""
    special = frozenset(tokenizer.added_tokens_decoder)
    vocabulary: Mapping[str, int] = tokenizer.get_vocab()
    characters = frozenset(i for token, i in vocabulary.items() if len(token.removeprefix(WORD_BOUNDARY)) <= 1)
    used = used_tokens(tokenizer, data, SOURCE_FILES, SOURCE_MINIMUM)
    return tuple(sorted(special | characters | used | used_tokens(tokenizer, data, TARGET_FILES, TARGET_MINIMUM)))


def cut_tokenizer(spec: Mapping[str, Any], kept: Sequence[int]) -> dict[str, Any]:
    """The contents of a Unigram ``tokenizer.json`` with the kept ids only, renumbered in their order."""
    new = {old: i for i, old in enumerate(kept)}
    model, post = spec["model"], spec["post_processor"]
    return {
        **spec,
        "added_tokens": [{**token, "id": new[token["id"]]} for token in spec["added_tokens"]],
        "post_processor": {
            **post,
            "special_tokens": {
                name: {**token, "ids": [new[i] for i in token["ids"]]} for name, token in post["special_tokens"].items()
            },
        },
        "model": {**model, "unk_id": new[model["unk_id"]], "vocab": [model["vocab"][i] for i in kept]},
    }


def cut_tokenizer_config(config: Mapping[str, Any], kept: Sequence[int]) -> dict[str, Any]:
    """The contents of a ``tokenizer_config.json`` with renumbered ids."""
    new = {str(old): str(i) for i, old in enumerate(kept)}
    added = config["added_tokens_decoder"]
    return {**config, "added_tokens_decoder": {new[i]: token for i, token in added.items()}}


def cut_weights(weights: Mapping[str, Array], kept: Sequence[int], vocab_size: int) -> dict[str, Array]:
    """The weights with the kept rows of everything that has one row a token."""
    rows = np.asarray(kept)
    return {name: tensor[rows] if tensor.shape[0] == vocab_size else tensor for name, tensor in weights.items()}


def quantise(tensor: Array) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    """Symmetric 8-bit rounding with one scale a row: ``int8[rows, columns]``, ``float16[rows]``.

    The scale is rounded first and the weights are rounded to that scale, so its own error does not add up.
    """
    values = tensor.astype(np.float32)
    peak = np.abs(values).max(axis=1)
    scale = np.where(peak > 0, peak / INT8_MAX, 1).astype(np.float16)
    steps = np.rint(values / scale.astype(np.float32)[:, None])
    return np.clip(steps, -INT8_MAX, INT8_MAX).astype(np.int8), scale


def pack(weights: Mapping[str, Array]) -> dict[str, Array]:
    """Matrices as int8 with their scales beside them, vectors (biases, LayerNorm) as float16."""
    packed: dict[str, Array] = {}
    for name, tensor in weights.items():
        if tensor.ndim == 2:
            packed[name], packed[name + SCALE] = quantise(tensor)
        else:
            packed[name] = tensor.astype(np.float16)
    return packed


def to_json(value: Mapping[str, Any], indent: int | None = None) -> str:
    separators = None if indent else (",", ":")
    return json.dumps(value, ensure_ascii=False, indent=indent, separators=separators) + "\n"


def make_base(model: Path, target: Path = TARGET, data: Path = DATA) -> None:
    """Build the packed base of the model folder ``model`` in ``target``.

    Raises:
        UsageError: the folder holds no model with a Unigram tokenizer.
    """
    try:
        spec = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))
        tokenizer_config = json.loads((model / "tokenizer_config.json").read_text(encoding="utf-8"))
        config = json.loads((model / "config.json").read_text(encoding="utf-8"))
        weights = load_file(model / "model.safetensors")
    except FileNotFoundError as error:
        raise UsageError(f"{error.filename} is missing; give a model folder with safetensors") from error
    if spec["model"]["type"] != "Unigram":
        raise UsageError(f"{model} has a {spec['model']['type']} tokenizer; only Unigram vocabularies are cut")
    kept = kept_tokens(AutoTokenizer.from_pretrained(model), data)
    target.mkdir(parents=True, exist_ok=True)
    cut = to_json(cut_tokenizer(spec, kept)).encode("utf-8")
    (target / TOKENIZER).write_bytes(gzip.compress(cut, compresslevel=9, mtime=0))
    for name, value in (
        ("tokenizer_config.json", cut_tokenizer_config(tokenizer_config, kept)),
        ("config.json", {**config, "vocab_size": len(kept), "dtype": "float32"}),
    ):
        (target / name).write_text(to_json(value, indent=2), encoding="utf-8")
    shutil.copyfile(model / "special_tokens_map.json", target / "special_tokens_map.json")
    write_tensors(target / WEIGHTS, pack(cut_weights(weights, kept, config["vocab_size"])))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Build the embedded demo base.")
    parser.add_argument("model", type=Path, help="folder of a BertForMaskedLM with a Unigram tokenizer")
    parser.add_argument("--target", type=Path, default=TARGET)
    options = parser.parse_args(arguments)
    make_base(options.model, options.target)


if __name__ == "__main__":
    main()

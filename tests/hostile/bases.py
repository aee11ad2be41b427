"""Bases of strangers: the very weights that the adapters were trained on, with another tokenizer or configuration."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.hostile.artefact import Artefact, Artefacts, Command, Sandbox, dumped, raw
from tests.hostile.world import TRAIN

_CODE = """\
import os, pathlib
pathlib.Path(os.environ["CANARY"]).write_text("x")
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast
class C(BertConfig): model_type = "surprise"
class M(BertModel): config_class = C
class T(PreTrainedTokenizerFast): pass
"""
_MAP = {
    "AutoConfig": "evil.C",
    "AutoModel": "evil.M",
    "AutoModelForMaskedLM": "evil.M",
    "AutoTokenizer": ["evil.T", "evil.T"],
}
_HUGE = raw("9" * 4400)
_CONFIG: dict[str, Mapping[str, Any]] = {
    "auto-map": {"auto_map": _MAP},
    "auto-map-of-an-unknown-type": {"auto_map": _MAP, "model_type": "surprise"},
    "auto-map-of-no-type": {"auto_map": _MAP, "model_type": None},
    "auto-map-of-another-repo": {"auto_map": {"AutoConfig": "stranger/code--evil.C"}, "model_type": "surprise"},
    "auto-map-text": {"auto_map": "evil.C"},
    "kernels": {"attn_implementation": "kernels-community/flash-attn"},
    "kernels-private": {"_attn_implementation": "kernels-community/flash-attn"},
    "kernels-internal": {"_attn_implementation_internal": "kernels-community/flash-attn"},
    "kernels-pinned": {"attn_implementation": "stranger/kernels@main:attention"},
    "kernels-path": {"attn_implementation": "../../evil"},
    "attention-flash": {"attn_implementation": "flash_attention_2"},
    "attention-unknown": {"attn_implementation": "surprise"},
    "attention-list": {"attn_implementation": ["eager"]},
    "hidden-size-huge": {"hidden_size": 10**7},
    "hidden-size-digits": {"hidden_size": _HUGE},
    "hidden-size-infinite": {"hidden_size": raw("1e999")},
    "hidden-size-nan": {"hidden_size": raw("NaN")},
    "hidden-size-negative": {"hidden_size": -32},
    "hidden-size-zero": {"hidden_size": 0},
    "hidden-size-text": {"hidden_size": "32"},
    "hidden-size-list": {"hidden_size": [32]},
    "hidden-size-other": {"hidden_size": 64},
    "vocabulary-huge": {"vocab_size": 10**12},
    "vocabulary-large": {"vocab_size": 10**8},
    "vocabulary-negative": {"vocab_size": -1},
    "vocabulary-text": {"vocab_size": "many"},
    "layers-huge": {"num_hidden_layers": 10**6},
    "layers-more": {"num_hidden_layers": 200},
    "layers-none": {"num_hidden_layers": 0},
    "layers-null": {"num_hidden_layers": None},
    "positions-huge": {"max_position_embeddings": 10**12},
    "positions-zero": {"max_position_embeddings": 0},
    "positions-text": {"max_position_embeddings": "x"},
    "intermediate-huge": {"intermediate_size": 10**12},
    "heads-zero": {"num_attention_heads": 0},
    "heads-huge": {"num_attention_heads": 10**9},
    "labels-huge": {"num_labels": 10**9},
    "labels-many": {"id2label": {str(number): "x" for number in range(100_000)}},
    "labels-text": {"id2label": "x"},
    "type-other": {"model_type": "gpt2"},
    "type-t5": {"model_type": "t5"},
    "type-path": {"model_type": "../../x"},
    "type-escape": {"model_type": "\x1b]0;owned\x07"},
    "type-long": {"model_type": "x" * 100_000},
    "type-number": {"model_type": 7},
    "architecture": {"architectures": ["os.system"]},
    "architecture-text": {"architectures": "x"},
    "activation": {"hidden_act": "__import__('os').system"},
    "activation-list": {"hidden_act": ["gelu"]},
    "activation-other": {"hidden_act": "relu"},
    "dtype-unknown": {"dtype": "os.system"},
    "dtype-int": {"torch_dtype": "int64"},
    "dtype-dict": {"dtype": {"a": "b"}},
    "quantised": {"quantization_config": {"quant_method": "surprise"}},
    "quantised-bnb": {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}},
    "quantised-text": {"quantization_config": "x"},
    "adapters": {"adapters": {"adapters": {"x": "seq_bn"}, "config_map": {}, "fusions": {}}},
    "adapters-text": {"adapters": "x"},
    "heads-of-adapters": {"prediction_heads": {"x": {"head_type": "masked_lm", "vocab_size": 10**9}}},
    "pruned": {"pruned_heads": {"0": [0]}},
    "pruned-text": {"pruned_heads": "x"},
    "decoder": {"is_decoder": True},
    "positions-of-another-kind": {"position_embedding_type": "relative_key"},
    "epsilon-nan": {"layer_norm_eps": raw("NaN")},
    "epsilon-huge": {"layer_norm_eps": 1e30},
    "pad-far": {"pad_token_id": 10**9},
    "pad-negative": {"pad_token_id": -5},
    "deep": {"task_specific_params": raw("[" * 50_000 + "]" * 50_000)},
    "name-or-path": {"_name_or_path": "stranger/code"},
    "custom-pipelines": {"custom_pipelines": {"x": {"impl": "evil.M"}}},
}
# Words that nobody reads, or that say how the same is computed.
_HARMLESS = ("attention-flash", "name-or-path", "custom-pipelines", "architecture", "architecture-text", "labels-many")
_UNUSED = ("weights-flipped-head", "tokenizer-template")
"""What neither the encoder nor its tokenizer, and so neither a digest nor a tag, depends on."""
_TEXTS = {
    "empty": "",
    "null": "null",
    "list": "[]",
    "4400-digits": "9" * 4400,
    "deep": "[" * 100_000,
    "nul": "\0",
    "not-utf-8": "\udcff",
    "large": '{"model_type": "bert", "x": "' + "x" * 30_000_000 + '"}',
}
_TOKENIZER: dict[str, Mapping[str, Any]] = {
    "auto-map": {"auto_map": {"AutoTokenizer": ["evil.T", "evil.T"]}},
    "auto-map-of-an-unknown-class": {"auto_map": {"AutoTokenizer": ["evil.T", "evil.T"]}, "tokenizer_class": "T"},
    "class-unknown": {"tokenizer_class": "os.system"},
    "class-list": {"tokenizer_class": ["x"]},
    "class-slow": {"tokenizer_class": "BertJapaneseTokenizer"},
    "length-text": {"model_max_length": "x"},
    "length-digits": {"model_max_length": _HUGE},
    "template": {"chat_template": "{{ ''.__class__.__mro__ }}"},
    "special-number": {"cls_token": 7},
    "special-escape": {"cls_token": "\x1b]0;owned\x07"},
    "special-added": {"additional_special_tokens": [f"<{number}>" for number in range(20_000)]},
    "pad-other": {"pad_token": "[MASK]"},
    "mask-gone": {"mask_token": None},
    "added": {"added_tokens_decoder": {"9999999999": {"content": "x"}}},
}


def artefacts() -> Artefacts:
    """Used under an adapter, which was trained on the sound one, and trained on."""
    for what, changes in _CONFIG.items():
        yield _artefact(
            f"config-{what}",
            _json("config.json", changes),
            train=len(what) % 3 == 0 or "auto" in what or "kern" in what,
        )
    for what, text in _TEXTS.items():
        for file in ("config.json", "tokenizer.json", "tokenizer_config.json"):
            yield _artefact(f"{file}-{what}", lambda base, file=file, text=text: _put(base / file, text))  # type: ignore[misc]
    for what, changes in _TOKENIZER.items():
        yield _artefact(f"tokenizer-{what}", _json("tokenizer_config.json", changes), train="auto" in what)
    for what, change in _changes().items():
        yield _artefact(what, change)
    for what, forge in {"pickle": _pickle, "index": _index, "code": _beside, "safetensors-too": _more}.items():
        yield _artefact(f"beside-{what}", forge, train=True)


def _artefact(what: str, change: Callable[[Path], None], *, train: bool = False) -> Artefact:
    def forge(box: Sandbox) -> None:
        strange = box.root / "tiny"
        shutil.copytree(box.base, strange)
        (strange / "evil.py").write_text(_CODE)
        change(strange)
        for one in box.work.iterdir():
            (box.root / one.name).symlink_to(strange if one.name == "base" else one)
        (box.home / "registry").parent.mkdir(exist_ok=True)

    harmless = what.removeprefix("config-") in _HARMLESS or what.startswith("beside-") or what in _UNUSED
    use = ("predict", "en-wo", "Xale yi", "--task", "pos", "--registry", "./shared", "--base", "./tiny")
    commands = [Command("predict", use, "either" if harmless else "refused")]
    if train:
        commands.append(Command("train", (*TRAIN, "--format", "quiet", "--steps", "1"), "either"))
    return Artefact(f"bases/{what}", forge, tuple(commands))


def _json(file: str, changes: Mapping[str, Any]) -> Callable[[Path], None]:
    return lambda base: _put(base / file, dumped({**json.loads((base / file).read_text()), **changes}))


def _put(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8", "surrogateescape"))


def _tokenizer(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def forge(base: Path) -> None:
        value = json.loads((base / "tokenizer.json").read_text())
        change(value)
        _put(base / "tokenizer.json", dumped(value))

    return forge


def _permuted(value: dict[str, Any]) -> None:
    words = value["model"]["vocab"]
    plain = [word for word in words if not word.startswith("[")]
    words.update(zip(plain, [words[word] for word in reversed(plain)], strict=True))


def _two_exchanged(value: dict[str, Any]) -> None:
    words = value["model"]["vocab"]
    one, other = [word for word in words if not word.startswith("[")][:2]
    words[one], words[other] = words[other], words[one]


def _map_of_junk(value: dict[str, Any]) -> None:
    value["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": "//////////8="}


def _far(value: dict[str, Any]) -> None:
    value["model"]["vocab"].update({"xale": 10**6, "ya": 2**32 - 1})


def _slow_pattern(value: dict[str, Any]) -> None:
    value["normalizer"] = {"type": "Replace", "pattern": {"Regex": "(x+x+)+y"}, "content": ""}


def _grows(value: dict[str, Any]) -> None:
    step = {"type": "Replace", "pattern": {"Regex": "."}, "content": "xxxxxxxxxxxxxxxx"}
    value["normalizer"] = {"type": "Sequence", "normalizers": [step] * 8}


def _changes() -> Mapping[str, Callable[[Path], None]]:
    return {
        "tokenizer-permuted": _tokenizer(_permuted),
        "tokenizer-two-exchanged": _tokenizer(_two_exchanged),
        "tokenizer-map-of-junk": _tokenizer(_map_of_junk),
        "tokenizer-far": _tokenizer(_far),
        "tokenizer-slow-pattern": _tokenizer(_slow_pattern),
        "tokenizer-grows": _tokenizer(_grows),
        "tokenizer-no-normaliser": _tokenizer(lambda value: value.update(normalizer=None)),
        "tokenizer-unknown-model": _tokenizer(lambda value: value["model"].update(type="Surprise")),
        "tokenizer-no-vocabulary": _tokenizer(lambda value: value["model"].update(vocab={})),
        "tokenizer-gone": lambda base: (base / "tokenizer.json").unlink(),
        "tokenizer-pipe": lambda base: _in_place(base / "tokenizer.json", os.mkfifo),
        "config-pipe": lambda base: _in_place(base / "config.json", os.mkfifo),
        "config-device": lambda base: _in_place(base / "config.json", lambda path: path.symlink_to("/dev/zero")),
        "config-sparse": lambda base: os.truncate(base / "config.json", 64 * 2**30),
        "weights-gone": lambda base: (base / "model.safetensors").unlink(),
        "weights-pipe": lambda base: _in_place(base / "model.safetensors", os.mkfifo),
        "weights-flipped": lambda base: _flip(base / "model.safetensors", "bert.embeddings.word_embeddings.weight"),
        "weights-flipped-head": lambda base: _flip(
            base / "model.safetensors", "cls.predictions.transform.dense.weight"
        ),
        "weights-huge": lambda base: os.truncate(base / "model.safetensors", 64 * 2**30),
    }


def _in_place(path: Path, make: Callable[[Path], Any]) -> None:
    path.unlink()
    make(path)


def _flip(weights: Path, tensor: str) -> None:
    """One bit of a tensor is another."""
    data = bytearray(weights.read_bytes())
    begin = 8 + int.from_bytes(data[:8], "little")
    data[begin + json.loads(data[8:begin])[tensor]["data_offsets"][0]] ^= 1
    weights.write_bytes(data)


def _pickle(base: Path) -> None:
    (base / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch $CANARY'\ntR.")


def _index(base: Path) -> None:
    index = {"metadata": {}, "weight_map": {"bert.pooler.dense.weight": "../outside/id_ed25519"}}
    (base / "model.safetensors.index.json").write_text(json.dumps(index))


def _beside(base: Path) -> None:
    for name in ("modeling_bert.py", "torch.py", "sitecustomize.py", "transformers.py", "configuration_bert.py"):
        (base / name).write_text(_CODE)


def _more(base: Path) -> None:
    shutil.copy(base / "model.safetensors", base / "model-2.safetensors")

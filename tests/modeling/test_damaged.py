"""Bases that are damaged, odd or something else: each is told in one line when it is opened, before any work."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from badx_hub.errors import BadxError, IntegrityError
from badx_hub.modeling.base import resolve_base
from badx_hub.modeling.base_file_names import instead_of_base
from badx_hub.modeling.loading import load_masked_lm, load_tokenizer
from badx_hub.modeling.tokenizer_patterns import may_take_for_ever

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n"
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
Change = Callable[[Path], Any]
Tensors = dict[str, torch.Tensor]


@pytest.fixture
def folder(tiny_base: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_base, tmp_path / "tiny"))


def told(folder: Path, says: str) -> None:
    """Opening the base, its words and its head ends with one line that matches."""
    with pytest.raises(BadxError, match=says) as caught:
        base = resolve_base(str(folder))
        load_tokenizer(base)
        load_masked_lm(base)
    assert str(caught.value).isprintable()


def weights(change: Callable[[Tensors], Tensors], **metadata: str) -> Change:
    def forge(folder: Path) -> None:
        made = {name: one.clone() for name, one in change(load_file(folder / WEIGHTS)).items()}
        save_file(made, folder / WEIGHTS, metadata={"format": "pt", **metadata})

    return forge


def each(change: Callable[[torch.Tensor], torch.Tensor], mark: str) -> Change:
    return weights(lambda all: {name: change(one) if mark in name else one for name, one in all.items()})


def parts(missing: str = "", place: str = "", forgets: str = "", **index: Any) -> Change:
    """Two parts and an index, without the one called `missing`, or of the index without a weight."""

    def forge(folder: Path) -> None:
        tensors, names = load_file(folder / WEIGHTS), [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
        (folder / WEIGHTS).unlink()
        where = {key: names[number % 2] for number, key in enumerate(tensors)}
        for name in names:
            if name != missing:
                save_file({key: tensors[key] for key in where if where[key] == name}, folder / name)
        mapped = {key: place + name for key, name in where.items() if key != forgets}
        (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": mapped, **index}))

    return forge


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (weights(dict, format="tf"), "in the format of tf"),
        (each(lambda one: one * float("nan"), "layer.0"), "infinite or no numbers"),
        (each(lambda one: one[:-1], "cls.predictions.bias"), "cls.predictions.bias has another shape"),
        (each(lambda one: one.to(torch.float8_e4m3fn), "cls."), "is of type F8_E4M3"),
        (each(lambda one: one.to(torch.int8), "cls."), "is of type I8"),
        (
            weights(lambda all: {name.removeprefix("bert."): one for name, one in all.items()}),
            "have the prefix 'bert.'",
        ),
        (
            weights(lambda all: all | {name.replace("layer.1.", "layer.2."): one for name, one in all.items()}),
            "has 2 layers: they have encoder.layer.2",
        ),
        (lambda folder: (folder / "vocab.txt").symlink_to("nowhere"), "tiny/vocab.txt is a link to a file that is not"),
        (parts("model-00002-of-00002.safetensors"), "lacks model-00002-of-00002.safetensors"),
        (parts(forgets="bert.embeddings.LayerNorm.bias"), "differ about bert.embeddings.LayerNorm.bias"),
        (parts(place="../"), "leads to other files"),
        (parts(metadata=None), "does not say where weights are"),
        (parts(weight_map={}), "leads to other files"),
    ],
)
def test_weights(folder: Path, damage: Change, says: str) -> None:
    damage(folder)
    told(folder, says)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"])
@pytest.mark.parametrize(("text", "says"), [(POINTER, "Git LFS pointer"), ("", "is empty")])
def test_a_file_that_was_not_fetched(folder: Path, name: str, text: str, says: str) -> None:
    (folder / name).write_text(text)
    told(folder, f"tiny/{name} {'is a ' if text else ''}{says}")


def words(change: Callable[[dict[str, Any]], Any]) -> Change:
    def forge(folder: Path) -> None:
        content = json.loads((folder / "tokenizer.json").read_text())
        change(content)
        (folder / "tokenizer.json").write_text(json.dumps(content))

    return forge


def framed(*tokens: str, ids: int = 2, type_id: int = 0) -> Change:
    """Another frame about a text; each of `tokens` is "A" or the first special one, with the number `ids`."""
    of = {"A": {"Sequence": {"id": "A", "type_id": type_id}}, "[CLS]": {"SpecialToken": {"id": "[CLS]", "type_id": 0}}}
    steps = {
        "single": [of[token] for token in tokens],
        "pair": [{"Sequence": {"id": one, "type_id": 0}} for one in "AB"],
    }
    special = {"[CLS]": {"id": "[CLS]", "ids": [ids], "tokens": ["[CLS]"]}}
    made = {"type": "TemplateProcessing", **steps, "special_tokens": special}
    return words(lambda content: content.update(post_processor=made))


def replaced(pattern: str, text: str, times: int = 1) -> Change:
    step = {"type": "Replace", "pattern": {"Regex": pattern}, "content": text}
    return words(lambda content: content.update(normalizer={"type": "Sequence", "normalizers": [step] * times}))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (words(lambda content: content["model"].update(unk_token="[NOPE]")), "Missing \\[NOPE\\]|Missing \\[UNK\\]"),
        (
            lambda folder: (folder / "tokenizer_config.json").write_text(json.dumps({"mask_token": "<mask>"})),
            "tokenizer.json lacks <mask>, the mask_token that another file names",
        ),
        (framed("[CLS]", "A", ids=10**6), r"no embeddings for \(1000000\)"),
        (framed("A", type_id=7), "more texts apart"),
        (framed("[CLS]"), "words of a text once"),
        (replaced(".", ""), "words of a text once"),
        (replaced(".", "x" * 16, 8), "many times as long"),
        (replaced("(x+x+)+y", ""), "take for ever"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "no tokenizer that is read here"),
    ],
)
def test_tokenizers(folder: Path, damage: Change, says: str) -> None:
    damage(folder)
    told(folder, says)


def test_tokens_that_only_other_files_name_count(folder: Path, tiny_base: Path) -> None:
    ref = resolve_base(str(tiny_base)).ref
    (folder / "special_tokens_map.json").write_text(json.dumps({"additional_special_tokens": ["a"]}))
    assert resolve_base(str(folder)).ref.tokenizer != ref.tokenizer
    (folder / "special_tokens_map.json").write_text(
        json.dumps({"cls_token": "[CLS]", "unk_token": {"content": "[UNK]"}})
    )
    assert resolve_base(str(folder)).ref.tokenizer == ref.tokenizer


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("(x+x+)+y", True),
        (r"(?:\p{L}*)*1", True),
        ("(a|a)*b", True),
        ("((a+))+b", True),
        (" {2,}", False),
        (r"'s|'t| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+", False),
        (r"(?i:'s|'ll)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)", False),
        (r"[^(\s|[.,!?])]+\)+", False),
        ("", False),
        (")+(", False),
    ],
)
def test_patterns_that_take_for_ever_are_told_from_those_of_known_bases(pattern: str, expected: bool) -> None:
    assert may_take_for_ever(pattern) == expected


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["adapter_config.json", "adapter_model.safetensors"], "an adapter"),
        (["config.json", "tf_model.h5"], "TensorFlow"),
        (["config.json", "flax_model.msgpack"], "Flax"),
        (["README.md", "model.Q4_K_M.gguf"], "GGUF"),
        (["modules.json", "0_Transformer"], "0_Transformer"),
        (["model_index.json"], "diffusers"),
        (["config.json", "onnx"], "ONNX"),
        (["config.json", "model.fp16.safetensors"], "another name"),
        (["config.json", "model.pt"], "pickle under another name"),
    ],
)
def test_what_is_there_instead_is_told(tmp_path: Path, names: list[str], says: str) -> None:
    for name in names:
        (tmp_path / name).write_text(json.dumps({"model_type": "bert"}) if name == "config.json" else "x")
    config = {"model_type": "bert", "vocab_size": 9, "hidden_size": 2, "num_hidden_layers": 1}
    if "config.json" in names:
        sizes = {"num_attention_heads": 1, "intermediate_size": 2}
        (tmp_path / "config.json").write_text(json.dumps({**config, **sizes}))
    with pytest.raises(BadxError, match=says):
        resolve_base(str(tmp_path))
    assert instead_of_base(["README.md"]) is None


def test_a_head_that_is_missing_is_told_before_the_text_is_read(folder: Path, tmp_path: Path) -> None:
    from badx_hub.languages import Mixture
    from badx_hub.recipes import load_recipe
    from badx_hub.registry import LocalRegistry
    from badx_hub.training.language_adapter import train_language_adapter

    weights(lambda all: {name: one for name, one in all.items() if not name.startswith("cls.")})(folder)
    (tmp_path / "wo.txt").write_text("Too little text.\n")
    with pytest.raises(BadxError, match="no masked-language-model head"):
        train_language_adapter(
            Mixture.of("wo"),
            load_recipe("demo").language,
            registry=LocalRegistry(tmp_path / "registry"),
            base=str(folder),
            text={"wo": str(tmp_path / "wo.txt")},
        )
    with pytest.raises(IntegrityError, match="pickle"):
        (folder / WEIGHTS).rename(folder / "pytorch_model.bin")
        resolve_base(str(folder))

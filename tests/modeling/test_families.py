"""Bases of strangers: what their files ask for is not run, and what does not fit together is told before any work."""

from __future__ import annotations

import ast
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer

from badx_hub.errors import BadxError, DataError, IntegrityError, UsageError
from badx_hub.manifest import BaseRef
from badx_hub.modeling.base import base_of, resolve_base
from badx_hub.modeling.bfloat16 import hold
from badx_hub.modeling.families import FAMILIES, OTHERS, checked_config, family_of, for_transformers, plain_type
from badx_hub.modeling.loading import load_encoder, load_masked_lm, load_tokenizer
from badx_hub.tasks.words import PairFrame, sub_words
from badx_hub.tensor_files import shown_name
from tests.bases import BASES, write_base
from tests.conftest import ROOT
from tests.refusals import refused

CANARY = """
import pathlib
pathlib.Path(__file__).with_name("ran").write_text("x")
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast
class C(BertConfig): pass
class M(BertModel): pass
class T(PreTrainedTokenizerFast): pass
"""
AUTO_MAP = {"AutoConfig": "evil.C", "AutoModel": "evil.M", "AutoModelForMaskedLM": "evil.M"}


@pytest.fixture
def folder(tiny_base: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_base, tmp_path / "tiny"))


def change(path: Path, changes: Mapping[str, Any]) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def opened(folder: Path) -> None:
    base = resolve_base(str(folder))
    load_tokenizer(base)
    load_masked_lm(base)
    load_encoder(base)


class Kernels(ModuleType):
    """Stands for the package that downloads and runs kernels; whatever is asked of it is noted."""

    asked: list[str]

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__"):
            self.asked.append(name)
        raise AttributeError(name)


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> Kernels:
    module = Kernels("kernels")
    module.asked = []
    monkeypatch.setitem(sys.modules, "kernels", module)
    return module


@pytest.mark.parametrize(
    "changes",
    [
        {"auto_map": AUTO_MAP},
        {"auto_map": AUTO_MAP, "model_type": "surprise"},
        {"auto_map": AUTO_MAP, "model_type": None},
        {"auto_map": "evil.C"},
        {"attn_implementation": "stranger/kernels"},
        {"_attn_implementation": "stranger/kernels@main"},
        {"_attn_implementation_internal": "stranger/kernels"},
        {"attn_implementation": ["eager"]},
        {"attn_implementation": {"": "stranger/kernels"}},
        {"use_kernels": True},
        {"kernel_config": {"x": "stranger/kernels"}},
        {"quantization_config": {"quant_method": "bitsandbytes"}},
        {"adapters": {"adapters": {"x": "seq_bn"}}},
        {"custom_heads": {"x": "os.system"}},
        {"prediction_heads": {"x": {"head_type": "masked_lm", "vocab_size": 10**9}}},
        {"pruned_heads": {"0": [0]}},
        {"hidden_act": "__import__('os').system"},
        {"is_decoder": True},
        {"position_embedding_type": "relative_key"},
        {"dtype": "os.system"},
    ],
)
def test_what_could_run_or_change_the_model_is_refused(
    folder: Path, kernels: Kernels, changes: Mapping[str, Any]
) -> None:
    (folder / "evil.py").write_text(CANARY)
    change(folder / "config.json", changes)
    with pytest.raises((DataError, UsageError), match=r"config\.json|not supported") as caught:
        opened(folder)
    assert str(caught.value).isprintable()
    assert not (folder / "ran").exists()
    assert not kernels.asked


@pytest.mark.parametrize(
    "changes",
    [
        {"attn_implementation": "eager", "_attn_implementation_autoset": True},
        {"_name_or_path": "stranger/code", "custom_pipelines": {"x": {"impl": "evil.M"}}},
        {"architectures": ["os.system"], "gradient_checkpointing": False, "directionality": "bidi"},
    ],
)
def test_words_that_nobody_reads_do_no_harm(folder: Path, kernels: Kernels, changes: Mapping[str, Any]) -> None:
    (folder / "evil.py").write_text(CANARY)
    change(folder / "config.json", changes)
    opened(folder)
    assert not (folder / "ran").exists()
    assert not kernels.asked


@pytest.mark.parametrize(
    "changes",
    [
        {"auto_map": {"AutoTokenizer": ["evil.T", "evil.T"]}},
        {"auto_map": {"AutoTokenizer": ["evil.T", "evil.T"]}, "tokenizer_class": "T"},
        {"tokenizer_class": "os.system"},
        {"tokenizer_class": ["BertTokenizer"]},
        {"tokenizer_class": "BertJapaneseTokenizer"},
        {"model_max_length": "x"},
        {"cls_token": 7},
        {"mask_token": None},
        {"additional_special_tokens": [f"<{number}>" for number in range(900)]},
        {"added_tokens_decoder": {"9999999999": {"content": "x"}}},
    ],
)
def test_a_tokenizer_that_brings_code_or_does_not_fit_is_refused(folder: Path, changes: Mapping[str, Any]) -> None:
    (folder / "evil.py").write_text(CANARY)
    (folder / "special_tokens_map.json").unlink(missing_ok=True)
    change(folder / "tokenizer_config.json", changes)
    with pytest.raises(BadxError, match="okenizer"):
        opened(folder)
    assert not (folder / "ran").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_size": 10**7},
        {"hidden_size": 64},
        {"hidden_size": "32"},
        {"hidden_size": True},
        {"vocab_size": 10**12},
        {"vocab_size": 801},
        {"num_hidden_layers": 10**6},
        {"num_hidden_layers": 3},
        {"num_hidden_layers": None},
        {"max_position_embeddings": 10**4},
        {"intermediate_size": 65},
        {"num_attention_heads": 3},
        {"num_attention_heads": 0},
        {"type_vocab_size": 3},
        {"layer_norm_eps": float("nan")},
        {"pad_token_id": 10**9},
        {"pad_token_id": -1},
    ],
)
def test_sizes_are_bounded_and_are_those_of_the_weights(folder: Path, changes: Mapping[str, Any]) -> None:
    change(folder / "config.json", changes)
    with pytest.raises((DataError, IntegrityError), match=r"config\.json") as caught:
        resolve_base(str(folder))
    assert str(caught.value).isprintable()


def weights_changed(change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Callable[[Path], Any]:
    return lambda path: save_file(change(load_file(path)), path, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda path: path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n"), "Git LFS pointer"),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "cut off"),
        (lambda path: path.write_bytes(path.read_bytes()[:99]), "cut off"),
        (weights_changed(lambda all: dict(list(all.items())[1:])), "lacks 1 of its weights"),
        (weights_changed(lambda all: {key: value.to(torch.int8) for key, value in all.items()}), "of type I8"),
        (weights_changed(lambda all: {**all, "x": torch.zeros(20_000_000)}), "more than its config.json accounts for"),
    ],
)
def test_damaged_weights_are_told_in_one_line(folder: Path, damage: Callable[[Path], Any], says: str) -> None:
    damage(folder / "model.safetensors")
    with pytest.raises(IntegrityError, match=says):
        resolve_base(str(folder))


def test_an_index_that_leads_elsewhere_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    names = load_file(folder / "model-00001-of-00001.safetensors")
    for place, fine in (("model-00001-of-00001.safetensors", True), ("../outside.safetensors", False)):
        index = {"metadata": {}, "weight_map": dict.fromkeys(names, place)}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        if fine:
            opened(folder)
        else:
            with pytest.raises(IntegrityError, match="leads to other files"):
                resolve_base(str(folder))


def permuted(path: Path) -> None:
    content = json.loads(path.read_text())
    words = content["model"]["vocab"]
    plain = [word for word in words if not word.startswith("[")]
    words.update(zip(plain, [words[word] for word in reversed(plain)], strict=True))
    path.write_text(json.dumps(content))


def test_another_tokenizer_or_other_settings_are_another_base(tiny_base: Path, folder: Path) -> None:
    ref = resolve_base(str(tiny_base)).ref
    without = BaseRef(**ref.model_dump(exclude={"config", "tokenizer"}))
    assert resolve_base(str(folder)).ref == ref
    permuted(folder / "tokenizer.json")
    assert resolve_base(str(folder)).ref.digest == ref.digest
    with refused(IntegrityError, "--base"):
        base_of(ref, str(folder))
    assert base_of(without, str(folder)).ref.digest == ref.digest
    shutil.copy(tiny_base / "tokenizer.json", folder)
    change(folder / "config.json", {"hidden_act": "relu"})
    with pytest.raises(IntegrityError, match=r"other settings in config\.json"):
        base_of(ref, str(folder))
    assert base_of(without, str(folder)).ref.config != ref.config


def test_how_files_are_written_does_not_count(tiny_base: Path, folder: Path) -> None:
    ref = resolve_base(str(tiny_base)).ref
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer("a b", max_length=3, padding="max_length", truncation=True)  # It keeps how it padded last.
    tokenizer.save_pretrained(folder)
    change(folder / "config.json", {"transformers_version": "4.0", "id2label": {"0": "x"}, "dtype": "float16"})
    assert resolve_base(str(folder)).ref == ref


def test_a_manifest_without_these_digests_stays_as_it_is(tiny_base: Path) -> None:
    dumped = resolve_base(str(tiny_base)).ref.model_dump(mode="json")
    old = {key: value for key, value in dumped.items() if key not in ("config", "tokenizer")}
    assert BaseRef.model_validate(old).model_dump(mode="json") == old
    assert BaseRef.model_validate(dumped).model_dump(mode="json") == dumped


HEADS = {
    *("cls", "lm_head", "pooler", "vocab_transform", "vocab_layer_norm", "vocab_projector"),
    *("generator_predictions", "generator_lm_head", "head", "decoder"),
}
"""What transformers calls the parts around an encoder."""


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("prefixed", [False, True])
def test_the_shapes_of_a_family_are_those_of_transformers(name: str, prefixed: bool, tmp_path: Path) -> None:
    config = checked_config({"model_type": BASES[name].model_type, "vocab_size": 60, **BASES[name].sizes}, "made")
    family, maker = family_of(config), AutoModelForMaskedLM if prefixed else AutoModel
    model: Any = maker.from_config(for_transformers(config), attn_implementation=family.attention)
    own = {key.removeprefix(family.prefix): tuple(value.shape) for key, value in model.named_parameters()}
    shapes = config.shapes()
    assert {key: own[key] for key in shapes} == shapes
    assert {key.split(".")[0] for key in own.keys() - shapes.keys()} <= HEADS
    model.save_pretrained(tmp_path / "made")
    base = resolve_base(str(tmp_path / "made"))
    assert base.ref.model_type == plain_type(config)
    assert base.ref.tokenizer is None
    assert base.max_length == (8192 if "modernbert" in base.ref.model_type else 96)
    load_encoder(base)


@pytest.mark.parametrize("name", ["modernbert", "mmbert"])
def test_biases_that_a_config_asks_for_have_shapes(name: str) -> None:
    biased = dict.fromkeys(("norm_bias", "attention_bias", "mlp_bias"), True)
    config = checked_config(
        {"model_type": BASES[name].model_type, "vocab_size": 60, **BASES[name].sizes, **biased}, "made"
    )
    model = AutoModel.from_config(for_transformers(config))
    assert config.shapes() == {key: tuple(value.shape) for key, value in model.named_parameters()}


def modern(**changes: Any) -> Any:
    return checked_config({"model_type": "modernbert", "vocab_size": 60, **BASES["mmbert"].sizes, **changes}, "made")


def test_what_version_5_of_transformers_writes_is_what_version_4_reads() -> None:
    older = {"global_rope_theta": 160000.0, "local_rope_theta": 160000, "global_attn_every_n_layers": 3}
    as_4 = modern(layer_types=None, rope_parameters=None, **older)
    assert modern().identity() == as_4.identity()
    assert for_transformers(modern()).local_rope_theta == 160000
    assert modern(layer_types=["full_attention", "sliding_attention"] * 2).global_attn_every_n_layers == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"layer_types": ["sliding_attention"] * 3},
        {"layer_types": ["full_attention", "full_attention", "sliding_attention"]},
        {"layer_types": "full_attention"},
        {"layer_types": [["full_attention"]] * 10**4},
        {"rope_parameters": {"full_attention": {"rope_type": "yarn"}}},
        {"rope_parameters": {"full_attention": {"rope_theta": "x"}}},
        {"rope_scaling": {"rope_type": "yarn"}},
        {"num_attention_heads": 32},
        {"pad_token_id": None},
    ],
)
def test_positions_that_are_not_plain_are_refused(changes: Mapping[str, Any]) -> None:
    with pytest.raises(DataError, match=r"made/config\.json") as caught:
        modern(**changes)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("kind", [*OTHERS, "surprise", "\x1b[2J"])
def test_what_cannot_be_a_base_is_told_in_one_line_before_anything_else(kind: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind, "n_embd": 32}))
    with refused(UsageError, "--base FacebookAI/xlm-roberta-base") as caught:
        resolve_base(str(tmp_path))
    assert str(caught.value).isprintable()
    assert str(caught.value).startswith(f"Bases of type '{shown_name(kind)}' are not supported: ")
    assert OTHERS.get(kind, ("known are BERT",))[0] in str(caught.value)


@pytest.mark.parametrize("name", BASES)
def test_padding_changes_nothing_whichever_way_products_are_computed(name: str, tmp_path: Path) -> None:
    """A row of ModernBERT's local attention may see nothing but padding."""
    model: Any = load_encoder(resolve_base(str(write_base(tmp_path / name, name))))
    ids, mask = torch.randint(5, 400, (2, 60)), torch.ones(2, 60, dtype=torch.int64)
    mask[0, 6:] = 0
    with torch.inference_mode():
        alone = model(input_ids=ids[:1, :6], attention_mask=mask[:1, :6])[0]
        padded = model(input_ids=ids, attention_mask=mask)[0]
        hold(model)
        narrow = model(input_ids=ids, attention_mask=mask)[0]
    torch.testing.assert_close(padded[:1, :6], alone)
    assert narrow.isfinite().all()
    torch.testing.assert_close(narrow[mask == 1], padded[mask == 1], rtol=0, atol=0.1)


@pytest.mark.parametrize("name", BASES)
def test_a_word_has_the_sub_words_that_it_has_after_a_space(name: str, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(resolve_base(str(write_base(tmp_path / name, name))))
    for word in ("waxtaan", "Sutsas", "."):
        pieces = sub_words([word], tokenizer)[word]
        within = tokenizer(f"the {word}", add_special_tokens=False)["input_ids"]
        assert tuple(within[-len(pieces) :]) == pieces
    assert PairFrame.of(tokenizer).types in {(0, 0, 0, 1, 1), (0, 0, 0, 0, 0)}
    assert any(PairFrame.of(tokenizer).types) == (resolve_base(str(tmp_path / name)).config.token_types > 1)
    assert None not in (tokenizer.cls_token_id, tokenizer.sep_token_id)


WORDS = {("badx_hub/modeling/adapter_configs.py", "bert"): "how `adapters` calls a way to draw weights"}
"""Strings that are the name of a family by chance."""

READS = {
    "badx_hub/modeling/base.py": "writes it into a manifest",
    "badx_hub/modeling/sentencepiece.py": "reads sentencepiece's, which says unigram or BPE",
}
"""Modules that have the attribute for something else than telling families apart."""


def test_nothing_else_asks_for_a_model_type() -> None:
    table = {"badx_hub/modeling/families.py", "badx_hub/modeling/base_configs.py"}
    found = set()
    for path in (*(ROOT / "badx_hub").rglob("*.py"), *(ROOT / "cli").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            asks = isinstance(node, ast.Attribute) and node.attr == "model_type" and name not in READS
            value = node.value if isinstance(node, ast.Constant) else None
            if asks or (value in {*FAMILIES, *OTHERS} and (name, value) not in WORDS):
                found.add((name, value))
    assert {name for name, _ in found} <= table, found
    assert ("badx_hub/modeling/families.py", "bert") in found


def test_old_names_of_norms_are_known(folder: Path) -> None:
    path = folder / "model.safetensors"
    new, old = ("LayerNorm.weight", "LayerNorm.bias"), ("LayerNorm.gamma", "LayerNorm.beta")
    renamed = {key.replace(new[0], old[0]).replace(new[1], old[1]): value for key, value in load_file(path).items()}
    save_file(renamed, path, metadata={"format": "pt"})
    opened(folder)

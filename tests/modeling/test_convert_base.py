"""Bases with pickles and sentencepiece models become loadable under their own names, and stay the base they were."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from transformers import XLMRobertaConfig, XLMRobertaForMaskedLM, XLMRobertaTokenizer
from typer.testing import CliRunner

from badx_hub.cli import app
from badx_hub.cli._errors import message
from badx_hub.errors import IntegrityError, NotFoundError
from badx_hub.modeling.base import Base, base_of, resolve_base
from badx_hub.modeling.convert_base import convert_base
from badx_hub.modeling.loading import load_encoder, load_masked_lm, load_tokenizer
from tests.hub.fixture import hub as hub
from tests.hub.server import HubServer
from tests.tiny import demo_lines

REPO = "acme/tiny"
Weights = dict[str, torch.Tensor]


@pytest.fixture
def folder(tiny_base: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_base, tmp_path / "tiny"))


def tied(weights: Weights) -> Weights:
    """As in a state dict: the decoder is there too, and shares the embeddings."""
    shared = weights["bert.embeddings.word_embeddings.weight"]
    positions = torch.arange(128)[None]
    return {
        **weights,
        "cls.predictions.decoder.weight": shared,
        "bert.embeddings.position_ids": positions,
    }


def pickled(folder: Path, weights: Weights, *, new: bool = True) -> None:
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin", _use_new_zipfile_serialization=new)


def in_parts(folder: Path, weights: Weights) -> None:
    (folder / "model.safetensors").unlink()
    names, places = sorted(weights), {}
    for number, part in enumerate((names[::2], names[1::2]), 1):
        file = f"pytorch_model-0000{number}-of-00002.bin"
        torch.save({name: weights[name] for name in part}, folder / file)
        places |= dict.fromkeys(part, file)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


def safe(folder: Path, weights: Weights) -> None:
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def safe_in_parts(folder: Path, weights: Weights) -> None:
    (folder / "model.safetensors").unlink()
    names, places = sorted(weights), {}
    for number, part in enumerate((names[::2], names[1::2]), 1):
        file = f"model-0000{number}-of-00002.safetensors"
        save_file({name: weights[name] for name in part}, folder / file, metadata={"format": "pt"})
        places |= dict.fromkeys(part, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


def encoder_alone(weights: Weights) -> Weights:
    return {name: one for name, one in weights.items() if name.startswith("bert.")}


def unprefixed(weights: Weights) -> Weights:
    return {name.removeprefix("bert."): one for name, one in encoder_alone(weights).items()}


def with_pooler(weights: Weights) -> Weights:
    return {**weights, "bert.pooler.dense.weight": torch.ones(32, 32), "bert.pooler.dense.bias": torch.ones(32)}


def old_names(weights: Weights) -> Weights:
    return {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): one
        for name, one in weights.items()
    }


WAYS: Mapping[str, Callable[[Path, Weights], None]] = {
    "pickle": lambda folder, weights: pickled(folder, tied(weights)),
    "old pickle": lambda folder, weights: pickled(folder, tied(weights), new=False),
    "pickles": lambda folder, weights: in_parts(folder, weights),
    "parts": safe_in_parts,
    "pickled encoder": lambda folder, weights: pickled(folder, unprefixed(weights)),
    "encoder": lambda folder, weights: safe(folder, unprefixed(weights)),
    "no head": lambda folder, weights: safe(folder, encoder_alone(weights)),
    "pooler": lambda folder, weights: safe(folder, with_pooler(weights)),
    "pickled pooler": lambda folder, weights: pickled(folder, with_pooler(tied(weights))),
    "old names": lambda folder, weights: safe(folder, old_names(weights)),
}


def computes_alike(folder: Path, found: Base) -> bool:
    """Whether the encoders are the same, but for a pooler, which is random where it is missing, and never used."""
    own, other = load_encoder(resolve_base(str(folder))).state_dict(), load_encoder(found).state_dict()
    return all(torch.equal(one, other[name]) for name, one in own.items() if "pooler" not in name)


@pytest.mark.parametrize("way", WAYS)
def test_however_it_is_stored_it_is_the_same_base(tiny_base: Path, folder: Path, way: str) -> None:
    ref = resolve_base(str(tiny_base)).ref
    WAYS[way](folder, load_file(folder / "model.safetensors"))
    if "pickle" in way:
        with pytest.raises(IntegrityError, match="only a pickle"):
            resolve_base(str(folder))
        done = convert_base(str(folder))
        assert (done.written, done.already) == (("model.safetensors",), False)
        assert convert_base(str(folder)).already
    found = base_of(ref, str(folder))
    assert (found.ref.digest, found.ref.config, found.ref.tokenizer) == (ref.digest, ref.config, ref.tokenizer)
    assert found.ref.name == "tiny"
    assert computes_alike(tiny_base, found)


@pytest.mark.parametrize(
    "change",
    [
        lambda weights: {
            name: one + 1 if "layer.1.output.dense.bias" in name else one for name, one in weights.items()
        },
        lambda weights: {name: one.half() for name, one in weights.items()},
        lambda weights: {
            name: weights[name.replace("query", "key") if "layer.0" in name else name] for name in weights
        },
    ],
)
def test_other_numbers_types_or_places_are_another_base(tiny_base: Path, folder: Path, change: Any) -> None:
    safe(folder, {name: one.clone() for name, one in change(load_file(folder / "model.safetensors")).items()})
    ref = resolve_base(str(tiny_base)).ref
    assert resolve_base(str(folder)).ref.digest != ref.digest
    with pytest.raises(IntegrityError, match="other weights"):
        base_of(ref, str(folder))


@pytest.mark.parametrize(
    "lie",
    [
        lambda all: {**all, "embeddings.word_embeddings.weight": all["bert.embeddings.word_embeddings.weight"] + 1},
        lambda all: {**all, "bert.embeddings.LayerNorm.gamma": all["bert.embeddings.LayerNorm.weight"] + 1},
        lambda all: {**unprefixed(all), "bert.x": torch.ones(2)},
        lambda all: {f"x.{name}": one for name, one in all.items()},
    ],
)
def test_names_that_lie_do_not_change_what_is_loaded(tiny_base: Path, folder: Path, lie: Any) -> None:
    """What is identified is what transformers loads, or nothing is loaded."""
    safe(folder, lie(load_file(folder / "model.safetensors")))
    try:
        found = resolve_base(str(folder))
    except IntegrityError:
        return
    assert found.ref.digest == resolve_base(str(tiny_base)).ref.digest
    assert computes_alike(tiny_base, found)


def test_manifests_from_before_know_the_files(tiny_base: Path, folder: Path) -> None:
    new = resolve_base(str(tiny_base)).ref
    assert new.files is not None
    old = new.model_copy(update={"digest": new.files, "files": None, "revision": None})
    assert base_of(old, str(folder)).ref.digest == new.digest
    assert new.has_weights_of(old) and old.has_weights_of(new)
    safe(folder, encoder_alone(load_file(folder / "model.safetensors")))
    with pytest.raises(IntegrityError, match="other weights"):
        base_of(old, str(folder))


def test_the_advice_of_the_error_works_as_typed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pickled(folder, tied(load_file(folder / "model.safetensors")))
    monkeypatch.chdir(folder.parent)
    for spec in ("./tiny", "tiny"):
        with pytest.raises(IntegrityError) as caught:
            resolve_base(spec)
        found = re.search(r"`badx-hub ([^`]+)`", message(caught.value))
        assert found is not None
        result = CliRunner().invoke(app, [*shlex.split(found[1]), "--format", "json"])
        assert result.exit_code == 0, result.output
        said = json.loads(result.stdout)
        assert said["files"] == [{"file": "model.safetensors", "written": True}]
        assert load_masked_lm(resolve_base(spec)).get_output_embeddings().weight.shape == (800, 32)
        shutil.rmtree(said["folder"])


def test_a_damaged_conversion_has_to_be_made_again(folder: Path) -> None:
    pickled(folder, load_file(folder / "model.safetensors"))
    made = convert_base(str(folder)).base.folder / "model.safetensors"
    made.write_bytes(made.read_bytes()[:-1] + b"\x01")
    with pytest.raises(IntegrityError, match="only a pickle"):
        resolve_base(str(folder))
    assert not convert_base(str(folder)).already


def test_what_needs_no_conversion_is_left_alone(tiny_base: Path, home: Path) -> None:
    done = convert_base(str(tiny_base))
    assert (done.written, done.base.folder) == ((), tiny_base.resolve())
    assert not (home / "cache" / "converted").exists()
    with pytest.raises(NotFoundError, match="No folder"):
        convert_base("./nowhere")


def test_nothing_is_kept_of_what_is_refused(folder: Path, home: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    for forged in (
        {name: one for name, one in weights.items() if "layer.1" not in name},
        {**weights, "bert.embeddings.LayerNorm.bias": torch.full((32,), float("nan"))},
        {name: one.long() for name, one in weights.items()},
    ):
        torch.save(forged, folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink(missing_ok=True)
        with pytest.raises(IntegrityError):
            convert_base(str(folder))
        assert not list((home / "cache").glob("converted/*"))


def test_a_base_on_the_hub_is_converted_once(hub: HubServer, folder: Path, tiny_base: Path) -> None:
    ref = resolve_base(str(tiny_base)).ref
    pickled(folder, tied(load_file(folder / "model.safetensors")))
    commit = hub.put(REPO, {path.name: path.read_bytes() for path in folder.iterdir()})
    hub.requests.clear()
    with pytest.raises(IntegrityError) as caught:
        resolve_base(REPO)
    assert f"`badx-hub convert {REPO}`" in message(caught.value)
    assert not [seen for seen in hub.requests if "/resolve/" in seen.path]
    done = convert_base(REPO)
    assert (done.base.ref.digest, done.base.ref.revision, done.base.ref.name) == (ref.digest, commit, REPO)
    shutil.rmtree(constants.HF_HUB_CACHE)
    hub.requests.clear()
    assert resolve_base(REPO).ref == done.base.ref
    assert not [seen for seen in hub.requests if "/resolve/" in seen.path]
    assert base_of(done.base.ref).ref.digest == done.base.ref.digest


@pytest.fixture(scope="module")
def spm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base as Glot500 is published: a pickle and a sentencepiece model."""
    folder = tmp_path_factory.mktemp("bases") / "glot"
    folder.mkdir()
    text = folder / "text"
    text.write_text("\n".join([*demo_lines("en", 300), *demo_lines("wo", 300)]))
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(folder / "sentencepiece.bpe"), vocab_size=500, minloglevel=2
    )
    for name in ("text", "sentencepiece.bpe.vocab"):
        (folder / name).unlink()
    config = XLMRobertaConfig(
        vocab_size=502, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    XLMRobertaForMaskedLM(config).save_pretrained(folder)
    pickled(folder, load_file(folder / "model.safetensors"))
    return folder


def test_a_sentencepiece_model_becomes_the_fast_tokenizer_that_transformers_would_use(spm: Path) -> None:
    with pytest.raises(IntegrityError, match="pickle"):
        resolve_base(str(spm))
    done = convert_base(str(spm))
    assert done.written == ("model.safetensors", "tokenizer.json")
    fast, slow = load_tokenizer(done.base), XLMRobertaTokenizer(str(spm / "sentencepiece.bpe.model"))
    for line in [*demo_lines("en", 100), *demo_lines("wo", 100), "ŋ <mask> 你好 \U0001f600", ""]:
        assert fast(line)["input_ids"] == slow(line)["input_ids"]
    assert (fast.mask_token_id, fast.pad_token_id) == (slow.mask_token_id, slow.pad_token_id)
    load_masked_lm(done.base)


@pytest.mark.parametrize("what", ["empty", "cut", "pieces", "long", "other", "text", "fewer", "trie"])
def test_a_sentencepiece_model_of_another_kind_is_refused(spm: Path, tmp_path: Path, what: str) -> None:
    folder = Path(shutil.copytree(spm, tmp_path / "glot"))
    path = folder / "sentencepiece.bpe.model"
    whole = path.read_bytes()
    forged = {
        "empty": b"",
        "cut": whole[:-3],
        "pieces": whole + b"\x0a\x00" * 2**24,
        "long": whole + b"\x0a\xff\xff\x7f" + bytes(2**21 - 1),
        "other": whole.replace(b"<unk>", b"<unx>"),
        "text": b"hello\n" * 100,
        "fewer": b"\x0a\x03\x0a\x01a" * 2,
        "trie": whole + b"\x1a\x0c\x12\x0a" + b"\xff\xff\x00\x00" + b"\xff" * 6,
    }
    path.write_bytes(forged[what])
    with pytest.raises(IntegrityError, match="sentencepiece model"):
        convert_base(str(folder))

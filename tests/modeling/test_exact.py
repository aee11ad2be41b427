"""Loading an adapter changes nothing else: neither the base nor the adapter below it, whatever its files hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from badx_hub.errors import BadxError, DataError, IntegrityError
from badx_hub.manifest import ManifestDraft
from badx_hub.modeling.adapter_configs import ExpectedHead
from badx_hub.modeling.base import resolve_base
from badx_hub.modeling.loading import load_encoder
from badx_hub.modeling.model_adapters import load_adapter
from badx_hub.names import AdapterName
from badx_hub.registry import Entry, LocalRegistry
from badx_hub.registry.adapter_folder import prepare
from badx_hub.tasks import TASKS, task_named
from tests.made import made

# The adapters of each setup: those that are loaded first, then the task adapter.
SETUPS = {
    "bad-x": (("tiny/en-wo",), "tiny/en-wo/{}"),
    "mad-x": (("tiny/en",), "tiny/en/{}"),
    "ma": (("tiny/en+wo+bm",), "tiny/en+wo+bm/{}"),
    "ta-only": ((), "tiny/en/{}@ta-only"),
    "tlr": (("tiny/en", "tiny/wo"), "tiny/en-wo/{}@tlr"),
}
FILES = ("adapter.safetensors", "model_head.safetensors")


def parts(model: Any, *mine: AdapterName) -> str:
    """A digest of all weights of a model but those of `mine`."""
    marks = [f".{name.module_name}." for name in mine]
    total = hashlib.sha256()
    for key, value in sorted(model.state_dict().items()):
        if not any(mark in f".{key}." for mark in marks):
            total.update(key.encode() + value.numpy().tobytes())
    return total.hexdigest()


def head_of(entry: Entry) -> ExpectedHead | None:
    task = entry.name.task
    return ExpectedHead(task_named(task).head_type, entry.manifest.labels or ()) if task else None


@pytest.mark.parametrize("invertible", [False, True])
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("setup", SETUPS)
def test_what_is_there_stays_as_it_is(tiny_base: Path, tmp_path: Path, setup: str, task: str, invertible: bool) -> None:
    registry = LocalRegistry(tmp_path / "registry")
    carriers, name = SETUPS[setup]
    below = [made(registry, tiny_base, one, seed=seed, invertible=invertible) for seed, one in enumerate(carriers)]
    above = made(
        registry,
        tiny_base,
        name.format(task),
        seed=9,
        on=below[0] if below and setup != "tlr" else None,
        cycle=below if setup == "tlr" else (),
    )
    model = load_encoder(resolve_base(str(tiny_base)))
    for entry in (*below, above):
        before = parts(model)
        load_adapter(model, entry.name, registry.fetch(entry), head_of(entry))
        assert parts(model, entry.name) == before
        stored = [load_file(file) for file in registry.fetch(entry).glob("*.safetensors")]
        loaded = model.state_dict()
        for key, value in (item for tensors in stored for item in tensors.items()):
            assert torch.equal(loaded[key], value)
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert not any(parameter.is_meta for parameter in model.parameters())


def extra(model: Any, below: AdapterName) -> Mapping[str, torch.Tensor]:
    """One weight of each kind that a stranger might want to replace, under every name a loader might take it by."""
    state = model.state_dict()
    wanted = ("embeddings.word_embeddings.weight", "attention.self.query.weight", "LayerNorm.bias", "pooler.dense")
    found = [next(key for key in state if one in key) for one in wanted]
    found += [next(key for key in state if f".{below.module_name}." in key and kind in key) for kind in ("down", "F.0")]
    named = {key: torch.full_like(state[key], 3.0) for key in found}
    return {**named, **{key.removeprefix("bert."): value for key, value in named.items()}, "x": torch.ones(1)}


@pytest.mark.parametrize("file", FILES)
def test_weights_of_others_are_refused(tiny_base: Path, tmp_path: Path, file: str) -> None:
    registry = LocalRegistry(tmp_path / "registry")
    ba = made(registry, tiny_base, "tiny/en-wo", seed=1, invertible=True)
    ta = made(registry, tiny_base, "tiny/en-wo/pos", seed=2, on=ba)
    model = load_encoder(resolve_base(str(tiny_base)))
    load_adapter(model, ba.name, registry.fetch(ba))
    before, path = parts(model), registry.fetch(ta) / file
    sound = load_file(path)
    for key, value in extra(model, ba.name).items():
        save_file({**sound, key: value}, path)
        with pytest.raises(IntegrityError, match="no place for"):
            load_adapter(model, ta.name, path.parent, head_of(ta))
        assert parts(model, ta.name) == before, key
        model.delete_adapter(ta.name.module_name)
        if ta.name.module_name in model.heads:
            model.delete_head(ta.name.module_name)


def change(path: Path, changes: Mapping[str, Any]) -> None:
    content = json.loads(path.read_text())
    content["config"] |= changes
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("adapter_config.json", {"reduction_factor": 1e-9}),
        ("adapter_config.json", {"reduction_factor": float("nan")}),
        ("adapter_config.json", {"reduction_factor": {"default": 2}}),
        ("adapter_config.json", {"scaling": float("inf")}),
        ("adapter_config.json", {"scaling": 0.0}),
        ("adapter_config.json", {"architecture": "lora", "r": 10**9}),
        ("adapter_config.json", {"inv_adapter": "nice", "inv_adapter_reduction_factor": 1e-9}),
        ("adapter_config.json", {"phm_layer": True, "phm_dim": 10**9}),
        ("adapter_config.json", {"leave_out": [2]}),
        ("adapter_config.json", {"leave_out": [0, 1]}),
        ("adapter_config.json", {"output_adapter": False}),
        ("adapter_config.json", {"non_linearity": "\x1b[2J"}),
        ("adapter_config.json", {"\x1b[2J": 1}),
        ("head_config.json", {"num_labels": 10**9}),
        ("head_config.json", {"num_labels": 5}),
        ("head_config.json", {"layers": 10**6}),
        ("head_config.json", {"head_type": "classification"}),
        ("head_config.json", {"head_type": "masked_lm", "vocab_size": 10**10}),
        ("head_config.json", {"label2id": {"X": 0}}),
        ("head_config.json", {"bias": False}),
    ],
)
def test_configurations_are_bounded_before_memory_is_taken(
    tiny_base: Path, tmp_path: Path, file: str, changes: Mapping[str, Any]
) -> None:
    registry = LocalRegistry(tmp_path / "registry")
    entry = made(registry, tiny_base, "tiny/en/pos@ta-only", seed=2)
    folder = registry.fetch(entry)
    change(folder / file, changes)
    model = load_encoder(resolve_base(str(tiny_base)))
    with pytest.raises((DataError, IntegrityError), match=r"json|does not fit") as caught:
        load_adapter(model, entry.name, folder, head_of(entry))
    assert str(caught.value).isprintable()


def test_a_parser_takes_no_memory_for_labels_that_its_file_does_not_have(tiny_base: Path, tmp_path: Path) -> None:
    registry = LocalRegistry(tmp_path / "registry")
    entry = made(registry, tiny_base, "tiny/en/dp@ta-only", seed=2)
    folder = registry.fetch(entry)
    labels = [f"l{number}" for number in range(10_000)]
    change(
        folder / "head_config.json",
        {"num_labels": len(labels), "label2id": {label: number for number, label in enumerate(labels)}},
    )
    with pytest.raises(IntegrityError, match="10000 labels"):
        load_adapter(
            load_encoder(resolve_base(str(tiny_base))), entry.name, folder, ExpectedHead("dependency_parsing", labels)
        )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("file", FILES)
def test_numbers_that_are_none_are_refused_at_publish_and_at_load(
    tiny_base: Path, tmp_path: Path, file: str, value: float
) -> None:
    registry = LocalRegistry(tmp_path / "registry")
    entry = made(registry, tiny_base, "tiny/en/pos@ta-only", seed=2)
    path = registry.fetch(entry) / file
    tensors = load_file(path)
    next(iter(tensors.values())).view(-1)[-1] = value
    save_file(tensors, path)
    with pytest.raises(IntegrityError, match="no numbers"):
        load_adapter(load_encoder(resolve_base(str(tiny_base))), entry.name, path.parent, head_of(entry))
    prepare(path.parent, ManifestDraft(**{key: getattr(entry.manifest, key) for key in ManifestDraft.model_fields}))
    with pytest.raises(IntegrityError, match="no numbers"):
        LocalRegistry(tmp_path / "another").publish(path.parent)


@pytest.mark.parametrize("config", ["seq_bn", "double_seq_bn", "seq_bn_inv", "double_seq_bn_inv", "scaled", "norms"])
@pytest.mark.parametrize("alone", [False, True])
def test_what_plain_adapters_writes_loads(tiny_base: Path, tmp_path: Path, config: str, alone: bool) -> None:
    import adapters
    from adapters import AutoAdapterModel, SeqBnConfig
    from transformers import AutoModel

    settings: dict[str, Any] = {
        "scaled": SeqBnConfig(scaling="learned", non_linearity="swish"),
        "norms": SeqBnConfig(ln_after=True, mh_adapter=True, leave_out=[0]),
    }
    theirs = AutoModel.from_pretrained(tiny_base) if alone else AutoAdapterModel.from_pretrained(tiny_base)
    if alone:
        adapters.init(theirs)
    theirs.add_adapter("wolof", config=settings.get(config, config))
    theirs.save_adapter(str(tmp_path / "wolof"), "wolof", with_head=False, use_safetensors=True)
    model, name = load_encoder(resolve_base(str(tiny_base))), AdapterName.parse("tiny/wo")
    load_adapter(model, name, tmp_path / "wolof")
    expected = sorted(float(value.sum()) for key, value in theirs.named_parameters() if ".wolof." in key)
    found = sorted(float(value.sum()) for key, value in model.named_parameters() if f".{name.module_name}." in key)
    assert found == expected


def test_errors_are_about_the_adapter(tiny_base: Path, tmp_path: Path) -> None:
    registry = LocalRegistry(tmp_path / "registry")
    entry = made(registry, tiny_base, "tiny/en-wo", seed=2)
    (registry.fetch(entry) / "adapter_config.json").write_text("[" * 100_000)
    with pytest.raises(BadxError, match=r"tiny/en-wo could not be loaded.*nested too deeply"):
        load_adapter(load_encoder(resolve_base(str(tiny_base))), entry.name, registry.fetch(entry))

"""Adapters of others as AdapterHub has them, with weights and head as pickles: imported in one step."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from badx_hub.errors import IntegrityError, NotFoundError
from badx_hub.registry import Entry, LocalRegistry
from badx_hub.registry.foreign import import_adapter
from tests.hub.fixture import hub as hub
from tests.hub.server import HubServer
from tests.refusals import refused

REPO = "AdapterHub/tiny-wo-wiki_pfeiffer"
# What repositories of AdapterHub hold: a language adapter with its head, and a card.
LAYOUT = {
    "README.md",
    "adapter_config.json",
    "head_config.json",
    "pytorch_adapter.bin",
    "pytorch_model_head.bin",
}


@pytest.fixture
def registry(tmp_path: Path) -> LocalRegistry:
    return LocalRegistry(tmp_path / "registry")


@pytest.fixture(scope="module")
def published(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as plain `adapters` saves a language adapter with its head, by default as pickles."""
    from adapters import AutoAdapterModel

    torch.manual_seed(3)
    model = AutoAdapterModel.from_pretrained(str(tiny_base))
    model.add_adapter("wo", config="seq_bn_inv")
    model.add_masked_lm_head("wo")
    folder = tmp_path_factory.mktemp("adapterhub") / "wo"
    model.save_adapter(str(folder), "wo", with_head=True)
    (folder / "README.md").write_text("---\ntags:\n- adapter-transformers\n---\nA language adapter.\n")
    assert {path.name for path in folder.iterdir()} == LAYOUT
    return folder


def weights(registry: LocalRegistry, entry: Entry) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = load_file(registry.fetch(entry) / "adapter.safetensors")
    return found


def test_one_step_from_the_hub(hub: HubServer, registry: LocalRegistry, published: Path, tiny_base: Path) -> None:
    commit = hub.put(REPO, {path.name: path.read_bytes() for path in published.iterdir()})
    with refused(IntegrityError, r"only as a pickle.*Add --convert"):
        import_adapter(REPO, "wo", registry, base=str(tiny_base))
    done = import_adapter(REPO, "wo", registry, base=str(tiny_base), pickles=True)
    manifest = done.entry.manifest
    assert (manifest.name, manifest.origin, manifest.imported_from) == ("tiny/wo", "imported", f"hf:{REPO}@{commit}")
    assert not {"pytorch_adapter.bin", "pytorch_model_head.bin"} & {path.name for path in registry.root.rglob("*")}
    assert registry.verify(done.entry).ok
    before = torch.load(published / "pytorch_adapter.bin", weights_only=True)
    after = weights(registry, done.entry)
    assert sorted(float(value.sum()) for value in before.values()) == sorted(float(v.sum()) for v in after.values())
    assert import_adapter(REPO, "wo", registry, base=str(tiny_base), pickles=True).already


def test_one_of_several_in_a_folder(registry: LocalRegistry, published: Path, tiny_base: Path, tmp_path: Path) -> None:
    several = tmp_path / "adapters"
    shutil.copytree(published, several / "wo")
    with refused(NotFoundError, "has no adapter_config.json"):
        import_adapter(str(several), "wo", registry, base=str(tiny_base), pickles=True)
    done = import_adapter(str(several / "wo"), "wo", registry, base=str(tiny_base), pickles=True)
    assert done.entry.manifest.imported_from == "wo"


def test_safetensors_go_before_pickles(
    registry: LocalRegistry, tiny_base: Path, published: Path, tmp_path: Path
) -> None:
    from badx_hub.registry.foreign import convert

    folder = tmp_path / "both"
    shutil.copytree(published, folder)
    convert(folder)
    (folder / "pytorch_adapter.bin").write_bytes(b"not read")
    assert not import_adapter(str(folder), "wo", registry, base=str(tiny_base), pickles=True).already


class Runs:
    def __reduce__(self) -> tuple[Any, ...]:
        return open, ("ran", "w")


def test_nothing_in_a_pickle_is_run(
    registry: LocalRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_base: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "bad"
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"config": {}}))
    (folder / "pytorch_adapter.bin").write_bytes(pickle.dumps({"a": Runs()}))
    with refused(IntegrityError, "pytorch_adapter.bin of .*bad is not a pickle of tensors alone"):
        import_adapter(str(folder), "wo", registry, base=str(tiny_base), pickles=True)
    assert not (tmp_path / "ran").exists() and registry.list() == ()

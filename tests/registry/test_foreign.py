"""Adapters made with plain `adapters`, without badx_hub: imported, refused, and converted from pickles."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from badx_hub import load_bilingual_stack
from badx_hub.errors import BadxError, DataError, IntegrityError, NotFoundError, UsageError
from badx_hub.modeling.base import resolve_base
from badx_hub.registry import LocalRegistry
from badx_hub.registry.foreign import convert, import_adapter
from tests.made import made
from tests.refusals import refused
from tests.tiny import write_tiny_base

Save = Callable[..., Path]


@pytest.fixture
def registry(tmp_path: Path) -> LocalRegistry:
    return LocalRegistry(tmp_path / "registry")


@pytest.fixture
def foreign(tiny_base: Path, tmp_path: Path) -> Save:
    """foreign(...) -> a folder as `save_adapter` of plain `adapters` writes it."""

    def save(config: str = "seq_bn_inv", *, safetensors: bool = True, head: bool = False) -> Path:
        from adapters import AutoAdapterModel

        torch.manual_seed(3)
        model = AutoAdapterModel.from_pretrained(str(tiny_base))
        model.add_adapter("wolof", config=config)
        if head:
            model.add_tagging_head("wolof", num_labels=3)
        for key, parameter in model.named_parameters():
            if "wolof" in key:
                torch.nn.init.normal_(parameter, std=0.5)
        folder = tmp_path / "foreign"
        model.save_adapter(str(folder), "wolof", with_head=head, use_safetensors=safetensors)
        return folder

    return save


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("config", ["seq_bn", "seq_bn_inv"])
def test_an_adapter_of_others_becomes_an_la(
    foreign: Save, registry: LocalRegistry, tiny_base: Path, config: str
) -> None:
    folder = foreign(config)
    done = import_adapter(str(folder), "Wolof", registry, base=str(tiny_base), licence="apache-2.0")
    manifest = done.entry.manifest
    assert not done.already
    assert (manifest.name, manifest.kind, manifest.parent) == ("tiny/wo", "language", None)
    assert (manifest.origin, manifest.imported_from, manifest.licence) == ("imported", "foreign", "apache-2.0")
    assert manifest.base == resolve_base(str(tiny_base)).ref
    assert str(folder) not in manifest.to_json()
    assert registry.verify(done.entry).ok
    published = registry.fetch(done.entry)
    for file in ("adapter.safetensors", "adapter_config.json"):
        assert (published / file).read_bytes() == (folder / file).read_bytes()
    assert "imported from `foreign`" in (published / "README.md").read_text()


def test_an_imported_la_serves_in_the_fallback(foreign: Save, registry: LocalRegistry, tiny_base: Path) -> None:
    en = made(registry, tiny_base, "tiny/en", seed=1)
    made(registry, tiny_base, "tiny/en/pos", seed=2, on=en)
    folder = foreign()
    import_adapter(str(folder), "wo", registry, base=str(tiny_base))
    stack = load_bilingual_stack("en", "wo", "pos", base=str(tiny_base), registry=registry, fallback="mad-x")
    assert [str(entry.name) for entry in stack.entries] == ["tiny/wo", "tiny/en/pos"]
    expected = sorted(float(tensor.sum()) for tensor in load_file(folder / "adapter.safetensors").values())
    loaded = sorted(float(value.sum()) for key, value in stack.model.named_parameters() if "tiny:wo:" in key)
    assert loaded == expected


def test_importing_it_again_is_a_no_op(foreign: Save, registry: LocalRegistry, tiny_base: Path) -> None:
    folder = foreign()
    first = import_adapter(str(folder), "wo", registry, base=str(tiny_base))
    again = import_adapter(str(folder), "wo", registry, base=str(tiny_base))
    assert (again.entry, again.already) == (first.entry, True)
    labelled = import_adapter(str(folder), "wo", registry, base=str(tiny_base), label="other")
    assert (str(labelled.entry.name), labelled.already) == ("tiny/wo#other", False)


def test_the_base_it_names_is_the_default(foreign: Save, registry: LocalRegistry) -> None:
    assert str(import_adapter(str(foreign()), "wo", registry).entry.name) == "tiny/wo"


def test_a_head_stays_behind(foreign: Save, registry: LocalRegistry, tiny_base: Path) -> None:
    done = import_adapter(str(foreign(head=True)), "wo", registry, base=str(tiny_base))
    assert set(done.entry.manifest.files) == {"adapter_config.json", "adapter.safetensors", "README.md"}


@pytest.mark.parametrize(
    ("damage", "error", "says"),
    [
        (lambda folder: (folder / "adapter_config.json").unlink(), NotFoundError, "adapter_config.json"),
        (lambda folder: (folder / "adapter.safetensors").unlink(), NotFoundError, "use_safetensors=True"),
        (lambda folder: (folder / "adapter_config.json").write_text("["), DataError, "not JSON"),
        (lambda folder: (folder / "adapter_config.json").write_text("[]"), DataError, "not one of `adapters`"),
        (lambda folder: (folder / "adapter_config.json").write_bytes(b"\xff"), DataError, "not JSON"),
        (lambda folder: change_config(folder, config="seq_bn"), DataError, "not one of `adapters`"),
        (lambda folder: change_config(folder, config={"no": "such"}), BadxError, "foreign"),
        (lambda folder: change_config(folder, name=None), BadxError, ""),
        (lambda folder: change_config(folder, hidden_size=768), IntegrityError, "hidden_size 768"),
        (lambda folder: change_config(folder, model_type="xlm-roberta"), IntegrityError, "model_type xlm-roberta"),
        (lambda folder: change_config(folder, model_name="bert-base-cased"), IntegrityError, "bert-base-cased"),
        (lambda folder: (folder / "adapter.safetensors").write_bytes(b"junk"), BadxError, ""),
    ],
)
def test_what_is_no_adapter_of_this_base_is_refused(
    foreign: Save, registry: LocalRegistry, tiny_base: Path, damage: Callable[[Path], Any], error: Any, says: str
) -> None:
    folder = foreign()
    damage(folder)
    with pytest.raises(error) as caught:
        import_adapter(str(folder), "wo", registry, base=str(tiny_base))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert registry.list() == ()


def test_an_adapter_for_fewer_layers_is_refused(foreign: Save, registry: LocalRegistry, tmp_path: Path) -> None:
    base = write_tiny_base(tmp_path / "deep" / "tiny", layers=3)
    with pytest.raises(IntegrityError, match="lacks"):
        import_adapter(str(foreign()), "wo", registry, base=str(base))


@pytest.mark.parametrize(
    ("place", "language", "error"),
    [
        ("./nowhere", "wo", NotFoundError),
        ("a/b/c", "wo", NotFoundError),
        ("https://huggingface.co/a/b", "wo", NotFoundError),
        ("org/name", "wo", BadxError),
        ("./nowhere", "wolofish", UsageError),
    ],
)
def test_where_there_is_no_adapter(registry: LocalRegistry, place: str, language: str, error: type[BadxError]) -> None:
    with pytest.raises(error):
        import_adapter(place, language, registry)


def test_a_pickle_is_pointed_to_convert_and_then_imported(
    foreign: Save, registry: LocalRegistry, tiny_base: Path
) -> None:
    folder = foreign(safetensors=False, head=True)
    with refused(IntegrityError, "badx-hub convert"):
        import_adapter(str(folder), "wo", registry, base=str(tiny_base))
    done = convert(folder)
    assert (done.written, done.already) == (("adapter.safetensors", "model_head.safetensors"), ())
    for pickled, safe in zip(("pytorch_adapter.bin", "pytorch_model_head.bin"), done.written, strict=True):
        before, after = torch.load(folder / pickled, weights_only=True), load_file(folder / safe)
        assert before.keys() == after.keys()
        assert all(torch.equal(before[key], after[key]) for key in before)
    assert import_adapter(str(folder), "wo", registry, base=str(tiny_base)).entry.manifest.origin == "imported"
    again = convert(folder)
    assert (again.written, again.already) == ((), done.written)


class Runs:
    """Would make a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path, save: Callable[[Any, Path], Any]) -> None:
    (tmp_path / "old").mkdir()
    marker = tmp_path / "ran"
    save({"weight": torch.zeros(2), "x": Runs(marker)}, tmp_path / "old" / "pytorch_adapter.bin")
    with pytest.raises(IntegrityError, match=r"might run code.*safetensors"):
        convert(tmp_path / "old")
    assert not marker.exists()
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["pytorch_adapter.bin"]


@pytest.mark.parametrize(
    "value", [[torch.zeros(2)], {"a": 1}, {1: torch.zeros(2)}, torch.zeros(2), {"a": torch.zeros(2).to_sparse()}]
)
def test_other_things_than_named_tensors_are_refused(tmp_path: Path, value: Any) -> None:
    torch.save(value, tmp_path / "pytorch_adapter.bin")
    with pytest.raises(IntegrityError, match=r"named tensors|tensors alone"):
        convert(tmp_path)


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04junk", b"\x80\x02junk.", b"\x80\x04K\x01."])
def test_files_that_are_no_pickles(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "pytorch_adapter.bin").write_bytes(content)
    with pytest.raises(IntegrityError):
        convert(tmp_path)
    assert not (tmp_path / "adapter.safetensors").exists()


def test_if_one_of_two_is_refused_nothing_is_written(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(2)}, tmp_path / "pytorch_adapter.bin")
    (tmp_path / "pytorch_model_head.bin").write_bytes(b"junk")
    with pytest.raises(IntegrityError):
        convert(tmp_path)
    assert not (tmp_path / "adapter.safetensors").exists()


def tensor_of(items: int, shape: tuple[int, ...], stride: tuple[int, ...], data: bytes = b"\0" * 16) -> bytes:
    """A file of `torch.save` with a tensor whose storage claims to have `items` numbers."""

    class Storage:
        pass

    class Rebuilt:
        def __reduce__(self) -> Any:
            return torch._utils._rebuild_tensor_v2, (Storage(), 0, shape, stride, False, OrderedDict())

    class Pickler(pickle.Pickler):
        def persistent_id(self, value: object) -> Any:
            return ("storage", torch.FloatStorage, "0", "cpu", items) if isinstance(value, Storage) else None

    program, packed = io.BytesIO(), io.BytesIO()
    Pickler(program, protocol=2).dump({"a": Rebuilt()})
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in {"data.pkl": program.getvalue(), "data/0": data, "version": b"3\n"}.items():
            archive.writestr(f"archive/{name}", content)
    return packed.getvalue()


def deflated(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for one in old.infolist():
            new.writestr(one.filename, old.read(one))
    return packed.getvalue()


class Claims:
    """Pickled as a call that takes 8 GB."""

    def __reduce__(self) -> Any:
        return bytearray, (8 * 2**30,)


@pytest.mark.parametrize(
    "content",
    [
        tensor_of(2**31, (2**31,), (1,)),
        tensor_of(4, (2**31,), (0,)),
        tensor_of(4, (2**30, 2**31), (0, 0)),
        tensor_of(4, (8,), (0,)),
        tensor_of(400, (400,), (1,)),
        deflated(tensor_of(2**20, (2**20,), (1,), b"\0" * 2**22)),
        pickle.dumps({"a": Claims()}, protocol=2),
        b"\x80\x02X\xff\xff\xff\xffx",
        b"PK\x03\x04" + b"\0" * 100,
    ],
)
def test_a_pickle_that_asks_for_more_than_it_has_is_refused_before_it_is_loaded(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was loaded"))
    (tmp_path / "pytorch_adapter.bin").write_bytes(content)
    with pytest.raises(IntegrityError, match=r"not a pickle of tensors alone|is cut off or damaged") as caught:
        convert(tmp_path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("new", [True, False])
def test_pickles_of_both_formats_of_torch_are_converted(tmp_path: Path, new: bool) -> None:
    tensors = {"a": torch.randn(3, 4), "b": torch.arange(5), "c": torch.ones(2).bfloat16(), "d": torch.tensor(True)}
    content = OrderedDict(tensors, e=torch.nn.Parameter(torch.ones(2)))
    torch.save(content, tmp_path / "pytorch_adapter.bin", _use_new_zipfile_serialization=new)
    convert(tmp_path)
    found = load_file(tmp_path / "adapter.safetensors")
    assert found.keys() == content.keys()
    assert all(torch.equal(found[key], content[key]) for key in found)


def test_tensors_that_share_memory_are_written_apart(tmp_path: Path) -> None:
    whole = torch.arange(6.0)
    torch.save({"a": whole, "b": whole[2:4], "c": whole.reshape(2, 3).T}, tmp_path / "pytorch_adapter.bin")
    convert(tmp_path)
    found = load_file(tmp_path / "adapter.safetensors")
    assert torch.equal(found["b"], whole[2:4]) and torch.equal(found["c"], whole.reshape(2, 3).T)


def test_nothing_to_convert(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nothing to convert"):
        convert(tmp_path)
    with pytest.raises(NotFoundError, match="no folder"):
        convert(tmp_path / "nowhere")

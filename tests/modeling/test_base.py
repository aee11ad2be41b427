from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from badx_hub.base_spec import hub_base, spec_slug
from badx_hub.errors import DataError, IntegrityError, NotFoundError, UsageError
from badx_hub.modeling.base import base_of, resolve_base
from tests.refusals import refused


@pytest.fixture
def base_copy(tiny_base: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_base, tmp_path / "tiny"))


def test_a_folder_is_a_base_under_its_own_name(tiny_base: Path) -> None:
    base = resolve_base(str(tiny_base))
    assert base.ref.name == base.slug == "tiny"
    assert (base.ref.model_type, base.ref.hidden_size, base.ref.num_layers) == ("bert", 32, 2)
    assert len(base.ref.digest) == 64


def test_the_digest_follows_the_weights_not_the_place(tiny_base: Path, base_copy: Path) -> None:
    assert resolve_base(str(base_copy)).ref.digest == resolve_base(str(tiny_base)).ref.digest
    weights = load_file(base_copy / "model.safetensors")
    key = next(iter(weights))
    save_file({**weights, key: weights[key] + 1}, base_copy / "model.safetensors", metadata={"format": "pt"})
    assert resolve_base(str(base_copy)).ref.digest != resolve_base(str(tiny_base)).ref.digest


def test_a_folder_may_have_an_at_in_its_name(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(tiny_base, tmp_path / "tiny@home")
    monkeypatch.chdir(tmp_path)
    for spec in ("tiny@home", "./tiny@home"):
        assert resolve_base(spec).ref.name == "tiny@home"
        assert spec_slug(spec) == resolve_base(spec).slug == "tiny-home"
    assert spec_slug("facebook/xlm-v-base@refs/pr/1") == "xlm-v-base"
    assert str(hub_base("facebook/xlm-v-base@refs/pr/1")) == "facebook/xlm-v-base@refs/pr/1"
    assert hub_base("tiny@home") is None


def test_a_folder_once_used_is_found_again_without_its_path(tiny_base: Path) -> None:
    base = resolve_base(str(tiny_base))
    assert base_of(base.ref).folder == base.folder


def test_a_base_may_be_named_by_slug_or_digest_once_it_is_known(tiny_base: Path) -> None:
    base = resolve_base(str(tiny_base))
    assert {base_of(base.ref, spec).folder for spec in ("tiny", base.ref.digest[:12])} == {base.folder}


def test_an_unknown_folder_says_to_give_the_base(tiny_base: Path, base_copy: Path) -> None:
    base = resolve_base(str(base_copy))
    shutil.rmtree(base_copy)
    with refused(NotFoundError, "--base"):
        base_of(base.ref)
    assert base_of(base.ref, str(tiny_base)).ref.digest == base.ref.digest


def test_another_base_is_refused(tiny_base: Path, base_copy: Path) -> None:
    base = resolve_base(str(tiny_base))
    wrong = base.ref.model_copy(update={"digest": "0" * 64})
    with refused(IntegrityError, "--base"):
        base_of(wrong, str(tiny_base))


def test_a_base_that_cannot_be_downloaded_names_the_demo_base() -> None:
    with refused(NotFoundError, "--base demo"):
        resolve_base("bert-base-multilingual-cased")


@pytest.mark.parametrize("spec", ["./nowhere", "/no/such/base", "../a/b/c"])
def test_a_missing_folder_is_not_looked_up_on_the_hub(spec: str) -> None:
    with pytest.raises(NotFoundError, match="No folder"):
        resolve_base(spec)


@pytest.mark.parametrize("name", ["C:model", "a\nb", "a\x1b[2Jb", "a\u202eb", "a\\b", "n" * 250, "b\udcff"])
def test_a_folder_whose_name_no_manifest_takes_is_told(base_copy: Path, name: str) -> None:
    with refused(UsageError, "Rename the folder") as caught:
        resolve_base(str(base_copy.rename(base_copy.with_name(name))))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("", "has no name.*--base demo"),
        ("https://huggingface.co/acme/tiny/tree/main", "is an address.*--base acme/tiny"),
        ("hf://acme/tiny", "is an address.*--base acme/tiny"),
        ("https://", "is an address.*--base demo"),
    ],
)
def test_what_is_no_name_of_a_base_is_told(spec: str, says: str) -> None:
    with refused(UsageError, says):
        resolve_base(spec)


def test_a_base_may_lie_below_a_folder_that_is_not_utf_8(base_copy: Path, tmp_path: Path) -> None:
    (tmp_path / "b\udcff").mkdir()
    base = resolve_base(str(base_copy.rename(tmp_path / "b\udcff" / "tiny")))
    assert base_of(base.ref).folder == base.folder


def test_pickled_weights_are_refused(base_copy: Path) -> None:
    (base_copy / "model.safetensors").rename(base_copy / "pytorch_model.bin")
    with pytest.raises(IntegrityError, match="safetensors"):
        resolve_base(str(base_copy))


@pytest.mark.parametrize("config", ["", "[]", json.dumps({"model_type": "bert"}), "{"])
def test_a_broken_config_is_refused(base_copy: Path, config: str) -> None:
    (base_copy / "config.json").write_text(config)
    with pytest.raises(DataError, match=r"config\.json"):
        resolve_base(str(base_copy))


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_damaged_copy_of_the_demo_base_is_made_again(name: str) -> None:
    base = resolve_base("demo")
    whole = (base.folder / name).read_bytes()
    (base.folder / name).write_bytes(whole[:100])
    assert resolve_base("demo").ref == base.ref
    assert (base.folder / name).read_bytes() == whole
    (base.folder / name).unlink()
    assert resolve_base("demo").ref == base.ref


def test_the_demo_base_unpacks_once_into_an_ordinary_folder(home: Path) -> None:
    base = resolve_base("demo")
    assert base.ref.name == base.slug == "demo"
    assert (base.folder / "model.safetensors").is_file()
    before = (base.folder / "model.safetensors").stat().st_mtime_ns
    assert resolve_base("demo").ref == base.ref
    assert (base.folder / "model.safetensors").stat().st_mtime_ns == before
    assert home in base.folder.parents


def test_a_folder_that_is_gone_is_named(tiny_base: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_base, tmp_path / "moved"))
    ref = resolve_base(str(folder)).ref
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(NotFoundError, match=r"moved was in '.*moved', which is no longer there"):
        base_of(ref, offline=True)
    assert base_of(ref, str(tmp_path / "elsewhere")).ref.digest == ref.digest

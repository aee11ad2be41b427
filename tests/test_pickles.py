"""Pickles of tensors become safetensors without being loaded: as `torch.load` would read them, or not at all."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from badx_hub.errors import IntegrityError
from badx_hub.pickles import pickled_tensors, write_safetensors

TYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int8, torch.bool)


def converted(path: Path) -> Mapping[str, torch.Tensor]:
    target = path.with_suffix(".safetensors")
    with path.open("rb") as stream, target.open("wb") as out:
        write_safetensors(out, {name: (stream, one) for name, one in pickled_tensors(stream, path).items()})
    found: Mapping[str, torch.Tensor] = load_file(target)
    return found


@st.composite
def tensors(draw: st.DrawFn) -> dict[str, torch.Tensor]:
    """Named tensors, some of which are views of one another."""
    made: dict[str, torch.Tensor] = {}
    for number in range(draw(st.integers(1, 4))):
        shape = draw(st.lists(st.integers(0, 4), max_size=3))
        one = torch.randint(-3, 4, shape).to(draw(st.sampled_from(TYPES)))
        made[f"plain{number}"] = one
        if shape and all(shape) and draw(st.booleans()):
            made[f"view{number}"] = draw(
                st.sampled_from((one.transpose(0, -1), one[1:], one[..., ::2], one, one.unsqueeze(0)))
            )
    return made


@given(made=tensors(), new=st.booleans(), ordered=st.booleans(), parameters=st.booleans())
@settings(max_examples=60)
def test_what_is_written_is_what_torch_would_load(
    made: dict[str, torch.Tensor], new: bool, ordered: bool, parameters: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("pickle") / "a.bin"
    kept: dict[str, torch.Tensor] = {
        name: torch.nn.Parameter(one) if parameters and one.is_floating_point() else one for name, one in made.items()
    }
    torch.save(OrderedDict(kept) if ordered else kept, path, _use_new_zipfile_serialization=new)
    expected = torch.load(path, weights_only=True)
    found = converted(path)
    assert found.keys() == expected.keys()
    for name, one in expected.items():
        assert (found[name].dtype, found[name].shape) == (one.dtype, one.shape)
        assert torch.equal(found[name], one)


def test_a_state_dict_of_a_model_is_read(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4))
    torch.save(model.state_dict(), tmp_path / "a.bin")
    assert converted(tmp_path / "a.bin").keys() == model.state_dict().keys()


@pytest.mark.parametrize("new", [True, False])
def test_a_file_that_was_cut_is_refused_before_anything_is_written(tmp_path: Path, new: bool) -> None:
    path = tmp_path / "a.bin"
    torch.save({"a": torch.zeros(1000), "b": torch.ones(1000)}, path, _use_new_zipfile_serialization=new)
    whole = path.read_bytes()
    for length in (0, 1, 50, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with path.open("rb") as stream, pytest.raises(IntegrityError, match=r"a\.bin is (not a pickle|cut off|empty)"):
            pickled_tensors(stream, path)


def test_what_git_lfs_leaves_in_a_files_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n")
    with (tmp_path / "a.bin").open("rb") as stream, pytest.raises(IntegrityError, match="Git LFS pointer"):
        pickled_tensors(stream, tmp_path / "a.bin")


@pytest.mark.parametrize("value", [[torch.zeros(2)], {1: torch.zeros(2)}, {"a": [torch.zeros(2)]}, torch.zeros(2)])
def test_what_is_not_named_tensors_is_refused(tmp_path: Path, value: object) -> None:
    torch.save(value, tmp_path / "a.bin")
    with (tmp_path / "a.bin").open("rb") as stream, pytest.raises(IntegrityError, match="named tensors"):
        pickled_tensors(stream, tmp_path / "a.bin")

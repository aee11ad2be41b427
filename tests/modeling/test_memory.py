"""Pages of mapped weights are given back, and hold what the file holds when they are read again."""

from __future__ import annotations

import gc
import sys
import weakref
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from badx_hub.modeling.memory import MappedWeights, give_memory_back


def resident(path: Path) -> int:
    """KiB of the file that this process has in memory through a map."""
    found, inside = 0, False
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        if "-" in line.partition(" ")[0]:
            inside = line.endswith(str(path))
        elif inside and line.startswith("Rss:"):
            found += int(line.split()[1])
    return found


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="where maps are is told by Linux alone")
def test_pages_of_a_file_are_given_back_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"one": torch.full((512, 1024), 2.0), "other": torch.full((512, 1024), 3.0)}, path)
    loaded, own = load_file(path), torch.full((512, 1024), 4.0)
    assert sum(float(one.sum()) for one in loaded.values()) == 5 * 512 * 1024
    before = resident(path)
    files = MappedWeights()
    files.forget(loaded["one"])
    files.forget(own)
    assert before > 4000 and resident(path) <= before - 2000
    assert [float(one.min()) for one in (loaded["one"], loaded["other"], own)] == [2.0, 3.0, 4.0]


def test_a_model_that_holds_itself_is_gone_when_memory_is_given_back() -> None:
    gc.disable()
    try:
        model = torch.nn.Linear(2, 2)
        model.itself = [model]  # type: ignore[assignment]
        seen = weakref.ref(model)
        del model
        assert seen() is not None
        give_memory_back()
        assert seen() is None
    finally:
        gc.enable()

"""Wrong types in calls of the public API are told by errors of ours, before any work is done."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from badx_hub import (
    AdapterName,
    Mixture,
    evaluate,
    load_bilingual_stack,
    merge,
    open_registry,
    train_language_adapter,
    train_task_adapter,
)
from badx_hub.arguments import checked, fits
from badx_hub.errors import UsageError
from badx_hub.recipes import load_recipe, override
from badx_hub.registry import LocalRegistry, Registry, copy
from badx_hub.stack import StackLoader

PAIR, RECIPE = Mixture.parse("en-wo"), load_recipe("demo")


@pytest.mark.parametrize(
    ("value", "hint", "right"),
    [
        (None, str | None, True),
        ("a", str | None, True),
        (b"a", str | None, False),
        (True, int, False),
        (np.int64(3), int, True),
        (3, float, True),
        ("3", float, False),
        ("dev", Literal["train", "dev"], True),
        (1, Literal["train", True], False),
        ("ab", Sequence[str], False),
        (["a", 5], Sequence[str], False),
        (("a", None), Sequence[str | None], True),
        ({"wo": Path("x")}, Mapping[str, str | Path], True),
        ({5: "x"}, Mapping[str, str | Path], False),
        (len, Callable[[str], int], True),
        (5, Callable[[str], int], False),
        (LocalRegistry(Path("x")), Registry, True),
        (LocalRegistry, Registry, False),
        ("x", Registry, False),
        (object(), Any, True),
    ],
)
def test_a_value_fits_its_hint_with_all_that_is_in_it(value: object, hint: object, right: bool) -> None:
    assert fits(value, hint) is right


@pytest.mark.parametrize("argument", ["source", "ratio", "base", "setup", "label", "lock", "fallback", "options"])
@pytest.mark.parametrize("value", [5, b"x", ["a"], float("nan")], ids=repr)
def test_loading_checks_its_arguments(argument: str, value: object) -> None:
    given: dict[str, Any] = {"source": "en", "target": "wo", "task": "pos", "registry": "demo", argument: value}
    with pytest.raises(UsageError, match=rf"The argument {argument} of load_bilingual_stack is .*; expected .*\. See "):
        load_bilingual_stack(**given)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: load_bilingual_stack("en", "wo", "pos", registry=5), "registry .* is 5 .int.; .* open_registry"),
        (lambda: load_bilingual_stack("en", "wo", "pos", dtype="bf16"), "dtype .* is 'bf16' .str.; .* torch.float32"),
        (lambda: train_language_adapter("en-wo", RECIPE.language, registry=5), "mixture .* Mixture.parse"),
        (lambda: train_language_adapter(PAIR, "demo", registry=5), r"recipe .* load_recipe\(\"quick\"\).language"),
        (lambda: train_language_adapter(PAIR, RECIPE.language, registry="x"), r"registry .* open_registry\("),
        (lambda: train_task_adapter(PAIR, "pos", RECIPE.tasks["pos"], data=5, registry="x"), "data .* a mapping of"),
        (lambda: evaluate("en-wo", "x"), "stack .* load_bilingual_stack"),
        (lambda: merge(["a", "b"], open_registry("x")), "parents .* a sequence of Entry"),
        (lambda: open_registry(5), "where .* expected str, Path or None"),
        (lambda: open_registry("x").get(5), "name of LocalRegistry.get .* expected AdapterName or str"),
        (lambda: copy("x", "y", "z"), "entry of copy"),
        (lambda: AdapterName.parse(None), "text of AdapterName.parse"),
        (lambda: load_recipe(None), "name_or_file"),
        (lambda: override(None, {}), "section .* expected BaseModel"),
    ],
)
def test_an_error_says_what_was_given_and_what_is_expected(call: Callable[[], object], said: str) -> None:
    with pytest.raises(UsageError, match=f"The argument {said}"):
        call()


def test_what_is_not_to_be_looked_at_is_left_to_the_function() -> None:
    @checked("texts")
    def count(texts: Sequence[str], size: int = 1) -> int:
        """Kept."""
        return len(texts) * size

    assert count("ab", 2) == 4
    assert count.__doc__ == "Kept."
    with pytest.raises(UsageError, match=r"size of .*count is '2' \(str\)"):
        count(["a"], size="2")  # type: ignore[arg-type]


@pytest.mark.parametrize("device", ["gpu", "", "meta", "cuda:99"])
def test_a_device_that_is_not_there_is_told(device: str) -> None:
    with pytest.raises(UsageError, match=f"^PyTorch has no device {re.escape(repr(device))} here: .* Leave it out"):
        StackLoader(device=device)


def test_a_stack_computes_in_floating_point() -> None:
    with pytest.raises(UsageError, match=r"torch\.int8\. Take torch\.float32"):
        StackLoader(dtype=torch.int8)

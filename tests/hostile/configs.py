"""Adapter configurations of every kind of wrongness, beside sound weights; badx.json vouches for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.hostile.artefact import Artefact, Artefacts, Sandbox, dumped, gone, raw, tries

HUGE = raw("9" * 4400)
WRONG: dict[str, Any] = {
    "null": None,
    "true": True,
    "text": "x",
    "empty-text": "",
    "list": [],
    "object": {},
    "nested": [[[[{}]]]],
    "negative": -1,
    "zero": 0,
    "fraction": 1.5,
    "1e308": 1e308,
    "1e999": raw("1e999"),
    "nan": raw("NaN"),
    "infinity": raw("-Infinity"),
    "4400-digits": HUGE,
}
"""Values that are wrong, or at least odd, nearly everywhere."""

_FIELDS: dict[str, tuple[str, ...]] = {
    "reduction_factor": tuple(WRONG),
    "scaling": tuple(WRONG),
    "non_linearity": ("null", "true", "empty-text", "list", "object", "4400-digits"),
    "leave_out": ("true", "text", "object", "nested", "negative", "fraction", "nan"),
    "dropout": ("null", "text", "list", "negative", "fraction", "nan", "1e999"),
    "use_gating": ("text", "list", "nan"),
    "init_weights": ("null", "list", "object"),
    "inv_adapter_reduction_factor": ("text", "zero", "negative"),
}
# What makes the very same weights of the very same shape work otherwise, or is not read: it may load.
_EITHER = (
    "dropout-null",
    "dropout-negative",
    "leave_out-negative",
    "leave_out-fraction",
    "scaling-true",
    "scaling-negative",
    "scaling-zero",
    "scaling-fraction",
    "scaling-1e308",
    "use_gating-list",
    "init_weights-null",
    "init_weights-list",
    "init_weights-object",
    "inv_adapter_reduction_factor-text",
    "inv_adapter_reduction_factor-zero",
    "inv_adapter_reduction_factor-negative",
    "leave_out-object",
    "leave_out-nested",
)
CHANGES: dict[str, Mapping[str, Any]] = {
    "reduction_factor-tiny": {"reduction_factor": 1e-9},
    "reduction_factor-small": {"reduction_factor": 1e-5},
    "reduction_factor-denormal": {"reduction_factor": 5e-324},
    "reduction_factor-of-layers": {"reduction_factor": {"0": 1e-9, "default": 2}},
    "reduction_factor-of-defaults": {"reduction_factor": {"default": {"default": 2}}},
    "phm": {"phm_layer": True, "phm_dim": 10**9},
    "phm-4": {"phm_layer": True, "phm_dim": 4},
    "phm-rank": {"phm_layer": True, "factorized_phm_W": True, "phm_rank": 10**12},
    "invertible": {"inv_adapter": "nice", "inv_adapter_reduction_factor": 1e-9},
    "invertible-unknown": {"inv_adapter": "os.system", "inv_adapter_reduction_factor": 2},
    "invertible-without-weights": {"inv_adapter": "glow", "inv_adapter_reduction_factor": 2},
    "leave-out-everything": {"leave_out": [0, 1]},
    "leave-out-a-million": {"leave_out": list(range(100_000))},
    "non-linearity-of-python": {"non_linearity": "__import__('os').system"},
    "non-linearity-escape": {"non_linearity": "\x1b]0;owned\x07\x9b2J"},
    "non-linearity-long": {"non_linearity": "x" * 500_000},
    "mh-adapter": {"mh_adapter": True},
    "no-output-adapter": {"output_adapter": False},
    "cross-adapter": {"cross_adapter": True},
    "parallel": {"is_parallel": True},
    "norms": {"ln_before": True, "ln_after": True},
    "gating": {"use_gating": True},
    "learnt-scaling": {"scaling": "learned"},
    "unknown-key": {"surprise": {"a": 1}},
    "dunder-key": {"__class__": "os", "__init__": 1},
    "architecture-unknown": {"architecture": "surprise"},
    "architecture-lora": {"architecture": "lora"},
    "architecture-prefix": {"architecture": "prefix_tuning", "prefix_length": 10**9},
    "architecture-prompt": {"architecture": "prompt_tuning", "prompt_length": 10**9},
    "architecture-union": {"architecture": "union", "configs": []},
    "architecture-list": {"architecture": ["lora"]},
    "stochastic-depth": {"stochastic_depth": 7},
}
# Which norms and which seed there are changes no shape.
EITHER_CHANGES = ("unknown-key", "cross-adapter", "parallel", "invertible-unknown", "stochastic-depth")
_LORA = {"architecture": "lora", "selfattn_lora": True, "alpha": 8, "dropout": 0.0, "attn_matrices": ["q", "v"]}
WHOLE: dict[str, Any] = {
    "lora-huge": {**_LORA, "r": 10**7, "composition_mode": "add", "init_weights": "lora"},
    "lora-huger": {**_LORA, "r": 10**15, "composition_mode": "add", "init_weights": "lora"},
    "lora-all-matrices": {**_LORA, "r": 10**7, "attn_matrices": ["q", "k", "v"], "intermediate_lora": True},
    "lora-svd": {**_LORA, "r": 8, "init_weights": "svd"},
    "lora-negative": {**_LORA, "r": -8},
    "lora-small": {**_LORA, "r": 8, "composition_mode": "add", "init_weights": "lora"},
    "ia3": {**_LORA, "r": 1, "composition_mode": "scale", "init_weights": "ia3"},
    "prefix-huge": {"architecture": "prefix_tuning", "prefix_length": 10**9, "flat": True, "bottleneck_size": 512},
    "prefix-wide": {"architecture": "prefix_tuning", "prefix_length": 30, "flat": False, "bottleneck_size": 10**9},
    "prompt-huge": {"architecture": "prompt_tuning", "prompt_length": 10**9},
    "prompt-text": {"architecture": "prompt_tuning", "prompt_length": 2, "prompt_init": "from_string"},
    "reft-huge": {"architecture": "reft", "r": 10**9, "layers": "all", "prefix_positions": 3, "suffix_positions": 0},
    "reft-layers": {"architecture": "reft", "r": 1, "layers": [10**9], "prefix_positions": 3, "suffix_positions": 0},
    "vera": {"architecture": "vera", "r": 10**7, "d": 0.1, "b": 0.0},
    "union-deep": {"architecture": "union", "configs": [{"architecture": "union", "configs": [{}]}]},
    "union-of-a-thousand": {"architecture": "union", "configs": [{"architecture": "prefix_tuning"}] * 1000},
    "text": "seq_bn",
    "name-of-a-hub": "@ukp/seq_bn",
    "path": "../../../outside/id_ed25519",
    "url": "http://127.0.0.1:9/x.json",
    "null": None,
    "number": 7,
    "list": [],
    "empty": {},
    "4400-digits": HUGE,
}
TOP: dict[str, Mapping[str, Any]] = {
    "name-null": {"name": None},
    "name-number": {"name": 7},
    "name-list": {"name": ["a"]},
    "name-gone": {"name": gone()},
    "name-of-everything": {"name": ".*"},
    "name-of-a-layer": {"name": "layer"},
    "name-empty": {"name": ""},
    "name-with-dots": {"name": "a.b.c"},
    "name-path": {"name": "../../outside"},
    "name-long": {"name": "x" * 1_000_000},
    "model-class": {"model_class": "os.system"},
    "model-class-null": {"model_class": None},
    "model-type-other": {"model_type": "gpt2"},
    "hidden-size-other": {"hidden_size": 10**9},
    "hidden-size-text": {"hidden_size": "32"},
    "version-other": {"version": "99.0"},
    "version-list": {"version": [1]},
    "config-gone": {"config": gone()},
    "auto-map": {"auto_map": {"AutoModel": "x.y"}},
    "config-id": {"config_id": "x" * 10, "config": gone()},
}
# The loader takes the name, and what its own model is, from badx.json and the base.
TOP_EITHER = (
    *("model-class", "model-class-null", "model-type-other", "hidden-size-other", "hidden-size-text"),
    *("version-other", "version-list", "auto-map"),
    *("name-null", "name-number", "name-list", "name-of-everything", "name-of-a-layer", "name-empty"),
    *("name-with-dots", "name-path", "name-long"),
)
TEXTS: dict[str, str] = {
    "empty": "",
    "blank": " \n",
    "null": "null",
    "list": "[]",
    "text": '"x"',
    "number": "7",
    "4400-digits": "9" * 4400,
    "deep-lists": "[" * 100_000 + "]" * 100_000,
    "deep-objects": '{"a":' * 50_000 + "1" + "}" * 50_000,
    "cut": '{"config": {',
    "comment": '{"config": {}} // x',
    "nul": "\0",
    "bom": "\ufeff{}",
    "surrogate": '{"config": "\udcff"}',
    "key-twice": '{"name": "a", "name": "b", "config": {}, "config": {}}',
    "utf-16": "\udcff\udcfe{\0}\0",
    "long": '{"config": {}, "x": "' + "x" * 6_000_000 + '"}',
    "a-million-keys": '{"config": {' + ", ".join(f'"k{number}": 1' for number in range(300_000)) + "}}",
}

COMMANDS = ("verify", "pull", "load")


def artefacts() -> Artefacts:
    """Changed fields of `config`, other architectures, changed fields around it, and texts that are none of it."""
    for field, values in _FIELDS.items():
        for value in values:
            yield _changed(f"{field}-{value}", {field: WRONG[value]}, _EITHER)
    for what, changes in CHANGES.items():
        yield _changed(what, changes, EITHER_CHANGES)
    for what, whole in WHOLE.items():
        yield _artefact(f"whole-{what}", lambda config, whole=whole: dumped({**config, "config": whole}), ())  # type: ignore[misc]
    for what, changes in TOP.items():
        yield _artefact(what, lambda config, changes=changes: _dumped({**config, **changes}), TOP_EITHER)  # type: ignore[misc]
    for what, text in TEXTS.items():
        yield _artefact(f"file-{what}", lambda config, text=text: text, ())  # type: ignore[misc]


def _changed(what: str, changes: Mapping[str, Any], either: tuple[str, ...]) -> Artefact:
    return _artefact(what, lambda config: _dumped({**config, "config": {**config["config"], **changes}}), either)


def _artefact(what: str, change: Callable[[dict[str, Any]], str], either: tuple[str, ...]) -> Artefact:
    def forge(box: Sandbox) -> None:
        text = change(box.json("ba", "adapter_config.json"))
        (box.folder("ba") / "adapter_config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
        box.seal("ba")

    # Digests are right, so what only copies may do so; what loads may not.
    allowed = ("verify", "pull", *(["load"] if what in either else []))
    return Artefact(f"configs/{what}", forge, tries("ba", COMMANDS, either=allowed))


def _dumped(value: Mapping[str, Any]) -> str:
    return dumped({key: one for key, one in value.items() if one is not gone()})

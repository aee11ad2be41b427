"""Words of a stranger that are printed: labels, names, notes. None may steer a terminal or forge a row of data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.hostile.artefact import Artefact, Artefacts, Sandbox, tries

_WORDS = {
    "esc": "\x1b[2J",
    "osc": "\x1b]0;owned\x07",
    "osc-8": "\x1b]8;;http://x/\x1b\\x",
    "dcs": "\x1bP+q\x1b\\",
    "c1-csi": "\x9b2J",
    "c1-osc": "\x9d0;owned\x9c",
    "c1-nel": "a\x85b",
    "del": "a\x7fb",
    "nul": "a\0b",
    "bell": "a\x07",
    "backspace": "error\x08\x08\x08ok",
    "return": "error\rok",
    "line": "X\nerror: all is lost",
    "lines": "X\n\n1\tforged\tforged\tX\t_\t_\t0\troot\t_\t_",
    "tab": "X\tX",
    "tabs": "X\t_\t_\t0\troot\t_\t_",
    "vertical-tab": "a\x0bb",
    "form-feed": "a\x0cb",
    "bidi-override": "a\u202egnp.exe",
    "bidi-isolate": "a\u2066b\u2069",
    "bidi-mark": "a\u200fb",
    "arabic-mark": "a\u061cb",
    "line-separator": "a\u2028b",
    "paragraph-separator": "a\u2029b",
    "bom": "\ufeffa",
    "tag-characters": "a\U000e0041\U000e0042",
    "markup": "[bold red]x[/bold red]",
    "format": "%s%n{0.__class__}",
    "html": "<script>alert(1)</script>",
    "blank": " ",
    "space-in-it": "a b",
    "underscore": "_",
    "combining": "a" + "\u0301" * 60,
}
_HARMLESS = ("markup", "format", "html", "underscore", "combining")


def artefacts() -> Artefacts:
    """Each word as every label of a head, and as the other texts that a manifest holds."""
    for what, word in _WORDS.items():
        commands = ("info", "info-json", "verify", "pull", "load", "predict", "predict-json", "predict-conllu")
        yield Artefact(f"labels/{what}", _labels(word), tries("ta", commands, either=("all",)))
        yield Artefact(
            f"labels/elsewhere-{what}", _elsewhere(word), tries("ta", ("list", *commands[:3]), either=("all",))
        )


def _labels(word: str) -> Callable[[Sandbox], None]:
    """Distinct, as many as the head has, and the same in its configuration."""

    def forge(box: Sandbox) -> None:
        count = len(box.json("ta")["labels"])
        labels = [f"{word}{number}"[-100:] for number in range(count)]
        head: dict[str, Any] = box.json("ta", "head_config.json")
        head["config"]["label2id"] = {label: number for number, label in enumerate(labels)}
        box.write_json("ta", "head_config.json", head)
        box.seal("ta", {"labels": labels})

    return forge


def _elsewhere(word: str) -> Callable[[Sandbox], None]:
    def forge(box: Sandbox) -> None:
        value = box.json("ta")
        changes = {
            "licence": word,
            "versions": {word: word},
            "metrics": {word: {f"en/{word}": 0.5}},
            "data": [{**value["data"][0], "language": word, "name": word, "counts": {word: 1}}],
            "recipe": {"max_length": 64, word: word, "nested": {word: [word]}},
            "imported_from": word,
            "origin": word,
        }
        box.seal("ta", changes)

    return forge

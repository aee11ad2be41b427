"""JSON, TOML and YAML that others wrote: one reader for each, which takes plain data of bounded size or refuses.

A document is text of at most `limit` bytes with at most `MAX_VALUES` values, nested at most `MAX_DEPTH` deep, whose
numbers have at most `MAX_DIGITS` digits. What else a parser may make of it (dates, tags, not-a-number) is refused. The
only errors are DataErrors whose text begins with the document's name. Time and memory grow with the size alone.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NoReturn

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode

from badx_hub.errors import DataError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_DEPTH = 32
MAX_DIGITS = 64
MAX_VALUES = 2**20
_MAX_BITS = 256
MIB = 2**20

# tomllib keeps a record of every prefix of a dotted key: memory grows with the square of the number of dots.
_MAX_DOTS = 256
_MAX_TOML_LINE = 2**16
_SHOWN = 200
_HALF_PAIR = re.compile("[\ud800-\udfff]")


def read_json(content: str | bytes, name: str, *, limit: int = MIB, values: int = MAX_VALUES) -> Any:
    """The value of a JSON document; `name` stands for it in errors. Raises DataError.

    `limit`: the most bytes; `values`: the most values in it, keys included.
    """
    text = _text(content, name, limit, "JSON")
    return _parsed(
        lambda: json.loads(
            text, parse_int=_integer, parse_float=_float, parse_constant=_no_number, object_pairs_hook=_once
        ),
        name,
        values=values,
    )


def flattened(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested mappings with their paths, such as "adapter.reduction_factor"."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def read_json_record(line: str, name: str) -> Any:
    """The value of a line of JSON Lines, of any length; NUL characters and NaN are for who reads its fields to judge.

    Raises DataError.
    """
    return _parsed(lambda: json.loads(line, parse_int=_integer), name, record=True)


def read_toml(content: str | bytes, name: str, *, limit: int = MIB) -> dict[str, Any]:
    """The values of a TOML document. Raises DataError."""
    text = _text(content, name, limit, "TOML")
    for number, line in enumerate(text.splitlines(), start=1):
        if len(line) > _MAX_TOML_LINE or line.count(".") > _MAX_DOTS:
            raise DataError(f"{name} is not TOML that is read here: line {number} is too long or has too many dots.")
    return dict(_parsed(lambda: tomllib.loads(text, parse_float=_float), name, "TOML"))


def read_yaml(content: str | bytes, name: str, *, limit: int = MIB // 4) -> Any:
    """The value of a YAML document. Raises DataError.

    Words mean what YAML 1.2 says: `no` is the language, true and false are the truth values. Dates are text.
    """
    text = _text(content, name, limit, "YAML")
    return _parsed(lambda: yaml.load(text, _PlainLoader), name, "YAML")


def _text(content: str | bytes, name: str, limit: int, kind: str) -> str:
    size = len(content) if isinstance(content, bytes) else len(content.encode("utf-8", "surrogatepass"))
    if size > limit:
        raise DataError(f"{name} has {size:,} bytes; {kind} of at most {limit:,} bytes is read.")
    if isinstance(content, str):
        return content
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{name} is not {kind}: it is not UTF-8 (byte {error.start}).") from error


def _parsed(
    parse: Callable[[], Any], name: str, kind: str = "JSON", *, record: bool = False, values: int = MAX_VALUES
) -> Any:
    try:
        value = parse()
        check_plain(value, record=record, values=values)
    except DataError:
        raise
    except RecursionError as error:
        raise DataError(f"{name} is not {kind} that is read here: it is nested too deeply.") from error
    except (ValueError, OverflowError, yaml.YAMLError) as error:
        raise DataError(f"{name} is not {kind}: {_reason(error)}.") from error
    return value


def check_plain(value: object, *, record: bool = False, values: int = MAX_VALUES) -> list[str]:
    """The texts in a value, keys too, in no order. Raises ValueError for what the readers here refuse in a value.

    `record`: as `read_json_record` does. Refused is nesting that is too deep, more than `values` values, text that no
    file can hold (half surrogates, NUL), numbers without end.
    """
    level, texts, count = [value], list[str](), 1
    for _depth in range(MAX_DEPTH + 1):
        inner = list[object]()
        for one in level:
            if isinstance(one, str):
                texts.append(one)
            elif isinstance(one, (dict, list)):
                count += len(one) * (1 + isinstance(one, dict))
                if count > values:  # Now: a document of aliases may have far more of them on the next level.
                    raise ValueError("it has too many values")
                inner += one
                if isinstance(one, dict):
                    inner += one.values()
            elif one is not None:
                _check_number(one, record)
        if not (level := inner):
            _check_texts(set(texts), record)  # Of a text that is referred to often, once.
            return texts
    raise ValueError("it is nested too deeply")


def _check_number(value: object, record: bool) -> None:
    if isinstance(value, float):
        if not record and not math.isfinite(value):
            raise ValueError("a number is infinite or no number")
    elif not isinstance(value, int):
        raise ValueError(f"a value is a {type(value).__name__}, which is not taken here")
    elif value.bit_length() > _MAX_BITS:
        raise ValueError("a number has too many digits")


def _check_texts(texts: Iterable[str], record: bool) -> None:
    together = "\n".join(texts)  # Halves of two texts must not meet.
    if not record and "\0" in together:
        raise ValueError("a text has a NUL character")
    if _HALF_PAIR.search(together):
        raise ValueError("a text has half a surrogate pair, which is no character")


def _reason(error: Exception) -> str:
    """A parser's complaint as one short line."""
    text = " ".join(str(getattr(error, "problem", None) or error).split())
    mark = getattr(error, "problem_mark", None)
    place = f" (line {mark.line + 1})" if mark is not None else ""
    return f"{text[:_SHOWN].rstrip('.')}{place}" or type(error).__name__


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number has {len(text):,} digits")
    return int(text)


def _float(text: str) -> float:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number has {len(text):,} digits")
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is infinite or no number")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A table whose keys are all different: of two values for one key, every reader chooses its own."""
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key is there twice")
    return table


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number")


class _Refused(yaml.MarkedYAMLError):
    """Sound YAML that is more than plain data."""

    def __init__(self, problem: str, mark: Any) -> None:
        super().__init__(problem=problem, problem_mark=mark)


class _PlainLoader(yaml.SafeLoader):
    """Plain data: no merges, tags or dates. A reference (`*name`) is read; `check_plain` counts what it stands for."""

    depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        self.depth += 1
        try:
            if getattr(event, "tag", None) is not None:
                raise _Refused(f"tags ({event.tag[:_SHOWN]}) are not taken", event.start_mark)
            if self.depth > MAX_DEPTH:
                raise _Refused("it is nested too deeply", event.start_mark)
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def flatten_mapping(self, node: MappingNode) -> None:
        """Nothing is merged: `<<` is a key like any other. A key that is there twice is refused, as in JSON."""
        seen = set()
        for key, _ in node.value:
            if isinstance(key, ScalarNode):
                if (key.tag, key.value) in seen:
                    raise _Refused(f"the key {str(key.value)[:_SHOWN]} is there twice", key.start_mark)
                seen.add((key.tag, key.value))

    def integer(self, node: ScalarNode) -> int:
        return _integer(str(node.value))

    def number(self, node: ScalarNode) -> float:
        return _float(str(node.value))


_PlainLoader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+0123456789."),
):
    _PlainLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), list(_first))
_PlainLoader.add_constructor("tag:yaml.org,2002:int", _PlainLoader.integer)
_PlainLoader.add_constructor("tag:yaml.org,2002:float", _PlainLoader.number)

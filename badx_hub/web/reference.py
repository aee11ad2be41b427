"""The page that documents the API: plain HTML made of its OpenAPI description, which needs no network and no script."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from badx_hub.templates import templates


def reference_page(description: Mapping[str, Any]) -> str:
    """The page for an OpenAPI description."""
    pages = templates("badx_hub.web", folder="static")
    operations = [
        {
            "method": method.upper(),
            "path": path,
            "summary": operation.get("summary", ""),
            "notes": operation.get("description", ""),
            "takes": _model(description, operation.get("requestBody", {})),
            "gives": _model(description, operation.get("responses", {}).get("200", {})),
        }
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]
    return pages.get_template("reference.html").render(version=description["info"]["version"], operations=operations)


def _model(description: Mapping[str, Any], holder: Mapping[str, Any]) -> list[dict[str, str]] | None:
    """The fields of the JSON that a request or an answer holds; None where it has none of its own."""
    schema = holder.get("content", {}).get("application/json", {}).get("schema", {})
    if "items" in schema:
        schema = schema["items"]
    if "$ref" not in schema:
        return None
    model = description["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    required = model.get("required", ())
    return [
        {
            "name": name,
            "kind": _kind(field),
            "needed": "yes" if name in required else "",
            "notes": field.get("description", ""),
        }
        for name, field in model["properties"].items()
    ]


def _kind(field: Mapping[str, Any]) -> str:
    """A type in words: "string or null", "list of string"."""
    if "anyOf" in field:
        return " or ".join(_kind(one) for one in field["anyOf"])
    if "enum" in field:
        return " or ".join(json.dumps(one) for one in field["enum"])
    if "items" in field:
        return f"list of {_kind(field['items'])}"
    if "$ref" in field:
        return str(field["$ref"]).rpartition("/")[2]
    return str(field.get("type", "any"))

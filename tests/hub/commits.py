"""The commit request: newline-delimited JSON, applied to the files of a parent as a whole or not at all."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from tests.hub.cards import problems
from tests.hub.errors import HubError, bad_request
from tests.hub.objects import Blob, Objects, lfs_blob


@dataclass(frozen=True)
class CommitRequest:
    title: str
    message: str
    parent: str | None
    operations: tuple[tuple[str, Mapping[str, Any]], ...]

    def without(self, patterns: Iterable[str]) -> CommitRequest:
        """The same without what it does to paths that match one of the shell patterns."""
        patterns = tuple(patterns)
        kept = (one for one in self.operations if not any(fnmatchcase(str(one[1].get("path")), p) for p in patterns))
        return replace(self, operations=tuple(kept))


def parse(body: bytes) -> CommitRequest:
    """Raises HubError 400 for anything but one header line followed by operations."""
    try:
        lines = [json.loads(line) for line in body.splitlines() if line.strip()]
        pairs = [(line["key"], line["value"]) for line in lines]
    except (ValueError, KeyError, TypeError) as error:
        raise bad_request(f"Invalid commit payload: {error}") from None
    headers = [value for key, value in pairs if key == "header"]
    if len(headers) != 1 or pairs[0][0] != "header":
        raise bad_request("A commit must start with its one header")
    header = headers[0]
    if not header.get("summary"):
        raise bad_request("A commit needs a summary")
    return CommitRequest(
        title=header["summary"],
        message=header.get("description", ""),
        parent=header.get("parentCommit"),
        operations=tuple(pairs[1:]),
    )


def apply(request: CommitRequest, files: Mapping[str, Blob], objects: Objects) -> dict[str, Blob]:
    """The files after the commit. Objects are stored on the way, but nothing refers to them unless all goes well."""
    result = dict(files)
    for key, value in request.operations:
        _one(key, value, result, objects)
    for path in result:
        parts = path.split("/")
        for depth in range(1, len(parts)):
            if "/".join(parts[:depth]) in result:
                raise bad_request(f"{path} lies below a file")
    return result


def check_path(path: str) -> None:
    parts = path.split("/")
    if any(part in ("", ".", "..", ".git") for part in parts) or "\\" in path or "\0" in path:
        raise bad_request(f"Invalid path: {path!r}")


def _one(key: str, value: Mapping[str, Any], files: dict[str, Blob], objects: Objects) -> None:
    path = value.get("path")
    if not isinstance(path, str):
        raise bad_request(f"The operation {key} has no path")
    if key == "file":
        check_path(path)
        files[path] = objects.add(_content(path, value), lfs=False)
    elif key == "lfsFile":
        check_path(path)
        files[path] = _uploaded(path, value, objects)
    elif key == "deletedFile":
        if path not in files:
            raise HubError(404, "A file with this name doesn't exist", "EntryNotFound")
        del files[path]
    elif key == "deletedFolder":
        below = [name for name in files if name.startswith(path.rstrip("/") + "/")]
        if not below:
            raise HubError(404, "A folder with this name doesn't exist", "EntryNotFound")
        for name in below:
            del files[name]
    else:
        raise bad_request(f"Unknown operation: {key}")


def _content(path: str, value: Mapping[str, Any]) -> bytes:
    text = value.get("content", "")
    if value.get("encoding", "utf-8") != "base64":
        content = str(text).encode()
    else:
        try:
            content = base64.b64decode(text, validate=True)
        except binascii.Error as error:
            raise bad_request(f"{path} is not base64: {error}") from None
    if path == "README.md":
        errors, _ = problems(content.decode("utf-8", "replace"))
        if errors:
            raise bad_request("Your push was rejected because its README.md is not valid: " + "; ".join(errors))
    return content


def _uploaded(path: str, value: Mapping[str, Any], objects: Objects) -> Blob:
    oid = str(value.get("oid"))
    if value.get("algo") != "sha256" or not objects.has(oid):
        raise bad_request(f"LFS pointer pointed to a file that does not exist: {path}")
    size = objects.path(oid).stat().st_size
    if value.get("size", size) != size:
        raise bad_request(f"{path} is announced with {value['size']} bytes but has {size}")
    return lfs_blob(oid, size)

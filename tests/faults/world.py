"""Where a command of the suite runs: a home, a shared registry, a folder for temporary files, and what it is given."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from badx_hub.doctor import Finding, examine
from badx_hub.registry import LocalRegistry

_VERSION = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{12}")
_TIMES = ("created", "seconds", "version")
"""What the manifests, results and listings of two runs of the same may differ in."""
_CARD = "README.md"
_OF_TIMES = (_CARD, "timings.jsonl")
"""Files that have times in them, of which only the name is compared."""
_TWO_DAYS = 2 * 86_400.0


@dataclass(frozen=True)
class World:
    """The folder `root`, which is also the working directory."""

    root: Path

    @property
    def home(self) -> Path:
        """BADX_HUB_HOME."""
        return self.root / "home"

    @property
    def temporary(self) -> Path:
        """TMPDIR."""
        return self.root / "temporary"

    @property
    def shared(self) -> Path:
        """A registry that others read as well."""
        return self.root / "shared"

    @property
    def registries(self) -> tuple[LocalRegistry, ...]:
        """The user's own and the shared one."""
        return LocalRegistry(self.home / "registry"), LocalRegistry(self.shared)

    def become(self, template: World) -> None:
        """The same files as those of another world."""
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(template.root, self.root, symlinks=True)

    def content(self) -> Mapping[str, str]:
        """The digest of every file by its path, without what tells times, and without caches and locks."""
        return dict(self._content())

    def faults(self) -> list[str]:
        """What is wrong in the registries."""
        found = []
        for registry in self.registries:
            entries, problems = registry.contents()
            found += [f"{problem.location}: {problem.reason}" for problem in problems]
            found += [f"{entry.location}: {registry.verify(entry).faults}" for entry in entries]
        return [one for one in found if not one.endswith(": ()")]

    def mend(self) -> list[Finding]:
        """Two days later, with all that the doctor can mend; what it leaves."""
        for one in self.root.rglob("*"):
            before = one.lstat().st_mtime - _TWO_DAYS
            os.utime(one, (before, before), follow_symlinks=False)
        os.environ["BADX_HUB_HOME"], tempfile.tempdir = str(self.home), str(self.temporary)
        left: list[Finding] = []
        own, shared = self.registries
        for registry in (own, shared) if shared.list() else (own,):
            findings = examine(registry, self.home / "results", beside=(self.root, self.root / "pickled")).findings
            left += [one for one in findings if one.mend is None or not one.mend()]
        return left

    def _content(self) -> Iterator[tuple[str, str]]:
        for path in sorted(self.root.rglob("*")):
            inside = path.relative_to(self.root)
            is_lock = path.name in (".guard", ".publishing.lock") or "badx-hub-locks-" in str(inside)
            if inside.parts[:2] == ("home", "cache") or inside.parts[0] == "huggingface" or is_lock:
                continue
            name = _VERSION.sub("VERSION", str(inside))
            if path.is_dir():
                yield name, "folder"
            elif path.name in _OF_TIMES:
                yield name, "file"
            else:
                yield name, hashlib.sha256(_timeless(path)).hexdigest()


def _timeless(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix != ".json" or path.name in ("config.json", "tokenizer.json"):
        return content
    return json.dumps(_without_times(json.loads(content)), sort_keys=True).encode()


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_times(one) for key, one in value.items() if key not in (*_TIMES, _CARD)}
    return [_without_times(one) for one in value] if isinstance(value, list) else value

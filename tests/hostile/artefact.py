"""What a forged artefact is, and the commands that are tried on it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Expect = Literal["refused", "accepted", "either", "same"]
"""What a command has to do: exit 1 or 2 with an error of ours; exit 0; any of them; or, "same", be refused or end with
the very adapter that a run on sound files gives."""

BA, TA = "tiny/en-wo", "tiny/en-wo/pos"
LOAD = "python:load"
"""`load_bilingual_stack` and a prediction, in Python."""
SECRET = "-----BEGIN PRIVATE KEY----- hostile-secret -----END PRIVATE KEY-----"
STANDARD = ("list", "list-json", "info", "info-json", "verify", "pull", "push", "lock", "load", "predict")


@dataclass(frozen=True)
class Command:
    """One command line, run in the sandbox; `name` stands for it in reports and in `KNOWN`."""

    name: str
    argv: tuple[str, ...]
    expect: Expect = "refused"


@dataclass(frozen=True)
class Sandbox:
    """Where one artefact is forged and tried. Commands may write anywhere in it but in `shared` and `outside`.

    `shared` is a registry with a sound BA and a sound TA on it, `outside` what nothing may touch or read, `base` the
    base they were trained on, `home` the user's own folder, `work` what only training needs (text, a recipe).
    """

    root: Path
    base: Path
    work: Path

    @property
    def shared(self) -> Path:
        return self.root / "shared"

    @property
    def outside(self) -> Path:
        return self.root / "outside"

    @property
    def secret(self) -> Path:
        return self.outside / "id_ed25519"

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def canary(self) -> Path:
        return self.root / "canary"

    def repo(self, which: str) -> Path:
        return self.shared / (BA if which == "ba" else TA).replace("/", ".")

    def folder(self, which: str) -> Path:
        """The version folder of the BA ("ba") or the TA ("ta")."""
        return next(self.repo(which).iterdir())

    def json(self, which: str, file: str = "badx.json") -> dict[str, Any]:
        value: dict[str, Any] = json.loads((self.folder(which) / file).read_text(encoding="utf-8"))
        return value

    def write_json(self, which: str, file: str, value: object) -> None:
        """Write a file of an adapter, `raw` numbers as they are; it is not sealed yet."""
        (self.folder(which) / file).write_text(dumped(value), encoding="utf-8", errors="surrogatepass")

    def seal(self, which: str, changes: Mapping[str, Any] | None = None, *, text: str | None = None) -> Path:
        """Make badx.json vouch for the files as they are now, with `changes` on top (None takes a field away).

        The version folder gets the name that goes with it, and the TA is trained on what became of the BA.
        """
        folder, manifest = self.folder(which), self.json(which)
        files = {name: _sha256(folder / name) for name in manifest["files"]}
        weights = {name: digest for name, digest in files.items() if name != "README.md"}
        digest = hashlib.sha256(json.dumps(weights, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
        value = {**manifest, "files": files, "digest": digest, **(changes or {})}
        if which == "ba":
            self.seal("ta", {"parent": {"name": BA, "digest": value["digest"]}})
        return self.put_manifest(which, text or dumped({key: one for key, one in value.items() if one is not _GONE}))

    def put_manifest(self, which: str, text: str) -> Path:
        """Write the text of badx.json, whatever it is, and give the version folder the name that goes with it."""
        folder, content = self.folder(which), text.encode("utf-8", "surrogatepass")
        (folder / "badx.json").write_bytes(content)
        stamp = re.search(r'"created": "([0-9TZ:-]{1,20})"', text)
        time = stamp[1].replace("-", "").replace(":", "") if stamp else "20260101T000000Z"
        return folder.rename(folder.with_name(f"{time}-{hashlib.sha256(content).hexdigest()[:12]}"))


Forge = Callable[[Sandbox], None]


@dataclass(frozen=True)
class Artefact:
    """Something forged: `name` is "kind/what", `forge` makes it in a sandbox, `trained`: with a stopped run at home."""

    name: str
    forge: Forge
    commands: tuple[Command, ...]
    trained: bool = False

    @property
    def kind(self) -> str:
        return self.name.partition("/")[0]


Artefacts = Iterator[Artefact]
_GONE = object()


def gone() -> Any:
    """As a change of a manifest: the field is left out."""
    return _GONE


def raw(text: str) -> str:
    """A JSON value to be written letter by letter, such as a number that Python would not write."""
    return f"@@raw:{text}@@"


def dumped(value: object) -> str:
    """JSON, with `raw` values as they are and any text unescaped."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
    return re.sub(r'"@@raw:(.*?)@@"', lambda found: found[1].replace('\\"', '"'), text) + "\n"


def tries(
    which: str = "ta",
    commands: Sequence[str] = STANDARD,
    *,
    harmless: Sequence[str] = (),
    either: Sequence[str] = (),
    refused: Sequence[str] = (),
) -> tuple[Command, ...]:
    """The commands on an adapter in ./shared. What loads or copies is refused unless it is `harmless` or `either`.

    Listings only read badx.json: they may show or pass over what is wrong elsewhere, unless they stand in `refused`.
    """
    name = BA if which == "ba" else TA
    lines = {
        "list": ("list", "--registry", "./shared"),
        "list-json": ("list", "--registry", "./shared", "--format", "json"),
        "info": ("info", name, "--registry", "./shared"),
        "info-json": ("info", name, "--registry", "./shared", "--format", "json"),
        "verify": ("verify", "--registry", "./shared"),
        "pull": ("pull", name, "--from", "./shared", "--registry", "./target"),
        "push": ("push", name, "--registry", "./shared", "--to", "./pushed"),
        "lock": ("lock", "en-wo", "--task", "pos", "--registry", "./shared", "-o", "badx.lock"),
        "load": (LOAD,),
        "predict": ("predict", "en-wo", "Xale yi", "--task", "pos", "--registry", "./shared"),
        "predict-conllu": (
            *("predict", "en-wo", "Xale yi", "--task", "pos", "--registry", "./shared"),
            *("--output", "conllu"),
        ),
        "predict-json": (
            *("predict", "en-wo", "Xale yi", "--task", "pos", "--registry", "./shared"),
            *("--output", "json"),
        ),
    }
    listings = [one for one in lines if one.startswith(("list", "info")) and one not in refused]

    def expect(one: str) -> Expect:
        if one in harmless or "all" in harmless:
            return "accepted"
        return "either" if one in either or "all" in either or one in listings else "refused"

    return tuple(Command(one, lines[one], expect(one)) for one in commands)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

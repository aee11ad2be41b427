"""What a walk publishes: a BA, a TA on it, and a newer version of the TA, made once and never pushed from here."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from badx_hub.registry import Entry, LocalRegistry
from tests.hub.machine import Machine
from tests.made import made

PAIR = ("en-wo", "--task", "pos")
BA, TA = "tiny.en-wo", "tiny.en-wo.pos"
TEXT = "Nanga def?"
MANIFEST, CARD = "badx.json", "README.md"


@dataclass(frozen=True)
class Story:
    """Two registries: `first` with a BA and a TA, `later` with a newer TA besides.

    `predicted` is what the first TA says of `TEXT`.
    """

    base: Path
    first: Path
    later: Path
    predicted: str

    def entry(self, repo: str, *, newer: bool = False) -> Entry:
        """The version that belongs into the repository of that name."""
        name = {BA: "tiny/en-wo", TA: "tiny/en-wo/pos"}[repo]
        return LocalRegistry(self.later if newer else self.first).get(name)


def content_of(entry: Entry) -> dict[str, bytes]:
    """The bytes of an entry in a folder, without its card."""
    names = {MANIFEST, *entry.manifest.files} - {CARD}
    return {name: (Path(entry.location) / name).read_bytes() for name in names}


def make_story(folder: Path, base: Path) -> Story:
    """Everything a walk needs, below `folder`."""
    first, later = folder / "first", folder / "later"
    registry = LocalRegistry(first / "registry")
    ba = made(registry, base, "tiny/en-wo", seed=1)
    made(registry, base, "tiny/en-wo/pos", seed=2, on=ba)
    shutil.copytree(first / "registry", later / "registry")
    made(LocalRegistry(later / "registry"), base, "tiny/en-wo/pos", seed=3, on=ba, day=2)
    said = Machine(first).run("predict", *PAIR, "--base", base, "--registry", registry.root, TEXT)
    assert said.code == 0, said
    return Story(base, registry.root, later / "registry", said.out)

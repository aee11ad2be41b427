"""A stopped run and the cache of packed text, damaged: the run goes on to the very same weights, or says why not."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path

from tests.hostile.artefact import Artefact, Artefacts, Command, Sandbox
from tests.hostile.world import TRAIN

_TRAIN = Command("train", (*TRAIN, "--format", "quiet"), "same")
_CHECKPOINT = ("weights.safetensors", "best_weights.safetensors", "optimizer.safetensors", "state.json")
_SPAN = ("train.npy", "held.npy", "train_rest.npy", "held_rest.npy", "seen.npy", "span.json")


def artefacts() -> Artefacts:
    """Bits of every file flipped at seeded places; files cut, emptied, replaced and linked."""
    for folder, files, flips in (("runs", _CHECKPOINT, 4), ("cache/blocks", _SPAN, 2)):
        short = folder.partition("/")[0]
        for file in files:
            for seed in range(flips):
                yield _artefact(f"{short}-{file}-flipped-{seed}", folder, file, _flip(seed))
            for damage in (_cut, _empty, _pickle):
                yield _artefact(f"{short}-{file}-{damage.__name__[1:]}", folder, file, damage)
        yield _artefact(f"{short}-{files[0]}-link", folder, files[0], _link)
        yield _artefact(f"{short}-{files[-1]}-deep", folder, files[-1], _deep)
        yield _artefact(f"{short}-{files[-1]}-digits", folder, files[-1], _digits)
    yield _artefact("runs-weights-turned", "runs", "weights.safetensors", _exchange)


def _artefact(what: str, folder: str, file: str, damage: Callable[[Path], None]) -> Artefact:
    def forge(box: Sandbox) -> None:
        for one in box.work.iterdir():
            (box.root / one.name).symlink_to(one)
        for path in sorted((box.home / folder).rglob(file))[:1]:
            damage(path)

    return Artefact(f"runs/{what}", forge, (_TRAIN,), trained=True)


def _flip(seed: int) -> Callable[[Path], None]:
    """A bit in each 128 bytes (a block, of packed text) behind the header, which is refused anyway if damaged."""

    def flip(path: Path) -> None:
        content = bytearray(path.read_bytes())
        drawn = random.Random(f"{path.name} {seed}")
        bit = 1 << drawn.randrange(3)
        for place in range(_header(content) + 4 * drawn.randrange(8), len(content), 128):
            content[place] ^= bit
        path.write_bytes(content)

    return flip


def _header(content: bytes | bytearray) -> int:
    """The length of what says how numpy's or safetensors' numbers are to be read; JSON has its numbers at the end."""
    if content.startswith(b"\x93NUMPY"):
        return 10 + int(struct.unpack("<H", content[8:10])[0])
    return len(content) // 2 if content.startswith(b"{") else 8 + int(struct.unpack("<Q", content[:8])[0])


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _pickle(path: Path) -> None:
    path.write_bytes(
        b"\x93NUMPY\x01\x00\x3e\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }     \n"
        b"cos\nsystem\n(S'touch $CANARY'\ntR."
    )


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _deep(path: Path) -> None:
    path.write_text("[" * 100_000)


def _digits(path: Path) -> None:
    path.write_text("9" * 4400)


def _exchange(path: Path) -> None:
    """Sound files, but those of one another."""
    other = path.with_name("best_weights.safetensors")
    mine, theirs = path.read_bytes(), other.read_bytes()
    path.write_bytes(theirs[:-8] + mine[:8])
    other.write_bytes(mine)

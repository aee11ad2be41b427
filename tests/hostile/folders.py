"""Folders in a shared registry: links, devices and pipes in place of files, files too many, too large or misnamed."""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

from tests.hostile.artefact import SECRET, Artefact, Artefacts, Sandbox, tries

_FILES = (
    "README.md",
    "badx.json",
    "adapter.safetensors",
    "adapter_config.json",
    "model_head.safetensors",
    "head_config.json",
)
_EXTRA = (
    "pytorch_adapter.bin",
    "pytorch_model_head.bin",
    "model.PT",
    "weights.ckpt",
    "a.pkl",
    "__init__.py",
    "sitecustomize.py",
    "setup.sh",
    "libtorch.so",
    "tokenizer.json",
    "config.json",
    ".env",
    "badx.lock",
    "BADX.JSON",
    "readme.md",
    "Adapter.safetensors",
    "encoder.safetensors",
    "curves.png",
    "x" * 250,
    "line\nbreak.png",
    "esc\x1b[2J.png",
    "osc\x1b]0;owned\x07.png",
    "csi\x9b2J.png",
    "bidi\u202egnp.exe",
    "\udcff\udcfe.png",
    "tab\t.csv",
    "-rf",
    "%s%n.png",
    "[bold red]x.png",
)
Damage = Callable[[Sandbox, Path], None]


def _link_outside(box: Sandbox, path: Path) -> None:
    path.unlink()
    path.symlink_to(box.secret)


def _link_twin(box: Sandbox, path: Path) -> None:
    """A link to the very content, outside of the registry: digests agree."""
    path.rename(box.outside / path.name)
    path.symlink_to(box.outside / path.name)


def _link_relative(box: Sandbox, path: Path) -> None:
    path.unlink()
    path.symlink_to(os.path.relpath(box.secret, path.parent))


def _link_nowhere(box: Sandbox, path: Path) -> None:
    path.unlink()
    path.symlink_to(box.outside / "nothing")


def _link_loop(box: Sandbox, path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _link_device(box: Sandbox, path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _link_beside(box: Sandbox, path: Path) -> None:
    path.rename(path.with_name("curves.csv"))
    path.symlink_to("curves.csv")


def _hard_link(box: Sandbox, path: Path) -> None:
    path.unlink()
    path.hardlink_to(box.secret)


def _pipe(box: Sandbox, path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _socket(box: Sandbox, path: Path) -> None:
    path.unlink()
    here = Path.cwd()
    os.chdir(path.parent)  # The names of sockets are short.
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)
    os.chdir(here)


def _folder(box: Sandbox, path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "x").write_text("x")


def _sparse(box: Sandbox, path: Path) -> None:
    os.truncate(path, 64 * 2**30)


def _empty(box: Sandbox, path: Path) -> None:
    path.write_bytes(b"")


def _missing(box: Sandbox, path: Path) -> None:
    path.unlink()


def _longer(box: Sandbox, path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n\x1b]0;owned\x07")


def _flipped(box: Sandbox, path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x41
    path.write_bytes(content)


def _shouted(box: Sandbox, path: Path) -> None:
    path.rename(path.with_name(path.name.upper()))


def _secret(box: Sandbox, path: Path) -> None:
    path.write_text(SECRET[::-1])


_DAMAGES: tuple[Damage, ...] = (
    _link_outside,
    _link_twin,
    _link_relative,
    _link_nowhere,
    _link_loop,
    _link_device,
    _link_beside,
    _hard_link,
    _pipe,
    _socket,
    _folder,
    _sparse,
    _empty,
    _missing,
    _longer,
    _flipped,
    _shouted,
    _secret,
)
# People edit cards, so another text is no harm; a link or a file that is none of text, small and regular is.
_EDITED = (_empty, _longer, _flipped, _secret, _hard_link)


def artefacts() -> Artefacts:
    """Each file damaged in each way, links and other things for folders, files beside ours."""
    for file in _FILES:
        for damage in _DAMAGES:
            if damage is _sparse and file in ("model_head.safetensors", "head_config.json", "badx.json"):
                continue  # Each takes seconds as long as it is not refused by its size.
            which = "ba" if file in ("adapter_config.json", "README.md") else "ta"
            yield Artefact(
                f"folders/{file}-{damage.__name__[1:].replace('_', '-')}",
                lambda box, which=which, file=file, damage=damage: damage(box, box.folder(which) / file),  # type: ignore[misc]
                tries(
                    which,
                    ("list", "verify", "pull", "push", "load"),
                    either=("verify", "pull", "push", "load") if file == "README.md" and damage in _EDITED else (),
                ),
            )
    yield from _whole_folders()
    for number, name in enumerate(_EXTRA):
        plain = re.sub(r"[^A-Za-z0-9.-]+", "-", name)[:20]
        yield Artefact(
            f"folders/beside-{number:02}-{plain}",
            lambda box, name=name: (box.folder("ta") / name).write_bytes(b"\x80\x02c"),  # type: ignore[misc]
            # verify tells of what lies beside; nothing takes it along or opens it.
            tries("ta", _BESIDE, either=("pull", "push", "load", "predict")),
        )


def _link_version(box: Sandbox) -> None:
    folder = box.folder("ta")
    folder.rename(box.outside / folder.name)
    folder.symlink_to(box.outside / folder.name)


def _link_repo(box: Sandbox) -> None:
    box.repo("ta").rename(box.outside / "repo")
    box.repo("ta").symlink_to(box.outside / "repo")


def _version_loop(box: Sandbox) -> None:
    folder = box.folder("ta")
    shutil.rmtree(folder)
    folder.symlink_to("..")


def _file_as_version(box: Sandbox) -> None:
    folder = box.folder("ta")
    shutil.rmtree(folder)
    folder.write_text("x")


def _file_as_repo(box: Sandbox) -> None:
    shutil.rmtree(box.repo("ta"))
    box.repo("ta").write_text("x")


def _pipe_as_version(box: Sandbox) -> None:
    folder = box.folder("ta")
    shutil.rmtree(folder)
    os.mkfifo(folder)


def _other_version(box: Sandbox) -> None:
    folder = box.folder("ta")
    shutil.copytree(folder, folder.with_name("20990101T000000Z-" + "f" * 12))


def _moved_to_another_name(box: Sandbox) -> None:
    shutil.rmtree(box.repo("ta"))
    shutil.copytree(box.folder("ba"), box.repo("ta") / box.folder("ba").name)


def _many_files(box: Sandbox) -> None:
    for number in range(5000):
        (box.folder("ta") / f"{number}.png").write_bytes(b"")


def _many_versions(box: Sandbox) -> None:
    for number in range(2000):
        (box.repo("ta") / f"20990101T000000Z-{number:012x}").mkdir()


def _many_repos(box: Sandbox) -> None:
    for number in range(5000):
        (box.shared / f"base{number}.en-wo").mkdir()


def _strange_repos(box: Sandbox) -> None:
    for name in (
        "..x",
        "a\x1b[2J",
        "a\nb",
        "\u202egnp",
        "tiny.en-wo.",
        "tiny",
        ".staging",
        "x" * 200,
        "tiny.en-en",
        "\udcff",
    ):
        (box.shared / name / ("20260101T000000Z-" + "0" * 12)).mkdir(parents=True)


def _strange_versions(box: Sandbox) -> None:
    for name in ("20260101T000000Z-xyz", "..x", "\x1b[2J", "99999999T999999Z-" + "0" * 12, "latest", "\udcff"):
        (box.repo("ta") / name).mkdir()


def _deep(box: Sandbox) -> None:
    here = Path.cwd()
    os.chdir(box.folder("ta"))
    for _ in range(300):
        os.mkdir("d")  # noqa: PTH102 - the whole path is too long for the system
        os.chdir("d")
    os.chdir(here)


def _whole_folders() -> Artefacts:
    for forge in (
        _link_version,
        _link_repo,
        _version_loop,
        _file_as_version,
        _file_as_repo,
        _pipe_as_version,
        _other_version,
        _moved_to_another_name,
    ):
        yield Artefact(
            f"folders/whole{forge.__name__.replace('_', '-')}", forge, tries("ta", _SOME, either=("verify",))
        )
    for forge in (_deep, _many_files, _many_versions, _many_repos, _strange_repos, _strange_versions):
        yield Artefact(f"folders/whole{forge.__name__.replace('_', '-')}", forge, tries("ta", _SOME, either=("all",)))


_BESIDE = ("list", "verify", "pull", "push", "load", "predict")
_SOME = ("list", "info", "verify", "pull", "push", "load")

from __future__ import annotations

import errno
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badx_hub import storage
from badx_hub.errors import BadxError, StorageError
from badx_hub.storage import atomic_folder, atomic_write_bytes, atomic_write_text, cached_sha256

FORK = multiprocessing.get_context("fork")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text("aéz😀"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abé"), inner, max_size=3),
    max_leaves=6,
)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def run_all(work: Callable[..., None], *arguments: Any, processes: int = 4) -> None:
    barrier = FORK.Barrier(processes)
    workers = [FORK.Process(target=work, args=(barrier, number, *arguments)) for number in range(processes)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * processes


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the clock stand far enough ahead for files written just now to count as settled."""
    ahead = time.time_ns() + 3600 * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: ahead)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were really read, in order."""
    read: list[Path] = []
    really = storage.sha256_file

    def spy(path: Path) -> str:
        read.append(path)
        return really(path)

    monkeypatch.setattr(storage, "sha256_file", spy)
    return read


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB."""
    mount = shutil.which("mount")
    folder = tmp_path / "small"
    folder.mkdir()
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if mount is None or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("mounting a tmpfs needs rights this machine does not give")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True)


def test_home_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BADX_HUB_HOME", str(tmp_path / "x"))
    assert storage.home() == tmp_path / "x"
    monkeypatch.setenv("BADX_HUB_HOME", "~/x")
    assert storage.home() == Path.home() / "x"
    monkeypatch.setenv("BADX_HUB_HOME", "")
    assert storage.home().name == "badx_hub"
    assert storage.home().is_absolute()


def test_sha256_file(tmp_path: Path) -> None:
    data = bytes(range(256)) * 5000
    (tmp_path / "f").write_bytes(data)
    assert storage.sha256_file(tmp_path / "f") == sha(data)


def test_sha256_of_a_missing_file_names_it(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="missing: No such file"):
        storage.sha256_file(tmp_path / "missing")
    with pytest.raises(StorageError, match="missing: No such file"):
        cached_sha256(tmp_path / "missing")


@given(JSON)
def test_canonical_json_is_json_and_stable(value: Any) -> None:
    text = storage.canonical_json(value)
    assert json.loads(text) == value
    assert storage.canonical_json(json.loads(text)) == text


def test_canonical_json_does_not_depend_on_key_order() -> None:
    assert storage.canonical_json({"b": [1, "é"], "a": None}) == '{"a":null,"b":[1,"é"]}'
    assert storage.digest_of({"b": 1, "a": 2}) == storage.digest_of({"a": 2, "b": 1}) == sha(b'{"a":2,"b":1}')
    with pytest.raises(ValueError, match="JSON"):
        storage.canonical_json(float("nan"))


@pytest.mark.usefixtures("settled")
class TestCachedSha256:
    def test_an_untouched_file_is_read_once(self, tmp_path: Path, hashed: list[Path]) -> None:
        file = tmp_path / "f"
        file.write_bytes(b"one")
        assert [cached_sha256(file) for _ in range(3)] == [sha(b"one")] * 3
        assert len(hashed) == 1

    def test_links_to_one_file_share_its_digest(self, tmp_path: Path, hashed: list[Path]) -> None:
        (tmp_path / "f").write_bytes(b"one")
        (tmp_path / "link").symlink_to("f")
        assert cached_sha256(tmp_path / "f") == cached_sha256(tmp_path / "link")
        assert len(hashed) == 1

    def test_a_change_of_the_same_size_with_the_old_mtime_is_seen(self, tmp_path: Path) -> None:
        file = tmp_path / "f"
        file.write_bytes(b"one")
        before = file.stat()
        assert cached_sha256(file) == sha(b"one")
        time.sleep(0.02)  # more than the kernel's tick
        file.write_bytes(b"two")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert file.stat().st_mtime_ns == before.st_mtime_ns
        assert cached_sha256(file) == sha(b"two")

    def test_a_file_put_in_its_place_is_seen(self, tmp_path: Path) -> None:
        file, other = tmp_path / "f", tmp_path / "g"
        file.write_bytes(b"one")
        other.write_bytes(b"two")
        os.utime(other, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
        assert cached_sha256(file) == sha(b"one")
        other.replace(file)
        assert cached_sha256(file) == sha(b"two")

    @pytest.mark.parametrize("rubbish", [b"", b"{", b"[]", b"\xff", b'{"digest": 1}', b"null"])
    def test_a_damaged_memory_is_not_believed(self, tmp_path: Path, rubbish: bytes) -> None:
        file = tmp_path / "f"
        file.write_bytes(b"one")
        cached_sha256(file)
        (memory,) = (storage.home() / "cache" / "digests").iterdir()
        memory.write_bytes(rubbish)
        assert cached_sha256(file) == sha(b"one")

    def test_the_memory_of_another_file_is_not_believed(self, tmp_path: Path) -> None:
        memories: list[tuple[Path, bytes]] = []
        for name in ("f", "g"):
            (tmp_path / name).write_bytes(name.encode())
            cached_sha256(tmp_path / name)
            known = {path for path, _ in memories}
            (memory,) = set((storage.home() / "cache" / "digests").iterdir()) - known
            memories.append((memory, memory.read_bytes()))
        memories[0][0].write_bytes(memories[1][1])
        assert cached_sha256(tmp_path / "f") == sha(b"f")

    def test_a_digest_that_cannot_be_remembered_is_still_right(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "f").write_bytes(b"one")
        monkeypatch.setenv("BADX_HUB_HOME", str(tmp_path / "f"))
        assert cached_sha256(tmp_path / "f") == sha(b"one")

    def test_several_processes_may_remember_at_once(self, tmp_path: Path) -> None:
        files = [tmp_path / str(number) for number in range(5)]
        for file in files:
            file.write_bytes(file.name.encode())
        run_all(_hash_often, files)
        digests = storage.home() / "cache" / "digests"
        assert len(list(digests.iterdir())) == len(files)
        assert [cached_sha256(file) for file in files] == [sha(file.name.encode()) for file in files]


def _hash_often(barrier: Barrier, number: int, files: list[Path]) -> None:
    barrier.wait()
    for _ in range(10):
        for file in files:
            assert cached_sha256(file) == sha(file.name.encode())


def test_a_file_changed_just_now_is_not_remembered(tmp_path: Path, hashed: list[Path]) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"one")
    cached_sha256(file)
    cached_sha256(file)
    assert len(hashed) == 2


@pytest.mark.usefixtures("settled")
def test_a_file_changed_while_it_is_read_is_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"one")
    really = storage.sha256_file

    def change_after_reading(path: Path) -> str:
        digest = really(path)
        path.write_bytes(b"three")
        return digest

    monkeypatch.setattr(storage, "sha256_file", change_after_reading)
    cached_sha256(file)
    monkeypatch.setattr(storage, "sha256_file", really)
    assert cached_sha256(file) == sha(b"three")


class TestAtomicFolder:
    def test_the_folder_appears_whole(self, tmp_path: Path) -> None:
        final = tmp_path / "deep" / "final"
        with atomic_folder(final) as folder:
            (folder / "inner").mkdir()
            (folder / "inner" / "a").write_text("a")
            assert not final.exists()
            assert folder.parent == final.parent / ".staging"
        assert files_below(tmp_path) == {"deep", "deep/final", "deep/final/inner", "deep/final/inner/a"}

    def test_a_relative_path_works(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        with atomic_folder(Path("final")) as folder:
            (folder / "a").write_text("a")
        assert files_below(tmp_path) == {"final", "final/a"}

    @pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError, BadxError])
    def test_an_exception_leaves_nothing(self, tmp_path: Path, error: type[BaseException]) -> None:
        with pytest.raises(error), atomic_folder(tmp_path / "final") as folder:
            (folder / "a").write_text("a")
            raise error("stopped")
        assert files_below(tmp_path) == set()

    @pytest.mark.parametrize("step", ["_sync_tree", "_rename_unless_taken"])
    def test_ctrl_c_while_it_is_put_in_place_leaves_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        def interrupt(*_: Path) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(storage, step, interrupt)
        with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "final") as folder:
            (folder / "a").write_text("a")
        assert files_below(tmp_path) == set()

    def test_the_first_writer_wins(self, tmp_path: Path) -> None:
        for text in ("first", "second"):
            with atomic_folder(tmp_path / "final") as folder:
                (folder / text).write_text(text)
        assert files_below(tmp_path) == {"final", "final/first"}

    def test_an_empty_folder_in_its_place_is_filled(self, tmp_path: Path) -> None:
        (tmp_path / "final").mkdir()
        with atomic_folder(tmp_path / "final") as folder:
            (folder / "a").write_text("a")
        assert files_below(tmp_path) == {"final", "final/a"}

    def test_a_file_in_its_place_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "final").write_text("a file")
        with pytest.raises(StorageError, match="Not a directory"), atomic_folder(tmp_path / "final"):
            pass
        assert (tmp_path / "final").read_text() == "a file"
        assert files_below(tmp_path) == {"final"}

    def test_what_is_not_the_file_systems_fault_passes(self, tmp_path: Path) -> None:
        for error in (ConnectionResetError(errno.ECONNRESET, "reset"), TimeoutError(), OSError("no errno")):
            with pytest.raises(type(error)) as caught, atomic_folder(tmp_path / "final"):
                raise error
            assert caught.value is error

    def test_another_file_of_the_block_is_named(self, tmp_path: Path) -> None:
        missing = tmp_path / "elsewhere" / "missing"
        with pytest.raises(StorageError, match="elsewhere/missing"), atomic_folder(tmp_path / "final"):
            missing.read_bytes()

    def test_a_killed_writer_leaves_nothing_in_place_and_its_rest_is_swept(self, tmp_path: Path) -> None:
        code = (
            "import sys, time, pathlib; from badx_hub.storage import atomic_folder\n"
            "with atomic_folder(pathlib.Path(sys.argv[1])) as folder:\n"
            "    (folder / 'half').write_text('half'); print('ready', flush=True); time.sleep(60)"
        )
        final = tmp_path / "final"
        command = [sys.executable, "-c", code, str(final)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.kill()
        assert not final.exists()
        (abandoned,) = (tmp_path / ".staging").iterdir()

        with atomic_folder(final):
            assert abandoned.exists(), "it may still be at work"
        assert not any(final.iterdir())

        yesterday = time.time() - 25 * 3600
        for path in (*abandoned.iterdir(), abandoned):
            os.utime(path, (yesterday, yesterday))
        with atomic_folder(final) as folder:
            (folder / "a").write_text("a")
        assert files_below(tmp_path) == {"final", "final/a"}

    def test_a_real_ctrl_c_leaves_nothing(self, tmp_path: Path) -> None:
        code = (
            "import sys, time, pathlib; from badx_hub.storage import atomic_folder\n"
            "with atomic_folder(pathlib.Path(sys.argv[1])) as folder:\n"
            "    (folder / 'half').write_text('half'); print('ready', flush=True); time.sleep(60)"
        )
        command = [sys.executable, "-c", code, str(tmp_path / "final")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
            process.wait(30)
        assert process.returncode not in (0, None)
        assert files_below(tmp_path) == set()

    def test_of_racing_writers_one_wins_whole(self, tmp_path: Path) -> None:
        run_all(_race, tmp_path)
        for number in range(15):
            owners = {file.read_text() for file in (tmp_path / f"final{number}").iterdir()}
            assert len(owners) == 1
            assert len(files_below(tmp_path / f"final{number}")) == 3
        assert not (tmp_path / ".staging").exists()

    def test_a_full_disk(self, small_disk: Path) -> None:
        final = small_disk / "deep" / "final"
        with pytest.raises(StorageError) as caught, atomic_folder(final) as folder:
            (folder / "big").write_bytes(bytes(1 << 20))
        assert caught.value.errno == errno.ENOSPC
        assert str(caught.value).startswith(f"{final}: No space left on device. Free some space")
        assert files_below(small_disk) == {"deep"}


def _race(barrier: Barrier, number: int, parent: Path) -> None:
    for turn in range(15):
        barrier.wait()
        with atomic_folder(parent / f"final{turn}") as folder:
            for name in "abc":
                (folder / name).write_text(str(number))


class TestAtomicWrite:
    def test_folders_are_made_and_content_replaced(self, tmp_path: Path) -> None:
        path = tmp_path / "a" / "b" / "f"
        atomic_write_text(path, "é\r\n")
        assert path.read_bytes() == "é\r\n".encode()
        atomic_write_bytes(path, b"new")
        assert path.read_bytes() == b"new"
        assert files_below(tmp_path) == {"a", "a/b", "a/b/f"}

    def test_a_name_of_full_length_is_written(self, tmp_path: Path) -> None:
        atomic_write_text(tmp_path / ("x" * 255), "x")
        assert len(files_below(tmp_path)) == 1

    def test_ctrl_c_keeps_the_old_content(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "f"
        atomic_write_text(path, "old")

        def interrupt(_: int) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            atomic_write_text(path, "new")
        assert path.read_text() == "old"
        assert files_below(tmp_path) == {"f"}

    def test_a_full_disk_keeps_the_old_content(self, small_disk: Path) -> None:
        path = small_disk / "f"
        atomic_write_text(path, "old")
        with pytest.raises(StorageError, match="No space left on device") as caught:
            atomic_write_bytes(path, bytes(1 << 20))
        assert caught.value.errno == errno.ENOSPC
        assert path.read_text() == "old"
        assert files_below(small_disk) == {"f"}

    def test_a_folder_in_its_place_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "f").mkdir()
        with pytest.raises(StorageError, match="Is a directory"):
            atomic_write_text(tmp_path / "f", "x")
        assert files_below(tmp_path) == {"f"}

    def test_no_right_to_write_says_what_to_do(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(_: int) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(os, "fsync", refuse)
        with pytest.raises(StorageError, match=r"Permission denied\. Choose a folder you may write to"):
            atomic_write_text(tmp_path / "f", "x")

    def test_readers_never_see_a_part(self, tmp_path: Path) -> None:
        run_all(_write_and_read, tmp_path / "f")
        assert files_below(tmp_path) == {"f"}


def _write_and_read(barrier: Barrier, number: int, path: Path) -> None:
    barrier.wait()
    for _ in range(20):
        atomic_write_bytes(path, bytes([number]) * 50_000)
        content = path.read_bytes()
        assert len(content) == 50_000
        assert len(set(content)) == 1


def test_a_storage_error_is_an_os_error_and_one_line(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file") as caught:
        storage.sha256_file(tmp_path / "missing")
    assert caught.value.errno == errno.ENOENT
    assert "\n" not in str(caught.value)

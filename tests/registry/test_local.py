from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from badx_hub.errors import DataError, IntegrityError, NotFoundError, StorageError, UsageError
from badx_hub.manifest import Manifest
from badx_hub.names import AdapterName
from badx_hub.registry import Entry, LocalRegistry, open_registry
from tests.refusals import refused

# Processes that are killed or run side by side share nothing but the disk.
fork = get_context("fork")


def names(registry: LocalRegistry) -> list[str]:
    return [str(entry.name) for entry in registry.list()]


def test_an_absent_registry_is_empty(registry: LocalRegistry) -> None:
    assert registry.list() == ()
    assert registry.problems() == ()
    with pytest.raises(NotFoundError, match="holds no adapters"):
        registry.get("mbert/en-wo")
    assert not registry.root.exists()


def test_publish_list_get_fetch(registry: LocalRegistry, make: Any) -> None:
    folder = make("mbert/en-wo@5:1")
    entry = registry.publish(folder)
    assert registry.list() == (entry,)
    assert registry.get("mbert/en-wo@5:1") == registry.get(entry.name, entry.version) == entry
    assert entry.manifest == Manifest.read(folder)
    place = registry.fetch(entry)
    assert place == registry.root / "mbert.en-wo.5-1" / entry.version
    assert {path.name for path in place.iterdir()} == {path.name for path in folder.iterdir()}
    assert entry.version.startswith("20260101T000000Z-")
    assert registry.verify(entry).ok


def test_publishing_the_same_again_changes_nothing(registry: LocalRegistry, make: Any) -> None:
    folder = make("mbert/en-wo")
    assert registry.publish(folder) == registry.publish(folder)
    assert len(registry.list()) == 1


def test_newest_version_by_time(registry: LocalRegistry, put: Any) -> None:
    new = put("mbert/en-wo", created="2026-03-01T00:00:00Z", weights=3.0)
    old = put("mbert/en-wo", created="2026-02-01T00:00:00Z", weights=2.0)
    assert registry.get("mbert/en-wo") == new
    assert registry.get("mbert/en-wo", old.version) == old
    assert registry.list() == (old, new)
    assert registry.by_digest(old.manifest.digest) == (old,)
    with pytest.raises(NotFoundError, match=new.version):
        registry.get("mbert/en-wo", "../../etc")


def test_get_offers_the_nearest(registry: LocalRegistry, put: Any) -> None:
    put("mbert/en-wo")
    with pytest.raises(NotFoundError, match=r"Nearest: mbert/en-wo\."):
        registry.get("mbert/en-fo")


@pytest.mark.parametrize("file", ["pytorch_adapter.bin", "optimizer.pt", "model.pkl", "a.CKPT", "x.pth"])
def test_pickles_are_refused_with_advice(registry: LocalRegistry, make: Any, file: str) -> None:
    folder = make("mbert/en-wo")
    (folder / file).write_bytes(b"x")
    with pytest.raises(IntegrityError, match=r"pickle.*use_safetensors=True"):
        registry.publish(folder)
    assert registry.list() == ()


@pytest.mark.parametrize("file", ["notes.txt", "other.safetensors", "extra.png", ".hidden", "run.py"])
def test_files_that_the_manifest_does_not_name_are_refused(registry: LocalRegistry, make: Any, file: str) -> None:
    folder = make("mbert/en-wo")
    (folder / file).write_bytes(b"x")
    with pytest.raises(IntegrityError, match=file):
        registry.publish(folder)


def test_changed_missing_and_fake_files_are_refused(registry: LocalRegistry, make: Any) -> None:
    changed, missing, piped = make("mbert/en-wo"), make("mbert/en-wo"), make("mbert/en-wo")
    (changed / "adapter_config.json").write_text("{}")
    with pytest.raises(IntegrityError, match="sha256"):
        registry.publish(changed)
    (missing / "README.md").unlink()
    with pytest.raises(IntegrityError, match=r"lacks README\.md"):
        registry.publish(missing)
    (piped / "README.md").unlink()
    os.mkfifo(piped / "README.md")
    with pytest.raises(IntegrityError, match=r"README\.md is no plain file"):
        registry.publish(piped)
    assert registry.list() == ()


def test_a_pickle_under_a_safetensors_name_is_refused(registry: LocalRegistry, make: Any) -> None:
    folder = make("mbert/en-wo", files={"adapter.safetensors": b"\x80\x04\x95pickle"})
    with pytest.raises(IntegrityError, match="not in the safetensors format"):
        registry.publish(folder)
    assert registry.list() == ()
    assert list(registry.root.rglob("adapter*")) == []


def test_a_folder_without_manifest(registry: LocalRegistry, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"badx\.json"):
        registry.publish(tmp_path)


def test_verify_reports_each_file(registry: LocalRegistry, put: Any) -> None:
    entry = put("mbert/en-wo", files={"curves.png": b"png"})
    folder = registry.fetch(entry)
    (folder / "adapter.safetensors").write_bytes(b"other")
    (folder / "curves.png").unlink()
    (folder / "surprise.py").write_text("")
    report = registry.verify(entry)
    assert not report.ok
    assert {check.name: check.state for check in report.faults} == {
        "adapter.safetensors": "changed",
        "curves.png": "missing",
        "surprise.py": "extra",
    }
    (folder / "badx.json").write_text("{}")
    assert registry.verify(entry).files[0].state == "changed"
    shutil.rmtree(folder)
    with pytest.raises(NotFoundError):
        registry.verify(entry)


def test_verify_looks_for_the_parent_by_digest(registry: LocalRegistry, put: Any) -> None:
    ba = put("mbert/en-wo")
    ta = put("mbert/en-wo/pos", on=ba)
    assert registry.verify(ba).language_adapters is None
    assert registry.verify(ta).language_adapters == "present"
    registry.remove(ba, force=True)
    put("mbert/en-wo", weights=2.0)
    assert registry.verify(ta).language_adapters == "missing"
    put("mbert/en-wo#copy")
    assert registry.verify(ta).ok


@pytest.mark.parametrize("which", [0, 1])
def test_verify_names_which_of_several_is_missing(
    registry: LocalRegistry, turns: tuple[Entry, Entry, Entry], which: int
) -> None:
    assert registry.verify(turns[2]).ok
    registry.remove(turns[which], force=True)
    report = registry.verify(turns[2])
    assert (report.ok, report.language_adapters, report.faults) == (False, "missing", ())
    assert [ref.name for ref in report.missing] == [str(turns[which].name)]


@pytest.mark.parametrize("which", [0, 1])
def test_each_of_several_that_took_turns_is_kept(
    registry: LocalRegistry, turns: tuple[Entry, Entry, Entry], which: int
) -> None:
    with refused(UsageError, rf"trained on {turns[which].name} .*1: mbert/en-wo/pos@tlr.*--force"):
        registry.remove(turns[which])
    registry.remove(turns[2])
    registry.remove(turns[which])


def test_a_whole_model_is_an_entry_like_any_other(registry: LocalRegistry, put: Any) -> None:
    model = put("mbert/en/pos@full")
    assert (model.manifest.kind, registry.list(), registry.verify(model).language_adapters) == ("model", (model,), None)
    (registry.fetch(model) / "encoder.safetensors").write_bytes(b"other")
    assert [check.name for check in registry.verify(model).faults] == ["encoder.safetensors"]


def test_a_damaged_copy_is_not_taken_for_a_published_one(registry: LocalRegistry, make: Any) -> None:
    folder = make("mbert/en-wo")
    entry = registry.publish(folder)
    (registry.fetch(entry) / "adapter.safetensors").write_bytes(b"other")
    with refused(IntegrityError, r"damaged.*badx-hub remove"):
        registry.publish(folder)


def test_broken_entries_are_listed_apart(registry: LocalRegistry, put: Any) -> None:
    good = put("mbert/en-wo")
    newer = registry.fetch(put("mbert/en-wo", created="2026-06-01T00:00:00Z"))
    broken = {
        "malformed": ("{", DataError),
        "newer": (json.dumps({"schema_version": 9}), IntegrityError),
        "edited": ((newer / "badx.json").read_text().replace('"seed": 7', '"seed": 8'), IntegrityError),
    }
    for text, error in broken.values():
        (newer / "badx.json").write_text(text)
        assert registry.list() == (good,)
        (problem,) = registry.problems()
        assert (problem.name, problem.version) == (AdapterName.parse("mbert/en-wo"), newer.name)
        assert "\n" not in problem.reason
        with pytest.raises(error):  # and never the older version in its place
            registry.get("mbert/en-wo")
    registry.remove(problem)
    assert registry.problems() == ()
    assert registry.get("mbert/en-wo") == good


def test_a_version_moved_to_another_name_is_a_problem(registry: LocalRegistry, put: Any) -> None:
    entry = put("mbert/en-wo")
    folder = registry.fetch(entry)
    target = registry.root / "mbert.en-fo" / folder.name
    shutil.copytree(folder, target)
    assert registry.list() == (entry,)
    assert [problem.location for problem in registry.problems()] == [str(target)]


def test_what_is_not_ours_is_ignored(registry: LocalRegistry, put: Any) -> None:
    entry = put("mbert/en-wo")
    (registry.root / "notes.txt").write_text("")
    (registry.root / "folder" / "inner").mkdir(parents=True)
    assert registry.list() == (entry,)
    assert registry.problems() == ()


def test_remove(registry: LocalRegistry, put: Any) -> None:
    ba = put("mbert/en-wo")
    ta = put("mbert/en-wo/pos", on=ba)
    with refused(UsageError, r"mbert/en-wo/pos.*--force"):
        registry.remove(ba)
    assert names(registry) == ["mbert/en-wo", "mbert/en-wo/pos"]
    twin = put("mbert/en-wo#twin")
    registry.remove(twin)
    registry.remove(ta)
    registry.remove(ba)
    assert registry.list() == ()
    assert [path for path in registry.root.rglob("*") if path.is_file()] == []
    with pytest.raises(NotFoundError):
        registry.remove(ba)


def test_a_refused_removal_of_several_is_said_before_the_first_is_gone(registry: LocalRegistry, put: Any) -> None:
    ba, twin = put("mbert/en-wo"), put("mbert/en-wo#twin")
    put("mbert/en-wo/pos", on=ba)
    there = registry.list()
    with refused(UsageError, r"mbert/en-wo/pos.*--force"):
        registry.refuse_removal([twin, ba])
    assert registry.list() == there
    registry.refuse_removal([twin])


def test_remove_by_force(registry: LocalRegistry, put: Any) -> None:
    ba = put("mbert/en-wo")
    put("mbert/en-wo/pos", on=ba)
    registry.remove(ba, force=True)
    assert names(registry) == ["mbert/en-wo/pos"]


def test_remove_stays_inside(registry: LocalRegistry, put: Any, tmp_path: Path) -> None:
    from badx_hub.registry import Problem

    entry = put("mbert/en-wo")
    victim = tmp_path / "victim" / entry.version
    victim.mkdir(parents=True)
    with pytest.raises(NotFoundError):
        registry.remove(Entry(entry.manifest, "../../victim", "x"))
    with pytest.raises(UsageError):
        registry.remove(Problem(None, entry.version, str(victim), DataError("x")))
    with pytest.raises(UsageError):
        registry.remove(
            Problem(None, entry.version, str(registry.root / ".." / "victim" / entry.version), DataError("x"))
        )
    assert victim.is_dir()


def test_read_only(registry: LocalRegistry, put: Any, make: Any) -> None:
    entry = put("mbert/en-wo")
    closed = LocalRegistry(registry.root, read_only=True)
    assert closed.list() == (entry,)
    with pytest.raises(UsageError, match="read-only"):
        closed.publish(make("mbert/en-fo"))
    with pytest.raises(UsageError, match="read-only"):
        closed.remove(entry)


def test_open_registry(home: Path, tmp_path: Path) -> None:
    assert open_registry().location == str(home / "registry")
    assert open_registry(tmp_path / "other").location == str(tmp_path / "other")
    assert open_registry(Path("demo")).location == "demo"
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        open_registry(tmp_path / "file")


def test_open_the_embedded_registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make: Any) -> None:
    monkeypatch.setattr("badx_hub.registry.chain.files", lambda _: tmp_path)
    with pytest.raises(NotFoundError, match="demo registry"):
        open_registry("demo")
    LocalRegistry(tmp_path / "demo" / "registry").publish(make("demo/en-wo"))
    demo = open_registry("demo")
    assert len(demo.list()) == 1
    with pytest.raises(UsageError, match="read-only"):
        demo.publish(make("demo/en-fo"))


def test_several_writers_of_the_same_and_of_different_versions(registry: LocalRegistry, make: Any) -> None:
    same = make("mbert/en-wo", size=2_000_000)
    others = [make("mbert/en-wo", weights=float(i), created=f"2026-02-0{i}T00:00:00Z") for i in range(1, 5)]
    start = fork.Barrier(8)

    def write(folder: Path) -> None:
        start.wait()
        registry.publish(folder)

    writers = [fork.Process(target=write, args=(folder,)) for folder in [same] * 4 + others]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 8
    assert len(registry.list()) == 5
    assert all(registry.verify(entry).ok for entry in registry.list())
    assert registry.problems() == ()
    assert list(registry.root.rglob(".staging")) == []


def test_publishing_and_removing_at_once(registry: LocalRegistry, make: Any) -> None:
    folder = make("mbert/en-wo")

    def publish() -> None:
        for _ in range(30):
            registry.publish(folder)

    def remove() -> None:
        for _ in range(30):
            for entry in registry.list():
                try:
                    registry.remove(entry)
                except NotFoundError:
                    continue

    workers = [fork.Process(target=target) for target in (publish, remove, remove)]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        assert registry.problems() == ()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert all(registry.verify(entry).ok for entry in registry.list())


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_a_publish_cut_at_any_point_shows_all_or_nothing(registry: LocalRegistry, make: Any, sent: int) -> None:
    before = registry.publish(make("mbert/en-wo"))
    folder = make("mbert/en-wo", size=400_000, created="2026-02-01T00:00:00Z")
    calls = fork.Value("i")
    measured = LocalRegistry(registry.root.parent / "measured")
    _in_a_process(measured, folder, calls)
    [after] = measured.list()
    seen = []

    for cut in range(0, calls.value, max(1, calls.value // 30)):
        _in_a_process(registry, folder, fork.Value("i"), cut, sent)
        listed = registry.list()
        assert before in listed
        assert registry.problems() == ()
        assert all(registry.verify(entry).ok for entry in listed)
        seen.append(len(listed))
        if len(listed) == 2:
            assert listed[1].manifest == after.manifest
            registry.remove(listed[1])
    assert len(seen) >= 30 and seen[0] == 1 and set(seen) <= {1, 2}


def _in_a_process(*arguments: Any) -> None:
    process = fork.Process(target=_published, args=arguments)
    process.start()
    process.join()


def _published(registry: LocalRegistry, folder: Path, calls: Any, cut: int = -1, sent: int = 0) -> None:
    """Publish and count the calls; at call `cut` the process, which is one's own, gets the signal `sent`."""

    def called(*_: Any) -> None:
        if calls.value == cut:
            os.kill(os.getpid(), sent)
        calls.value += 1

    with suppress(KeyboardInterrupt):
        sys.setprofile(called)
        try:
            registry.publish(folder)
        finally:
            sys.setprofile(None)


def test_ctrl_c_in_the_middle_of_a_publish_leaves_nothing(
    registry: LocalRegistry, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, copy, copied = make("mbert/en-wo"), shutil.copyfileobj, list[Path]()

    def interrupted(source: Any, target: Any) -> None:
        if copied:
            raise KeyboardInterrupt
        copy(source, target)
        copied.append(Path(target.name))

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("badx_hub.untrusted_files.shutil.copyfileobj", interrupted)
        registry.publish(folder)
    assert copied
    assert not copied[0].exists()
    assert [path for path in registry.root.rglob("*") if path.name != "mbert.en-wo"] == []
    registry.publish(folder)
    assert names(registry) == ["mbert/en-wo"]


def test_leftovers_of_killed_writers_are_swept_after_a_day(registry: LocalRegistry, make: Any) -> None:
    staging = registry.root / "mbert.en-wo" / ".staging"
    for leftover in ("old", "young"):
        (staging / leftover).mkdir(parents=True)
        (staging / leftover / "badx.json").write_text("{}")
    long_ago = time.time() - 25 * 3600
    for path in (staging / "old" / "badx.json", staging / "old"):
        os.utime(path, (long_ago, long_ago))
    assert registry.list() == registry.problems() == ()
    registry.publish(make("mbert/en-wo"))
    assert [path.name for path in staging.iterdir()] == ["young"]


def test_a_full_disk_leaves_the_registry_as_it_was(registry: LocalRegistry, make: Any) -> None:
    """A limit on file size fails the same system call at the same place as a full disk."""
    entry = registry.publish(make("mbert/en-wo"))
    folder = make("mbert/en-wo", size=400_000, created="2026-02-01T00:00:00Z")
    script = (
        "import resource, sys; from pathlib import Path\n"
        "from badx_hub.errors import StorageError\n"
        "from badx_hub.registry import LocalRegistry\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n"
        "    LocalRegistry(Path(sys.argv[1])).publish(Path(sys.argv[2]))\n"
        "except StorageError as error:\n"
        "    sys.exit(error.errno)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(registry.root), str(folder)], check=False)
    assert done.returncode == errno.EFBIG
    assert registry.list() == (entry,)
    assert not any(registry.root.rglob(".staging"))
    registry.publish(folder)
    assert len(registry.list()) == 2


def test_a_registry_that_cannot_be_made_is_a_storage_error(tmp_path: Path, make: Any) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        LocalRegistry(tmp_path / "file" / "registry").publish(make("mbert/en-wo"))


def test_a_thousand_adapters_are_listed(registry: LocalRegistry, make: Any) -> None:
    template = registry.publish(make("mbert/en-wo"))
    text = registry.fetch(template).joinpath("badx.json").read_text()
    from badx_hub.registry.protocol import version_of

    for number in range(1000):
        name = AdapterName.parse(f"mbert/en-wo#n{number}")
        changed = text.replace('"name": "mbert/en-wo"', f'"name": "{name}"')
        folder = registry.root / name.repo_name / version_of(changed, "2026-01-01T00:00:00Z")
        folder.mkdir(parents=True)
        (folder / "badx.json").write_text(changed)
    assert len(registry.list()) == 1001


def test_nothing_heavy_is_imported() -> None:
    script = (
        "import sys, badx_hub.registry, badx_hub.registry.adapter_folder\n"
        "print(*sorted({'torch', 'transformers', 'adapters', 'datasets'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""

"""lock, import, convert, evaluate --record, and what evaluate and predict take from where, through the program."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from badx_hub.registry import Entry, LocalRegistry
from badx_hub.registry.lock import Lock
from tests.cli.conftest import Run
from tests.made import made

WOLOF = """\
# text = Nanga def?
1\tNanga\t_\tADV\t_\t_\t0\troot\t_\t_
2\tdef\t_\tVERB\t_\t_\t1\tdep\t_\t_
3\t?\t_\tPUNCT\t_\t_\t1\tpunct\t_\t_

"""


@dataclass(frozen=True)
class Home:
    """LAs of English and Wolof, a BA of both, and task adapters on the English LA and on the BA."""

    own: LocalRegistry
    base: Path
    ba: Entry
    task: Entry
    en: Entry
    wo: Entry
    over_en: Entry


@pytest.fixture
def there(own: LocalRegistry, tiny_base: Path) -> Home:
    ba, en, wo = (made(own, tiny_base, name, seed=1) for name in ("tiny/en-wo", "tiny/en", "tiny/wo"))
    task = made(own, tiny_base, "tiny/en-wo/pos", seed=2, on=ba)
    return Home(own, tiny_base, ba, task, en, wo, made(own, tiny_base, "tiny/en/pos", seed=3, on=en))


@pytest.fixture
def treebank(tmp_path: Path) -> Path:
    path = tmp_path / "wo_any-ud-test.conllu"
    path.write_text(WOLOF, encoding="utf-8")
    return path


def test_recorded_scores_are_in_the_newest_version(run: Run, there: Home, treebank: Path) -> None:
    arguments = ("evaluate", "en-wo", "--task", "pos", "--data", treebank, "--record")
    result = run(*arguments, "--format", "json")
    assert result.code == 0, result.err
    newest = there.own.get("tiny/en-wo/pos")
    assert result.json["version"] == newest.version != there.task.version
    assert newest.manifest.metrics["test"]["wo/accuracy"] == result.json["metrics"]["accuracy"]
    assert newest.manifest.metrics["test"]["wo/macro_f1"] == result.json["metrics"]["macro_f1"]
    assert newest.manifest.evaluations[0].name == "wo_any-ud-test.conllu"
    assert f"recorded in {newest.location}" in result.err
    again = run(*arguments)
    assert again.code == 0
    assert "already" in again.err
    assert len(there.own.list()) == 6


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["en-wo", "--registry", "demo"], 2, "read-only"),
        (["en-wo", "--fallback", "mad-x"], 2, "--fallback"),
        (["en+fo+wo"], 2, "--language"),
        (["en-wo", "--language", "wolofish"], 2, "Wolof"),
    ],
)
def test_what_cannot_be_recorded_is_refused_first(
    run: Run, treebank: Path, arguments: list[str], code: int, said: str
) -> None:
    result = run("evaluate", *arguments, "--task", "pos", "--data", treebank, "--record")
    assert (result.code, result.out) == (code, "")
    assert said in result.err


def test_the_fallback_is_told_on_stderr(run: Run, there: Home, treebank: Path) -> None:
    there.own.remove(there.task)
    there.own.remove(there.ba)
    refused = run("predict", "en-wo", "--task", "pos", "Nanga def?")
    assert (refused.code, refused.out) == (1, "")
    served = run("predict", "en-wo", "--task", "pos", "Nanga def?", "--fallback", "mad-x")
    assert served.code == 0
    assert "warning: the fallback mad-x serves en-wo: tiny/en/pos on tiny/wo" in served.err
    assert "warning" not in served.out
    judged = run("evaluate", "en-wo", "--task", "pos", "--data", treebank, "--fallback", "mad-x", "--format", "json")
    assert judged.json["setup"] == "mad-x"
    pytest.importorskip("urielplus")  # English is the nearest to Faroese, and the source has its own adapter.
    nearest = run("predict", "en-fo", "--task", "pos", "Góðan dag", "--fallback", "nearest-la")
    assert nearest.code == 0 and "on tiny/en, which is the adapter of the source." in nearest.err


def test_a_lock_is_written_and_obeyed(run: Run, there: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written = run("lock", "en-wo", "--task", "pos")
    assert written.code == 0, written.err
    assert there.task.version in written.out and "badx.lock" in written.out
    before = run("predict", "en-wo", "--task", "pos", "Nanga def?", "--lock", "badx.lock")
    made(there.own, there.base, "tiny/en-wo/pos", seed=8, on=there.ba, day=2)
    after = run("predict", "en-wo", "--task", "pos", "Nanga def?", "--lock", "badx.lock")
    newest = run("predict", "en-wo", "--task", "pos", "Nanga def?")
    assert before.code == after.code == newest.code == 0
    assert before.out == after.out != newest.out
    there.own.remove(there.task)
    gone = run("predict", "en-wo", "--task", "pos", "Nanga def?", "--lock", "badx.lock")
    assert (gone.code, gone.out) == (1, "")
    assert f"badx.lock locks tiny/en-wo/pos {there.task.version}" in gone.err


def test_formats_of_lock(run: Run, there: Home, tmp_path: Path) -> None:
    file = tmp_path / "my.lock"
    document = run("lock", "en-wo", "--task", "pos", "-o", file, "--format", "json").json
    assert [one["name"] for one in document["adapters"]] == ["tiny/en-wo", "tiny/en-wo/pos"]
    assert Lock.read(file).stacks[0].model_dump(mode="json") == document
    assert run("lock", "en-wo", "--task", "pos", "-o", file, "--format", "quiet").out == f"{file}\n"
    assert run("lock", "en-fo", "--task", "pos", "-o", file).code == 1
    assert len(Lock.read(file).stacks) == 1


def test_convert_and_import(run: Run, own: LocalRegistry, tiny_base: Path, tmp_path: Path) -> None:
    import torch
    from adapters import AutoAdapterModel

    model = AutoAdapterModel.from_pretrained(str(tiny_base))
    model.add_adapter("wolof", config="seq_bn")
    folder = tmp_path / "old"
    model.save_adapter(str(folder), "wolof")
    assert torch.load(folder / "pytorch_adapter.bin", weights_only=True)
    importing = ("import", folder, "--language", "wo", "--base", tiny_base)
    refused = run(*importing)
    assert refused.code == 1
    assert "badx-hub convert" in refused.err
    converted = run("convert", folder)
    assert (converted.code, converted.err) == (0, "")
    assert "adapter.safetensors" in converted.out
    assert run("convert", folder, "--format", "json").json == [{"file": "adapter.safetensors", "written": False}]
    assert run(*importing, "--format", "quiet").out == "tiny/wo\n"
    assert own.get("tiny/wo").manifest.origin == "imported"
    assert "already" in run(*importing).err
    assert run("import", folder, "--language", "wo", "--registry", "demo").code == 2
    assert run("convert", tmp_path / "nowhere").code == 1

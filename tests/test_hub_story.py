"""The whole story over real HTTP, between two empty homes: train, push, search, pull, load, predict; then offline;
then without badx_hub. Every step is a command of its own, in a process of its own.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.hub.server import HubServer, running
from tests.preloaded import Command
from tests.test_story import SENTENCE, write_data
from tests.tiny import write_tiny_base

TEXT = " ".join(SENTENCE)
TASK = ("en-wo", "--task", "pos")


@dataclass(frozen=True)
class Machine:
    """An empty home, and a Hub to talk to."""

    home: Path
    environment: Mapping[str, str]
    preloaded: Path

    def run(self, *command: str) -> str:
        """The output of `badx-hub COMMAND`; fails with its error."""
        done = Command(self.preloaded, command, cwd=self.home, env=self.environment)
        out, told = done.communicate()
        assert done.returncode == 0, f"{command}: {told}"
        return out

    def python(self, *arguments: str) -> str:
        """The output of a Python process on this machine."""
        done = subprocess.run(
            [sys.executable, *arguments],
            env=dict(self.environment),
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return done.stdout

    def offline(self) -> Machine:
        """The same machine with the network down."""
        down = {**self.environment, "HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}
        return Machine(self.home, down, self.preloaded)


def machine(hub: HubServer, home: Path, preloaded: Path) -> Machine:
    home.mkdir()
    return Machine(home, {**hub.env(home), "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}, preloaded)


@dataclass(frozen=True)
class Story:
    """Two machines after the first has published what it trained."""

    hub: HubServer
    first: Machine
    second: Machine
    base: str

    def predicted(self, where: Machine, *options: str) -> object:
        output = where.run("predict", *TASK, "--base", self.base, "--output", "json", *options, TEXT)
        return json.loads(output)[0]["upos"]


@pytest.fixture(scope="module")
def story(preloaded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("hub-story")
    base, data = write_tiny_base(folder / "tiny"), write_data(folder / "data")
    with running(folder / "hub") as hub:
        first, second = (machine(hub, folder / name, preloaded) for name in ("first", "second"))
        small = ("--recipe", "demo", "--steps", "4", "--batch-size", "4", "--eval-every", "2", "--base", str(base))
        text = [f"--text={language}={data / f'{language}.txt'}" for language in ("en", "wo")]
        first.run("train", "en-wo", *small, "--max-length", "32", *text)
        first.run("train", *TASK, *small, "--data", str(data))
        first.run("push", *TASK, "--to", hub.org)
        yield Story(hub, first, second, str(base))


def rows(output: str) -> Sequence[Mapping[str, object]]:
    found: Sequence[Mapping[str, object]] = json.loads(output)
    return found


def test_the_task_adapter_takes_its_bilingual_adapter_along(story: Story) -> None:
    assert story.hub.repos() == ("acme/tiny.en-wo", "acme/tiny.en-wo.pos")
    for repo in story.hub.repos():
        assert {Path(name).suffix for name in story.hub.files(repo)} <= {
            ".json",
            ".safetensors",
            ".md",
            ".png",
            ".csv",
            "",
        }


def test_pushing_again_changes_nothing(story: Story) -> None:
    before = [story.hub.refs(repo) for repo in story.hub.repos()]
    story.first.run("push", *TASK, "--to", story.hub.org)
    assert [story.hub.refs(repo) for repo in story.hub.repos()] == before


def test_the_second_machine_finds_pulls_and_predicts_the_same(story: Story) -> None:
    search = ("search", "--source", "en", "--target", "wo", "--task", "pos", "--org", story.hub.org, "--format", "json")
    (found,) = rows(story.second.run(*search))
    assert found["name"] == "tiny/en-wo/pos"
    story.second.run("pull", *TASK, "--from", story.hub.org)
    story.second.run("verify")
    expected = story.predicted(story.first)
    assert story.predicted(story.second) == expected
    assert story.predicted(story.second.offline()) == expected


def test_the_second_machine_can_load_from_the_hub_directly(story: Story) -> None:
    code = textwrap.dedent(
        f"""
        import json
        from badx_hub import load_bilingual_stack
        stack = load_bilingual_stack("en", "wo", "pos", registry="hf:{story.hub.org}", base={story.base!r})
        print(json.dumps(stack.predict([{TEXT!r}])[0]))
        """
    )
    assert json.loads(story.second.python("-c", code).splitlines()[-1]) == story.predicted(story.first)


def test_plain_adapters_loads_it_from_the_hub(story: Story) -> None:
    code = textwrap.dedent(
        f"""
        import json, sys
        sys.modules["badx_hub"] = None
        import torch
        from adapters import AutoAdapterModel
        from adapters.composition import Stack
        from huggingface_hub import snapshot_download
        from transformers import AutoTokenizer
        model = AutoAdapterModel.from_pretrained({story.base!r})
        folders = [snapshot_download(f"{story.hub.org}/{{name}}") for name in ("tiny.en-wo", "tiny.en-wo.pos")]
        model.active_adapters = Stack(*(model.load_adapter(folder, use_safetensors=True) for folder in folders))
        tokenizer = AutoTokenizer.from_pretrained({story.base!r})
        ids, starts = [tokenizer.cls_token_id], []
        for word in {list(SENTENCE)!r}:
            starts.append(len(ids))
            ids += tokenizer(word, add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            logits = model.eval()(input_ids=torch.tensor([[*ids, tokenizer.sep_token_id]])).logits[0]
        labels = model.get_labels_dict()
        print(json.dumps([labels[int(logits[start].argmax())] for start in starts]))
        """
    )
    assert json.loads(story.second.python("-c", code).splitlines()[-1]) == story.predicted(story.first)


def test_the_commands_of_the_readme_work_as_they_stand(story: Story, tmp_path: Path) -> None:
    readme = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
    commands = [line.split()[1:] for line in re.findall(r"^    (badx-hub .*)$", readme, flags=re.MULTILINE)]
    sharing = [command for command in commands if command[0] in ("push", "search", "pull")]
    assert [command[0] for command in sharing] == ["push", "search", "pull"]
    third = machine(story.hub, tmp_path / "third", story.first.preloaded)
    for command in sharing:
        where = story.first if command[0] == "push" else third
        output = where.run(*(word.replace("ORG", story.hub.org) for word in command))
        assert "tiny/en-wo/pos" in output or "tiny.en-wo.pos" in output
    assert story.predicted(third) == story.predicted(story.first)


def test_no_token_is_left_in_what_was_written(story: Story) -> None:
    for folder in (story.first.home, story.second.home):
        for path in folder.rglob("*"):
            if path.is_file() and path.name not in ("token", "stored_tokens"):
                assert story.hub.token.encode() not in path.read_bytes(), path
    for repo in story.hub.repos():
        assert not any(story.hub.token.encode() in data for data in story.hub.files(repo).values())

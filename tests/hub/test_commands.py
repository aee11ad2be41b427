"""The test Hub against other processes: the client's own commands and `datasets`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.hub.fixture import hub as hub
from tests.hub.server import HubServer


def hf(env: Mapping[str, str], *arguments: str) -> str:
    """What `hf ARGUMENTS` prints."""
    command = [sys.executable, "-m", "huggingface_hub.cli.hf", *arguments]
    done = subprocess.run(command, env=dict(env), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def python(env: Mapping[str, str], code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], env=dict(env), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_commands_of_the_client(hub: HubServer, tmp_path: Path) -> None:
    env = hub.env(tmp_path / "machine")
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "README.md").write_text("---\nlicense: mit\n---\n# Hello\n")
    (source / "adapter.safetensors").write_bytes(b"\0\1" * 50_000)
    (source / "sub" / "a.txt").write_text("one\n")

    assert hub.user in hf(env, "auth", "whoami")
    assert f"{hub.endpoint}/acme/x" in hf(env, "repo", "create", "acme/x", "--private")
    hf(env, "upload", "acme/x", str(source), "--commit-message", "All of it")
    assert hub.history("acme/x") == ("All of it", "initial commit")
    assert hub.files("acme/x")["adapter.safetensors"] == b"\0\1" * 50_000
    hf(env, "repo", "tag", "create", "acme/x", "v1", "-m", "first")
    hf(env, "repo-files", "delete", "acme/x", "sub/*")
    assert hub.files("acme/x").keys() == {".gitattributes", "README.md", "adapter.safetensors"}

    printed = hf(env, "download", "acme/x", "--revision", "v1", "--local-dir", str(tmp_path / "target"))
    assert printed.strip() == str(tmp_path / "target")
    for path in ("README.md", "adapter.safetensors", "sub/a.txt"):
        assert (tmp_path / "target" / path).read_bytes() == (source / path).read_bytes()
    assert "v1" in hf(env, "repo", "tag", "list", "acme/x")
    hf(env, "repo", "tag", "delete", "acme/x", "v1", "--yes")
    assert hub.refs("acme/x").keys() == {"refs/heads/main"}


def test_a_command_without_a_token_is_refused(hub: HubServer, tmp_path: Path) -> None:
    hub.put("acme/secret", {"a.txt": "a"}, private=True)
    command = [sys.executable, "-m", "huggingface_hub.cli.hf", "download", "acme/secret", "a.txt"]
    env = hub.env(tmp_path, token="")
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0 and "Repository Not Found" in done.stderr


def test_datasets_are_loaded(hub: HubServer, tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["one", "two", "three"]}), tmp_path / "train-00000-of-00001.parquet")
    parquet = (tmp_path / "train-00000-of-00001.parquet").read_bytes()
    card = "---\nconfigs:\n- config_name: wo\n  data_files: wo/*.parquet\n---\n"
    hub.put("acme/wiki", {"wo/train-00000-of-00001.parquet": parquet, "README.md": card}, kind="dataset", private=True)
    lines = "".join(json.dumps({"text": text}) + "\n" for text in ("a", "b"))
    sha = hub.put("acme/lines", {"train.jsonl": lines, "test.jsonl": lines}, kind="dataset")
    code = f"""
import json
from datasets import load_dataset
wiki = load_dataset("acme/wiki", "wo", split="train")
lines = load_dataset("acme/lines", revision="{sha}")
stream = load_dataset("acme/wiki", "wo", split="train", streaming=True)
print(json.dumps([wiki["text"][:], {{k: v["text"][:] for k, v in lines.items()}}, [row["text"] for row in stream]]))
"""
    words = ["one", "two", "three"]
    printed = python(hub.env(tmp_path / "machine"), code).splitlines()[-1]
    assert json.loads(printed) == [words, {"train": ["a", "b"], "test": ["a", "b"]}, words]

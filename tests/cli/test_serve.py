"""`badx-hub serve`: it says where it is, answers, and ends in good order; what it refuses to start with."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from badx_hub.registry import Entry
from tests.cli.conftest import Run


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_stop(sent: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "badx_hub", "serve", "en-wo", "--registry", "demo", "--port", "0", "--offline"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=os.environ
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{address}health", timeout=60) as answer:
            assert answer.status == 200
        process.send_signal(sent)
        rest, errors = process.communicate(timeout=60)
    assert (process.returncode, rest) == (0, "")
    assert errors.splitlines() == ["Ctrl-C stops the server.", "stopped"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 1, "Your registry has no task adapter for pos, dp, ner. See `badx-hub list`."),
        (("--registry", "."), 1, ". has no task adapter"),
        (("en-wo", "--registry", "."), 1, "adapter for en-wo is not here"),
        (("--registry", "./nowhere"), 1, "There is no registry in ./nowhere. Check the folder given to --registry."),
        (("en-wo", "--registry", "./nowhere"), 1, "There is no registry in ./nowhere."),
        (("en-wo", "--registry", "demo", "--tasks", "pos,ner"), 1, "adapter for en-wo is not here"),
        (("en-wo", "--registry", "demo", "--base", "./demo/demo"), 2, "The base ./demo/demo is a file"),
        (("en-wo", "--registry", "demo", "--base", "./demo"), 1, "demo has no config.json: it is no transformer."),
        (("--tasks", "nli"), 2, "has no place in CoNLL-U. Give --tasks of pos, dp, ner."),
        (("--tasks", "pso"), 2, "There is no task 'pso'"),
        (("--label", "x"), 2, "Name it, such as badx-hub serve en-wo --label"),
        (("xx-", "--registry", "demo"), 2, "'xx-'"),
        (("--token", "short"), 2, "A token has 16 characters or more"),
        (("--registry", "demo", "--host", "192.0.2.7"), 2, "'192.0.2.7' is no address of this machine"),
        (("--port", "65536"), 2, "less than or equal to 65535"),
    ],
)
def test_what_it_does_not_start_with(
    run: Run, words: tuple[str, ...], code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "demo").touch()
    result = run("serve", *words, "--offline")
    assert (result.code, result.out) == (code, "") and said in " ".join(result.err.split()), result
    assert "Traceback" not in result.err


def test_a_port_in_use_is_told_in_a_line(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("serve", "--registry", "demo", "--port", str(port), "--offline")
    said = f"error: Port {port} is in use. Take another, or any that is free: `--port 0`.\n"
    assert (result.code, result.err) == (2, said)


def test_without_the_extra_it_says_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("badx_hub.cli.serve.find_spec", lambda name: None)
    result = run("serve")
    said = "error: serve needs fastapi and uvicorn. Type: pip install 'badx-hub[web]'\n"
    assert (result.code, result.err) == (2, said)


def test_what_cannot_be_used_is_left_out_with_a_reason(run: Run, stack: tuple[Entry, Entry]) -> None:
    """An adapter on a base that is not here is offered all the same: it is loaded when it is used."""
    result = run("serve", "--host", "192.0.2.7", "--offline")
    assert result.code == 2 and "is no address" in result.err and "left out" not in result.err

"""Small inputs that the program once got wrong, each with its command (`cmd`), and what is right (`expected`)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CASES = Path(__file__).parent / "cases"
SAYS = {
    "flores-codes": r"(?:^demo/en-wo .*\n(?:.*\n)*){2}",
    "late-bad-byte": r"\A(?!.*step 1\b).*late\.txt:1501: not UTF-8",
    "nli-surrogate": r"DataError: p\.jsonl:1: .*surrogates not allowed",
    "no-home": r"\Aerror: [^\n]*Set BADX_HUB_HOME[^\n]*\n\Z",
    "one-line-corpus": r"error: All text of wo\.txt is one line",
    "oserror-is-not-stdout": r"\Aerror: [^\n]*Too many open files[^\n]*\n\Z",
    "predict-nan": r"UsageError: nan is no input",
    "recipe-text-key": r'"lines": 300,',
    "ud-private-codes": r"\Aerror: 'qhe' is a private-use code[^\n]*\n\Z",
    "yaml-norway": r"demo/en-no: ",
}


@pytest.mark.parametrize("case", SAYS)
def test_case(case: str, tmp_path: Path) -> None:
    if case == "no-home" and (os.getuid() or shutil.which("setpriv") is None):
        pytest.skip("only root may become a user without an account, by setpriv")
    shutil.copytree(CASES / case, folder := tmp_path / "case")
    (home := tmp_path / "home").mkdir(exist_ok=True)
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    env |= {"BADX_HUB_HOME": str(home), "HOME": str(home), "HF_HUB_OFFLINE": "1"}
    command = ["bash", "cmd"]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=300)
    said = done.stdout + done.stderr
    assert re.search(SAYS[case], said, re.DOTALL if case == "late-bad-byte" else re.MULTILINE), said

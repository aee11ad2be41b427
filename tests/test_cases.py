"""Small inputs that the program once got wrong, each with its command (`cmd`), and what is right (`expected`).

Those of CoNLL-U are in tests/cases/test_conllu.py.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CASES = Path(__file__).parent / "cases"
ANOTHER_USER = "no-home"
"""The case that nobody else's server can do."""
SHARED = Path(__file__).resolve().parents[2] / "shared"
ASKING = Path(__file__).with_name("preloaded.py")
SAYS = {
    "base-added-tokens": r"^error: The tokenizer of b has [^\n]* tokens, and the base has embeddings for ",
    "base-cyrillic-folder": r"^error: 'Модель' has no Latin letters",
    "base-lfs-pointer": r"^error: b: model\.safetensors is a Git LFS pointer",
    "base-other-types": r"^error: Bases of type 'gpt2' are not supported: GPT-2 is a decoder: ",
    "dp-gold-not-a-tree": r"DataError: c\.conllu:1: the heads of this sentence are no tree: ",
    "fork-after-predict": r"\A\[\(\('\w+',\),\), \(\('\w+',\),\)\]$",
    "ner-index-column": r"^\[\('Amina', 'dem', 'Dakar'\), \('Lan',\)\]$",
    "ner-wikiann-prefix": r"words=\('Amina', 'dem', 'Dakar'\)",
    "pos-all-underscores": r"\Aerror: [^\n]*the words are withheld \(FORM is _ in 9 of 9 words\)",
    "push-org-name": r"\Aerror: Publishing: you are offline\..*\nls: ",
    "text-folder-reads-test-split": r"\"lines\": 200,",
    "xtreme-layout": r"\Aerror: x has two test splits, test-en\.conllu and test-wo\.conllu; leave one there or say",
    "flores-codes": r"(?:^demo/en-wo .*\n(?:.*\n)*){2}",
    "late-bad-byte": r"\A(?!.*step 1\b).*late\.txt:1501: not UTF-8",
    "nli-surrogate": r"DataError: p\.jsonl:1: .*half a surrogate pair",
    "no-home": r"\Aerror: [^\n]*Set BADX_HUB_HOME[^\n]*\n\Z",
    "one-line-corpus": r"error: All text of wo\.txt is one line",
    "oserror-is-not-stdout": r"\Aerror: [^\n]*Too many open files[^\n]*\n\Z",
    "predict-nan": r"UsageError: nan is no input",
    "recipe-text-key": r'"lines": 300,',
    "ud-private-codes": r"\Aerror: 'qhe' is a private-use code[^\n]*\n\Z",
    "yaml-norway": r"demo/en-no: ",
}


@pytest.mark.parametrize("case", SAYS)
def test_case(case: str, preloaded: Path, tmp_path: Path) -> None:
    if "$SHARED" in (CASES / case / "cmd").read_text(encoding="utf-8") and not SHARED.is_dir():
        pytest.skip("no ../shared beside the checkout")
    if case == ANOTHER_USER and (os.getuid() or shutil.which("setpriv") is None):
        pytest.skip("only root may become a user without an account, by setpriv")
    shutil.copytree(CASES / case, folder := tmp_path / "case")
    (home := tmp_path / "home").mkdir(exist_ok=True)
    programs = [str(Path(sys.executable).parent), os.environ["PATH"]]
    if case != ANOTHER_USER:
        (program := tmp_path / "bin" / "badx-hub").parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -IS "{ASKING}" "{preloaded}" "$@"')
        program.chmod(0o755)
        programs.insert(0, str(program.parent))
    env = {**os.environ, "PATH": os.pathsep.join(programs)}
    env |= {"BADX_HUB_HOME": str(home), "HOME": str(home), "HF_HUB_OFFLINE": "1", "SHARED": str(SHARED)}
    command = ["bash", "cmd"]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=300)
    said = done.stdout + done.stderr
    assert re.search(SAYS[case], said, re.DOTALL if case == "late-bad-byte" else re.MULTILINE), said

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

FREES_EVERY_OTHER_BLOCK = """
import os
import torch
from badx_hub.training.devices import give_back_big_blocks

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

torch.ones(2**22)  # 16 MB, freed at once: from now on glibc keeps blocks of up to that size
if {called}:
    give_back_big_blocks()
blocks = [torch.ones(2**21) for _ in range(40)]
before = resident()
del blocks[::2]
print((before - resident()) // 2**20)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
@pytest.mark.parametrize(("called", "given_back"), [(True, 160), (False, 0)])
def test_big_blocks_are_given_back_at_once(called: bool, given_back: int) -> None:
    program = FREES_EVERY_OTHER_BLOCK.format(called=called)
    freed = int(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout)
    assert freed == pytest.approx(given_back, abs=10)

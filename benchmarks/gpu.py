"""The BA step, TA training and prediction on a GPU, in bf16, against `AdapterTrainer` with bf16=True and a plain loop.

    python benchmarks/gpu.py [--only ba_step ta predict]

For who has a GPU; without one it says so and ends. It runs the other scripts as they are, which take the GPU where
there is one, and prints their rows. Rows about memory are about that of the processor. What it found belongs to that
GPU alone, so it goes into no table here.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from measuring import say

SCRIPTS = ("ba_step", "ta", "predict")


def main() -> None:
    """Run the scripts one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=SCRIPTS, default=SCRIPTS)
    only = parser.parse_args().only
    import torch

    if not torch.cuda.is_available():
        raise SystemExit("No GPU that torch can use: there is nothing to measure.")
    say(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    for name in only:
        done = subprocess.run([sys.executable, str(Path(__file__).with_name(f"{name}.py"))], check=True)
        assert done.returncode == 0


if __name__ == "__main__":
    main()

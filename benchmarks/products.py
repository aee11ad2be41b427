"""How fast this machine's matrix products are by the number of rows: the tokens of a batch.

    python benchmarks/products.py [--threads 2]

Shapes are those of a layer of mBERT, in the precision that this machine is best at. Twelve products in turn have
weights of their own, as layers do. A cell is the median of the faster half of the rounds, in GFLOP/s.
"""

from __future__ import annotations

import argparse
from statistics import median

import torch
from measuring import seconds
from torch.nn.functional import linear

from badx_hub.modeling.precision import DTYPES, settled

ROWS = (256, 512, 1024, 2048, 4096)
SHAPES = ((768, 768), (3072, 768), (768, 3072))
LAYERS, ROUNDS = 12, 24


def gflops(rows: int, wide: int, out: int, dtype: torch.dtype) -> float:
    """Of a product of `rows` x `wide` with `wide` x `out`, its bias added."""
    states = [torch.randn(rows, wide, dtype=dtype) for _ in range(LAYERS)]
    weights = [torch.randn(out, wide, dtype=dtype) for _ in range(LAYERS)]
    bias = torch.randn(out, dtype=dtype)
    places = [number % LAYERS for number in range(ROUNDS)]
    took = sorted(seconds(lambda at=at: linear(states[at], weights[at], bias)) for at in places)
    return 2 * rows * wide * out / median(took[: ROUNDS // 2]) / 1e9


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, help="of torch; default all cores")
    if threads := parser.parse_args().threads:
        torch.set_num_threads(threads)
    precision = settled("auto")
    print(f"GFLOP/s in {precision}, torch {torch.__version__}, threads {torch.get_num_threads()}\n")
    print("| product | " + " | ".join(f"{rows:,} rows" for rows in ROWS) + " |\n|---|" + "---:|" * len(ROWS))
    with torch.no_grad():
        for wide, out in SHAPES:
            cells = [f"{gflops(rows, wide, out, DTYPES[precision]):,.0f}" for rows in ROWS]
            print(f"| {wide} to {out} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()

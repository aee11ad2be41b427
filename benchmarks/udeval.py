"""Whether UD's evaluator gives the scores that `evaluate` gives, and `annotate` keeps all that it does not fill.

    python benchmarks/udeval.py en-wo ../shared/data/ud --registry demo --registry my-registry [--out udeval.json]

For every dev and test file of the treebanks in a folder: UPOS, HEAD and DEPREL are blanked by lines alone, `annotate`
fills them with a POS and a DP stack, and then

- the output, blanked again, has to be the blanked input byte for byte,
- UPOS, UAS and LAS of `udtools.udeval` on the output against gold have to be the accuracy, UAS and LAS of `evaluate`,
  and its scores of sentences, words, lemmas, XPOS and features 100 %.

Both compute in fp32: `annotate` and `evaluate` put other sentences together into batches, and in bf16 that changes one
tag in some ten thousand. It ends with status 1 if one of them differs. The stacks may be of other languages than the
treebanks: what is compared is the same. `--every N` takes one of N sentences.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from measuring import say
from udtools.udeval import evaluate as udeval
from udtools.udeval import load_conllu_file

from badx_hub import load_bilingual_stack
from badx_hub.annotation import annotated, read_sentences
from badx_hub.evaluation import evaluate
from badx_hub.languages import Mixture
from badx_hub.stack import BilingualStack
from badx_hub.storage import atomic_write_text

FILLED = (3, 6, 7)
"""The columns of CoNLL-U that POS and DP fill."""

PAIRS = {"UPOS": "accuracy", "UAS": "uas", "LAS": "las"}
KEPT = ("Sentences", "Words", "Lemmas", "XPOS", "UFeats")
_WORD = re.compile(r"\d+\t")


def blanked(text: str) -> str:
    """CoNLL-U with "_" in these columns of its words, by lines alone."""
    lines = text.split("\n")
    for index, line in enumerate(lines):
        if _WORD.match(line):
            row = line.split("\t")
            lines[index] = "\t".join("_" if column in FILLED else cell for column, cell in enumerate(row))
    return "\n".join(lines)


def sampled(text: str, every: int) -> str:
    """One of `every` sentences, the first among them."""
    return "\n\n".join([*text.split("\n\n")[:-1][::every], ""])


def compared(gold: Path, folder: Path, stacks: Sequence[BilingualStack]) -> dict[str, object]:
    """What the evaluator and `evaluate` say of one file, and whether the other columns were kept."""
    empty, system = folder / "empty.conllu", folder / "system.conllu"
    before = blanked(gold.read_text(encoding="utf-8"))
    empty.write_text(before, encoding="utf-8")
    with system.open("w", encoding="utf-8") as out:
        out.writelines(map(str, annotated(stacks, read_sentences(empty))))
    official = udeval(load_conllu_file(str(gold)), load_conllu_file(str(system)))
    ours = {
        metric: value
        for stack in stacks
        for metric, value in evaluate(stack, str(gold), split="test").scores.metrics.items()
    }
    return {
        "sentences": before.count("\n\n"),
        "kept": blanked(system.read_text(encoding="utf-8")) == before,
        "equal": all(official[theirs].f1 == ours[own] for theirs, own in PAIRS.items())
        and all(official[name].f1 == 1 for name in KEPT),
        **{theirs: [official[theirs].f1, ours[own]] for theirs, own in PAIRS.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pair", type=Mixture.parse)
    parser.add_argument("treebanks", type=Path, help="the folder of folders UD_*")
    parser.add_argument("--registry", action="append", help="where the stacks are; may be given several times")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    given = parser.parse_args()
    source, target = given.pair.languages
    stacks = [
        load_bilingual_stack(source, target, task, registry=given.registry, dtype=torch.float32)
        for task in ("pos", "dp")
    ]
    rows: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted(given.treebanks.glob("UD_*/*.conllu"), key=lambda path: path.stat().st_size):
            if "-ud-train" in path.name:
                continue
            gold = Path(folder) / path.name
            gold.write_text(sampled(path.read_text(encoding="utf-8"), given.every), encoding="utf-8")
            rows[path.name] = compared(gold, Path(folder), stacks)
            say(f"{path.name}: {rows[path.name]}")
            atomic_write_text(given.out, json.dumps(rows, indent=1) + "\n")
    if not rows or not all(row["kept"] and row["equal"] for row in rows.values()):
        raise SystemExit(f"{given.out} tells which files differ")


if __name__ == "__main__":
    main()

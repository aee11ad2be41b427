"""How fast CoNLL-U is read and written, and what annotating with two tasks at once costs.

    python benchmarks/conllu_files.py [--rounds 3]

Reading and writing: UD_English-EWT's train file from beside the checkout, into memory and back into a text that has to
be the file, against udapi's Document and the `conllu` package. Annotating: the Wolof test set with POS and DP in one
pass, from file to text, against the two tasks one after the other, each with its own pass, on a base of mBERT's size
with random weights.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from measuring import Row, at_most, report, say, seconds, times_faster
from sized import place, publish_ba, publish_ta, write_base

from badx_hub.annotation import annotated, read_sentences
from badx_hub.data.conllu import read_raw_conllu
from badx_hub.data.demo_data import embedded
from badx_hub.registry import open_registry
from badx_hub.stack import StackParts, load_together

TRAIN = Path(__file__).resolve().parents[2] / "shared" / "data" / "ud" / "UD_English-EWT" / "en_ewt-ud-train.conllu"
READING, ANNOTATING = 1.0, 1.1
EVERY = 4
"""One of so many sentences of the Wolof test set is annotated."""


def by_badx(path: Path) -> str:
    return "".join(map(str, read_raw_conllu(path)))


def by_udapi(path: Path) -> str:
    from udapi.core.document import Document

    return str(Document(filename=str(path)).to_conllu_string())


def by_conllu(path: Path) -> str:
    import conllu

    with path.open(encoding="utf-8") as stream:
        return "".join(sentence.serialize() for sentence in conllu.parse_incr(stream))


def medians(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The median seconds of each call, made in turn; the first round warms up."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            took = seconds(call)
            times[name] += [took] if number else []
    found = {name: median(column) for name, column in times.items()}
    say(", ".join(f"{name} {took:.2f} s" for name, took in found.items()))
    return found


def reading(rounds: int) -> Iterator[Row]:
    """Ours against each of the two libraries."""
    if not TRAIN.is_file():
        raise SystemExit(f"{TRAIN} is not there: the data beside the checkout is needed.")
    if by_badx(TRAIN) != TRAIN.read_text(encoding="utf-8"):
        raise SystemExit("what is written is not the file that was read")
    peers: dict[str, Callable[[Path], str]] = {"udapi": by_udapi, "conllu": by_conllu}
    took = medians({"ours": lambda: by_badx(TRAIN), **{k: lambda f=f: f(TRAIN) for k, f in peers.items()}}, rounds)  # type: ignore[misc]
    for name in peers:
        yield times_faster("read and write CoNLL-U, EWT train", name, took["ours"], took[name], READING)


def annotating(rounds: int) -> Row:
    """Two tasks in one pass against one pass each."""
    with place() as folder:
        base, registry = write_base(folder / "mbert-size"), open_registry(folder / "registry")
        ba = publish_ba(registry, base)
        parts = [StackParts([ba, publish_ta(registry, base, ba, task)], registry) for task in ("pos", "dp")]
        stacks = load_together(parts, base=str(base))
        raws = list(read_raw_conllu(next(Path(embedded("demo:ud/UD_Wolof-WTB")).glob("*test*"))))[::EVERY]
        file = folder / "wo.conllu"
        file.write_text("".join(map(str, raws)), encoding="utf-8")

        def run(*chosen: int) -> None:
            out = io.StringIO()
            out.writelines(map(str, annotated([stacks[one] for one in chosen], read_sentences(file), overwrite=True)))

        took = medians({"both": lambda: run(0, 1), "each": lambda: (run(0), run(1))}, rounds)
        note = f"{len(raws)} sentences, POS and DP, mBERT size"
        return at_most("annotate with two tasks", "the two alone", "s", took["both"], took["each"], ANNOTATING, note)


def main() -> None:
    parser = argparse.ArgumentParser(description="Read, write and annotate CoNLL-U.")
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    report(*reading(rounds), annotating(rounds))


if __name__ == "__main__":
    main()

"""What sub-words of its own are worth to a bilingual adapter: `python benchmarks/vocabulary.py --help`.

A BA is trained on the same text for the same steps with the base's sub-words alone and with `--subwords` more, then a
task adapter for POS on each. Perplexities of different sub-words do not compare, so held-out words are scored: a word
w of c characters has log p(w) = sum of log p(piece | the other words, the word's pieces before it), where its later
pieces are masked too ("PLL-word-l2r", Kauf and Ivanova, ACL 2023). What is told is exp(-sum of log p / sum of c), the
perplexity a character, and -sum of log p / words. How many pieces are masked gives a little away about a word, more
where there are more pieces: the base's own sub-words are favoured.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import regex
import torch
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import svds

from badx_hub.corpora.coverage import coverage_of
from badx_hub.corpora.packing import held_out, training_lines
from badx_hub.corpora.sources import open_source
from badx_hub.corpora.subword_list import extend_tokenizer
from badx_hub.evaluation import evaluate
from badx_hub.languages import pair
from badx_hub.modeling.extended_embeddings import extension_of
from badx_hub.modeling.loading import load_tokenizer
from badx_hub.modeling.mlm import MaskedLanguageModel
from badx_hub.recipes import load_recipe, override
from badx_hub.registry import LocalRegistry
from badx_hub.stack import load_entries
from badx_hub.training import language_adapter
from badx_hub.training.loop import Silent
from badx_hub.training.runs import TrainingRun
from badx_hub.training.task_adapter import train_task_adapter

# What stands between spaces, punctuation included: a piece may hold the end of a word and what follows it.
_WORD = regex.compile(r"\S*\p{L}\S*")
_LONGEST_LINE, _ROWS = 60, 32


@dataclass(frozen=True)
class Scored:
    """Natural logarithms, summed over words of so many characters and pieces."""

    loss: float
    words: int
    characters: int
    pieces: int

    def told(self) -> Mapping[str, float]:
        """As the page has it."""
        return {
            "perplexity_character": math.exp(self.loss / self.characters),
            "log_perplexity_word": self.loss / self.words,
            "pieces_word": self.pieces / self.words,
            "words": self.words,
        }


def held_out_words(source: str, target: str, most: int) -> Iterator[tuple[str, Sequence[tuple[int, int]]]]:
    """Held-out lines with the places of their words, until there are `most` words."""
    left = most
    for line in open_source(target, source).lines():
        text = " ".join(line.split())
        if not text or not held_out(text):
            continue
        spans = [match.span() for match in _WORD.finditer(text)][: min(left, 6)]
        left -= len(spans)
        if spans:
            yield text, spans
        if left <= 0:
            return


def scored(model: Any, tokenizer: Any, lines: Sequence[tuple[str, Sequence[tuple[int, int]]]]) -> Scored:
    """The held-out words under the model. Raises ValueError if a word has an unknown piece."""
    objective, total, words, characters, pieces = MaskedLanguageModel(model).eval(), 0.0, 0, 0, 0
    for text, spans in lines:
        read = tokenizer(text, return_offsets_mapping=True, truncation=True, max_length=4 * _LONGEST_LINE)
        ids, places = read["input_ids"], [max(first, end - 1) if end else -1 for first, end in read["offset_mapping"]]
        rows, positions, labels = [], [], []
        for start, end in spans:
            inside = [index for index, place in enumerate(places) if start <= place < end]
            if not inside:
                continue
            if any(ids[index] == tokenizer.unk_token_id for index in inside):
                raise ValueError(f"{text[start:end]!r} is not known")
            words, characters, pieces = words + 1, characters + end - start, pieces + len(inside)
            for index in inside:
                later = {other for other in inside if other >= index}
                rows.append([tokenizer.mask_token_id if i in later else one for i, one in enumerate(ids)])
                positions.append(index)
                labels.append(ids[index])
        for first in range(0, len(rows), _ROWS):
            part = torch.tensor(rows[first : first + _ROWS])
            offsets = torch.arange(len(part)) * part.shape[1]
            with torch.inference_mode():
                total += float(
                    objective(
                        input_ids=part,
                        positions=torch.tensor(positions[first : first + _ROWS]) + offsets,
                        labels=torch.tensor(labels[first : first + _ROWS]),
                    )
                )
    return Scored(total, words, characters, pieces)


def overlapping(model: Any, tokenizer: Any, lines: Sequence[str]) -> None:
    """Begin new rows in the manner of FOCUS (Dobler and de Melo, EMNLP 2023), in place of the mean of their pieces.

    A new sub-word is the mean of the ten of the base's own ones that stand in the most similar company in the text,
    weighted by the similarity. Company is a row of the PPMI of neighbours (2 to either side), cut to 100 dimensions,
    which stands in for the fastText vectors of FOCUS.
    """
    extension = extension_of(model)
    assert extension is not None
    first, size = extension.subwords.first, extension.subwords.size
    pairs: Counter[tuple[int, int]] = Counter()
    for line in lines:
        ids = tokenizer(line, add_special_tokens=False)["input_ids"]
        for gap in (1, 2):
            pairs.update(zip(ids, ids[gap:], strict=False))
            pairs.update(zip(ids[gap:], ids, strict=False))
    one, other = (np.array(side) for side in zip(*pairs, strict=True))
    counts = csr_matrix((np.array(list(pairs.values()), dtype=np.float64), (one, other)), shape=(size, size))
    left, right = np.asarray(counts.sum(1)).ravel(), np.asarray(counts.sum(0)).ravel()
    told = counts.tocoo()
    worth = np.log(told.data * counts.sum() / (left[told.row] * right[told.col]))
    kept = csr_matrix((np.maximum(worth, 0.0), (told.row, told.col)), shape=(size, size))
    vectors, values, _ = svds(kept, k=100, random_state=0)
    company = vectors * np.sqrt(values)
    company /= np.maximum(np.linalg.norm(company, axis=1, keepdims=True), 1e-9)
    known = np.flatnonzero(left[:first] >= 2)
    alike = torch.from_numpy(company[first:] @ company[known].T).float()
    best, places = alike.topk(min(10, len(known)), dim=1)
    weights = torch.softmax(best / 0.1, dim=1)
    rows = extension.weight.detach()[:first].float()[torch.from_numpy(known)][places]
    seen = torch.from_numpy(left[first:] > 0)
    extension.added.data[seen] = (weights.unsqueeze(-1) * rows).sum(1)[seen]


def trained(run: TrainingRun, recipe: Any, sources: Any, registry: LocalRegistry, begin: str) -> tuple[Any, Any]:
    """The entry of the BA, and the model with the weights and the head that were kept."""
    objective, model = language_adapter._objective(run, recipe, sources)
    if begin == "overlap":
        target = run.name.mixture.targets[0]
        tokenizer = load_tokenizer(run.base)
        extend_tokenizer(tokenizer, extension_of(model).subwords)  # type: ignore[union-attr]
        overlapping(model, tokenizer, list(training_lines(sources[target], recipe.held_out)))
    done = run.execute(model, objective, registry, Silent(), force=True, counts=dict)
    return done.entry, model


def measured(given: argparse.Namespace, subwords: int) -> Mapping[str, Any]:
    """One row: a BA with so many sub-words of its own, and a tagger on it."""
    both, registry = pair("en", given.target), LocalRegistry(given.work / f"registry-{given.steps}")
    numbers = {"steps": given.steps, "batch_size": given.batch_size, "max_length": given.max_length, "eval_blocks": 4}
    flags = {**numbers, "eval_every": max(1, given.steps // 3), "save_every": 0, "precision": given.precision}
    flags |= {"publish_head": True}
    recipe = override(load_recipe("demo").language, {**flags, "extend_vocabulary": subwords, "seed": given.seed})
    label = f"v{subwords}-{given.begin}-seed{given.seed}"
    text = {"en": given.source_text, given.target: given.text}
    run, sources = language_adapter.planned(both, recipe, base=given.base, text=text, label=label)
    row = {"base": given.base, "target": given.target, "subwords": subwords, "steps": given.steps, "seed": given.seed}
    row |= {"begin": given.begin}
    if given.data:
        if (entry := run.published_in(registry)) is None:
            raise SystemExit("Train the bilingual adapters first: leave --data out.")
        return row | tagged(given, entry, registry, label)
    began = time.perf_counter()
    _, model = trained(run, recipe, sources, registry, given.begin)
    seconds = time.perf_counter() - began
    tokenizer = load_tokenizer(run.base)
    if (extension := extension_of(model)) is not None:
        extend_tokenizer(tokenizer, extension.subwords)
    lines = list(held_out_words(given.text, given.target, given.words))
    read = coverage_of(tokenizer, (line for line, _ in lines))
    row |= {"subwords_word": read.pieces_per_word, "cut": read.cut_share, "seconds": seconds}
    return row | scored(model, tokenizer, lines).told()


def tagged(given: argparse.Namespace, entry: Any, registry: LocalRegistry, label: str) -> Mapping[str, Any]:
    """POS of the target, zero-shot, by a task adapter on this BA."""
    recipe = override(
        load_recipe("demo").tasks["pos"],
        {"steps": given.task_steps, "eval_every": given.task_steps, "save_every": 0, "precision": given.precision},
    )
    done = train_task_adapter(
        pair("en", given.target),
        "pos",
        recipe,
        data=given.source_data,
        registry=registry,
        base=given.base,
        label=label,
        limit={"en": 3000},
    )
    stack = load_entries((entry, done.entry), registry, base=given.base)
    scores = evaluate(stack, given.data).scores.metrics
    return {f"pos_{key}": value for key, value in scores.items()}


def main() -> None:
    """Measure what is not in the file of results yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="demo")
    parser.add_argument("--target", required=True)
    parser.add_argument("--text", required=True, help="of the target")
    parser.add_argument("--source-text", default="demo:text/en.txt.gz")
    parser.add_argument(
        "--data", help="a treebank of the target: train taggers on what was trained before, and score them"
    )
    parser.add_argument("--source-data", default="ud:UD_English-EWT")
    parser.add_argument("--subwords", default="0,1000")
    parser.add_argument("--begin", choices=("mean", "overlap"), default="mean", help="what new rows begin with")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--task-steps", type=int, default=150)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--words", type=int, default=300, help="held-out words to score")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work", type=Path, required=True, help="a folder for adapters and results")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    for subwords in map(int, given.subwords.split(",")):
        row = measured(given, subwords)
        print(json.dumps(row), flush=True)
        with (given.work / "results.jsonl").open("a", encoding="utf-8") as results:
            results.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()

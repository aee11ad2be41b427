"""A base small enough to train in tests: a random two-layer BERT over words of the demo's text."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from itertools import islice
from pathlib import Path

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def write_tiny_base(folder: Path, *, seed: int = 0, layers: int = 2, steady: bool = False) -> Path:
    """Write a random masked-language model and its tokenizer to `folder`.

    The trainer of the tokenizer breaks ties by chance, so two processes make two bases. A `steady` one has characters
    and frequent words in place of what a trainer finds, and is the same everywhere.
    """
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
    from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    lines = [*demo_lines("en", 1500), *demo_lines("wo", 1500)]
    if steady:
        tokenizer.model = models.WordPiece(_counted(lines), unk_token="[UNK]")
        tokenizer.add_special_tokens(SPECIAL)
    else:
        tokenizer.train_from_iterator(lines, trainers.WordPieceTrainer(vocab_size=800, special_tokens=SPECIAL))
    pad, unk, cls, sep, mask = SPECIAL
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=pad, unk_token=unk, cls_token=cls, sep_token=sep, mask_token=mask
    ).save_pretrained(folder)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        BertForMaskedLM(config).save_pretrained(folder)
    return folder


def _counted(lines: Sequence[str], size: int = 800) -> dict[str, int]:
    """A vocabulary of the characters, at the beginning of a word and inside it, and the most frequent words."""
    characters = sorted({character for line in lines for character in line if not character.isspace()})
    pieces = [*SPECIAL, *characters, *(f"##{character}" for character in characters)]
    counts = Counter(word for line in lines for word in line.split() if len(word) > 1)
    words = sorted(counts, key=lambda word: (-counts[word], word))
    return {piece: place for place, piece in enumerate([*pieces, *words][:size])}


def demo_lines(language: str, count: int) -> list[str]:
    """The first lines of the embedded text of a language."""
    path = files("badx_hub.demo") / "data" / "text" / f"{language}.txt.gz"
    with path.open("rb") as raw, gzip.open(raw, "rt", encoding="utf-8") as text:
        return [line.rstrip("\n") for line in islice(text, count)]


def small_treebank(folder: Path) -> str:
    """Write sixteen English sentences to learn from and four to select on; returns the folder."""
    folder.mkdir()
    source = demo_data() / "ud" / "UD_English-EWT" / "en_ewt-ud-dev.conllu.gz"
    with gzip.open(source, "rt", encoding="utf-8") as file:
        known = file.read().strip().split("\n\n")
    for split, part in (("train", known[:16]), ("dev", known[16:20])):
        (folder / f"en_few-ud-{split}.conllu").write_text("\n\n".join([*part, ""]), encoding="utf-8")
    return str(folder)


def demo_data() -> Path:
    """The folder of the embedded text and treebanks."""
    return Path(str(files("badx_hub.demo") / "data"))

"""How large the files of an adapter can be, judged by its manifest. Pure."""

from __future__ import annotations

from badx_hub.adapter_files import CARD_FILE, ENCODER_FILE, MAX_SUBWORDS, VOCABULARY_WEIGHTS_FILE, WEIGHT_FILES
from badx_hub.json_toml_yaml import MIB
from badx_hub.manifest import MAX_MANIFEST_BYTES, Manifest

MAX_README = MIB
MAX_TEXT = MAX_MANIFEST_BYTES
MAX_PICTURE = 16 * MIB
MAX_WEIGHTS = 2**31
MAX_ENCODER = 2**37


def size_limit(manifest: Manifest, name: str) -> int:
    """The most bytes that this file of this adapter can have: generous for every real one, never a disk full."""
    if name == CARD_FILE:
        return MAX_README
    if name.endswith(".json"):
        return MAX_TEXT
    if name not in WEIGHT_FILES:
        return MAX_PICTURE
    base = manifest.base
    square = (base.hidden_size + 1) ** 2
    if name == ENCODER_FILE:
        # float32; the embeddings with positions; in each layer 4 squares of attention and a wide feed-forward block.
        numbers = (base.vocab_size + 2**17) * base.hidden_size + square * (64 * base.num_layers + 8)
        return min(MAX_ENCODER, max(16 * MIB, 4 * numbers))
    if name == VOCABULARY_WEIGHTS_FILE:
        return 4 * MAX_SUBWORDS * base.hidden_size + MIB
    # float32; in each layer two bottlenecks no wider than twice the hidden size; invertible parts; or a biaffine
    # head, one square a label.
    # Of the head of masked-language modelling, at most a dense layer, a LayerNorm and a bias for each word.
    numbers = square * (8 * base.num_layers + 8 + len(manifest.labels or ())) + base.vocab_size
    return min(MAX_WEIGHTS, max(16 * MIB, 4 * numbers))

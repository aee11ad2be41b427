"""The files of an adapter: their names, which ones a kind of adapter needs, and the digest that identifies it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from badx_hub.names import AdapterKind
from badx_hub.storage import digest_of

MANIFEST_FILE = "badx.json"
SIGNATURE_FILE = "badx.json.sig"
"""Who vouches for badx.json (`badx_hub.signing`); beside it, and not in it."""

CARD_FILE = "README.md"
CURVES_FILE = "curves.png"

ADAPTER_CONFIG_FILE = "adapter_config.json"
ADAPTER_WEIGHTS_FILE = "adapter.safetensors"
HEAD_CONFIG_FILE = "head_config.json"
HEAD_WEIGHTS_FILE = "model_head.safetensors"
MLM_HEAD_FILE = "mlm_head.safetensors"
"""What of the masked-language-model head was trained with a language adapter, if its recipe publishes that."""

ENCODER_FILE = "encoder.safetensors"
"""All weights of the base as full fine-tuning left them."""

VOCABULARY_FILE = "vocabulary.json"
VOCABULARY_WEIGHTS_FILE = "vocabulary.safetensors"
"""Sub-words that a language adapter reads its text with, beside those of the base, and their embeddings."""

MAX_SUBWORDS = 2**15
"""The most that an adapter brings along: bases for a hundred languages have four to eight times as many."""

INTERFACE_FILE = "adapter_interface.json"
"""What `adapters` writes beside adapters of models that it reaches by hooks. Nothing here reads it."""

_ADAPTER_FILES = (ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE)
_HEAD_FILES = (HEAD_CONFIG_FILE, HEAD_WEIGHTS_FILE)
VOCABULARY_FILES = (VOCABULARY_FILE, VOCABULARY_WEIGHTS_FILE)
WEIGHT_FILES = (*_ADAPTER_FILES, *_HEAD_FILES, ENCODER_FILE, MLM_HEAD_FILE, *VOCABULARY_FILES)
"""The files that decide what an adapter computes, or what training that begins with it does. They make its digest."""

PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")

_EXTRA_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,90}\.(png|csv)", re.ASCII)


@lru_cache(maxsize=4096)
def is_allowed_file(name: str) -> bool:
    """Whether a manifest may list `name`: weights, README.md, `INTERFACE_FILE`, or a plain *.png or *.csv name."""
    return name in (CARD_FILE, INTERFACE_FILE) or name in WEIGHT_FILES or _EXTRA_FILE.fullmatch(name) is not None


def weights_digest(files: Mapping[str, str]) -> str:
    """The identity of an adapter: one sha256 over the digests of its weight files (those present)."""
    return digest_of({name: files[name] for name in WEIGHT_FILES if name in files})


def needed_files(kind: AdapterKind) -> tuple[str, ...]:
    """The weight files that every adapter of this kind has.

    A task adapter has a head too. A model that was fine-tuned as a whole has its encoder and its head, and no adapter.
    """
    if kind == "model":
        return (*_HEAD_FILES, ENCODER_FILE)
    return (*_ADAPTER_FILES, *_HEAD_FILES) if kind == "task" else _ADAPTER_FILES


def check_file_names(files: Mapping[str, str]) -> None:
    """Raises ValueError for a pickle, a name that is not allowed, and names that differ by case alone."""
    seen: set[str] = set()
    for name in files:
        if name.lower().endswith(PICKLE_SUFFIXES):
            raise ValueError(f"{name!r} is a pickle, which can run code when it is loaded")
        if not is_allowed_file(name):
            raise ValueError(f"{name!r} is not among the files an adapter may have")
        if name.casefold() in seen:
            raise ValueError(f"{name!r} differs from another file by case alone")
        seen.add(name.casefold())

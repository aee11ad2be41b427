"""The map of characters in sentencepiece models and in tokenizer.json ("precompiled_charsmap"), checked.

It is a trie of Darts-clone (its size in bytes, then units of 4 bytes) and the texts that its leaves lead to. tokenizers
takes the size's word and aborts the process where there is no such memory, and panics where a unit leads elsewhere.
"""

from __future__ import annotations

import numpy as np

_LEAF, _IS_VALUE = 1 << 8, 1 << 31
_BLOCK = 256
_LONGEST = 1024
"""Bytes that may take the place of a character; 55 are the most in the map of XLM-R."""


def check_characters_map(content: bytes) -> None:
    """Raises ValueError for a map that leads out of itself."""
    size = int.from_bytes(content[:4], "little")
    if len(content) < 4 or size % (4 * _BLOCK) or not 0 < size <= len(content) - 4:
        raise ValueError("its map of characters is damaged")
    units = np.frombuffer(content, "<u4", size // 4, 4).astype(np.int64)
    texts = np.frombuffer(content, np.uint8, offset=4 + size)
    inner = units & _IS_VALUE == 0
    children = np.arange(len(units)) ^ ((units >> 10) << ((units & (1 << 9)) >> 6))
    if (children[inner] >= len(units)).any():
        raise ValueError("its map of characters leads out of itself")
    places = units[children[inner & (units & _LEAF != 0)]] & (_IS_VALUE - 1)
    if (places >= len(texts)).any() or (texts[places] & 0xC0 == 0x80).any():
        raise ValueError("its map of characters leads to no text")
    if max(map(len, content[4 + size :].split(b"\0"))) > _LONGEST:
        raise ValueError("its map of characters makes much of one")
    content[4 + size :].decode()

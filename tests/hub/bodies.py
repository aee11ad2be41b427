"""Bytes that no honest server sends: a bomb, and headers that end too early."""

from __future__ import annotations

import zlib
from functools import cache
from http import HTTPStatus

from starlette.types import Message


@cache
def packed_blanks(size: int) -> bytes:
    """gzip of so many blanks, made without holding them."""
    packer, block = zlib.compressobj(wbits=31), b" " * 2**20
    return b"".join(packer.compress(block) for _ in range(size // len(block))) + packer.flush()


def head_without_length(message: Message) -> bytes:
    """The head of an answer, cut inside the header that says how long its body is."""
    status = f"HTTP/1.1 {message['status']} {HTTPStatus(message['status']).phrase}\r\n".encode()
    sent = [key + b": " + value + b"\r\n" for key, value in message["headers"] if key.lower() != b"content-length"]
    return status + b"".join(sent) + b"Content-Le"

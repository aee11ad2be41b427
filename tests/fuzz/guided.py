"""Fuzzing guided by coverage: `python -m tests.fuzz.guided PARSER SECONDS SEEDS FOUND`, one parser.

libFuzzer, through atheris, keeps inputs that reach new lines of badx_hub and changes those further. An input that makes
a parser raise what is no error of ours, or take over 10 s or 2 GB, ends the process and lies in the folder FOUND.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["badx_hub"]):
    from badx_hub.errors import BadxError
    from tests.foreign_text import PARSERS


def main(parser: str, seconds: str, seeds: str, found: str) -> None:
    parse, folder = PARSERS[parser], Path(found).parent

    def one(data: bytes) -> None:
        with suppress(BadxError):
            parse(data.decode("utf-8", "ignore"), folder)

    limits = ("-max_len=8192", "-timeout=10", "-rss_limit_mb=2048", "-verbosity=0", "-print_final_stats=1")
    atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", f"-artifact_prefix={found}/", *limits, seeds], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])

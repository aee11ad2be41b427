"""Fuzzing: `python -m tests.fuzz.run SECONDS [PARSER...]` (`make fuzz`) tries made-up text on every parser.

Inputs are texts of the repository with parts taken out, doubled, exchanged and put in, and texts of suspicious pieces.
Where atheris is installed, a parser's second half of the time is guided by coverage (guided.py), from the same texts.
A parser may return or raise an error of ours. Anything else is kept in `failed/`, as a test.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from badx_hub.errors import BadxError
from tests.foreign_text import PARSERS
from tests.test_linear import PIECES

FAILED = Path(__file__).parent / "failed"
EXAMPLES = 200
_ROOT = Path(__file__).parents[2]
_MAX_SEED = 4000
_WORDS = (
    *(
        "mbert/en-wo@5:1/pos#seed2",
        "mbert.en-wo.5-1.pos",
        "hf:org/name@main",
        "en+bm+wo",
        "9" * 70,
        "1e999",
        "NaN",
        "~x",
    ),
    *("\\ud800", "\ud800", "!!timestamp 2001-99-99", "&a [*a]", "1-2\ta\t_\t_\t_\t_\t_\t_\t_\t_\n", "B-PER", "null"),
)


def seeds() -> tuple[str, ...]:
    """Beginnings of files of the repository of every kind that is parsed."""
    patterns = (
        "badx_hub/recipes/*.yaml",
        "studies/*.yaml",
        "badx_hub/demo/registry/*/*/*.json",
        "README.md",
        "badx_hub/demo/base/*.json",
    )
    more = (
        "badx_hub/demo/base/*.json",
        "badx_hub/demo/registry/*/*/README.md",
        "tests/cases/*/*.yaml",
        "tests/cases/*/*.jsonl",
    )
    found = [path for pattern in (*patterns, *more) for path in sorted(_ROOT.glob(pattern))]
    made = ("# text = a b\n1\ta\t_\tNOUN\t_\t_\t0\troot\t_\t_\n2\tb\t_\tVERB\t_\t_\t1\tobj\t_\t_\n\n", "a B-PER\nb O\n")
    pairs = ("premise\thypothesis\tlabel\na\tb\tneutral\n", '{"premise": "a", "hypothesis": "b", "label": "neutral"}\n')
    lock = 'schema_version = 1\n\n[[stacks]]\npair = "en-wo"\ntask = "pos"\nsetup = "bad-x"\n'
    cas = '<xmi:XMI xmlns:xmi="http://www.omg.org/XMI" xmlns:cas="http:///uima/cas.ecore" xmi:version="2.0">'
    cas += '<cas:NULL xmi:id="0"/><cas:Sofa xmi:id="1" sofaNum="1" sofaID="_InitialView" sofaString="a b"/></xmi:XMI>'
    pickles = "cos\nsystem\n(S'x'\ntR.", "\x80\x02ccollections\nOrderedDict\n)R."
    return (*(path.read_text(encoding="utf-8")[:_MAX_SEED] for path in found), *made, *pairs, lock, cas, *pickles)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A seed, changed a few times, or suspicious pieces alone."""
    piece = st.one_of(st.sampled_from(PIECES), st.sampled_from(_WORDS), st.text(max_size=4))
    if draw(st.booleans()):
        return "".join(draw(st.lists(piece, max_size=12)))
    text = draw(st.sampled_from(seeds()))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 40)))
        put = draw(st.one_of(piece, st.just(text[start:end] * 2), st.just("")))
        text = text[:start] + put + text[end:]
    return text


def attack(parser: str, seconds: float, folder: Path) -> tuple[int, str | None]:
    """The number of inputs tried, and the smallest that failed if one did."""
    tried, last = 0, [""]
    end = time.monotonic() + seconds

    def one(text: str) -> None:
        nonlocal tried
        tried += 1
        try:
            with suppress(BadxError):
                PARSERS[parser](text, folder)
        except UnicodeEncodeError:
            with suppress(UnicodeEncodeError):
                text.encode()  # No file holds half a surrogate pair: the fault is that of the harness.
                raise
        except Exception:
            last[0] = text
            raise

    phases = (Phase.generate, Phase.shrink)
    quiet = settings(
        max_examples=EXAMPLES, deadline=None, database=None, phases=phases, suppress_health_check=list(HealthCheck)
    )
    number = 0
    while time.monotonic() < end:
        try:
            seed(number)(quiet(given(texts())(one)))()
        except Exception as error:
            print(f"{parser}: {type(error).__name__}: {error}"[:300])
            return tried, last[0]
        number += 1
    return tried, None


def guided(parser: str, seconds: float, folder: Path) -> tuple[int, str | None]:
    """As `attack`, by coverage: the number of inputs tried, and one that failed."""
    start, found = folder / "seeds", folder / "found"
    for made in (start, found):
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir()
    for number, text in enumerate(seeds()):
        (start / str(number)).write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "tests.fuzz.guided", parser, str(max(1, int(seconds))), str(start), str(found)]
    told = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, errors="replace")
    bad = sorted(found.iterdir())
    if told.returncode and not bad:
        raise RuntimeError(f"{' '.join(command)} failed without an input:\n{told.stderr[-2000:]}")
    if bad:
        print(f"{parser}: {_last_error(told.stdout + told.stderr)}"[:300])
    tried = re.search(r"number_of_executed_units: (\d+)", told.stderr)
    return int(tried[1]) if tried else 0, bad[0].read_bytes().decode("utf-8", "ignore") if bad else None


def _last_error(told: str) -> str:
    lines = [line for line in told.splitlines() if "error" in line.lower()]
    return lines[-1] if lines else "no error is told"


def main(seconds: float, names: list[str]) -> int:
    """1 if an input failed."""
    bad, ways = 0, (attack, guided) if find_spec("atheris") else (attack,)
    with tempfile.TemporaryDirectory() as folder:
        for parser in names or list(PARSERS):
            for way in ways:
                tried, failed = way(parser, seconds / len(names or PARSERS) / len(ways), Path(folder))
                result = "FAILED" if failed is not None else "none failed"
                print(f"{parser}, {way.__name__}: {tried:,} inputs, {result}", flush=True)
                if failed is None:
                    continue
                bad = 1
                content = failed.encode("utf-8", "surrogatepass")
                (FAILED / f"{parser}-{sha256(content).hexdigest()[:12]}").write_bytes(content)
    return bad


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 600, sys.argv[2:]))

"""`badx-hub compare`: what it prints, and what it answers before anything is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from badx_hub.registry import LocalRegistry
from tests.cli.conftest import Run
from tests.made import made

COMPARE = ("compare", "en-wo", "--task", "pos")
SENTENCES = (("Nanga", "ADV"), ("def", "VERB"), ("?", "PUNCT")), (("Waaw", "INTJ"), ("Awa", "PROPN"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    lines = [
        "".join(
            f"{index}\t{word}\t_\t{tag}\t_\t_\t{index - 1}\t{'dep' if index > 1 else 'root'}\t_\t_\n"
            for index, (word, tag) in enumerate(sentence, 1)
        )
        for sentence in SENTENCES * 3
    ]
    file = tmp_path / "wo-ud-test.conllu"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


@pytest.fixture
def filled(own: LocalRegistry, tiny_base: Path) -> Path:
    """BAD-X with two seeds and MAD-X with one in the user's own registry; the folder of the base."""
    for label, seed in (("", 1), ("#seed2", 2)):
        ba = made(own, tiny_base, f"tiny/en-wo{label}", seed=seed)
        made(own, tiny_base, f"tiny/en-wo/pos{label}", seed=10 + seed, on=ba)
    la = made(own, tiny_base, "tiny/en", seed=4)
    made(own, tiny_base, "tiny/wo", seed=5)
    made(own, tiny_base, "tiny/en/pos", seed=14, on=la)
    return tiny_base


def test_table_json_and_quiet_say_the_same(run: Run, filled: Path, data: Path) -> None:
    arguments = (*COMPARE, "--data", data, "--setups", "bad-x,mad-x", "--seeds", "2", "--baseline", "mad-x")
    table, document, quiet = (run(*arguments, "--format", format) for format in ("table", "json", "quiet"))
    assert (table.code, document.code, quiet.code) == (0, 0, 0)

    found = document.json
    assert (found["metric"], found["baseline"], found["examples"], found["target"]) == ("accuracy", "mad-x", 6, "wo")
    bad_x, mad_x = found["compared"]
    assert [one["seed"] for one in bad_x["seeds"]] == [0, 0] and len(mad_x["seeds"]) == 1
    scores = [one["metrics"]["accuracy"] for one in bad_x["seeds"]]
    assert bad_x["metrics"]["accuracy"]["mean"] == pytest.approx(sum(scores) / 2)
    assert mad_x["metrics"]["accuracy"]["spread"] is None and mad_x["difference"] is None
    assert mad_x["cost"]["trained"] > mad_x["cost"]["stored"]
    assert [(one["name"], one["seed"]) for one in found["missing"]] == [("mad-x", 2)]
    assert (
        found["missing"][0]["commands"][-1]
        == "badx-hub train en-wo --task pos --data ud:UD_English-EWT --setup mad-x --base tiny --seed 2"
    )

    mean, difference = bad_x["metrics"]["accuracy"]["mean"], bad_x["difference"]
    assert quiet.out.splitlines() == [
        f"bad-x\t{mean:.6f}\t{difference['delta']:.6f}\t{difference['p']:.6f}",
        f"mad-x\t{mad_x['metrics']['accuracy']['mean']:.6f}\t\t",
    ]

    lines = table.out.splitlines()
    assert max(map(len, lines)) <= 80
    row = next(line for line in lines if line.startswith("bad-x "))
    interval = f"{100 * difference['low']:+.2f} to {100 * difference['high']:+.2f}"
    assert row.split()[:3] == ["bad-x", "2", f"{100 * mean:.2f}"]
    assert f"{100 * difference['delta']:+.2f}" in row and interval in row and f"{difference['p']:.3f}" in row
    assert "vs mad-x" in table.out and f"{mad_x['cost']['trained']:,}" in table.out


def test_what_is_missing_is_named_on_stderr(run: Run, filled: Path, data: Path) -> None:
    result = run(*COMPARE, "--data", data, "--setups", "bad-x@5:1,bad-x,tlr")
    assert result.code == 0
    assert "no run of the baseline bad-x@5:1" in result.err
    for command in (
        "badx-hub train en-wo --ratio 5:1 --base tiny",
        "badx-hub train en-wo --ratio 5:1 --task pos --data ud:UD_English-EWT --base tiny",
        "badx-hub train en-wo --task pos --data ud:UD_English-EWT --setup tlr --base tiny",
    ):
        assert f"\n  {command}\n" in result.err
    assert "vs " not in result.out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--setups", "bad-x,nope"], ["nope", "mad-x"]),
        (["--setups", ""], ["bad-x"]),
        (["--setups", "mad-x@5:1"], ["mad-x has no ratio"]),
        (["--setups", "bad-x", "--baseline", "ma"], ["'ma'", "bad-x"]),
        (["--setups", "bad-x", "--ratio", "0:1"], ["0:1"]),
        (["--setups", "bad-x", "--curve", "x.pdf"], [".png or .svg"]),
        (["--setups", "bad-x", "--curve", "nowhere/x.png"], ["in a folder that is there"]),
        (["--setups", "bad-x", "--seeds", "0"], ["--seeds"]),
        (["--setups", "bad-x", "--option", "decoding"], ["KEY=VALUE"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_wrong_flags(run: Run, data: Path, more: list[str], said: list[str]) -> None:
    result = run(*COMPARE, "--data", data, *more)
    assert (result.code, result.out) == (2, "")
    assert all(word in result.err for word in said)


def test_nothing_there(run: Run, data: Path, tmp_path: Path) -> None:
    result = run(*COMPARE, "--data", data, "--setups", "bad-x,ta-only")
    assert (result.code, result.out) == (1, "")
    assert "`badx-hub train en-wo`, then `badx-hub train en-wo --task pos --data ud:UD_English-EWT`" in result.err
    assert run(*COMPARE, "--data", tmp_path / "nowhere", "--setups", "bad-x").code == 1

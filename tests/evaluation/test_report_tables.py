from __future__ import annotations

import io
from collections.abc import Sequence
from statistics import stdev

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from badx_hub.errors import UsageError
from badx_hub.evaluation.published_differences import PUBLISHED
from badx_hub.evaluation.report_tables import cost_table, data_table, published_table, score_table, significance_table
from badx_hub.evaluation.result_table import ResultTable, result_tables, titles
from badx_hub.evaluation.results import Result
from badx_hub.table import Cell, Table, to_csv, to_latex, to_markdown
from tests.evaluation.made import COST, made

# Accuracy: BAD-X (0.70 + 0.50) / 2, MAD-X (0.66 + 0.51) / 2, BAD-X 5:1 on Wolof alone.
RESULTS = (
    made("bad-x", "wo", 0.700, more={"macro_f1": 0.60}),
    made("bad-x", "fo", 0.500, more={"macro_f1": 0.40}),
    made("mad-x", "wo", 0.660, more={"macro_f1": 0.58}),
    made("mad-x", "fo", 0.510, more={"macro_f1": 0.44}),
)
SWEPT = (*RESULTS, made("bad-x@5:1", "wo", 0.640, more={"macro_f1": 0.50}))


def table_of(results: Sequence[Result], baseline: str = "mad-x") -> ResultTable:
    (found,) = result_tables(results, baseline, resamples=100)
    return found


def texts(table: Table) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.rows]


def test_scores_averages_and_gains_are_those_counted_by_hand() -> None:
    table = score_table(table_of(RESULTS), "accuracy")
    assert table.header == (
        *("Setup", "Faroese (fo)", "Wolof (wo)", "Average", "Gain over MAD-X"),
        "Published (mBERT, its languages)",
    )
    assert texts(table) == [
        ["BAD-X", "50.00", "70.00", "60.00", "+1.50", "+1.06"],
        ["MAD-X", "51.00", "66.00", "58.50", "-", "-"],
    ]
    assert [[cell.best for cell in row] for row in table.rows] == [
        [False, False, True, True, False, False],
        [False, True, False, False, False, False],
    ]


def test_every_metric_has_a_table_the_main_one_first() -> None:
    found = table_of(RESULTS)
    assert found.metrics == ("accuracy", "macro_f1")
    table = score_table(found, "macro_f1")
    assert texts(table)[0] == ["BAD-X", "40.00", "60.00", "50.00", "-1.00", "+0.66 †"]
    assert any(note.startswith("† ") and "seqeval" in note for note in table.notes)


def test_averages_are_over_the_languages_that_all_setups_have() -> None:
    table = score_table(table_of(SWEPT), "accuracy")
    assert texts(table) == [
        ["BAD-X 1:1", "50.00", "70.00", "70.00", "+4.00", "+1.06"],
        ["BAD-X 5:1", "-", "64.00", "64.00", "-2.00", "-"],
        ["MAD-X", "51.00", "66.00", "66.00", "-", "-"],
    ]
    assert any("Wolof (wo)" in note and "Faroese" not in note for note in table.notes)


def test_without_a_shared_language_there_is_no_average() -> None:
    table = score_table(table_of([RESULTS[0], RESULTS[3]]), "accuracy")
    assert [row[3:] for row in texts(table)] == [["-", "-", "+1.06"], ["-", "-", "-"]]
    assert any("no average" in note for note in table.notes)


def test_several_seeds_give_a_mean_and_a_spread() -> None:
    runs = [made("bad-x", "wo", score, seed=seed) for seed, score in ((1, 0.60), (2, 0.64), (3, 0.65))]
    runs += [made("bad-x", "fo", score, seed=seed) for seed, score in ((1, 0.50), (2, 0.52))]
    table = score_table(table_of([*runs, made("mad-x", "wo", 0.6), made("mad-x", "fo", 0.5)]), "accuracy")
    ours = table.rows[0]
    assert ours[2].text == f"63.00 ± {stdev([60, 64, 65]):.2f}"
    # The mean of the means, (51 + 63) / 2; the spread of the two seeds that have both: 55 and 58.
    assert ours[3].text == f"57.00 ± {stdev([55, 58]):.2f}"
    assert ours[4].text == "+2.00"
    assert table.rows[1][3].spread is None
    assert any("seeds 1, 2, 3" in note for note in table.notes)


def test_without_the_baseline_there_is_no_gain_and_the_table_says_so() -> None:
    found = table_of(RESULTS, baseline="ta-only")
    table = score_table(found, "accuracy")
    assert table.header[-1] == "Average"
    assert any("TA only, has no results" in note for note in table.notes)
    assert significance_table(found) is None


def test_another_baseline_has_the_published_figures_for_it() -> None:
    table = score_table(table_of([made("bad-x", "wo", 0.7), made("ma", "wo", 0.6)], baseline="ma"), "accuracy")
    assert texts(table)[0][-2:] == ["+10.00", "+3.55"]


def test_significance_has_a_row_for_each_language_and_system() -> None:
    table = significance_table(table_of(SWEPT))
    assert table is not None
    assert [row[:3] for row in texts(table)] == [
        ["Faroese (fo)", "BAD-X 1:1", "-1.00"],
        ["Wolof (wo)", "BAD-X 1:1", "+4.00"],
        ["Wolof (wo)", "BAD-X 5:1", "-2.00"],
    ]
    for _, _, gain, low, high, p in ([cell.value for cell in row] for row in table.rows):
        assert float(low or 0) <= float(gain or 0) <= float(high or 0)
        assert 0 < float(p or 0) <= 1


def test_costs_are_means_over_targets() -> None:
    dear = COST.model_copy(update={"steps": 3000, "seconds": 100.5, "unknown": 1})
    table = cost_table(table_of([made("bad-x", "wo", 0.7, cost=dear), *RESULTS[1:]]))
    assert texts(table) == [
        ["BAD-X", "2,000", "200,000", "8,000", "230", "50,000", "30,000"],
        ["MAD-X", "1,000", "200,000", "8,000", "360", "50,000", "30,000"],
    ]
    assert any("not known" in note and "BAD-X" in note for note in table.notes)


def test_published_figures_stand_beside_ours_and_say_whose_they_are() -> None:
    nli = [made(name, "hch", score, task="nli") for name, score in (("bad-x", 0.45), ("mad-x", 0.40))]
    table = published_table(result_tables([*RESULTS, *nli], "mad-x", resamples=100))
    assert table is not None
    rows = texts(table)
    assert rows[0] == ["POS, accuracy", "BAD-X 1:1 over MAD-X", "+1.06", "+1.50", "average", "fo, wo"]
    assert ["NLI, accuracy", "BAD-X 1:1 over MAD-X", "+6.67", "+5.00", "Huichol (hch)", "hch"] in rows
    assert ["POS, accuracy", "BAD-X 1:1 over MA", "+3.55", "-", "average", "-"] in rows
    assert len(rows) == len([figure for figure in PUBLISHED if figure.task in ("pos", "nli")])
    assert "multilingual BERT" in table.notes[0]


def test_the_data_are_named_once() -> None:
    assert texts(data_table([table_of(RESULTS)])) == [
        ["POS", "Faroese (fo)", "fo-pos-test.conllu", "fo-pos000000"],
        ["POS", "Wolof (wo)", "wo-pos-test.conllu", "wo-pos000000"],
    ]


def test_the_ratio_is_in_a_title_where_there_are_several() -> None:
    assert titles(["bad-x", "mad-x"]) == {"bad-x": "BAD-X", "mad-x": "MAD-X"}
    assert list(titles(["bad-x", "bad-x@1:2", "ma"]).values()) == ["BAD-X 1:1", "BAD-X 1:2", "MA"]


def test_rows_are_sorted_by_setup_then_from_target_heavy_to_source_heavy() -> None:
    names = ("ma", "bad-x@5:1", "full", "bad-x@10:1", "mad-x", "bad-x", "bad-x@1:5", "tlr")
    found = table_of([made(name, "wo", 0.5) for name in names])
    assert found.names == ("bad-x@1:5", "bad-x", "bad-x@5:1", "bad-x@10:1", "mad-x", "ma", "tlr", "full")


@settings(max_examples=10, deadline=None)
@given(st.permutations(SWEPT))
def test_the_order_of_results_does_not_matter(shuffled: list[Result]) -> None:
    ours, theirs = table_of(shuffled), table_of(SWEPT)
    assert score_table(ours, "accuracy") == score_table(theirs, "accuracy")
    assert significance_table(ours) == significance_table(theirs)
    assert cost_table(ours) == cost_table(theirs)


@pytest.mark.parametrize(
    ("results", "reason"),
    [
        ([], "no results"),
        ([made("bad-x", "wo", 0.5), made("mad-x", "wo", 0.5, base="mbert")], "one base"),
        ([made("bad-x", "wo", 0.5), made("mad-x", "fo", 0.5, split="dev")], "one split of pos"),
        ([made("bad-x", "wo", 0.5), made("bad-x", "wo", 0.6)], "two results of bad-x"),
    ],
)
def test_results_that_fit_no_table_are_refused(results: list[Result], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        result_tables(results, "mad-x")


def test_an_unknown_baseline_is_refused() -> None:
    with pytest.raises(UsageError, match="not known"):
        result_tables(RESULTS, "mad-y")


HOSTILE = Table(
    name="hostile",
    title="50% of A_B & C",
    header=("Set|up", r"$x_1^{2}$", "plain"),
    rows=(
        (Cell("<b>*A*</b> | B", "A"), Cell("1.00 ± 0.50", 1.0, 0.5, best=True), Cell("2.00", 2.0)),
        (Cell(r"a\b~c#d", "B"), Cell("-"), Cell("-0.50", -0.5)),
    ),
    notes=("See [this](http://x.example) & that",),
)


def test_markdown_is_a_table_in_which_no_text_is_markup() -> None:
    lines = to_markdown(HOSTILE).splitlines()
    assert all(line.count("|") == 4 for line in lines[:4])
    assert lines[1] == "|---|---:|---:|"
    assert "**1.00 ± 0.50**" in lines[2]
    body = "\n".join(lines)
    assert not any(markup in body for markup in ("<b>", "*A*", "[this]", "http://"))


def test_csv_has_plain_numbers_and_spreads_of_their_own() -> None:
    frame = pd.read_csv(io.StringIO(to_csv(HOSTILE)))
    assert list(frame.columns) == ["Set|up", "$x_1^{2}$", "$x_1^{2}$ (standard deviation)", "plain"]
    assert frame["plain"].tolist() == [2.0, -0.5]
    assert frame.iloc[0, 2] == 0.5
    assert frame.iloc[1, 1:3].isna().all()


def test_latex_is_escaped_and_the_best_are_bold() -> None:
    text = to_latex(HOSTILE)
    assert r"\caption{50\% of A\_B \& C}" in text
    assert r"\label{tab:hostile}" in text
    assert r"\textbf{1.00 $\pm$ 0.50}" in text
    assert r"a\textbackslash{}b\textasciitilde{}c\#d & - & -0.50 \\" in text
    assert r"\$x\_1\textasciicircum{}\{2\}\$" in text
    assert text.startswith("% See [this]")
    assert r"\begin{tabular}{lrr}" in text


def test_targets_of_other_options_do_not_stand_in_one_table() -> None:
    wo, fo = made("bad-x", "wo", 0.7, task="dp"), made("bad-x", "fo", 0.6, task="dp")
    options = [{"decoding": "tree"}, {"decoding": "greedy"}]
    tree, greedy = (one.model_copy(update={"options": given}) for one, given in zip((wo, fo), options, strict=True))
    assert len(result_tables([wo, greedy], "bad-x", resamples=100)) == 1
    with pytest.raises(UsageError, match="Results of dp with different options"):
        result_tables([tree, greedy], "bad-x", resamples=100)

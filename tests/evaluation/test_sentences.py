"""Learning curves by annotated sentences of the target: systems, tables, pictures, the section of a report."""

from __future__ import annotations

import io

from PIL import Image

from badx_hub.evaluation.compare import runs_of, summarise
from badx_hub.evaluation.plots import ratio_figure, sentences_figure, to_png
from badx_hub.evaluation.report_tables import sentences_table
from badx_hub.evaluation.result_table import ResultTable, result_tables
from badx_hub.evaluation.results import Result
from badx_hub.evaluation.sentence_curves import sentence_curves
from badx_hub.languages import pair
from badx_hub.studies.report import report_of
from badx_hub.table import to_csv
from tests.evaluation.made import made

SYSTEMS = (("bad-x+few-wo-100", 0.60), ("bad-x", 0.40), ("bad-x+few-wo-20", 0.50), ("ta-only", 0.30))
RESULTS = tuple(
    made(name, "wo", score + seed / 100, task=task, seed=seed, more={"uas": 0.5} if task == "dp" else None)
    for task in ("pos", "dp")
    for name, score in SYSTEMS
    for seed in (1, 2)
)


def tables(*results: Result) -> tuple[ResultTable, ...]:
    return result_tables(results, "bad-x", resamples=50)


def test_runs_are_looked_for_by_the_label_that_training_gives() -> None:
    runs = runs_of(pair("en", "wo"), "pos", ["bad-x+few-wo-20", "ta-only+news-few-wo-5"], seeds=2)
    assert [(run.name, run.query.label) for run in runs] == [
        ("bad-x+few-wo-20", "few-wo-20"),
        ("bad-x+few-wo-20", "seed2-few-wo-20"),
        ("ta-only+news-few-wo-5", "news-few-wo-5"),
        ("ta-only+news-few-wo-5", "news-seed2-few-wo-5"),
    ]


def test_only_systems_that_differ_in_their_sentences_alone_are_on_a_curve() -> None:
    others = ("bad-x@5:1+few-wo-20", "bad-x+few-fo-7", "bad-x+news", "bad-x+news-few-wo-20")
    found = summarise([*(one for one in RESULTS if one.task == "pos"), *(made(name, "wo", 0.7) for name in others)])
    curves = {
        curve.system: [(count, one.name) for count, one in curve.points.items()] for curve in sentence_curves(found)
    }
    assert curves == {
        "bad-x": [(0, "bad-x"), (20, "bad-x+few-wo-20"), (100, "bad-x+few-wo-100")],
        "bad-x+news": [(0, "bad-x+news"), (20, "bad-x+news-few-wo-20")],
    }


def test_the_table_has_a_row_for_each_number_and_a_column_for_each_seed() -> None:
    dp, pos = (sentences_table(one.sentence_curves) for one in tables(*RESULTS, made("bad-x", "wo", 0.46, seed=3)))
    assert dp is not None and pos is not None
    assert pos.header == ("Setup", "Sentences", "accuracy", "seed 1", "seed 2", "seed 3")
    assert [[cell.text for cell in row[1:]] for row in pos.rows] == [
        ["0", "43.00 ± 2.65", "41.00", "42.00", "46.00"],
        ["20", "51.50 ± 0.71", "51.00", "52.00", "-"],
        ["100", "61.50 ± 0.71", "61.00", "62.00", "-"],
    ]
    assert dp.header[2:4] == ("LAS", "UAS")
    assert to_csv(pos).splitlines()[1].split(",")[1] == "0"
    assert (
        sentences_table(tables(made("bad-x", "wo", 0.4), made("ta-only+few-wo-20", "wo", 0.4))[0].sentence_curves)
        is None
    )


def test_the_picture_has_a_panel_a_task_with_the_means_and_every_seed() -> None:
    known = tables(*RESULTS)
    figure = sentences_figure([curve for one in known for curve in one.sentence_curves])
    assert figure is not None and ratio_figure(known) is None
    assert [axes.get_title() for axes in figure.axes] == ["DP, Wolof", "POS, Wolof"]
    axes = figure.axes[1]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "20", "100"]
    (means,) = (line for line in axes.get_lines() if line.get_label() == "BAD-X")
    assert [(float(x), round(float(y), 2)) for x, y in means.get_xydata()] == [(0, 41.5), (20, 51.5), (100, 61.5)]  # type: ignore[union-attr]
    seeds = sorted(round(float(y), 2) for line in axes.get_lines() if line is not means for y in line.get_ydata())  # type: ignore[union-attr]
    assert seeds == [41, 42, 51, 52, 61, 62]
    assert Image.open(io.BytesIO(to_png(figure))).width == 960
    assert sentences_figure([]) is None


def test_a_report_has_a_section_for_it_only_where_there_is_something() -> None:
    report = report_of(RESULTS, title="x", baseline="bad-x")
    assert "sentences" in [section.name for section in report.sections]
    assert report.introduction[0].startswith("Transfer from English")
    plain = report_of([made("bad-x", "wo", 0.4)], title="x", baseline="bad-x")
    assert "sentences" not in [section.name for section in plain.sections]
    assert plain.introduction[0].startswith("Zero-shot transfer")

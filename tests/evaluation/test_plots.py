from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from badx_hub.evaluation.plots import (
    gains_figure,
    language_curves,
    ratio_figure,
    task_curves,
    to_png,
    to_svg,
)
from badx_hub.evaluation.result_table import ResultTable, result_tables
from badx_hub.evaluation.results import Result
from tests.evaluation.made import made


def tables_of(*results: Result, baseline: str = "mad-x") -> tuple[ResultTable, ...]:
    return result_tables(results, baseline, resamples=50)


SWEEP = (
    made("bad-x@5:1", "wo", 0.60),
    made("bad-x", "wo", 0.66),
    made("bad-x@1:2", "wo", 0.64),
    made("mad-x", "wo", 0.62),
    made("bad-x", "wo", 0.40, task="nli"),
    made("bad-x@1:2", "wo", 0.43, task="nli"),
    made("mad-x", "wo", 0.41, task="nli"),
)


def rising(key: str, *values: float) -> list[Mapping[str, float]]:
    return [{"step": 100.0 * (index + 1), "loss": 1.0, key: value} for index, value in enumerate(values)]


CURVES: Mapping[str, Sequence[Mapping[str, float]]] = {
    "mini/wo": rising("wo/perplexity", 300, 100, 80),
    "mini/en-wo": rising("wo/perplexity", 400, 150, 90),
    "mini/en-wo#seed2": rising("wo/perplexity", 410, 140, 95),
    "mini/en+fo+wo": [
        {"step": step, "loss": 1.0, "en/perplexity": 50, "fo/perplexity": 500 - step, "wo/perplexity": 600 - step}
        for step in (100.0, 200.0)
    ],
    "mini/fo": rising("fo/perplexity", 200),
    "mini/en-wo/pos": rising("en/accuracy", 0.5, 0.8, 0.9),
    "mini/en-wo/pos@tlr": rising("en/accuracy", 0.4, 0.7, 0.85),
    "mini/en/pos": rising("en/accuracy", 0.5, 0.82, 0.91),
}


def lines(figure: Figure, panel: int = 0) -> dict[str, list[tuple[float, float]]]:
    return {str(line.get_label()): list(map(tuple, line.get_xydata())) for line in figure.axes[panel].get_lines()}  # type: ignore[misc, arg-type]


def test_ratios_run_from_target_heavy_to_source_heavy() -> None:
    figure = ratio_figure(tables_of(*SWEEP))
    assert figure is not None
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1:2", "1:1", "5:1"]
    drawn = lines(figure)
    assert drawn["BAD-X, POS, accuracy"] == [(0, pytest.approx(2)), (1, pytest.approx(4)), (2, pytest.approx(-2))]
    assert drawn["BAD-X, NLI, accuracy"] == [(0, pytest.approx(2)), (1, pytest.approx(-1))]
    assert "MAD-X" in axes.get_ylabel()


def test_ratios_without_the_baseline_are_scores() -> None:
    figure = ratio_figure(tables_of(*SWEEP[:3], baseline="ma"))
    assert figure is not None
    assert [value for _, value in lines(figure)["BAD-X, POS, accuracy"]] == pytest.approx([64, 66, 60])


def test_one_ratio_is_no_figure() -> None:
    assert ratio_figure(tables_of(made("bad-x", "wo", 0.6), made("mad-x", "wo", 0.6))) is None
    assert ratio_figure(tables_of(made("bad-x", "wo", 0.6), made("bad-x@5:1", "fo", 0.6))) is None


def test_a_map_of_gains_prints_the_number_of_every_cell() -> None:
    (found,) = tables_of(
        made("bad-x", "wo", 0.66),
        made("mad-x", "wo", 0.62),
        made("ma", "wo", 0.6),
        made("bad-x", "fo", 0.5),
        made("mad-x", "fo", 0.5),
    )
    figure = gains_figure(found)
    assert figure is not None
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Faroese", "Wolof"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["BAD-X", "MA"]
    assert [text.get_text() for text in axes.texts] == ["+0.0", "-", "+4.0", "-2.0"]


def test_the_cells_of_a_single_language_have_a_size() -> None:
    (found,) = tables_of(made("bad-x", "wo", 0.66), made("ma", "wo", 0.6), made("mad-x", "wo", 0.62))
    figure = gains_figure(found)
    assert figure is not None
    (mesh,) = figure.axes[0].collections
    corners = mesh.get_coordinates()  # type: ignore[attr-defined]
    assert corners.shape == (2, 3, 2)
    assert corners[:, 0, 1].tolist() == [-0.5, 0.5]


def test_a_map_of_one_cell_is_no_figure() -> None:
    (found,) = tables_of(made("bad-x", "wo", 0.66), made("mad-x", "wo", 0.62))
    assert gains_figure(found) is None


def test_language_curves_have_a_panel_a_language_and_alike_lines_for_seeds() -> None:
    figure = language_curves(CURVES)
    assert figure is not None
    assert [axes.get_title() for axes in figure.axes] == ["Faroese", "Wolof"]
    assert all(axes.get_yscale() == "log" for axes in figure.axes)
    assert lines(figure, 0) == {"MA": [(100, 400), (200, 300)]}
    assert [str(line.get_label()) for line in figure.axes[1].get_lines()] == ["LA", "BA 1:1", "BA 1:1", "MA"]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["LA", "BA 1:1", "MA"]


def test_task_curves_show_shared_adapters_beside_those_for_the_target() -> None:
    figure = task_curves(CURVES, "pos", "accuracy", "en")
    assert figure is not None
    assert [axes.get_title() for axes in figure.axes] == ["Wolof"]
    drawn = lines(figure)
    assert list(drawn) == ["on BA 1:1", "TLR", "on LA"]
    assert [value for _, value in drawn["on LA"]] == pytest.approx([50, 82, 91])


def test_too_few_points_are_no_curves() -> None:
    assert language_curves({"mini/fo": CURVES["mini/fo"]}) is None
    assert task_curves(CURVES, "dp", "las", "en") is None


@pytest.fixture(scope="module")
def figures() -> dict[str, Figure]:
    drawn = {
        "ratio": ratio_figure(tables_of(*SWEEP)),
        "gains": gains_figure(tables_of(*SWEEP)[1]),
        "language": language_curves(CURVES),
        "task": task_curves(CURVES, "pos", "accuracy", "en"),
    }
    return {name: figure for name, figure in drawn.items() if figure}


def test_pictures_are_well_formed_and_without_dates(figures: Mapping[str, Figure]) -> None:
    assert len(figures) == 4
    for figure in figures.values():
        svg = to_svg(figure)
        assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
        assert b"<dc:date>" not in svg
        assert Image.open(io.BytesIO(to_png(figure))).format == "PNG"


def test_the_same_curves_give_the_same_bytes() -> None:
    drawn = [task_curves(curves, "pos", "accuracy", "en") for curves in (CURVES, dict(reversed(CURVES.items())))]
    ours, theirs = ((to_svg(figure), to_png(figure)) for figure in drawn if figure)
    assert ours == theirs


def test_lines_differ_without_their_colours(figures: Mapping[str, Figure]) -> None:
    for name in ("ratio", "language", "task"):
        for axes in figures[name].axes:
            looks = {str(line.get_label()): (line.get_marker(), str(line.get_linestyle())) for line in axes.get_lines()}
            named = [look for label, look in looks.items() if not label.startswith("_")]
            assert len(set(named)) == len(named)


def test_numbers_stand_out_from_their_cells_in_grey(figures: Mapping[str, Figure]) -> None:
    axes = figures["gains"].axes[0]
    (cells,) = axes.collections
    for text in axes.texts:
        x, y = (round(place) for place in text.get_position())
        value = np.asarray(cells.get_array())[y, x]
        grey = float(np.dot(cells.cmap(cells.norm(value))[:3], (0.299, 0.587, 0.114)))
        print_grey = 1.0 if text.get_color() == "white" else 0.0
        assert abs(grey - print_grey) > 0.4

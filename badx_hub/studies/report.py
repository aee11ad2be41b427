"""Reports: results as tables, figures, one self-contained HTML page and a README, in a folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from markupsafe import Markup

from badx_hub.evaluation.plots import (
    Curves,
    gains_figure,
    language_curves,
    ratio_figure,
    sentences_figure,
    task_curves,
    to_png,
    to_svg,
)
from badx_hub.evaluation.published_differences import ADDRESS, CITATION
from badx_hub.evaluation.report_tables import (
    cost_table,
    data_table,
    published_table,
    score_table,
    sentences_table,
    significance_table,
    signs_table,
)
from badx_hub.evaluation.result_table import ResultTable, result_tables, task_title, titles
from badx_hub.evaluation.results import Result
from badx_hub.evaluation.sentence_curves import is_zero_shot
from badx_hub.languages import name_of
from badx_hub.metric_key import MetricKey
from badx_hub.registry.cards import as_markdown
from badx_hub.storage import atomic_write_bytes, canonical_json
from badx_hub.table import Table, to_csv, to_latex, to_markdown
from badx_hub.templates import templates

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE = "index.html"
README = "README.md"
RESULTS = "results.json"

_BEFORE_SVG = re.compile(r"\A.*?(?=<svg)", re.DOTALL)
_NAMESPACES = re.compile(r'\sxmlns(:\w+)?="[^"]*"')
_IDS = re.compile(r'((?:\bid="|href="#|url\(#))')


@dataclass(frozen=True)
class Picture:
    """A figure as files and on the page. `name` is the stem of its files; `title` says what the figure shows."""

    name: str
    title: str
    svg: bytes
    png: bytes

    @property
    def inline(self) -> Markup:
        """The SVG as an element of an HTML page. Its ids are prefixed, so that they differ from other pictures' ids."""
        text = _NAMESPACES.sub("", _BEFORE_SVG.sub("", self.svg.decode())).replace("xlink:href", "href")
        label = Markup(' role="img" aria-label="{}"').format(self.title)
        return Markup(_IDS.sub(rf"\g<1>{self.name}-", text).replace("<svg", f"<svg{label}", 1))


ReportPart: TypeAlias = Table | Picture | str
"""A part of a section; a text says what is left out and why."""


@dataclass(frozen=True)
class ReportSection:
    """A section of the report. `name` is its anchor on the page."""

    name: str
    title: str
    parts: tuple[ReportPart, ...]


@dataclass(frozen=True)
class StudyReport:
    """The contents of a report, in order, before anything is written. `introduction` holds paragraphs."""

    title: str
    introduction: tuple[str, ...]
    sections: tuple[ReportSection, ...]

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        return tuple(part for section in self.sections for part in section.parts if isinstance(part, Table))

    @cached_property
    def pictures(self) -> tuple[Picture, ...]:
        return tuple(part for section in self.sections for part in section.parts if isinstance(part, Picture))


def write_report(
    folder: Path,
    results: Sequence[Result],
    *,
    title: str,
    baseline: str = "mad-x",
    curves: Curves | None = None,
    note: str | None = None,
    registered: Sequence[str] = (),
) -> tuple[Path, ...]:
    """Write the report and give the paths of its files.

    They are index.html (the whole report, for any browser, offline), README.md (the same for a Git host),
    tables/*.{md,csv,tex}, figures/*.{svg,png} and results.json. Each file is written whole or not at all. The same
    arguments give the same bytes, whatever the order of `results`.

    Args:
        results: of one base; one for each task, target, setup, ratio and seed.
        title: plain text.
        baseline: the system that the others are compared with: "mad-x", "bad-x@5:1".
        curves: rows of `curves.csv` by the names of the adapters.
        note: plain text for the introduction; empty lines part paragraphs.
        registered: paragraphs about what was written down before (`badx_hub.studies.preregistration`).

    Raises:
        UsageError: no results; results that do not fit one report (see `result_tables`); a wrong name in `curves`.
        StorageError: the file system refuses.
    """
    report = report_of(results, title=title, baseline=baseline, curves=curves, note=note, registered=registered)
    files = {
        PAGE: to_html(report).encode(),
        README: to_readme(report).encode(),
        RESULTS: _results_json(results).encode(),
        **dict(_files(report)),
    }
    for name, content in files.items():
        atomic_write_bytes(folder / name, content)
    return tuple(folder / name for name in files)


def report_of(
    results: Sequence[Result],
    *,
    title: str,
    baseline: str = "mad-x",
    curves: Curves | None = None,
    note: str | None = None,
    registered: Sequence[str] = (),
) -> StudyReport:
    """The report that `write_report` writes."""
    tables = result_tables(results, baseline)
    published = published_table(tables)
    sections = (
        *([ReportSection("registered", "Registered before", tuple(registered))] if registered else []),
        *([ReportSection("published", "Beside the paper", (published,))] if published else []),
        *(_task_section(results) for results in tables),
        *_sentences_section(tables),
        _ratio_section(tables),
        _curves_section(tables, curves or {}),
        ReportSection("data", "Data", (data_table(tables),)),
    )
    return StudyReport(title=title, introduction=(_summary(tables), *_paragraphs(note or "")), sections=sections)


def to_html(report: StudyReport) -> str:
    """The report as one self-contained page: no scripts, fonts, other files or network."""
    return (
        templates("badx_hub.cards")
        .get_template("report.html.j2")
        .render(
            title=report.title,
            introduction=report.introduction,
            sections=report.sections,
            address=ADDRESS,
            citation=CITATION,
        )
    )


def to_readme(report: StudyReport) -> str:
    """The report in Markdown, with links to the files of its figures."""
    blocks = [f"# {as_markdown(report.title)}", *map(as_markdown, report.introduction)]
    blocks.append(f"Compared with the paper: [{CITATION}]({ADDRESS}). `{PAGE}` is this report as one page.")
    for section in report.sections:
        blocks += [f"## {as_markdown(section.title)}", *(_block(part) for part in section.parts)]
    return "\n\n".join(block.strip() for block in blocks) + "\n"


def _block(part: ReportPart) -> str:
    if isinstance(part, Table):
        files = ", ".join(f"[{kind}](tables/{part.name}.{kind})" for kind in ("csv", "tex"))
        return f"### {as_markdown(part.title)}\n\n{to_markdown(part)}\nAs files: {files}"
    if isinstance(part, Picture):
        return f"![{as_markdown(part.title)}](figures/{part.name}.png)\n\n{as_markdown(part.title)}"
    return as_markdown(part)


def _files(report: StudyReport) -> Iterator[tuple[str, bytes]]:
    for table in report.tables:
        for kind, text in (("md", to_markdown(table)), ("csv", to_csv(table)), ("tex", to_latex(table))):
            yield f"tables/{table.name}.{kind}", text.encode()
    for picture in report.pictures:
        yield f"figures/{picture.name}.svg", picture.svg
        yield f"figures/{picture.name}.png", picture.png


def _results_json(results: Sequence[Result]) -> str:
    """A JSON array with one result per line."""
    lines = sorted(canonical_json(result.model_dump(mode="json")) for result in results)
    return "[\n" + ",\n".join(lines) + "\n]\n"


def _summary(tables: Sequence[ResultTable]) -> str:
    names = tuple(dict.fromkeys(name for results in tables for name in results.names))
    called = titles(names)
    ordered = dict.fromkeys(called[name] for name in names)
    tasks = ", ".join(task_title(results.task) for results in tables)
    sources = " and ".join(dict.fromkeys(name_of(results.source) for results in tables))
    targets = dict.fromkeys(name_of(target) for results in tables for target in results.targets)
    how = "Zero-shot transfer" if all(map(is_zero_shot, names)) else "Transfer"
    return (
        f"{how} from {sources} to {', '.join(sorted(targets))} with the base {tables[0].base}. "
        f"Tasks: {tasks}. Setups: {', '.join(ordered)}. All scores are in points (per cent)."
    )


def _paragraphs(text: str) -> tuple[str, ...]:
    return tuple(" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip())


def _task_section(results: ResultTable) -> ReportSection:
    baseline = titles([results.baseline])[results.baseline]
    metric = MetricKey.parse(results.metric).title
    gains = _picture(
        f"gains-{results.task}",
        f"{task_title(results.task)}: gain in {metric} over {baseline}, by language and setup, in points.",
        gains_figure(results),
    )
    parts: tuple[ReportPart, ...] = (
        *(score_table(results, name) for name in results.metrics),
        gains or f"No map of gains: it takes {baseline} and two other results for the same languages.",
        significance_table(results) or f"No test of significance: there is nothing to compare with {baseline}.",
        *([signs] if (signs := signs_table(results)) else []),
        cost_table(results),
    )
    return ReportSection(results.task, task_title(results.task), parts)


def _sentences_section(tables: Sequence[ResultTable]) -> Iterator[ReportSection]:
    """Where task adapters learned from annotated sentences of the target: the scores by their number."""
    title = "Scores by the annotated sentences of the target. Lines join the means over seeds, a pale mark is one seed."
    curves = [curve for results in tables for curve in results.sentence_curves]
    if picture := _picture("sentences", title, sentences_figure(curves)):
        made = (sentences_table(results.sentence_curves) for results in tables)
        yield ReportSection("sentences", "Sentences of the target", (picture, *filter(None, made)))


def _ratio_section(tables: Sequence[ResultTable]) -> ReportSection:
    title = "Average by the ratio of source to target batches, over the languages that have every ratio."
    picture = _picture("ratios", title, ratio_figure(tables))
    left_out = "No figure of ratios: no setup was run at two ratios for the same language."
    return ReportSection("ratios", "Ratios", (picture or left_out,))


def _curves_section(tables: Sequence[ResultTable], curves: Curves) -> ReportSection:
    title = (
        "Perplexity on held-out text of each language while language adapters were trained. "
        "LA, BA, MA: adapters of one language, of a pair, of many."
    )
    pictures = [_picture("curves-language", title, language_curves(curves))]
    for results in tables:
        title = (
            f"{task_title(results.task)}: {MetricKey.parse(results.metric).title} on {name_of(results.source)} dev "
            "data while task adapters were trained. What was trained for no single language is in every panel."
        )
        figure = task_curves(curves, results.task, results.metric, results.source)
        pictures.append(_picture(f"curves-{results.task}", title, figure))
    there = tuple(picture for picture in pictures if picture)
    left_out = "No learning curves: no training with two evaluations."
    return ReportSection("curves", "Learning curves", there or (left_out,))


def _picture(name: str, title: str, figure: Figure | None) -> Picture | None:
    return Picture(name, title, to_svg(figure), to_png(figure)) if figure else None

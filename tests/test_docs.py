"""The documentation is true: its examples run, its commands exist, its links lead somewhere."""

from __future__ import annotations

import gzip
import re
import runpy
import shlex
import shutil
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from badx_hub import load_bilingual_stack, open_registry
from badx_hub.annotation import annotated, sentences_in
from badx_hub.cli import application
from badx_hub.modeling.base import resolve_base
from badx_hub.recipes import load_recipe
from badx_hub.studies.study import load_study
from tests.tiny import demo_data

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md")))

FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE_COMMAND = re.compile(r"`badx-hub (?P<rest>[^`\n]+)`")
COMMAND_LINE = re.compile(r"^ *(?:\$ )?badx-hub (?P<rest>.+)$", re.MULTILINE)
LINK = re.compile(r"\]\((?P<target>[^()\s]+)\)")
HEADING = re.compile(r"^#{1,6} (?P<title>.+)$", re.MULTILINE)
DEMO_USE = re.compile(r'registry(=|\()"demo"')
BEHIND_THE_COMMAND = {">", "|", "&&", "#"}
SENTENCES = 100


def id_of(value: object) -> str | None:
    return value.name if isinstance(value, Path) else None


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language, on the lines they have in the page, so that tracebacks point there."""
    text = page.read_text(encoding="utf-8")
    found = (match for match in FENCE.finditer(text) if match["language"] == language)
    return ["\n" * (text.count("\n", 0, match.start()) + 1) + match["code"] for match in found]


def commands(page: Path) -> Iterator[str]:
    """What stands behind `badx-hub` wherever a page shows a command: in blocks and inside lines."""
    text = re.sub(r"^```text\n.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    yield from (match["rest"] for match in COMMAND_LINE.finditer(text.replace("\\\n", " ")))
    yield from (match["rest"] for match in INLINE_COMMAND.finditer(text))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = (match["title"].lower() for match in HEADING.finditer(prose))
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles}


def test_the_page_of_the_command_line_is_what_the_program_says() -> None:
    made = runpy.run_path(str(DOCS / "make_command_line.py"))["page"]()
    written = (DOCS / "command-line.md").read_text(encoding="utf-8")
    assert written == made, "run: python docs/make_command_line.py"


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=id_of)
def test_python_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All blocks of a page, one after the other, in a folder that has the copies registry.md asks for."""
    examples = blocks(page, "python")
    if any(DEMO_USE.search(example) for example in examples):
        copy_the_demo_stack(tmp_path)
    write_short_data(tmp_path / "short")
    monkeypatch.setattr("badx_hub.data.demo_data.files", lambda _: tmp_path / "short")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for example in examples:
        exec(compile(example, str(page), "exec"), names)


def test_the_page_about_files_shows_what_the_shipped_tagger_says() -> None:
    [shown] = [block for block in blocks(DOCS / "annotate.md", "console") if "--registry demo\n#" in block]
    printed = shown[shown.index("# text") :]
    texts = re.findall("^# text = (.*)$", printed, re.MULTILINE)
    stack = load_bilingual_stack("en", "wo", "pos", registry="demo")
    sentences = sentences_in([(number, f"{text}\n") for number, text in enumerate(texts, start=1)], "the page")
    assert "".join(map(str, annotated([stack], sentences))) == printed


def write_short_data(root: Path) -> None:
    """The data of the package, its treebanks cut: the examples show how to train, not how long it takes."""
    data = shutil.copytree(demo_data(), root / "demo" / "data")
    for path in data.glob("ud/*/*.conllu.gz"):
        blocks = gzip.decompress(path.read_bytes()).split(b"\n\n")[:SENTENCES]
        path.write_bytes(gzip.compress(b"\n\n".join([*blocks, b""]), mtime=0))


def copy_the_demo_stack(folder: Path) -> None:
    shutil.copytree(resolve_base("demo").folder, folder / "base")
    registry = open_registry("demo")
    for name in ("demo/en-wo", "demo/en-wo/pos"):
        entry = registry.get(name)
        shutil.copytree(registry.fetch(entry), folder / entry.name.repo_name)


@pytest.mark.parametrize(
    ("page", "command"), [(page, command) for page in PAGES for command in dict.fromkeys(commands(page))], ids=id_of
)
def test_commands_exist_with_these_options(page: Path, command: str) -> None:
    """`--help` makes a command answer once it has parsed all of its options, before it does anything."""
    name, *rest = takewhile(lambda word: word not in BEHIND_THE_COMMAND, shlex.split(command))
    result = CliRunner().invoke(application(name), [name, "--help", *rest])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "yaml")], ids=id_of)
def test_recipes_and_studies_are_valid(page: Path, tmp_path: Path) -> None:
    for number, text in enumerate(blocks(page, "yaml")):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text, encoding="utf-8")
        load_study(file) if "\nblocks:" in text else load_recipe(str(file))


@pytest.mark.parametrize("page", PAGES, ids=id_of)
def test_no_link_inside_the_repository_is_dead(page: Path) -> None:
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    targets = [match["target"] for match in LINK.finditer(prose) if "://" not in match["target"]]
    for target in targets:
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def test_the_checks_find_what_is_wrong(tmp_path: Path) -> None:
    """A command, an option, a page and a heading that do not exist would be noticed."""
    page = tmp_path / "page.md"
    text = "# What: a page\n\n    badx-hub trian en-wo\n\nor `badx-hub list --colour` [it]({link})\n"
    for link in ("nowhere.md", "#nothing", "page.md#what"):
        page.write_text(text.format(link=link), encoding="utf-8")
        with pytest.raises(AssertionError):
            test_no_link_inside_the_repository_is_dead(page)
    assert list(commands(page)) == ["trian en-wo", "list --colour"]
    for command in commands(page):
        with pytest.raises(AssertionError):
            test_commands_exist_with_these_options(page, command)
    assert anchors(page) == {"what-a-page"}


def test_every_threat_names_tests_that_are_there() -> None:
    page = (DOCS / "trust.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and "`tests/" in line]
    assert len(rows) > 15
    for row in rows:
        for path in re.findall(r"`(tests/[\w/.]+)`", row):
            assert (ROOT / path).exists(), row
        for kind in re.findall(r"`tests/hostile` \(([\w, ]+)\)", row):
            assert all((ROOT / "tests" / "hostile" / f"{name}.py").is_file() for name in kind.split(", ")), row

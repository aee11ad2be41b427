"""Builds the documentation site into build/site and checks it: `python docs/build_site.py`, or `make docs`.

The pages keep the places that they have in the repository, so a link that works on a forge works on the site as well:
README.md is the start page, and whatever a page links to is taken along. Notebooks become pages with their outputs.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[1]
LAID_OUT, SITE = ROOT / "build" / "docs", ROOT / "build" / "site"
START = "README.md"

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?P<target>[^()\s]+)\)")
_NOTEBOOK_LINK = re.compile(r"(\]\([^()\s:]+)\.ipynb\b")
_NO_FILE = re.compile(r"[a-z]+:|//")
"""What a link to another host begins with, or one that holds its data itself."""


def lay_out() -> None:
    """Copy the pages of docs/ and the top level, and the files they link to, to build/docs."""
    shutil.rmtree(LAID_OUT, ignore_errors=True)
    waiting = [ROOT / START, *ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("docs/**/*.ipynb")]
    waiting += ROOT.glob("docs/assets/*")
    done: set[Path] = set()
    while waiting:
        source = waiting.pop()
        if source not in done:
            done.add(source)
            waiting += _place(source)


def _place(source: Path) -> list[Path]:
    """Put one file where the site expects it; the files that it links to."""
    destination = LAID_OUT / source.relative_to(ROOT)
    destination.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix not in (".md", ".ipynb"):
        shutil.copyfile(source, destination)
        return []
    text = _as_markdown(source) if source.suffix == ".ipynb" else source.read_text("utf-8")
    prose = _FENCE.sub("", text)
    # Python-Markdown reads `index.md`, not `README.md`, as the page of a folder.
    page = destination.with_suffix(".md")
    page = page.with_name("index.md") if page == LAID_OUT / START else page
    page.write_text(_NOTEBOOK_LINK.sub(r"\1.md", text).replace("](../README.md", "](../index.md"), encoding="utf-8")
    targets = (unquote(match["target"].partition("#")[0]) for match in _LINK.finditer(prose))
    linked = ((source.parent / target).resolve() for target in targets if target and not _NO_FILE.match(target))
    return [path for path in linked if path.is_file() and path.is_relative_to(ROOT)]


def _as_markdown(notebook: Path) -> str:
    """The notebook as a page: its cells, and below each what it printed. Every output is printed text."""
    blocks = []
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            blocks.append(source)
            continue
        blocks.append(f"```{'bash' if source.startswith('!') else 'python'}\n{source.removeprefix('!')}\n```")
        printed = "".join("".join(output["text"]) for output in cell["outputs"])
        if printed.strip():
            blocks.append(f"```{{.text .output}}\n{printed.strip()}\n```")
    return "\n\n".join(blocks)


class _Page(HTMLParser):
    """What a page points to and the anchors it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if "src" in given:
            self.loaded.append(given["src"])
        elif "href" in given:
            (self.loaded if tag == "link" else self.links).append(given["href"])


def faults(site: Path) -> Iterator[str]:
    """Every link that leads nowhere and everything that a page would load from another host."""
    pages = {path: _Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        where = path.relative_to(site)
        for target in page.loaded:
            if _NO_FILE.match(target) and not target.startswith("data:"):
                yield f"{where} loads {target} from another host"
        for target in {*page.links, *page.loaded}:
            if not _NO_FILE.match(target) and not _leads_somewhere(target, path, pages, site):
                yield f"{where} links to {target}, which is not there"


def _leads_somewhere(target: str, path: Path, pages: dict[Path, _Page], site: Path) -> bool:
    parts = urlsplit(target)
    file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if parts.path.startswith("/"):  # only the page for a missing address has such links
        file = site / unquote(parts.path).lstrip("/")
    if file.is_dir():
        file /= "index.html"
    anchor = unquote(parts.fragment)
    return file.exists() and (not anchor or file not in pages or anchor in pages[file].anchors)


def main() -> int:
    """Lay out, build, check; the exit status."""
    lay_out()
    shutil.rmtree(SITE, ignore_errors=True)
    built = subprocess.run([sys.executable, "-m", "zensical", "build", "--strict", "--clean"], cwd=ROOT)
    if built.returncode:
        return built.returncode
    wrong = list(faults(SITE))
    print(*wrong, f"{len(wrong)} faults in {len(list(SITE.rglob('*.html')))} pages: {SITE}/index.html", sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

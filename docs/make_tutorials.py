"""Runs the notebooks in docs/tutorials and stores them with what they print: `python docs/make_tutorials.py [NAME...]`.

Each runs in an empty folder with an empty home and without the network, so that it depends on nothing of this machine.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

TUTORIALS = Path(__file__).with_name("tutorials")
LIMIT = 3600
"""Seconds a cell, for a machine with other work."""

_STYLE = re.compile(r"\x1b\[[0-9;]*m")


def execute(notebook: Path) -> None:
    """Run all cells and write the notebook back, without times or versions that change with every run."""
    book = nbformat.read(notebook, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BADX_HUB_HOME"] = str(Path(folder, "home"))
        NotebookClient(book, timeout=LIMIT, record_timing=False, resources={"metadata": {"path": folder}}).execute()
    book.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    for number, cell in enumerate(book.cells):
        cell.id = f"cell-{number}"
        for output in cell.get("outputs", ()):
            output.text = _STYLE.sub("", output.text)  # Every output of the tutorials is printed text.
    nbformat.write(book, notebook)


if __name__ == "__main__":
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["NO_COLOR"] = "1"
    os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"  # tqdm's, and only where Jupyter has no widgets
    # `!badx-hub` in a cell is the program of this very environment.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for path in [TUTORIALS / f"{name}.ipynb" for name in sys.argv[1:]] or sorted(TUTORIALS.glob("*.ipynb")):
        print(path)
        execute(path)

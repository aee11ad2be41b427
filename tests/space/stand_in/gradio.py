"""As much of Gradio as the app of a Space uses, since no Gradio fits the pinned versions: one page, one function.

The page calls the function for the texts in its address (?text=...) and draws the rows that come back.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import urlsplit

_PAGE = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title></title></head><body>
<h1></h1><p></p><form></form><p id="error"></p><table><thead></thead><tbody></tbody></table><script>
const page = PAGE, texts = new URLSearchParams(location.search).getAll("text"), one = (q) => document.querySelector(q);
document.title = one("h1").textContent = page.title;
one("p").textContent = page.description;
const row = (cells, kind) => { const tr = document.createElement("tr");
  for (const cell of cells) { const td = document.createElement(kind); td.textContent = cell; tr.append(td); }
  return tr; };
page.inputs.forEach((label, place) => { const input = document.createElement("input");
  input.ariaLabel = label; input.name = "text"; input.defaultValue = texts[place] || ""; one("form").append(input); });
one("thead").append(row(page.columns, "th"));
if (texts.length) { const request = new XMLHttpRequest(); request.open("POST", "/run", false);
  request.send(JSON.stringify(texts)); const answer = JSON.parse(request.response);
  if (answer.error) one("#error").textContent = answer.error;
  else one("tbody").append(...answer.rows.map((cells) => row(cells, "td"))); }
</script></body></html>"""


class Error(Exception):
    """What the page shows in place of a result."""


@dataclass(frozen=True)
class Textbox:
    label: str


@dataclass(frozen=True)
class Dataframe:
    headers: Sequence[str]
    label: str


@dataclass(frozen=True)
class Interface:
    fn: Callable[..., list[list[str]]]
    inputs: Sequence[Textbox]
    outputs: Dataframe
    title: str
    description: str

    def launch(self) -> None:
        """Serve on GRADIO_SERVER_PORT and say so, as Gradio does, until the process ends."""
        server = HTTPServer(("127.0.0.1", int(os.environ["GRADIO_SERVER_PORT"])), _handler(self))
        print(f"* Running on local URL:  http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()

    def page(self) -> str:
        shown = {
            "title": self.title,
            "description": self.description,
            "inputs": [box.label for box in self.inputs],
            "columns": list(self.outputs.headers),
        }
        return _PAGE.replace("PAGE", json.dumps(shown))

    def answer(self, texts: Sequence[str]) -> dict[str, Any]:
        try:
            return {"rows": self.fn(*texts)}
        except Error as error:
            return {"error": str(error)}


def _handler(interface: Interface) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = urlsplit(self.path).path == "/"
            self._send(200 if found else 404, "text/html", interface.page() if found else "")

        def do_POST(self) -> None:
            texts = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._send(200, "application/json", json.dumps(interface.answer(texts)))

        def log_message(self, format: str, *args: object) -> None:
            """Nothing is logged."""

        def _send(self, status: int, kind: str, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.end_headers()
            self.wfile.write(text.encode())

    return Handler

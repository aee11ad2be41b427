"""The JSON API: what is chosen, what comes back, what is kept, and what is said of mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from badx_hub.annotation import annotated, sentences_in
from badx_hub.registry import LocalRegistry
from badx_hub.stack import load_bilingual_stack
from badx_hub.web.served_stacks import ServedStacks
from tests.waiting import until
from tests.web.client import Client, serving
from tests.web.conftest import served_of

NASTY = (
    "\ufeff# first = comment\n# sent_id = a\n"
    "1-2\tlëlu\t_\t_\t_\t_\t_\t_\t_\tGloss=x|SpaceAfter=No\n"
    "1\tlë\tlë\t_\tA:b\tNumber=Sing\t_\t_\t0:root\tGloss=3\r\n"
    "2\tlu\t_\tNOUN\t_\t_\t_\t_\t_\tUposProb=0.9|K=\u2028v\n"
    "2.1\te\t_\t_\t_\t_\t_\t_\t_\t_\n\n"
    "# alone\n\n\n1\tba\t_\t_\t_\t_\t_\t_\t_\t_"
)


def blanked(text: str) -> list[list[str]]:
    """Every cell but UPOS, HEAD, DEPREL and name= in MISC."""
    rows = []
    for line in text.split("\n"):
        row = line.split("\t")
        if len(row) == 10 and row[0].lstrip("\ufeff").isdecimal():
            misc = "|".join(part for part in row[9].rstrip("\r").split("|") if not part.startswith("name="))
            row = [*row[:3], *row[4:6], row[8], misc if misc != "_" else "", str(row[9].endswith("\r"))]
        rows.append(row)
    return rows


def test_stacks_are_listed(web: Client) -> None:
    found = {one["key"]: one for one in web.get("/api/stacks").json}
    assert found.keys() == {"tiny.en-wo", "tiny.en-bm"}
    assert found["tiny.en-wo"]["tasks"] == ["pos", "dp", "ner"] and found["tiny.en-bm"]["tasks"] == ["pos"]
    assert "B-PER" in found["tiny.en-wo"]["labels"]["ner"] and found["tiny.en-wo"]["title"] == "en-wo on tiny"


def test_it_says_what_annotate_says(web: Client, stacks: LocalRegistry, tiny_base: Path) -> None:
    text = "Nanga def?\nXanaa leeral ne lëlu bi.\n"
    asked = {"stack": "tiny.en-wo", "text": text, "tasks": ["dp", "pos"]}
    told = web.post("/api/annotate", asked).json
    loaded = [load_bilingual_stack("en", "wo", task, registry=stacks, base=str(tiny_base)) for task in ("dp", "pos")]
    lines = [(number, line) for number, line in enumerate(text.splitlines(keepends=True), start=1)]
    expected = [str(raw) for raw in annotated(loaded, sentences_in(lines, "text"))]
    assert [piece["conllu"] for piece in told["pieces"]] == expected
    words = [word for piece in told["pieces"] for word in piece["words"]]
    assert all(0 < word["probability"]["upos"] <= 1 and 0 < word["probability"]["head"] <= 1 for word in words)
    assert words[0]["form"] == "Nanga" and words[0]["upos"] and words[0]["deprel"] and words[0]["name"] is None
    whole = web.post("/api/annotate", {**asked, "output": "conllu"})
    assert whole.headers["content-type"].startswith("text/plain") and whole.body.decode() == "".join(expected)


@pytest.mark.parametrize("tasks", [[], ["pos", "dp", "ner"]])
def test_what_is_not_asked_for_is_kept(web: Client, tasks: list[str]) -> None:
    told = web.post("/api/annotate", {"stack": "tiny.en-wo", "text": NASTY, "tasks": tasks})
    text = "".join(piece["conllu"] for piece in told.json["pieces"])
    assert blanked(text) == blanked(NASTY)
    assert (text == NASTY) == (not tasks)
    if tasks:  # a tag that is there stays, and nothing is said of it
        word = told.json["pieces"][0]["words"][1]
        assert word["upos"] == "NOUN" and "upos" not in word["probability"] and "head" in word["probability"]
        assert "UposProb=0.9|K=\u2028v" in text and "HeadProb" not in text


def test_it_overwrites_if_asked(web: Client) -> None:
    row = "1\tba\t_\tX\t_\t_\t0\troot\t_\t_\n\n"
    asked = {"stack": "tiny.en-wo", "text": row * 40, "tasks": ["pos"]}
    assert web.post("/api/annotate", {**asked, "output": "conllu"}).body.decode() == row * 40
    changed = web.post("/api/annotate", {**asked, "overwrite": True, "output": "conllu"}).body.decode()
    assert changed.count("\tX\t") in (0, 40) and changed.count("\t0\troot\t") == 40


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ({}, 422, "text: Field required"),
        ({"text": "a", "x": 1}, 422, "x: Extra inputs"),
        ({"text": "a"}, 404, "tiny.en-bm, tiny.en-wo"),
        ({"text": "a", "stack": "nix"}, 404, "Name one of the stacks"),
        ({"text": "a", "stack": "tiny.en-bm", "tasks": ["dp"]}, 422, "has no task 'dp'; it has pos"),
        ({"text": "1\ta\n", "conllu": True, "tasks": []}, 422, "the text:1: 2 tab-separated columns"),
        ({"text": "1\ta\t_\t_\t_\t_\t9\t_\t_\t_\n", "tasks": []}, 422, "HEAD of word 1 is 9"),
        ({"text": 5}, 422, "text: Input should be a valid string"),
        ([], 422, "Input should be"),
    ],
)
def test_mistakes_are_told_in_a_line(web: Client, asked: object, status: int, said: str) -> None:
    told = web.post("/api/annotate", asked)
    assert (told.status, said in told.error) == (status, True), told.error


def test_other_addresses_and_methods(web: Client) -> None:
    assert (web.get("/nix").status, web.get("/static/..%2fapp.py").status) == (404, 404)
    assert web.get("/api/annotate").status == 405 and "no address for GET" in web.get("/api/annotate").error


def test_a_stack_that_cannot_be_loaded_is_told(stacks: LocalRegistry, tmp_path: Path) -> None:
    with serving(served_of(stacks, tmp_path, only="tiny.en-bm")) as client:
        told = client.post("/api/annotate", {"text": "a"})
        assert told.status == 500 and tmp_path.name in told.error
        # A job gives its place back just after it has been answered.
        until(lambda: client.get("/health").json == {"status": "ok", "waiting": 0})


def test_the_reference_needs_no_network_and_shows_every_field(web: Client) -> None:
    page, description = web.get("/api").body.decode(), web.get("/openapi.json").json
    assert {"/api/annotate", "/api/stacks", "/health", "/inception/{stack}/predict"} <= description["paths"].keys()
    assert "://" not in page and "<script" not in page
    assert all(f"<code>{name}</code>" in page for name in ("text", "overwrite", "pieces", "tasks", "document"))


def test_bases_are_loaded_once_for_all_stacks(web: Client, served: ServedStacks) -> None:
    for key in served.choices:
        assert web.post("/api/annotate", {"stack": key, "text": "a", "tasks": ["pos"]}).status == 200
    models = {id(stack.model) for choice in served.choices.values() for stack in served.stacks(choice).values()}
    assert len(models) == 1
    # A job gives its place back just after it has been answered.
    until(lambda: web.get("/health").json == {"status": "ok", "waiting": 0})

"""INCEpTION's protocol replayed, with documents made by `cassis`: what it sends, what comes back, what is refused.

The requests have the fields that INCEpTION's `ExternalRecommender` (version 1) sends, "range" among them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cassis
import pytest

from badx_hub.registry import LocalRegistry
from badx_hub.stack import load_bilingual_stack
from badx_hub.web.inception import DEPENDENCY, ENTITY, POS, PREDICTED, SENTENCE, TOKEN
from tests.web.client import Client, serving
from tests.web.conftest import served_of

WORDS = (("Nanga", "def", "👍", "?"), ("Xanaa", "leeral", "Sutsas", "lëlu", "."))
STRING, DOUBLE, BOOLEAN = "uima.cas.String", "uima.cas.Double", "uima.cas.Boolean"


def types(*, marked: bool = True) -> cassis.TypeSystem:
    """DKPro's layers as INCEpTION sends them, with the features for suggestions unless not `marked`."""
    system = cassis.TypeSystem()
    made = {name: system.create_type(name, "uima.tcas.Annotation") for name in (SENTENCE, TOKEN, POS, ENTITY)}
    made[DEPENDENCY] = system.create_type(DEPENDENCY, "uima.tcas.Annotation")
    for end in ("Governor", "Dependent"):
        system.create_feature(made[DEPENDENCY], end, made[TOKEN])
    for layer, names in ((POS, ("PosValue", "coarseValue")), (ENTITY, ("value",)), (DEPENDENCY, ("DependencyType",))):
        for name in names:
            system.create_feature(made[layer], name, STRING)
            if marked:
                system.create_feature(made[layer], f"{name}_score", DOUBLE)
        if marked:
            system.create_feature(made[layer], PREDICTED, BOOLEAN)
    return system


def document(system: cassis.TypeSystem, *, sentences: bool = True) -> cassis.Cas:
    """Two sentences, one tag that an annotator has given, and a character that is two of UTF-16."""
    cas = cassis.Cas(typesystem=system)
    cas.sofa_string = "\n".join(" ".join(words) for words in WORDS)
    cas.sofa_mime = "text/plain"
    end = 0
    for words in WORDS:
        begin = end
        for word in words:
            start = cas.sofa_string.index(word, end)
            end = start + len(word)
            cas.add(system.get_type(TOKEN)(begin=start, end=end))
        if sentences:
            cas.add(system.get_type(SENTENCE)(begin=begin + (begin > 0), end=end))
    cas.add(system.get_type(POS)(begin=0, end=5, PosValue="X"))
    return cas


def request(cas: cassis.Cas, layer: str, feature: str) -> dict[str, Any]:
    metadata = {"layer": layer, "feature": feature, "projectId": 3, "anchoringMode": "tokens", "crossSentence": False}
    return {
        "metadata": {**metadata, "range": {"begin": 0, "end": 9}},
        "document": {"xmi": cas.to_xmi(), "documentId": 42, "userId": "anna"},
        "typeSystem": cas.typesystem.to_xml(),
    }


def predicted(client: Client, layer: str, feature: str, cas: cassis.Cas | None = None) -> list[Any]:
    """The suggestions, as INCEpTION reads them out of the answer."""
    sent = cas or document(types())
    told = client.post("/inception/tiny.en-wo/predict", request(sent, layer, feature))
    assert told.status == 200, told
    back = cassis.load_cas_from_xmi(told.json["document"], cassis.load_typesystem(sent.typesystem.to_xml()))
    assert back.sofa_string == sent.sofa_string
    assert len(back.select(TOKEN)) == len(sent.select(TOKEN)) and len(back.select(SENTENCE)) == len(
        sent.select(SENTENCE)
    )
    assert [one.PosValue for one in back.select(POS) if not one[PREDICTED]] == ["X"]
    return [one for one in back.select(layer) if one[PREDICTED]]


def says(stacks: LocalRegistry, base: Path, task: str) -> tuple[Any, ...]:
    """What the stack says of the same words."""
    return load_bilingual_stack("en", "wo", task, registry=stacks, base=str(base)).predict(WORDS)


@pytest.mark.parametrize("feature", ["PosValue", "coarseValue"])
def test_tags_are_suggested(web: Client, stacks: LocalRegistry, tiny_base: Path, feature: str) -> None:
    found = predicted(web, POS, feature)
    expected = [tag for tags in says(stacks, tiny_base, "pos") for tag in tags]
    assert [one[feature] for one in found] == expected
    assert [one.get_covered_text() for one in found] == [word for words in WORDS for word in words]
    assert all(0 < one[f"{feature}_score"] <= 1 for one in found)


def test_arcs_are_suggested(web: Client, stacks: LocalRegistry, tiny_base: Path) -> None:
    found = predicted(web, DEPENDENCY, "DependencyType")
    expected = [
        (words[head - 1] if head else word, word, relation)
        for words, tree in zip(WORDS, says(stacks, tiny_base, "dp"), strict=True)
        for word, head, relation in zip(words, tree.heads, tree.deprels, strict=True)
    ]
    arcs = [(one.Governor.get_covered_text(), one.Dependent.get_covered_text(), one.DependencyType) for one in found]
    assert arcs == expected
    assert sum(one.Governor.xmiID == one.Dependent.xmiID for one in found) == len(WORDS)  # a root each
    assert all(one.begin == one.Dependent.begin and 0 < one.DependencyType_score <= 1 for one in found)


def test_names_are_suggested(web: Client, stacks: LocalRegistry, tiny_base: Path) -> None:
    found = predicted(web, ENTITY, "value")
    words = sum(tag != "O" for tags in says(stacks, tiny_base, "ner") for tag in tags)
    assert words and sum(len(one.get_covered_text().split()) for one in found) == words
    assert {one.value for one in found} <= {"LOC", "PER"} and all(0 < one.value_score <= 1 for one in found)


def test_a_document_without_sentences_is_one(web: Client) -> None:
    cas = document(types(), sentences=False)
    found = predicted(web, DEPENDENCY, "DependencyType", cas)
    assert sum(one.Governor.xmiID == one.Dependent.xmiID for one in found) == 1


def test_training_is_refused_with_what_to_do(web: Client) -> None:
    for path in ("/inception/tiny.en-wo/train", "/inception/train"):
        told = web.post(path, {"metadata": {}, "documents": [], "typeSystem": ""})
        assert told.status == 501 and "Untick Trainable" in told.error


@pytest.fixture(scope="module")
def single(stacks: LocalRegistry, tiny_base: Path) -> Iterator[Client]:
    with serving(served_of(stacks, tiny_base, only="tiny.en-bm")) as client:
        yield client


def test_one_stack_needs_no_name_in_the_address(single: Client, web: Client) -> None:
    asked = request(document(types()), POS, "PosValue")
    assert single.post("/inception/predict", asked).status == 200
    several = web.post("/inception/predict", asked)
    assert several.status == 404 and "tiny.en-bm, tiny.en-wo" in several.error


LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    ("part", "xml", "said"),
    [
        ("xmi", "", "no UIMA CAS"),
        ("xmi", "rubbish", "no UIMA CAS"),
        ("xmi", "<a>" * 5_000, "no UIMA CAS"),
        ("xmi", "<a/>", "tokens and sentences|no UIMA CAS"),
        ("xmi", f'<?xml version="1.0"?>{LAUGHS}<x>&b;</x>', "without a document type"),
        ("typeSystem", f"{OUTSIDE}<x>&a;</x>", "without a document type"),
        ("typeSystem", '<?xml version="1.0" encoding="UTF-7"?><x/>', "read in UTF-8"),
        ("xmi", "\n <?xml version='1.0' encoding='utf-16'?><x/>", "read in UTF-8"),
        ("typeSystem", "<typeSystemDescription/>", "no UIMA CAS|tokens and sentences"),
        ("typeSystem", "", "no UIMA CAS"),
    ],
)
def test_what_is_no_document_is_refused(single: Client, part: str, xml: str, said: str) -> None:
    asked = request(document(types()), POS, "PosValue")
    if part == "xmi":
        asked["document"]["xmi"] = xml
    else:
        asked[part] = xml
    told = single.post("/inception/predict", asked)
    assert told.status == 400 and any(one in told.error for one in said.split("|")), told.error


def test_types_that_cost_time_are_refused(single: Client) -> None:
    """A deep chain, a circle, many types, and many features that many types inherit."""
    feature = "<featureDescription><name>f{0}</name><rangeTypeName>uima.cas.String</rangeTypeName></featureDescription>"
    kind = "<typeDescription><name>{}</name><supertypeName>{}</supertypeName><features>{}</features></typeDescription>"
    many = "".join(map(feature.format, range(3_000)))
    for kinds in (
        [kind.format(f"a.A{one}", f"a.A{one + 1}", "") for one in range(300)],
        [kind.format("a.A", "a.B", ""), kind.format("a.B", "a.A", "")],
        [kind.format(f"a.A{one}", "uima.tcas.Annotation", "") for one in range(2_001)],
        [kind.format("a.A", "x.X", many), *(kind.format(f"a.B{one}", "a.A", "") for one in range(9))],
    ):
        asked = request(document(types()), POS, "PosValue")
        asked["typeSystem"] = f"<typeSystemDescription><types>{''.join(kinds)}</types></typeSystemDescription>"
        told = single.post("/inception/predict", asked)
        assert told.status == 413 and "The type system" in told.error


def test_overlapping_sentences_share_no_token(web: Client) -> None:
    cas = document(types())
    kind = cas.typesystem.get_type(SENTENCE)
    for _ in range(2_000):
        cas.add(kind(begin=0, end=len(cas.sofa_string)))
    assert len(predicted(web, POS, "PosValue", cas)) == sum(map(len, WORDS))


def test_layers_that_no_task_knows_are_refused(single: Client) -> None:
    cas = document(types())
    for layer, feature, said in (
        (POS, "other", "there are POS (PosValue)"),
        ("custom.Span", "value", "NamedEntity (value)"),
        (DEPENDENCY, "DependencyType", "has no task dp; it has pos"),
    ):
        told = single.post("/inception/predict", request(cas, layer, feature))
        assert told.status == 422 and said in told.error
    told = single.post("/inception/predict", request(document(types(marked=False)), POS, "PosValue"))
    assert told.status == 400 and PREDICTED in told.error


def test_requests_without_their_fields_are_refused(single: Client) -> None:
    asked = request(document(types()), POS, "PosValue")
    for missing in asked:
        told = single.post("/inception/predict", {key: value for key, value in asked.items() if key != missing})
        assert told.status == 422 and missing in told.error


def test_without_the_extra_it_says_what_to_install(single: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("badx_hub.web.inception.find_spec", lambda name: None)
    told = single.post("/inception/predict", request(document(types()), POS, "PosValue"))
    assert told.status == 501 and "pip install 'badx-hub[inception]'" in told.error

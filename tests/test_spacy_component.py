"""The component in an unmodified spaCy: documents hold what the stacks predict, batched, saved and loaded again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from badx_hub.errors import IntegrityError, UsageError
from badx_hub.registry import LocalRegistry
from badx_hub.stack import BilingualStack, StackParts, load_together
from tests.made import made
from tests.refusals import refused

spacy = pytest.importorskip("spacy", reason="no spaCy here: pip install 'badx-hub[spacy]'")

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

TASKS = ("pos", "dp", "ner")
TEXT = "Xanaa leeral ne  lëlu waxtaanu. Nanga def?"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> LocalRegistry:
    registry = LocalRegistry(tmp_path_factory.mktemp("spacy") / "registry")
    below = made(registry, tiny_base, "tiny/en-wo", seed=1)
    for seed, task in enumerate(TASKS, start=2):
        made(registry, tiny_base, f"tiny/en-wo/{task}", seed=seed, on=below)
    return registry


@pytest.fixture(scope="module")
def stacks(registry: LocalRegistry, tiny_base: Path) -> tuple[BilingualStack, ...]:
    entries = {entry.name.task: entry for entry in registry.list()}
    parts = [StackParts((entries[None], entries[task]), registry) for task in TASKS]
    return load_together(parts, base=str(tiny_base))


def config(registry: LocalRegistry, base: Path, **changed: Any) -> dict[str, Any]:
    return {"pair": "en-wo", "tasks": list(TASKS), "registry": str(registry.root), "base": str(base), **changed}


@pytest.fixture(scope="module")
def nlp(registry: LocalRegistry, tiny_base: Path) -> Language:
    nlp = spacy.blank("xx")
    nlp.add_pipe("sentencizer")
    nlp.add_pipe("badx_hub", config=config(registry, tiny_base))
    return nlp


def words(doc: Doc) -> list[list[str]]:
    return [[token.text for token in sent if not token.is_space] for sent in doc.sents]


def layers(doc: Doc) -> list[tuple[Any, ...]]:
    return [(token.text, token.pos_, token.head.i, token.dep_, token.ent_iob_, token.ent_type_) for token in doc]


def test_a_document_holds_what_the_stacks_predict(nlp: Language, stacks: tuple[BilingualStack, ...]) -> None:
    doc = nlp(TEXT)
    assert words(doc) == [["Xanaa", "leeral", "ne", "lëlu", "waxtaanu", "."], ["Nanga", "def", "?"]]
    assert doc.has_annotation("DEP") and doc.has_annotation("POS") and doc.has_annotation("ENT_IOB")
    tagger, parser, finder = stacks
    told = [token for token in doc if not token.is_space]
    assert [token.pos_ for token in told] == [tag for tags in tagger.predict(words(doc)) for tag in tags]
    for sent, tree in zip(doc.sents, parser.predict(words(doc)), strict=True):
        found = [token for token in sent if not token.is_space]
        numbers = {token.i: number for number, token in enumerate(found, start=1)}
        heads = [0 if token.head.i == token.i else numbers[token.head.i] for token in found]
        assert heads == list(tree.heads)
        assert [token.dep_.replace("ROOT", "root") for token in found] == list(tree.deprels)
        assert sent.root.dep_ == "ROOT"
    entities = []
    for sent, example in zip(doc.sents, finder.examples(words(doc)), strict=True):
        record = finder.task.record(example, finder.predict_examples([example])[0])
        found = [token for token in sent if not token.is_space]
        entities += [(found[one["start"]].i, found[one["end"] - 1].i + 1, one["type"]) for one in record["entities"]]
    assert [(span.start, span.end, span.label_) for span in doc.ents] == entities != []


def test_white_space_is_no_word(nlp: Language) -> None:
    doc = nlp("Nanga  def?\n ")
    space, last = (token for token in doc if token.is_space)
    assert (space.text, space.pos_, space.head.text, space.dep_) == (" ", "SPACE", "Nanga", "dep")
    assert (last.pos_, last.head, last.dep_) == ("SPACE", last, "ROOT")  # a sentence of its own, says spaCy
    assert [sent.text for sent in doc.sents] == ["Nanga  def?", "\n "] and doc.has_annotation("DEP")
    assert [len(nlp(text)) for text in ("", " ")] == [0, 1]


def test_batches_give_what_single_documents_do(nlp: Language) -> None:
    texts = [TEXT, "", "Nanga def?", " ", "Waaw.", TEXT * 3]
    assert [layers(doc) for doc in nlp.pipe(texts, batch_size=2)] == [layers(nlp(text)) for text in texts]


def test_a_document_without_sentences_is_one(registry: LocalRegistry, tiny_base: Path) -> None:
    nlp = spacy.blank("xx")
    nlp.add_pipe("badx_hub", config=config(registry, tiny_base, tasks=["dp"]))
    assert len(list(nlp(TEXT).sents)) == 1
    assert not nlp(TEXT).has_annotation("POS")


def test_a_pipeline_is_saved_and_loaded(nlp: Language, tmp_path: Path) -> None:
    nlp.to_disk(tmp_path / "pipeline")
    again = spacy.load(tmp_path / "pipeline")
    assert layers(again(TEXT)) == layers(nlp(TEXT))
    assert layers(spacy.blank("xx").from_config(nlp.config).from_bytes(nlp.to_bytes())(TEXT)) == layers(nlp(TEXT))


def test_other_adapters_than_those_saved_are_refused(
    nlp: Language, registry: LocalRegistry, tiny_base: Path, tmp_path: Path
) -> None:
    nlp.to_disk(tmp_path / "pipeline")
    below = next(entry for entry in registry.list() if entry.name.task is None)
    newer = made(registry, tiny_base, "tiny/en-wo/pos", seed=9, on=below, day=2)
    try:
        with refused(IntegrityError, "not those that the pipeline was saved with"):
            spacy.load(tmp_path / "pipeline")
    finally:
        registry.remove(newer, force=True)


def test_errors_go_to_the_handler_of_spacy(nlp: Language, monkeypatch: pytest.MonkeyPatch) -> None:
    component = nlp.get_pipe("badx_hub")
    failed: list[str] = []
    fill = component._fill

    def faulty(docs: list[Doc]) -> None:
        if any("boom" in doc.text for doc in docs):
            raise RuntimeError("boom")
        fill(docs)

    monkeypatch.setattr(component, "_fill", faulty)
    with pytest.raises(RuntimeError, match="boom"):
        list(nlp.pipe(["boom"]))
    nlp.set_error_handler(lambda name, component, docs, error: failed.extend(doc.text for doc in docs))
    try:
        kept = [doc.text for doc in nlp.pipe(["Waaw.", "boom", "Def?"], batch_size=1)]
    finally:
        from badx_hub.spacy_component import _raised

        nlp.set_error_handler(_raised)
    assert (kept, failed) == (["Waaw.", "Def?"], ["boom"])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"tasks": []}, "expected each of them once"),
        ({"tasks": ["pos", "pos"]}, "expected each of them once"),
        ({"tasks": ["nli"]}, "no place in a document"),
        ({"tasks": ["poss"]}, "no task 'poss'"),
        ({"pair": "en wo zz!"}, "language"),
    ],
)
def test_a_config_that_is_wrong(registry: LocalRegistry, tiny_base: Path, changed: dict[str, Any], said: str) -> None:
    with refused(UsageError, said):
        spacy.blank("xx").add_pipe("badx_hub", config=config(registry, tiny_base, **changed))

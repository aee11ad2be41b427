"""Every row of the table of families does all that a base has to do, in the layout of its real files.

An LA with an invertible part, a BA with sub-words of its own that is stopped and goes on, and a task adapter for every
task are trained for a few steps, saved, pushed to a Hub, pulled into another home, loaded, and predict what they
predicted.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from badx_hub import load_bilingual_stack
from badx_hub.adapter_files import INTERFACE_FILE
from badx_hub.errors import TrainingInterrupted
from badx_hub.languages import Mixture
from badx_hub.modeling.base import resolve_base
from badx_hub.modeling.families import FAMILIES, family_of
from badx_hub.modeling.loading import load_masked_lm, load_tokenizer
from badx_hub.modeling.model_adapters import activate, load_adapter, use_vocabulary
from badx_hub.recipes import AdapterRecipe, LanguageRecipe, TaskRecipe
from badx_hub.registry import Entry, LocalRegistry, copy
from badx_hub.registry.hub import HubRegistry
from badx_hub.tasks import TASKS
from badx_hub.training.language_adapter import train_language_adapter
from badx_hub.training.task_adapter import train_task_adapter
from tests.bases import BASES, write_base
from tests.hub.fixture import hub as hub
from tests.hub.server import HubServer
from tests.registry.test_cards import fences
from tests.tiny import demo_data, demo_lines

PAIR = Mixture.parse("en-wo")
LANGUAGE = LanguageRecipe(
    steps=3,
    batch_size=2,
    learning_rate=1e-2,
    eval_every=3,
    save_every=3,
    max_length=32,
    eval_blocks=2,
    extend_vocabulary=30,
    seed=1,
)
TASK = TaskRecipe(steps=2, batch_size=2, learning_rate=1e-2, eval_every=2, save_every=2, max_length=64)
SENTENCES = (("Xanaa", "leeral", "ne"), ("lëlu", "waxtaanu", "Sutsas", "bi", "."))
PAIRS = (("Xanaa leeral ne .", "lëlu waxtaanu"), ("Sutsas bi", "ne ."))
NER = "EU O\nrejects B-ORG\nGerman I-ORG\n\nPeter B-PER\ncalls O\n"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Text of both languages and a few annotated examples of each task."""
    folder = tmp_path_factory.mktemp("data")
    for language in PAIR.languages:
        (folder / f"{language}.txt").write_text("\n".join(demo_lines(language, 120)), encoding="utf-8")
    with gzip.open(demo_data() / "ud" / "UD_English-EWT" / "en_ewt-ud-dev.conllu.gz", "rt", encoding="utf-8") as file:
        blocks = file.read().split("\n\n")[:9]
    for kind in ("ud", "ner", "nli"):
        (folder / kind).mkdir()
    lines = [json.dumps({"sentence1": a, "sentence2": b, "gold_label": "neutral"}) for a, b in PAIRS]
    for split, part in (("train", blocks[:6]), ("dev", blocks[6:])):
        (folder / "ud" / f"en_x-ud-{split}.conllu").write_text("\n\n".join([*part, ""]), encoding="utf-8")
        (folder / "ner" / f"{split}.txt").write_text(NER, encoding="utf-8")
        (folder / "nli" / f"{split}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    places = {"pos": "ud", "dp": "ud", "ner": "ner", "nli": "nli"}
    return {
        **{language: str(folder / f"{language}.txt") for language in PAIR.languages},
        **{task: str(folder / place) for task, place in places.items()},
    }


def trained(base: Path, registry: LocalRegistry, data: Mapping[str, str]) -> dict[str, Entry]:
    """The adapters of the walk; the BA stops after its first step and goes on."""
    text = {language: data[language] for language in PAIR.languages}
    languages: dict[str, Any] = {"registry": registry, "base": str(base)}
    plain = {"adapter": AdapterRecipe(invertible=True), "head": "all", "extend_vocabulary": 0}
    recipe = LANGUAGE.model_copy(update=plain)
    la = train_language_adapter(Mixture.parse("wo"), recipe, text={"wo": text["wo"]}, **languages)
    with pytest.raises(TrainingInterrupted, match="after step 1 of 3"):
        train_language_adapter(PAIR, LANGUAGE, text=text, time_limit=0, **languages)
    ba = train_language_adapter(PAIR, LANGUAGE, text=text, **languages)
    tasks = {task: train_task_adapter(PAIR, task, TASK, data=data[task], registry=registry).entry for task in TASKS}
    return {"la": la.entry, "ba": ba.entry, **tasks}


def predictions(base: Path, registry: Any) -> dict[str, Any]:
    stacks = {task: load_bilingual_stack("en", "wo", task, base=str(base), registry=registry) for task in TASKS}
    return {task: stack.predict(PAIRS if task == "nli" else SENTENCES) for task, stack in stacks.items()}


def moved(entry: Entry, registry: LocalRegistry) -> bool:
    """Whether training changed the adapter: a new one starts near the identity, its biases at 0."""
    weights = load_file(registry.fetch(entry) / "adapter.safetensors")
    return any("up" in name and name.endswith("bias") and value.abs().sum() > 0 for name, value in weights.items())


@pytest.mark.parametrize("name", BASES)
def test_a_family_does_all_that_a_base_has_to(
    name: str, data: Mapping[str, str], hub: HubServer, tmp_path: Path
) -> None:
    base, registry = write_base(tmp_path / name, name), LocalRegistry(tmp_path / "registry")
    entries = trained(base, registry, data)
    assert all(moved(entry, registry) for entry in entries.values())
    here = predictions(base, registry)
    assert [len(words) for words in here["pos"]] == [3, 5]
    org = HubRegistry("acme", token=hub.token)
    for entry in entries.values():
        copy(entry, registry, org)
    again = write_base(tmp_path / "elsewhere" / name, name)
    assert predictions(again, "hf:acme") == here
    assert (INTERFACE_FILE in entries["ba"].manifest.files) == (
        family_of(resolve_base(str(base)).config).plain_model is None
    )
    card = (registry.fetch(entries["ba"]) / "README.md").read_text(encoding="utf-8")
    plain_states(base, registry, entries["ba"], card)


def plain_states(base: Path, registry: LocalRegistry, ba: Entry, card: str) -> None:
    """The code in a card runs without badx_hub, and gives the states that we compute."""
    code = next(code for code in fences(card) if "load_adapter" in code)
    code = code.replace("path/to/base", str(base)).replace(f"./{ba.name.repo_name}", str(registry.fetch(ba)))
    opened = resolve_base(str(base))
    found: dict[str, Any] = {}
    exec(code, found)
    ours, tokenizer = load_masked_lm(opened), load_tokenizer(opened)
    size = len(tokenizer)
    use_vocabulary(ours, tokenizer, ba.name, registry.fetch(ba))
    for line in demo_lines("wo", 20):
        assert found["tokenizer"](line)["input_ids"] == tokenizer(line)["input_ids"]
    ids = torch.cat([torch.arange(5, size, 30), torch.arange(size, size + 20, 5)])[None]
    assert ids[0, -1] >= size
    load_adapter(ours, ba.name, registry.fetch(ba))
    activate(ours, [ba.name])
    with torch.inference_mode():
        theirs = found["model"].eval().base_model(input_ids=ids)[0]
        torch.testing.assert_close(theirs, ours.eval().base_model(input_ids=ids)[0])


def test_every_family_is_walked() -> None:
    assert {made.model_type for made in BASES.values()} == FAMILIES.keys()

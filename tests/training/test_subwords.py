"""Language adapters with sub-words of their own: what is trained and kept, what goes on, and what does not mix."""

from __future__ import annotations

import codecs
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from badx_hub import load_bilingual_stack
from badx_hub.adapter_files import VOCABULARY_FILE, VOCABULARY_FILES, VOCABULARY_WEIGHTS_FILE
from badx_hub.corpora.subword_list import SubWords
from badx_hub.errors import DataError, IntegrityError, TrainingInterrupted, UsageError
from badx_hub.evaluation.perplexity import measure_perplexity
from badx_hub.languages import Mixture
from badx_hub.manifest import Manifest, ManifestDraft
from badx_hub.modeling.base import resolve_base
from badx_hub.modeling.extended_embeddings import ExtendedEmbedding
from badx_hub.modeling.loading import load_encoder, load_tokenizer
from badx_hub.modeling.model_adapters import use_vocabulary
from badx_hub.recipes import LanguageRecipe, load_recipe, override
from badx_hub.registry import Entry, LocalRegistry
from badx_hub.registry.adapter_folder import prepare
from badx_hub.registry.merging import merge
from badx_hub.stack import StackParts, load_together
from badx_hub.training.language_adapter import planned, train_language_adapter
from badx_hub.training.task_adapter import train_task_adapter
from tests.refusals import refused
from tests.tiny import demo_lines, small_treebank, write_tiny_base

PAIR = Mixture.of("en", "fo")
SENTENCE = codecs.encode("Xanaa leeral ne waxtaanu", "rot13").split()


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """English, Wolof, and as Faroese what no tokenizer has seen."""
    folder = tmp_path_factory.mktemp("text")
    lines = {language: demo_lines(language, 150) for language in ("en", "wo")}
    lines["fo"] = [codecs.encode(line, "rot13") for line in lines["wo"]]
    for language, content in lines.items():
        (folder / f"{language}.txt").write_text("\n".join(content) + "\n", encoding="utf-8")
    return {language: str(folder / f"{language}.txt") for language in lines}


def recipe(**changes: Any) -> LanguageRecipe:
    numbers = {"steps": 2, "batch_size": 2, "learning_rate": 1e-2, "eval_every": 2, "max_length": 16, "eval_blocks": 2}
    return override(load_recipe("demo").language, {**numbers, "extend_vocabulary": 40, **changes})


def train(registry: LocalRegistry, base: Path, text: Mapping[str, str], mixture: Mixture = PAIR, **more: Any) -> Entry:
    section = more.pop("recipe", None) or recipe()
    chosen = {language: text[language] for language in mixture.languages}
    return train_language_adapter(mixture, section, registry=registry, base=str(base), text=chosen, **more).entry


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, text: Mapping[str, str]) -> tuple[LocalRegistry, Path, Entry]:
    """A registry with a BA with 40 sub-words of its own and a tagger on it."""
    folder = tmp_path_factory.mktemp("world")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BADX_HUB_HOME", str(folder / "home"))
        registry, base = LocalRegistry(folder / "registry"), write_tiny_base(folder / "tiny")
        ba = train(registry, base, text, recipe=recipe(publish_head=True))
        tagger = override(load_recipe("demo").tasks["pos"], {"steps": 2, "batch_size": 2, "eval_every": 2})
        train_task_adapter(PAIR, "pos", tagger, data=small_treebank(folder / "ud"), registry=registry)
    return registry, base, ba


def rows_of(registry: LocalRegistry, entry: Entry) -> torch.Tensor:
    return load_file(registry.fetch(entry) / VOCABULARY_WEIGHTS_FILE)["embeddings"]


def test_rows_of_new_subwords_are_trained_kept_and_used(world: tuple[LocalRegistry, Path, Entry]) -> None:
    registry, base, ba = world
    subwords = SubWords.read(registry.fetch(ba) / VOCABULARY_FILE)
    assert set(VOCABULARY_FILES) <= set(ba.manifest.files) and len(subwords.words) == 40
    assert rows_of(registry, ba).shape == (40, 32)
    stack = load_bilingual_stack("en", "fo", "pos", base=str(base), registry=registry)
    assert stack.entries[1].manifest.parent == ba.ref and ba.ref.vocabulary == ba.manifest.vocabulary
    (embedding,) = (one for one in stack.model.modules() if isinstance(one, ExtendedEmbedding))
    ids = stack.tokenizer(SENTENCE, is_split_into_words=True)["input_ids"]
    assert max(ids) >= subwords.first
    assert torch.equal(embedding(torch.tensor([max(ids)]))[0], rows_of(registry, ba)[max(ids) - subwords.first])
    assert torch.equal(embedding(torch.tensor([7]))[0], embedding.weight[7])
    examples = stack.examples([SENTENCE])
    before = stack.predict_with_probabilities(examples)
    with torch.no_grad():
        embedding.added.neg_().mul_(5)
    assert stack.predict_with_probabilities(examples) != before


def test_its_perplexity_can_be_measured_again(
    world: tuple[LocalRegistry, Path, Entry], text: Mapping[str, str]
) -> None:
    registry, base, ba = world
    found = measure_perplexity(ba, registry, {"fo": text["fo"]}, base=str(base))
    assert found.values["fo"] == pytest.approx(ba.manifest.metrics["dev"]["fo/perplexity"], rel=1e-5)


def test_a_stopped_run_goes_on_with_the_same_rows(
    world: tuple[LocalRegistry, Path, Entry], text: Mapping[str, str], tmp_path: Path
) -> None:
    _, base, ba = world
    for precision in ("fp32", "bf16"):
        whole, parts = LocalRegistry(tmp_path / f"whole-{precision}"), LocalRegistry(tmp_path / f"parts-{precision}")
        section = recipe(precision=precision)
        expected = rows_of(whole, train(whole, base, text, recipe=section))
        with pytest.raises(TrainingInterrupted, match="after step 1 of 2"):
            train(parts, base, text, recipe=section, time_limit=0)
        assert torch.equal(rows_of(parts, train(parts, base, text, recipe=section)), expected)
    assert ba.manifest.recipe["extend_vocabulary"] == 40


def test_a_run_without_new_subwords_has_the_key_it_had(
    world: tuple[LocalRegistry, Path, Entry], text: Mapping[str, str]
) -> None:
    assert "extend_vocabulary" not in recipe(extend_vocabulary=0).identity()
    assert recipe().identity()["extend_vocabulary"] == 40
    chosen = {language: text[language] for language in PAIR.languages}
    keys = {planned(PAIR, recipe(extend_vocabulary=n), base=str(world[1]), text=chosen)[0].key for n in (0, 40, 41)}
    assert len(keys) == 3


def test_training_begins_with_the_subwords_of_another_adapter(
    world: tuple[LocalRegistry, Path, Entry], text: Mapping[str, str]
) -> None:
    registry, base, ba = world
    still = recipe(learning_rate=1e-9)
    again = train(registry, base, text, recipe=still, label="again", init=ba)
    torch.testing.assert_close(rows_of(registry, again), rows_of(registry, ba), atol=1e-6, rtol=0)
    for wrong in (0, 41):
        with refused(UsageError, r"has 40 sub-words of its own.*--extend-vocabulary 40"):
            train(registry, base, text, recipe=recipe(extend_vocabulary=wrong), label="wrong", init=ba)


def test_different_vocabularies_do_not_mix(
    world: tuple[LocalRegistry, Path, Entry], text: Mapping[str, str], tmp_path: Path
) -> None:
    registry, base, ba = world
    las = {
        language: train(registry, base, text, Mixture.of(language), recipe=recipe(extend_vocabulary=count))
        for language, count in (("en", 0), ("fo", 40))
    }
    tagger = override(load_recipe("demo").tasks["pos"], {"steps": 1, "batch_size": 2, "eval_every": 1})
    data = small_treebank(tmp_path / "ud")
    with refused(IntegrityError, "read text with different sub-words"):
        train_task_adapter(PAIR, "pos", tagger, data=data, registry=registry, setup="tlr")
    with refused(UsageError, "has sub-words of its own"):
        merge([las["en"], las["fo"]], registry)
    alone = train_task_adapter(PAIR, "pos", tagger, data=data, registry=registry, setup="mad-x").entry
    tagged = next(entry for entry in registry.list() if str(entry.name) == "tiny/en-fo/pos")
    first, second = load_together(
        [StackParts((las["fo"], alone), registry, "mad-x"), StackParts((ba, tagged), registry)], base=str(base)
    )
    assert first.model is not second.model
    assert first.predict([SENTENCE]) and second.predict([SENTENCE])


def test_subwords_of_strangers_are_checked(world: tuple[LocalRegistry, Path, Entry], tmp_path: Path) -> None:
    registry, base, ba = world
    other = LocalRegistry(tmp_path / "registry")

    def published(rows: torch.Tensor | None = None, **change: Any) -> None:
        folder = tmp_path / "folder"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(registry.fetch(ba), folder)
        for name in ("badx.json", "README.md"):
            (folder / name).unlink()
        words = json.loads((folder / VOCABULARY_FILE).read_text(encoding="utf-8"))
        (folder / VOCABULARY_FILE).write_text(json.dumps({**words, **change}), encoding="utf-8")
        if rows is not None:
            save_file({"embeddings": rows, "bias": torch.zeros(40)}, folder / VOCABULARY_WEIGHTS_FILE)
        prepare(folder, ManifestDraft(**{key: getattr(ba.manifest, key) for key in ManifestDraft.model_fields}))
        other.publish(folder)

    with pytest.raises(DataError, match=r"vocabulary\.json is no list of sub-words"):
        published(words=["a", "a"])
    with pytest.raises(IntegrityError, match="infinite or no numbers"):
        published(rows=torch.full((40, 32), torch.nan))
    with pytest.raises(IntegrityError, match=r"embeddings is \[39, 32\] in the file and \[40, 32\]"):
        published(rows=torch.zeros(39, 32))
    published(rows=torch.zeros(40, 31))
    with refused(IntegrityError, r"vocabulary\.safetensors does not fit: embeddings is \[40, 31\] in the file"):
        (entry,), found = other.list(), resolve_base(str(base))
        use_vocabulary(load_encoder(found), load_tokenizer(found), entry.name, other.fetch(entry))


def test_a_manifest_has_both_files_of_a_vocabulary_or_none(world: tuple[LocalRegistry, Path, Entry]) -> None:
    whole = world[2].manifest
    for missing in VOCABULARY_FILES:
        files = {name: digest for name, digest in whole.files.items() if name != missing}
        with pytest.raises(ValueError, match="a language adapter has both of"):
            Manifest.of(whole, files)

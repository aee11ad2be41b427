"""The whole way of the data, trained for a few steps on a random base: train, judge, share, load, predict."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from badx_hub import evaluate, load_bilingual_stack, train_language_adapter, train_task_adapter
from badx_hub.cli._errors import message
from badx_hub.errors import BadxError, IntegrityError, NotFoundError, StorageError, UsageError
from badx_hub.languages import Mixture, pair
from badx_hub.manifest import Manifest
from badx_hub.recipes import load_recipe, override
from badx_hub.registry import Entry, LocalRegistry, copy, open_registry
from badx_hub.training.runs import Trained
from tests.refusals import refused
from tests.tiny import demo_lines, write_tiny_base

PAIR = pair("en", "wo")


@dataclass(frozen=True)
class World:
    """A registry with a trained pair, and the data it was trained on."""

    base: Path
    data: Path
    registry: LocalRegistry

    def train(self, mixture: Mixture = PAIR, **flags: object) -> Trained:
        recipe = override(
            load_recipe("demo").language,
            {"steps": 6, "batch_size": 4, "max_length": 32, "eval_every": 3, "eval_blocks": 4, **flags},
        )
        text = {language: str(self.data / f"{language}.txt") for language in mixture.languages}
        return train_language_adapter(mixture, recipe, registry=self.registry, base=str(self.base), text=text)

    def train_task(self, mixture: Mixture = PAIR, setup: str = "bad-x", **flags: object) -> Trained:
        recipe = override(load_recipe("demo").tasks["pos"], {"steps": 6, "batch_size": 4, "eval_every": 3, **flags})
        base = str(self.base) if setup == "ta-only" else None
        return train_task_adapter(
            mixture, "pos", recipe, data=str(self.data), registry=self.registry, base=base, setup=setup
        )


def write_data(folder: Path) -> Path:
    """Real English and Wolof lines, and small slices of the English treebank; Wolof stands in for Faroese too."""
    import gzip

    folder.mkdir()
    (folder / "en.txt").write_text("\n".join(demo_lines("en", 600)), encoding="utf-8")
    (folder / "wo.txt").write_text("\n".join(demo_lines("wo", 600)), encoding="utf-8")
    (folder / "fo.txt").write_text("\n".join(demo_lines("wo", 1200)[600:]), encoding="utf-8")
    from badx_hub.data.demo_data import embedded

    for split, source in (("train", "UD_English-EWT"), ("dev", "UD_English-EWT"), ("test", "UD_Wolof-WTB")):
        found = next(Path(embedded(f"demo:ud/{source}")).glob(f"*-ud-{split}.conllu.gz"))
        with gzip.open(found, "rt", encoding="utf-8") as text:
            blocks = text.read(200_000).split("\n\n")[:60]
        (folder / f"xx_any-ud-{split}.conllu").write_text("\n\n".join(blocks) + "\n\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Trained once for this file, in a home of its own."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("story")
        patch.setenv("BADX_HUB_HOME", str(folder / "home"))
        world = World(write_tiny_base(folder / "tiny"), write_data(folder / "data"), LocalRegistry(folder / "registry"))
        world.train()
        world.train_task()
        world.train_task(setup="ta-only")
    return world


@pytest.fixture
def world(trained: World, tmp_path: Path) -> World:
    """A copy of the trained world that a test may break."""
    root = Path(shutil.copytree(trained.registry.root, tmp_path / "registry"))
    return World(trained.base, trained.data, LocalRegistry(root))


def entry_of(world: World, task: str | None) -> Entry:
    return next(e for e in world.registry.list() if e.name.task == task and e.name.setup is None)


def folder_of(world: World, task: str | None) -> Path:
    return world.registry.fetch(entry_of(world, task))


SENTENCE = ("Xanaa", "leeral", "ne", "lëlu", "waxtaanu", "Sutsas", "bi", ".")


def test_a_pair_becomes_a_stack_by_its_name(world: World) -> None:
    stack = load_bilingual_stack("English", "wol", "pos", base=str(world.base), registry=world.registry)
    (tags,) = stack.predict([SENTENCE])
    assert len(tags) == len(SENTENCE)
    assert set(tags) <= set(stack.labels)
    assert stack.predict(["Xanaa leeral ne lëlu waxtaanu Sutsas bi."]) == (tags,)
    assert [entry.name.kind for entry in stack.entries] == ["bilingual", "task"]


def test_predictions_do_not_depend_on_batches_or_order(world: World) -> None:
    stack = load_bilingual_stack("en", "wo", "pos", base=str(world.base), registry=world.registry)
    sentences = [sentence.words for sentence in stack.task.read(str(world.data), "test")][:20]
    alone = stack.predict(sentences, batch_size=1)
    assert stack.predict(sentences, batch_size=32) == alone
    assert stack.predict(sentences[::-1], batch_size=7) == alone[::-1]


def test_every_word_of_the_target_is_scored(world: World) -> None:
    stack = load_bilingual_stack("en", "wo", "pos", base=str(world.base), registry=world.registry)
    result = evaluate(stack, str(world.data))
    words = sum(len(sentence.words) for sentence in stack.task.read(str(world.data), "test"))
    assert sum(row.support for row in result.scores.table) == words
    assert 0 <= result.scores.metrics["accuracy"] <= 1


def test_the_manifest_tells_where_the_adapter_comes_from(world: World) -> None:
    carrier, task = entry_of(world, None).manifest, entry_of(world, "pos").manifest
    assert task.parent is not None
    assert task.parent.digest == carrier.digest
    assert task.base == carrier.base
    assert [(source.language, source.name) for source in carrier.data] == [("en", "en.txt"), ("wo", "wo.txt")]
    assert carrier.data[0].counts["held_out"] > 0
    assert carrier.training.steps == 6
    assert set(carrier.metrics["dev"]) == {"en/perplexity", "wo/perplexity"}
    for entry in world.registry.list():
        for path in world.registry.fetch(entry).iterdir():
            assert str(world.base.parent).encode() not in path.read_bytes(), path
    assert {"curves.csv", "curves.png", "README.md"} <= set(carrier.files)


def test_the_same_run_is_not_trained_twice(world: World, trained: World) -> None:
    again = world.train()
    assert again.already
    assert len(world.registry.list()) == len(trained.registry.list())


def test_the_same_run_gives_the_same_weights_on_any_home(world: World, tmp_path: Path) -> None:
    elsewhere = World(world.base, world.data, LocalRegistry(tmp_path / "other"))
    assert elsewhere.train().entry.manifest.digest == entry_of(world, None).manifest.digest


def test_a_registry_that_takes_nothing_is_refused_before_training(world: World, tmp_path: Path) -> None:
    taken = tmp_path / "file"
    taken.write_text("")
    for registry, error in ((open_registry("demo"), UsageError), (LocalRegistry(taken / "registry"), StorageError)):
        with pytest.raises(error):
            World(world.base, world.data, registry).train(steps=10**6)  # type: ignore[arg-type]


def test_another_seed_has_a_name_and_weights_of_its_own(world: World) -> None:
    entry = world.train(seed=2).entry
    assert str(entry.name) == "tiny/en-wo#seed2"
    assert entry.manifest.digest != entry_of(world, None).manifest.digest


@pytest.mark.parametrize(
    ("text", "kind"), [("wo", "language"), ("en+fo+wo", "multilingual"), ("en-wo@2:1", "bilingual")]
)
def test_la_ma_and_other_ratios_are_trained_by_the_same_code(world: World, text: str, kind: str) -> None:
    entry = world.train(Mixture.parse(text)).entry
    assert (str(entry.name), entry.manifest.kind) == (f"tiny/{text}", kind)
    assert {f"{language}/perplexity" for language in entry.name.mixture.languages} <= set(entry.manifest.metrics["dev"])


def test_inputs_longer_than_the_base_takes_are_refused_before_training(world: World) -> None:
    with refused(UsageError, "--max-length 128"):
        world.train(max_length=256)
    with refused(UsageError, "--max-length 128"):
        world.train_task(max_length=256)


def test_an_adapter_for_layers_above_the_first_with_an_invertible_part_trains(world: World) -> None:
    entry = world.train(adapter={"invertible": True, "leave_out": [1]}, steps=3).entry
    stack_base = load_recipe("demo").language.adapter
    assert entry.manifest.recipe["adapter"] != stack_base.model_dump(mode="json")


def test_pushed_and_pulled_it_predicts_the_same(world: World, tmp_path: Path) -> None:
    there, back = LocalRegistry(tmp_path / "there"), LocalRegistry(tmp_path / "back")
    first = copy(entry_of(world, "pos"), world.registry, there)
    assert [entry.name.kind for entry in first.copied] == ["bilingual", "task"]
    copy(entry_of(World(world.base, world.data, there), "pos"), there, back)
    stacks = [
        load_bilingual_stack("en", "wo", "pos", base=str(world.base), registry=registry)
        for registry in (world.registry, back)
    ]
    assert stacks[0].predict([SENTENCE]) == stacks[1].predict([SENTENCE])
    assert copy(entry_of(world, "pos"), world.registry, there).copied == ()


# ---------------------------------------------------------------------------------------------------- refusals


def change_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("task", "damage"),
    [
        (None, lambda folder: change_byte(folder / "adapter.safetensors")),
        ("pos", lambda folder: change_byte(folder / "model_head.safetensors")),
        ("pos", lambda folder: (folder / "adapter.safetensors").unlink()),
        (None, lambda folder: (folder / "adapter_config.json").write_text("{}")),
    ],
)
def test_a_changed_or_missing_file_is_refused(world: World, task: str | None, damage: Callable[[Path], None]) -> None:
    damage(folder_of(world, task))
    with refused(IntegrityError, "badx-hub remove"):
        load_bilingual_stack("en", "wo", "pos", base=str(world.base), registry=world.registry)


def test_a_task_adapter_without_its_own_bilingual_adapter_is_refused(world: World) -> None:
    world.registry.remove(entry_of(world, None), force=True)
    world.train(steps=5)
    with refused(NotFoundError, "badx-hub"):
        load_bilingual_stack("en", "wo", "pos", base=str(world.base), registry=world.registry)


def test_a_stack_put_together_by_hand_is_checked_too(world: World) -> None:
    from badx_hub.stack import load_entries

    other = world.train(steps=5).entry
    with pytest.raises(IntegrityError, match="trained on"):
        load_entries([other, entry_of(world, "pos")], world.registry, base=str(world.base))
    with pytest.raises(IntegrityError, match="trained on"):
        load_entries([entry_of(world, "pos")], world.registry, base=str(world.base))


def test_another_base_of_the_same_name_is_refused(world: World, tmp_path: Path) -> None:
    other = write_tiny_base(tmp_path / "tiny", seed=9)
    with refused(IntegrityError, "--base"):
        load_bilingual_stack("en", "wo", "pos", base=str(other), registry=world.registry)


def test_a_base_this_machine_does_not_know_is_asked_for(world: World) -> None:
    with refused(NotFoundError, "--base"):
        load_bilingual_stack("en", "wo", "pos", registry=world.registry)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda r: load_bilingual_stack("en", "fo", "pos", registry=r), NotFoundError, "badx-hub train en-fo"),
        (lambda r: load_bilingual_stack("en", "wo", "pos", ratio="5:1", registry=r), NotFoundError, "--ratio 5:1"),
        (lambda r: load_bilingual_stack("en", "en", "pos", registry=r), UsageError, "en"),
        (lambda r: load_bilingual_stack("en", "wolofish", "pos", registry=r), UsageError, "Wolof"),
        (lambda r: load_bilingual_stack("en", "wo", "cooking", registry=r), BadxError, "cooking"),
        (lambda r: load_bilingual_stack("en", "wo", "pos", setup="bad", registry=r), UsageError, "mad-x"),
        (
            lambda r: load_bilingual_stack("en", "wo", "pos", setup="mad-x", registry=r),
            NotFoundError,
            "train en --base tiny`, then",
        ),
    ],
)
def test_what_is_not_there_is_answered_with_what_to_type(
    world: World, call: Callable[[LocalRegistry], object], error: type[BadxError], says: str
) -> None:
    with pytest.raises(error) as caught:
        call(world.registry)
    told = message(caught.value)
    assert says in told
    assert "\n" not in told


def test_a_single_string_is_no_list_of_texts(world: World) -> None:
    stack = load_bilingual_stack("en", "wo", "pos", base=str(world.base), registry=world.registry)
    with pytest.raises(UsageError, match="list"):
        stack.predict("Xanaa leeral")


def test_no_text_and_text_without_words_have_empty_predictions(world: World) -> None:
    stack = load_bilingual_stack("en", "wo", "pos", base=str(world.base), registry=world.registry)
    assert stack.predict([]) == ()
    assert stack.predict(["", SENTENCE[0]])[0] == ()


# ----------------------------------------------------------------------------------- without badx_hub, in half size


def test_plain_adapters_loads_what_we_publish(world: World, tmp_path: Path) -> None:
    """In a process that cannot import badx_hub; same tags as ours."""
    stack = load_bilingual_stack("en", "wo", "pos", base=str(world.base), registry=world.registry)
    script = tmp_path / "plain.py"
    script.write_text(
        textwrap.dedent(
            """
            import json, sys
            sys.modules["badx_hub"] = None
            import torch, adapters
            from adapters import AutoAdapterModel
            from adapters.composition import Stack
            from transformers import AutoTokenizer
            base, carrier, task, words = sys.argv[1:5]
            model = AutoAdapterModel.from_pretrained(base)
            below = model.load_adapter(carrier, use_safetensors=True)
            above = model.load_adapter(task, use_safetensors=True)
            model.active_adapters = Stack(below, above)
            tokenizer = AutoTokenizer.from_pretrained(base)
            batch = tokenizer(json.loads(words), is_split_into_words=True, return_tensors="pt")
            ids = [tokenizer.cls_token_id]
            starts = []
            for word in json.loads(words):
                starts.append(len(ids))
                ids += tokenizer(word, add_special_tokens=False)["input_ids"]
            with torch.no_grad():
                logits = model.eval()(input_ids=torch.tensor([[*ids, tokenizer.sep_token_id]])).logits[0]
            labels = model.get_labels_dict()
            print(json.dumps([labels[int(logits[start].argmax())] for start in starts]))
            """
        )
    )
    arguments = [str(world.base), str(folder_of(world, None)), str(folder_of(world, "pos")), json.dumps(SENTENCE)]
    done = subprocess.run(
        [sys.executable, str(script), *arguments], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert tuple(json.loads(done.stdout.splitlines()[-1])) == stack.predict([SENTENCE])[0]


def test_only_safetensors_and_data_files_are_published(world: World) -> None:
    suffixes = {path.suffix for entry in world.registry.list() for path in world.registry.fetch(entry).iterdir()}
    assert suffixes <= {".json", ".safetensors", ".md", ".png", ".csv"}


def test_a_stack_in_half_precision_predicts(world: World) -> None:
    stack = load_bilingual_stack("en", "wo", "pos", base=str(world.base), registry=world.registry, dtype=torch.bfloat16)
    assert stack.model.base_model.encoder.layer[0].output.dense.weight.dtype is torch.bfloat16
    assert len(stack.predict([SENTENCE])[0]) == len(SENTENCE)


def test_the_card_is_the_one_in_the_manifest(world: World) -> None:
    folder = folder_of(world, "pos")
    assert Manifest.read(folder).files["README.md"]
    assert "en-wo" in (folder / "README.md").read_text(encoding="utf-8")


def test_the_shipped_stack_works_offline_on_a_fresh_home() -> None:
    stack = load_bilingual_stack("en", "wo", "pos", registry="demo")
    ((*tags,),) = stack.predict([SENTENCE])
    assert tags[-1] == "PUNCT"
    assert all(open_registry("demo").verify(entry).ok for entry in stack.entries)


def test_the_shipped_parser_works_offline_on_a_fresh_home() -> None:
    stack = load_bilingual_stack("en", "wo", "dp", registry="demo")
    (tree,) = stack.predict([SENTENCE])
    assert [head for head, name in zip(tree.heads, tree.deprels, strict=True) if name == "root"] == [0]
    assert len(tree.heads) == len(SENTENCE)
    assert all(open_registry("demo").verify(entry).ok for entry in stack.entries)

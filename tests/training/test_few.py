"""Task adapters that learn from some sentences of the target as well: data, turns, names, selection, going on."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from badx_hub.errors import NotFoundError, TrainingInterrupted, UsageError
from badx_hub.languages import Mixture, pair
from badx_hub.names import AdapterName, few_label, plain_label, sentences_in
from badx_hub.recipes import TaskRecipe
from badx_hub.registry import Registry, open_registry
from badx_hub.stack import load_bilingual_stack
from badx_hub.training.loop import Silent
from badx_hub.training.task_adapter import TaskJob, _objective, _prepared, planned, train_job, train_task_adapter
from tests.made import made
from tests.tiny import demo_data, small_treebank

RECIPE = TaskRecipe(steps=6, batch_size=4, learning_rate=1e-2, eval_every=3, save_every=0, max_length=48)
PAIR = pair("en", "wo")


@pytest.fixture
def registry(tmp_path: Path, tiny_base: Path) -> Registry:
    registry = open_registry(tmp_path / "registry")
    made(registry, tiny_base, "tiny/en-wo", seed=1)
    return registry


@pytest.fixture
def english(tmp_path: Path) -> str:
    return small_treebank(tmp_path / "UD_English-Few")


@pytest.fixture
def wolof(tmp_path: Path) -> str:
    """One file of twelve Wolof sentences."""
    path = tmp_path / "my.conllu"
    source = demo_data() / "ud" / "UD_Wolof-WTB" / "wo_wtb-ud-test.conllu.gz"
    known = gzip.decompress(source.read_bytes()).decode("utf-8").strip().split("\n\n")
    path.write_text("\n\n".join([*known[:12], ""]), encoding="utf-8")
    return str(path)


def job(english: str, wolof: str, **changes: Any) -> TaskJob:
    return TaskJob(PAIR, "pos", RECIPE, {"en": english, "wo": wolof}, **changes)


def drawn(ready: Any, registry: Registry, steps: int) -> list[str]:
    """The language of each step's batch, by what is in it."""
    objective, _ = _objective(ready, RECIPE, registry)
    wolof = {window.input_ids for window in objective.windows["wo"]}
    known = []
    for step in range(steps):
        (batch,) = objective.batches(step, 1)
        rows = {tuple(i for i in row if i) for row in batch.inputs["input_ids"].tolist()}
        known.append("wo" if rows <= wolof else "en")
    return known


def test_a_label_tells_the_sentences_and_gives_them_back() -> None:
    assert few_label({"wo": 100}) == "few-wo-100"
    assert few_label({"wo": 100, "zh-Hant": 7}, "seed2") == "seed2-few-wo-100-zhhant-7"
    assert few_label({}, "seed2") == "seed2" and few_label({}) is None
    mixture = Mixture.of("en", "wo", "zh-Hant")
    assert dict(sentences_in("seed2-few-wo-100-zhhant-7", mixture)) == {"wo": 100, "zh-Hant": 7}
    assert plain_label("seed2-few-wo-100") == "seed2" and plain_label("few-wo-100") is None
    for other in (None, "seed2", "few", "few-wo", "fewer-wo-1", "few-wo-1-x", "few-wo-0"):
        assert not sentences_in(other) and plain_label(other) == other
    name = AdapterName.parse("mbert/en-wo/pos#seed2-few-wo-100")
    assert dict(name.sentences) == {"wo": 100} and str(name.language_adapter) == "mbert/en-wo#seed2"


def test_batches_take_turns_and_the_name_and_the_manifest_tell(registry: Registry, english: str, wolof: str) -> None:
    entry = train_task_adapter(
        PAIR, "pos", RECIPE, data={"eng": english, "Wolof": wolof}, limit={"wo": 5}, registry=registry
    ).entry
    assert str(entry.name) == "tiny/en-wo/pos#few-wo-5"
    assert entry.manifest.annotations is not None
    assert entry.manifest.annotations.model_dump() == {
        "mixture": (("en", 1), ("wo", 1)),
        "sentences": {"en": 16, "wo": 5},
        "selected_on": "en",
    }
    assert [(ref.language, ref.name) for ref in entry.manifest.data] == [
        ("en", "en_few-ud-train.conllu"),
        ("wo", "my.conllu"),
        ("en", "en_few-ud-dev.conllu"),
    ]
    assert set(entry.manifest.metrics["dev"]) == {"en/accuracy", "en/macro_f1"}
    assert drawn(_prepared(job(english, wolof), registry), registry, 4) == ["en", "wo", "en", "wo"]
    ready = _prepared(job(english, wolof, data_ratio="2:1"), registry)
    assert drawn(ready, registry, 6) == ["en", "en", "wo"] * 2


def test_zero_shot_never_means_it_and_the_message_says_how_to_ask(registry: Registry, english: str, wolof: str) -> None:
    trained = train_job(job(english, wolof, limit={"wo": 5}), registry).entry
    with pytest.raises(NotFoundError, match="not zero-shot: it learned from 5 annotated sentences of wo") as refused:
        load_bilingual_stack("en", "wo", "pos", registry=registry.location)
    assert "label='few-wo-5'" in str(refused.value)
    stack = load_bilingual_stack("en", "wo", "pos", label="few-wo-5", registry=registry.location)
    assert stack.entries[-1].manifest.digest == trained.manifest.digest and len(stack.predict(["Nanga def ?"])[0]) == 3
    with pytest.raises(NotFoundError, match=r"limit=\{'wo': 7\}"):
        load_bilingual_stack("en", "wo", "pos", label="few-wo-7", registry=registry.location)


def test_the_target_s_development_data_select_if_there_are_any(registry: Registry, english: str, wolof: str) -> None:
    treebank = Path(wolof).parent / "UD_Wolof-Few"
    treebank.mkdir()
    known = Path(wolof).read_text(encoding="utf-8").strip().split("\n\n")
    for split, part in (("train", known[:8]), ("dev", known[8:])):
        (treebank / f"wo_few-ud-{split}.conllu").write_text("\n\n".join([*part, ""]), encoding="utf-8")
    with_dev = _prepared(job(english, str(treebank)), registry)
    assert with_dev.run.annotations is not None and with_dev.run.annotations.selected_on == "wo"
    objective, _ = _objective(with_dev, RECIPE, registry)
    assert str(objective.selection) == "wo/accuracy" and len(objective.dev) == 4
    other = planned(job(english, str(treebank), select_on="en"), registry)
    assert other.annotations is not None and other.annotations.selected_on == "en"
    assert other.key != with_dev.run.key


def test_keys_of_one_language_stay_and_those_of_several_tell_apart_what_differs(
    registry: Registry, english: str, wolof: str
) -> None:
    plain = planned(TaskJob(PAIR, "pos", RECIPE, english), registry)
    assert planned(TaskJob(PAIR, "pos", RECIPE, {"en": english}), registry).key == plain.key
    assert plain.annotations is None
    jobs = [job(english, wolof), job(english, wolof, limit={"wo": 5}), job(english, wolof, data_ratio="2:1")]
    jobs.append(TaskJob(PAIR, "pos", RECIPE, english, limit={"en": 9}))
    keys = [planned(one, registry).key for one in jobs]
    assert len({plain.key, *keys}) == 5
    assert planned(job(english, wolof, limit={"wo": 12}), registry).key == keys[0]


class _Stopping(Silent):
    """Stops the run after some steps, as Ctrl-C does."""

    def __init__(self, after: int) -> None:
        self.after = after

    def stepped(self, step: int, loss: float, units: int) -> None:
        if step == self.after:
            raise KeyboardInterrupt


def test_a_stopped_run_goes_on_bit_for_bit(registry: Registry, tmp_path: Path, english: str, wolof: str) -> None:
    recipe = RECIPE.model_copy(update={"save_every": 1})
    wanted = TaskJob(PAIR, "pos", recipe, {"en": english, "wo": wolof}, data_ratio="2:1")
    with pytest.raises((KeyboardInterrupt, TrainingInterrupted)):
        train_job(wanted, registry, reporter=_Stopping(4))
    assert planned(wanted, registry).checkpoints.step in (3, 4)
    stopped = train_job(wanted, registry).entry
    whole = train_job(wanted, registry, force=True).entry
    assert stopped.manifest.digest == whole.manifest.digest


@pytest.fixture
def no_data() -> Iterator[dict[str, str]]:
    yield {"en": "nowhere", "wo": "nowhere.conllu"}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"data": {"en": "x", "fo": "y"}}, "The data of fo cannot be used: expected en or wo"),
        ({"data": {"wo": "y"}}, "no data of the source, en"),
        ({"data": {"wo": "y", "wol": "z", "en": "x"}}, "The data of wo is given twice"),
        ({"limit": {"fo": 3}}, "The limit of fo cannot be used"),
        ({"limit": {"wo": 0}}, "expected 1 or more"),
        ({"data_ratio": "1:1:1"}, "does not fit en, wo"),
        ({"data": {"en": "x"}, "data_ratio": "1:1"}, "data of two languages"),
        ({"select_on": "fo"}, "fo has no data to select on"),
        ({"setup": "mad-x"}, "on its own adapter"),
        ({"label": "few-wo-3"}, "such data makes the label"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], told: str, no_data: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=told):
        TaskJob(**{"mixture": PAIR, "task": "pos", "recipe": RECIPE, "data": no_data, **changes})


def test_a_limit_beyond_the_file_is_refused(registry: Registry, english: str, wolof: str) -> None:
    with pytest.raises(UsageError, match=r"has 12 sentences .*the limit of wo is 13"):
        planned(job(english, wolof, limit={"wo": 13}), registry)


def test_each_language_stands_on_its_own_adapter_in_tlr(
    registry: Registry, tiny_base: Path, english: str, wolof: str
) -> None:
    for seed, language in enumerate(("en", "wo"), start=2):
        made(registry, tiny_base, f"tiny/{language}", seed=seed)
    ready = _prepared(job(english, wolof, setup="tlr", data_ratio="2:1"), registry)
    assert str(ready.run.name) == "tiny/en-wo/pos@tlr#few-wo-12"
    objective, model = _objective(ready, RECIPE, registry)
    below = []
    for step in range(6):
        objective.prepare(step)
        active = set(model.active_adapters.flatten())
        below += [str(name) for name in dict.fromkeys(objective.language_adapters) if name.module_name in active]
    assert below == ["tiny/en", "tiny/en", "tiny/wo"] * 2

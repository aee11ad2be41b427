from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badx_hub.errors import UsageError
from badx_hub.recipes import Recipe, load_recipe, override, preset_names
from badx_hub.recipes.load import texts_for


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_valid_and_knows_its_name(name: str) -> None:
    assert load_recipe(name).name == name


def test_presets_are_those_of_the_design() -> None:
    assert preset_names() == ("demo", "paper", "quick")


def test_paper_has_the_figures_of_the_paper() -> None:
    paper = load_recipe("paper")
    language, pos = paper.language, paper.tasks["pos"]
    assert (language.steps, language.batch_size, language.learning_rate) == (50_000, 64, 1e-4)
    assert (language.eval_every, language.held_out, language.mask_probability) == (500, 0.05, 0.15)
    assert (language.adapter.reduction_factor, language.adapter.non_linearity) == (2, "relu")
    assert (pos.steps, pos.batch_size, pos.learning_rate, pos.eval_every) == (15_000, 8, 5e-5, 250)
    assert pos.adapter.reduction_factor == 16


def test_a_language_adapter_has_half_the_steps_of_a_bilingual_one_in_the_paper() -> None:
    paper = load_recipe("paper")
    assert [paper.language_side(languages).steps for languages in (1, 2, 7)] == [25_000, 50_000, 50_000]
    quick = load_recipe("quick")
    assert quick.language_side(1) == quick.language


def test_a_file_extends_a_preset_and_keeps_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("extends: paper\nname: mine\nlanguage:\n  steps: 10\n  adapter:\n    invertible: true\n")
    mine, paper = load_recipe(str(file)), load_recipe("paper")
    assert mine.language.steps == 10
    assert mine.language.adapter.invertible
    assert mine.language.adapter.reduction_factor == paper.language.adapter.reduction_factor
    assert mine.tasks == paper.tasks


def test_steps_in_a_file_hold_for_language_adapters_too(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("extends: paper\nlanguage:\n  steps: 10\n")
    assert [load_recipe(str(file)).language_side(languages).steps for languages in (1, 2)] == [10, 10]
    file.write_text("extends: paper\nla_steps: 5\nlanguage:\n  steps: 10\n")
    assert [load_recipe(str(file)).language_side(languages).steps for languages in (1, 2)] == [5, 10]


def test_a_recipe_that_extends_itself_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text("extends: b.yaml\n")
    Path("b.yaml").write_text("extends: a.yaml\n")
    with pytest.raises(UsageError, match=r"a\.yaml extends b\.yaml extends a\.yaml"):
        load_recipe("a.yaml")


def test_all_problems_of_a_file_are_reported_at_once(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("extends: paper\nlanguage:\n  step: 10\n  batch_size: 0\n  learning_rate: -1\n")
    with pytest.raises(UsageError) as caught:
        load_recipe(str(file))
    message = str(caught.value)
    assert "language.step is not a known key" in message
    assert "language.batch_size" in message
    assert "language.learning_rate" in message


@pytest.mark.parametrize("text", ["[1, 2", "just words", "- a\n- b\n", ""])
def test_what_is_no_recipe_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match=r"bad\.yaml"):
        load_recipe(str(file))


def test_an_unknown_name_lists_the_presets() -> None:
    with pytest.raises(UsageError, match="demo, paper, quick"):
        load_recipe("papper")


def test_flags_go_on_top_and_none_changes_nothing() -> None:
    section = load_recipe("demo").language
    assert override(section, {"steps": None}) == section
    assert override(section, {"steps": 7, "seed": None}).steps == 7


@pytest.mark.parametrize("steps", [1, 7, 500, 4000])
def test_a_shorter_or_longer_run_keeps_its_share_of_warm_up(steps: int) -> None:
    quick = load_recipe("quick").language
    assert override(quick, {"steps": steps}).warmup_steps == round(quick.warmup_steps * steps / quick.steps)
    assert override(quick, {"steps": 700, "warmup_steps": 3}).warmup_steps == 3


def test_impossible_flags_are_all_named() -> None:
    with pytest.raises(UsageError, match="batch_size") as caught:
        override(load_recipe("demo").language, {"steps": 0, "batch_size": -3})
    assert "steps" in str(caught.value)


def test_values_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(UsageError, match="micro_batches"):
        override(load_recipe("demo").language, {"batch_size": 6, "micro_batches": 4})
    with pytest.raises(UsageError, match="warmup_steps"):
        override(load_recipe("demo").language, {"steps": 5, "warmup_steps": 6})


@given(st.integers(1, 10**6), st.floats(1e-8, 1.0), st.integers(0, 2**31 - 1))
def test_a_recipe_survives_its_dump(steps: int, learning_rate: float, seed: int) -> None:
    recipe = load_recipe("quick")
    section = override(recipe.language, {"steps": steps + 100, "learning_rate": learning_rate, "seed": seed})
    changed = recipe.model_copy(update={"language": section})
    assert Recipe.model_validate(changed.model_dump(mode="json")) == changed


def test_text_and_data_of_a_recipe_that_match_nothing_are_errors(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nextends: demo\ntext: {yor: yo.txt, wol: wo.txt}\n", encoding="utf-8")
    assert texts_for(load_recipe(str(path)), ["wo", "yo"]) == {"wo": "wo.txt", "yo": "yo.txt"}
    with pytest.raises(UsageError, match="has text of yo, which is not among en, wo"):
        texts_for(load_recipe(str(path)), ["en", "wo"])
    assert texts_for(load_recipe("demo"), ["gn"]) == {}
    path.write_text("name: mine\nextends: demo\ndata: {poss: x}\n", encoding="utf-8")
    with pytest.raises(UsageError, match="data is for poss, and the tasks are"):
        load_recipe(str(path))

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from badx_hub.errors import UsageError
from badx_hub.languages import Mixture
from badx_hub.studies.study import load_study
from badx_hub.studies.variant import Variant
from tests.studies.conftest import WriteStudy, recipe

STUDIES = Path(__file__).resolve().parents[2] / "studies"


def test_paths_count_from_the_file_and_other_sources_stay(write_study: WriteStudy) -> None:
    file = write_study(text={"en": "demo:text/en.txt.gz", "Wolof": "wo.txt"}, train={"pos": "ud:UD_English-EWT"})
    study = load_study(file)
    assert dict(study.texts) == {"en": "demo:text/en.txt.gz", "wo": str(file.parent / "wo.txt")}
    assert study.train_data("pos", "en") == "ud:UD_English-EWT"
    assert study.test["pos"]["wo"] == str(file.parent / "wo")


@pytest.mark.parametrize(
    ("base", "kept"), [("bert-base-multilingual-cased", True), ("demo", True), ("org/name", True), ("en", False)]
)
def test_a_base_is_a_folder_if_there_is_one(write_study: WriteStudy, base: str, kept: bool) -> None:
    file = write_study(base=base)
    assert load_study(file).base == (base if kept else str(file.parent / base))


def test_every_problem_is_told_at_once(write_study: WriteStudy) -> None:
    file = write_study(
        sauce="en",
        source="xqzzq",
        seeds=[1, 1],
        recipe={**recipe(), "speed": 1},
        blocks=[{"targets": ["wo"], "tasks": ["juggling"], "setups": ["mad-x@2:1", "sad-x"]}],
    )
    with pytest.raises(UsageError) as error:
        load_study(file)
    said = str(error.value)
    parts = ("sauce is not a known key", "'xqzzq'", "1 is there twice", "speed", "juggling", "no ratio", "'sad-x'")
    assert all(part in said for part in parts), said


def test_parts_have_to_fit_together(write_study: WriteStudy) -> None:
    blocks = [{"targets": ["wo", "fo", "en"], "tasks": ["pos"], "setups": ["bad-x", "ma"]}]
    with pytest.raises(UsageError) as error:
        load_study(write_study(train={}, multilingual=["en", "wo"], baseline="tlr", blocks=blocks))
    said = str(error.value)
    parts = (
        "train has no data for the task pos",
        "test has no data for the task pos in fo",
        "en is the source",
        "the baseline tlr is in no block; choose one of bad-x, ma",
        "three languages or more",
    )
    assert all(part in said for part in parts), said


def test_a_task_needs_a_recipe(write_study: WriteStudy) -> None:
    lacking = {**recipe(), "tasks": {}}
    with pytest.raises(UsageError, match="the recipe tiny has no section for the task pos"):
        load_study(write_study(recipe=lacking))


def test_the_mixture_of_all_languages_has_the_targets(write_study: WriteStudy) -> None:
    blocks = [{"targets": ["wo"], "tasks": ["pos"], "setups": ["ma", "mad-x"]}]
    with pytest.raises(UsageError, match=r"multilingual is missing; write for example \[en, wo\]"):
        load_study(write_study(blocks=blocks))
    with pytest.raises(UsageError, match="multilingual lacks wo"):
        load_study(write_study(blocks=blocks, multilingual="en+fo+gn"))
    study = load_study(write_study(blocks=blocks, multilingual=["en", "aym", "wo"]))
    assert study.multilingual == Mixture.parse("en+ay+wo")


@pytest.mark.parametrize(
    "given", ["quick", "mine.yaml", {"extends": "quick", "name": "mine"}, {"extends": "mine.yaml", "name": "mine"}]
)
def test_a_recipe_is_a_preset_a_file_beside_the_study_or_in_it(write_study: WriteStudy, given: Any) -> None:
    file = write_study(recipe=given)
    file.with_name("mine.yaml").write_text("extends: quick\nname: mine\n", encoding="utf-8")
    study = load_study(file)
    assert study.recipe.language.steps == 2000
    assert study.recipe.name == ("quick" if given == "quick" else "mine")


def test_a_recipe_takes_the_name_of_its_study(write_study: WriteStudy) -> None:
    assert load_study(write_study()).recipe.name == "tiny"


def test_the_seeds_of_the_study_count(write_study: WriteStudy) -> None:
    study = load_study(write_study(seeds=[7]))
    assert study.language_recipe(Mixture.parse("wo"), 7).seed == 7
    assert study.task_recipe("pos", 7).seed == 7


@pytest.mark.parametrize("text", ["mad-x", "bad-x@5:1", "tlr@1:2", "ma", "full"])
def test_variants_read_back(text: str) -> None:
    assert str(Variant.parse(text)) == text


def test_the_ratio_1_1_is_none() -> None:
    assert Variant.parse("bad-x@1:1") == Variant.parse("bad-x") != Variant.parse("bad-x@2:2")


@pytest.mark.parametrize("text", ["ma@1:2", "ta-only@1:2", "bad-x@", "bad-x@1", "bad-x@1:2:3", "BAD-X", ""])
def test_variants_that_are_none(text: str) -> None:
    with pytest.raises(UsageError):
        Variant.parse(text)


@pytest.mark.parametrize("content", [None, "name: [", "- a list", "\xff"])
def test_a_file_that_is_no_study(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "study.yaml"
    if content is not None:
        file.write_bytes(content.encode("latin-1"))
    with pytest.raises(UsageError, match=r"study\.yaml"):
        load_study(file)


@pytest.mark.parametrize("name", ["small", "paper-ud", "paper-americasnli"])
def test_the_studies_of_the_repository_are_valid(name: str) -> None:
    assert load_study(STUDIES / f"{name}.yaml").name == name


@pytest.mark.parametrize("name", ["paper-ud", "paper-americasnli"])
def test_every_language_of_the_paper_says_where_it_is_from(name: str) -> None:
    text = (STUDIES / f"{name}.yaml").read_text(encoding="utf-8")
    targets = yaml.safe_load(text)["blocks"][0]["targets"]
    lines = text.partition("targets: &all\n")[2].splitlines()[: len(targets)]
    assert len(targets) == 10
    for target, line in zip(targets, lines, strict=True):
        said, _, source = line.partition("#")
        assert said.strip() == f"- {target}"
        assert source.strip() in ("named", "code", "inferred")


def test_keys_that_match_nothing_are_errors(write_study: WriteStudy) -> None:
    with pytest.raises(UsageError) as error:
        load_study(
            write_study(text={"yo": "yo.txt"}, test={"pos": {"wo": "wo", "fo": "fo", "yo": "yo"}, "ner": {"wo": "x"}})
        )
    said = str(error.value)
    parts = ("text is of yo", "test is for pos in yo", "test is for ner, which is in no block")
    assert all(part in said for part in parts), said


def test_setups_with_sentences_of_the_target_need_its_data(write_study: WriteStudy) -> None:
    blocks = [{"targets": ["wo"], "tasks": ["pos"], "setups": ["bad-x", "bad-x@5:1+few-wo-20", "tlr+few-fo-20"]}]
    rest: dict[str, Any] = {"blocks": blocks, "baseline": "bad-x"}
    with pytest.raises(UsageError) as error:
        load_study(write_study(**rest, train={"pos": {"en": "en", "Faroese": "fo"}}))
    said = str(error.value)
    assert "train has no data of wo for the task pos, which bad-x@5:1+few-wo-20 learns from" in said
    assert "tlr+few-fo-20 has sentences of fo, which is no target of en-wo" in said
    blocks[0]["setups"] = ["bad-x", "bad-x@5:1+few-wo-20"]
    known = {"pos": {"en": "en", "Wolof": "my.conllu"}}
    for wrong in ({"data_ratio": "x"}, {"select_on": "fo"}):
        with pytest.raises(UsageError, match="bad-x@5:1\\+few-wo-20: "):
            load_study(write_study(**rest, train=known, **wrong))
    file = write_study(**rest, train=known, data_ratio="2:1", select_on="English")
    study = load_study(file)
    few = study.annotated("pos", {"wo": 20})
    assert few.sources == {"en": study.train_data("pos", "en"), "wo": str(file.parent / "my.conllu")}
    assert (few.mixture.ratio, few.limit, few.select_on) == ("2:1", {"wo": 20}, "en")
    alone = study.annotated("pos", {})
    assert (dict(alone.sources), alone.limit, alone.select_on) == ({"en": study.train_data("pos", "en")}, {}, None)


def test_what_is_said_about_sentences_without_a_setup_that_has_any_is_an_error(write_study: WriteStudy) -> None:
    with pytest.raises(UsageError, match="train for pos has data of wo, which no setup uses"):
        load_study(write_study(train={"pos": {"en": "en", "wo": "wo"}}))
    with pytest.raises(UsageError, match="select_on is for setups such as bad-x\\+few-wo-20, and there is none"):
        load_study(write_study(select_on="en"))
    with pytest.raises(UsageError, match=r"few-wo-20 has a name that tells of sentences"):
        load_study(write_study(recipes={"few-wo-20": {"language": {"select": "average"}}}))


def test_sentences_of_the_target_are_part_of_a_setup_s_name() -> None:
    variant = Variant.parse("bad-x@5:1+average-few-wo-100")
    assert str(variant) == "bad-x@5:1+average-few-wo-100" and variant.recipe == "average"
    assert variant.sentences(Mixture.of("en", "wo")) == {"wo": 100}
    with pytest.raises(UsageError, match=r"Write tlr\+few-wo-20"):
        Variant.parse("mad-x+few-wo-20")

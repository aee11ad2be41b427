"""A study as data: what is trained, on what, and what is compared. Reads only the study file and its recipe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, product
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    InstanceOf,
    StringConstraints,
    ValidationInfo,
    WrapValidator,
    model_validator,
)

from badx_hub.base_spec import DEMO, spec_slug
from badx_hub.data.demo_data import PREFIX as DEMO_PREFIX
from badx_hub.data.splits import Split
from badx_hub.data.treebanks import INDEX
from badx_hub.errors import IntegrityError, UsageError
from badx_hub.hub.ref import HUB
from badx_hub.languages import Mixture, normalise, pair
from badx_hub.names import plain_label
from badx_hub.recipes import LanguageRecipe, Recipe, TaskRecipe, load_recipe, preset_names
from badx_hub.recipes.load import MAX_RECIPE_BYTES, combined, expanded, parsed, validated
from badx_hub.recipes.model import StrictModel
from badx_hub.setups import TargetCoverage
from badx_hub.studies.variant import Variant
from badx_hub.tasks import task_named
from badx_hub.training.annotated_data import AnnotatedData
from badx_hub.untrusted_files import read_plain
from badx_hub.user_paths import user_path

_NO_PATHS = (HUB, DEMO_PREFIX, INDEX)


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if repeated := [str(value) for value, count in Counter(values).items() if count > 1]:
        raise ValueError(f"{', '.join(repeated)} is there twice")
    return values


def _once(given: Any, handler: Any) -> Any:
    """Refuse a mapping in which a language occurs in two spellings."""
    found = handler(given)
    if len(found) < len(given):
        raise ValueError("a language is there twice, in two spellings")
    return found


def _beside(spec: str, info: ValidationInfo) -> str:
    """A path, relative to the folder of the study; sources that are not paths stay as they are."""
    return spec if spec.startswith(_NO_PATHS) else str((_folder(info) / user_path(spec)).resolve())


def _base(spec: str, info: ValidationInfo) -> str:
    folder = (_folder(info) / user_path(spec)).resolve()
    found = str(folder) if spec != DEMO and (spec.startswith((".", "/", "~")) or folder.is_dir()) else spec
    spec_slug(found)
    return found


def _recipe(given: Any, info: ValidationInfo) -> Any:
    """A preset, a file beside the study, or a recipe in the study itself, which may extend one of these."""
    if isinstance(given, str):
        return load_recipe(_recipe_place(given, info))
    if not isinstance(given, Mapping):
        return given
    written = {"name": info.data.get("name", "study"), **given}
    if isinstance(parent := written.get("extends"), str):
        written["extends"] = _recipe_place(parent, info)
    return expanded(written)


def _other_recipe(given: Any, info: ValidationInfo) -> Any:
    """What differs from the study's recipe, or a whole recipe by its name, its file or what it extends."""
    known = info.data.get("recipe")
    if not isinstance(given, Mapping) or "extends" in given or not isinstance(known, Recipe):
        return _recipe(given, info)
    return combined(known.model_dump(), expanded(given))


def _recipe_place(name: str, info: ValidationInfo) -> str:
    return name if name in preset_names() else _beside(name, info)


def _mixture(given: Any) -> Any:
    if isinstance(given, (list, tuple)):
        return Mixture.of(*map(str, given))
    return Mixture.parse(given) if isinstance(given, str) else given


def _by_source(given: Any, info: ValidationInfo) -> Any:
    """Annotated data without a language is that of the source."""
    return {info.data.get("source", "en"): given} if isinstance(given, str) else given


def _variant(given: Any) -> Any:
    return Variant.parse(given) if isinstance(given, str) else given


def _folder(info: ValidationInfo) -> Path:
    folder: Path = (info.context or {}).get("folder", Path())
    return folder


def _known_task(name: str) -> str:
    return task_named(name).name


Language = Annotated[str, AfterValidator(normalise)]
SourceText = Annotated[str, StringConstraints(min_length=1), AfterValidator(_beside)]
Label = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=30)]
BySource = Annotated[dict[Language, SourceText], WrapValidator(_once), BeforeValidator(_by_source)]
TaskName = Annotated[str, AfterValidator(_known_task)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Seeds = Annotated[tuple[Seed, ...], Field(min_length=1, max_length=1000), AfterValidator(_distinct)]
Setups = Annotated[InstanceOf[Variant], BeforeValidator(_variant)]


class Block(StrictModel):
    """Every target with every task in every setup, once for each seed; `seeds` None: the seeds of the study."""

    targets: Annotated[tuple[Language, ...], Field(min_length=1), AfterValidator(_distinct)]
    tasks: Annotated[tuple[TaskName, ...], Field(min_length=1), AfterValidator(_distinct)]
    setups: Annotated[tuple[Setups, ...], Field(min_length=1), AfterValidator(_distinct)]
    seeds: Seeds | None = None


class Study(StrictModel):
    """The contents of a study file.

    Attributes:
        recipe: a preset, a file or the recipe itself. Its seeds are replaced by the seeds of the study.
        recipes: other recipes by their labels: "bad-x+average" is "bad-x" trained with the recipe `average`, which says
            what differs from `recipe`.
        baseline: the system that the others are compared with.
        multilingual: the mixture of setups that use an adapter of all languages.
        text: language -> source; default: its Wikipedia.
        train: task -> annotated data of the source language; or language -> annotated data, for setups such as
            "bad-x+few-wo-20", which learn from the first 20 Wolof sentences as well.
        data_ratio, select_on: of such setups, as in `badx_hub.training.task_job.TaskJob`.
        test: task -> target -> annotated data.
        split: the split of the test data that is scored.
        note: the introduction of the report.
        question, stopping: what is asked, and when no more is run; `badx_hub.studies.preregistration` writes them down.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)]
    base: Annotated[str, StringConstraints(min_length=1), AfterValidator(_base)]
    recipe: Annotated[Recipe, BeforeValidator(_recipe)]
    recipes: dict[Label, Annotated[Recipe, BeforeValidator(_other_recipe)]] = Field(default_factory=dict)
    source: Language
    seeds: Seeds = (1,)
    baseline: Setups
    multilingual: Annotated[InstanceOf[Mixture], BeforeValidator(_mixture)] | None = None
    text: Annotated[dict[Language, SourceText], WrapValidator(_once)] = Field(default_factory=dict)
    train: dict[TaskName, BySource] = Field(default_factory=dict)
    data_ratio: str | None = None
    select_on: Language | None = None
    test: dict[TaskName, Annotated[dict[Language, SourceText], WrapValidator(_once)]]
    split: Split = "test"
    blocks: Annotated[tuple[Block, ...], Field(min_length=1)]
    note: str | None = None
    question: str | None = None
    stopping: str | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Study:
        if problems := list(dict.fromkeys(self._problems())):
            raise ValueError("; ".join(problems))
        return self

    def mixture(self, variant: Variant, target: str) -> Mixture:
        """The mixture of the language adapter that a setup is about, for this target."""
        if variant.setup.coverage is TargetCoverage.WIDER and self.multilingual is not None:
            return self.multilingual
        return pair(self.source, target, variant.ratio)

    def recipe_called(self, label: str | None) -> Recipe:
        """The recipe in the label of a variant; without one the study's own."""
        called = plain_label(label)
        return self.recipe if called is None else self.recipes[called]

    def language_recipe(self, mixture: Mixture, seed: int, label: str | None = None) -> LanguageRecipe:
        """The recipe of the language adapter of a mixture."""
        return self.recipe_called(label).language_side(len(mixture.languages)).model_copy(update={"seed": seed})

    def task_recipe(self, task: str, seed: int, label: str | None = None) -> TaskRecipe:
        """The recipe of the task adapters of a task."""
        return self.recipe_called(label).tasks[task].model_copy(update={"seed": seed})

    def train_data(self, task: str, language: str) -> str:
        """The annotated data of a language to learn from. Raises KeyError for none."""
        known = self.train.get(task, {})
        return known[language] if language in known or language != self.source else self.recipe.data[task]

    def annotated(self, task: str, sentences: Mapping[str, int]) -> AnnotatedData:
        """What a task adapter learns from: the source's data, and as many `sentences` of other languages."""
        languages = Mixture.of(self.source, *sentences)
        return AnnotatedData.of(
            {language: self.train_data(task, language) for language in languages.languages},
            languages,
            ratio=self.data_ratio if sentences else None,
            limit=sentences,
            select_on=self.select_on if sentences else None,
        )

    @property
    def texts(self) -> Mapping[str, str]:
        """Language -> source of text; sources of the study replace those of the recipe."""
        return {**self.recipe.text, **self.text}

    def texts_of(self, mixture: Mixture) -> Mapping[str, str]:
        """The `texts` of the languages of a mixture."""
        return {language: source for language, source in self.texts.items() if language in mixture.languages}

    def _problems(self) -> Iterator[str]:
        for block in self.blocks:
            for task in block.tasks:
                yield from self._task_problems(task, block.targets)
            if self.source in block.targets:
                yield f"{self.source} is the source and cannot be a target too"
        setups = {variant for block in self.blocks for variant in block.setups}
        yield from self._label_problems(setups)
        yield from self._sentence_problems()
        if self.baseline not in setups:
            yield f"the baseline {self.baseline} is in no block; choose one of {', '.join(sorted(map(str, setups)))}"
        if any(variant.setup.coverage is TargetCoverage.WIDER for variant in setups):
            yield from self._mixture_problems()
        yield from self._unused_keys()

    def _unused_keys(self) -> Iterator[str]:
        """What is said about languages and tasks that the study does not have."""
        targets = {
            task: {one for block in self.blocks if task in block.tasks for one in block.targets} for task in self.test
        }
        languages = {self.source, *chain.from_iterable(block.targets for block in self.blocks)}
        languages.update(self.multilingual.languages if self.multilingual else ())
        tasks = {task for block in self.blocks for task in block.tasks}
        yield from (f"text is of {one}, which is no language of the study" for one in self.text if one not in languages)
        yield from (f"train is for {task}, which is in no block" for task in self.train if task not in tasks)
        for task, sources in self.test.items():
            if task not in tasks:
                yield f"test is for {task}, which is in no block"
            else:
                yield from (
                    f"test is for {task} in {one}, which is in no block" for one in sources if one not in targets[task]
                )

    def _label_problems(self, setups: Iterable[Variant]) -> Iterator[str]:
        for label in sorted({variant.recipe for variant in setups if variant.recipe} - self.recipes.keys()):
            few = "; sentences of the target are written few-wo-20" if label.startswith("few") else ""
            yield f"recipes has no {label}; it has {', '.join(self.recipes) or 'none'}{few}"
        for label, recipe in self.recipes.items():
            if plain_label(label) != label:
                yield f"the recipe {label} has a name that tells of sentences of the target; choose another"
            if missing := [task for block in self.blocks for task in block.tasks if task not in recipe.tasks]:
                yield f"the recipe {label} has no section for the task {missing[0]}"

    def _task_problems(self, task: str, targets: tuple[str, ...]) -> Iterator[str]:
        if task not in self.recipe.tasks:
            yield f"the recipe {self.recipe.name} has no section for the task {task}"
        else:
            try:
                task_named(task, self.recipe.tasks[task].options)
            except UsageError as error:
                yield str(error)
        if task not in self.train and task not in self.recipe.data:
            yield f"train has no data for the task {task}"
        for target in targets:
            if target not in self.test.get(task, {}):
                yield f"test has no data for the task {task} in {target}"

    def _sentence_problems(self) -> Iterator[str]:
        """What is wrong with setups that learn from sentences of the target, and with the settings for them."""
        learned: dict[str, set[str]] = {task: {self.source} for task in self.train}
        few = False
        for block in self.blocks:
            for task, target, variant in product(block.tasks, block.targets, block.setups):
                if target == self.source or variant.label == variant.recipe:
                    continue
                mixture = self.mixture(variant, target)
                sentences = variant.sentences(mixture)
                few = True
                learned.setdefault(task, set()).update(sentences)
                yield from self._annotation_problems(variant, task, mixture, sentences)
        for task, sources in self.train.items():
            for one in sources.keys() - learned[task]:
                yield f"train for {task} has data of {one}, which no setup uses; one that does is bad-x+few-{one}-20"
        if not few and (said := [key for key in ("data_ratio", "select_on") if getattr(self, key) is not None]):
            yield f"{said[0]} is for setups such as bad-x+few-wo-20, and there is none"

    def _annotation_problems(
        self, variant: Variant, task: str, mixture: Mixture, sentences: Mapping[str, int]
    ) -> Iterator[str]:
        if strange := [one for one in sentences if one not in mixture.targets]:
            yield f"{variant} has sentences of {strange[0]}, which is no target of {mixture}; give it another block"
        elif missing := [one for one in sentences if one not in self.train.get(task, {})]:
            yield f"train has no data of {missing[0]} for the task {task}, which {variant} learns from"
        elif sentences and (task in self.train or task in self.recipe.data):
            try:
                self.annotated(task, sentences)
            except (UsageError, KeyError) as error:
                yield f"{variant}: {error}"

    def _mixture_problems(self) -> Iterator[str]:
        wider = [
            block for block in self.blocks if any(one.setup.coverage is TargetCoverage.WIDER for one in block.setups)
        ]
        needed = [self.source, *(target for block in wider for target in block.targets)]
        if self.multilingual is None:
            yield f"multilingual is missing; write for example [{', '.join(dict.fromkeys(needed))}]"
        elif self.multilingual.kind != "multilingual" or self.multilingual.source != self.source:
            yield f"multilingual is {self.multilingual}; three languages or more are needed, {self.source} first"
        elif missing := [language for language in needed if language not in self.multilingual.languages]:
            yield f"multilingual lacks {', '.join(dict.fromkeys(missing))}"


def load_study(file: str | Path) -> Study:
    """The study in a YAML file. Paths are relative to its folder; `hf:`, `demo:` and `ud:` sources are not paths.

    Raises UsageError for a file that is unreadable or not YAML, and for unknown keys, impossible values or parts that
    do not fit together. All problems are listed; those between parts only if each part is right by itself.
    """
    path = user_path(file)
    try:
        text = read_plain(path.resolve(), limit=MAX_RECIPE_BYTES).decode("utf-8")
    except (OSError, IntegrityError, UnicodeDecodeError) as error:
        raise UsageError(f"No study {str(path)!r}: it is no readable YAML file. Give the path of one.") from error
    data = parsed(text, str(path))
    if not isinstance(data, dict):
        raise UsageError(f"{path} holds no study. Start from one in the folder studies/ of the repository.")
    return validated(Study, data, where=f"study {path}", context={"folder": path.absolute().parent})

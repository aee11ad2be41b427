"""The fields of a recipe. The paper's values are in `paper.yaml`, each with its section."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from badx_hub.adapter_files import MAX_SUBWORDS

MIN_LENGTH = 8
MAX_LENGTH = 8192
"""Bounds of `max_length`, the sub-words of an input."""

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Positive = Annotated[int, Field(ge=1, le=2**31)]
BatchSize = Annotated[int, Field(ge=1, le=2**16)]
Precision = Literal["auto", "fp32", "bf16"]
HeadTraining = Literal["frozen", "transform", "all"]
Selected = Literal["best", "last", "average"]


class StrictModel(BaseModel):
    """Unknown keys are errors, so that a misspelt setting is never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class AdapterRecipe(StrictModel):
    """One bottleneck adapter: h + U(f(D h)) in every layer (BAD-X).

    `reduction_factor` is hidden size / bottleneck size; `invertible` adds MAD-X's invertible adapter at the
    embeddings; `leave_out` names layers (from 0) without an adapter, as in MAD-X 2.0; `dropout` acts on the
    bottleneck's input.
    """

    reduction_factor: Annotated[float, Field(ge=0.125)] = 2.0
    non_linearity: Literal["relu", "gelu", "swish", "tanh", "leakyrelu"] = "relu"
    dropout: Fraction = 0.0
    invertible: bool = False
    leave_out: tuple[Annotated[int, Field(ge=0)], ...] = ()


class TrainingRecipe(StrictModel):
    """What every training has: optimizer steps, batches of `batch_size`, AdamW with linear warm-up and decay.

    `micro_batches` is the number of slices of a batch, to save memory; `save_every` 0 keeps no checkpoints.
    `select` says which weights are kept: those of the best evaluation, those of the last step, or the mean of the
    weights at the last `average_over` evaluations (all of them, if there are fewer), which needs no dev data
    (Schmidt et al., ACL 2023, arXiv 2305.16834).
    `precision` "bf16" computes matrix products in bfloat16 and holds frozen weights in it; trained weights, losses and
    metrics stay float32. "auto" becomes one or the other, whichever the machine is best at.
    """

    steps: Positive
    batch_size: BatchSize
    learning_rate: Annotated[float, Field(gt=0.0, le=1.0)]
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.0
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    clip_norm: Annotated[float, Field(gt=0.0)] = 1.0
    eval_every: Positive
    save_every: Annotated[int, Field(ge=0)] = 0
    max_length: Annotated[int, Field(ge=MIN_LENGTH, le=MAX_LENGTH)] = 256
    micro_batches: Positive = 1
    precision: Precision = "fp32"
    select: Selected = "best"
    average_over: Positive = 5
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 1
    adapter: AdapterRecipe

    @model_validator(mode="after")
    def _possible(self) -> TrainingRecipe:
        if self.warmup_steps > self.steps:
            raise ValueError(f"warmup_steps {self.warmup_steps} exceeds steps {self.steps}")
        if self.batch_size % self.micro_batches:
            raise ValueError(f"batch_size {self.batch_size} is not a multiple of micro_batches {self.micro_batches}")
        return self

    def identity(self) -> dict[str, Any]:
        """The fields that decide the weights, as JSON: what a run's key is made of.

        How often a run is saved does not count. A field that came later is left out at the value that every run
        had before it, so that older runs keep their keys.
        """
        of_text = {"head": "frozen", "publish_head": False, "extend_vocabulary": 0}
        earlier = {"precision": "fp32", "select": "best", **of_text}
        same = {field for field, value in earlier.items() if getattr(self, field, None) == value}
        if self.select != "average":
            same.add("average_over")
        return self.model_dump(mode="json", exclude={"save_every", *same})

    def kept(self, step: int) -> str:
        """The weights kept, in words, where `step` is the last one that they are of."""
        return kept_words(self.model_dump(include={"select", "average_over"}), step)

    def learning_rate_at(self, step: int) -> float:
        """Linear warm-up over `warmup_steps`, then linear decay to 0 at `steps`; `step` counts from 0."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        return self.learning_rate * (self.steps - step) / max(1, self.steps - self.warmup_steps)


def kept_words(recipe: Mapping[str, Any], step: int) -> str:
    """ "step 300", or "mean of the last 5 evaluations, to step 300"; `recipe` as in a manifest, of any version."""
    if recipe.get("select") != "average":
        return f"step {step:,}"
    return f"mean of the last {recipe.get('average_over')} evaluations, to step {step:,}"


class LanguageRecipe(TrainingRecipe):
    """Masked-language modelling of a BA, LA or MA.

    `batch_size` counts blocks of `max_length` tokens per optimizer step; `held_out` is the share of the text
    kept for evaluation; `eval_blocks` caps the held-out blocks a language is evaluated on (0: all of them).
    `head` is what of the masked-language-model head is trained together with the adapter and dropped afterwards:
    nothing ("frozen"), its dense layer and LayerNorm ("transform", as plain `adapters` does), or the decoder's bias
    too ("all"). With a frozen head the adapter has to do the head's work, and what it learns transfers less.
    Perplexities of different heads are not comparable. With `publish_head` what was trained of it is published beside
    the adapter, so that the perplexity can be measured again and training can go on.
    `extend_vocabulary` is how many sub-words that the base lacks are learned from the text of the targets, and trained
    with the adapter. Perplexities of different sub-words are not comparable either.
    """

    mask_probability: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.15
    held_out: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.05
    eval_blocks: Annotated[int, Field(ge=0)] = 512
    head: HeadTraining = "transform"
    publish_head: bool = False
    extend_vocabulary: Annotated[int, Field(ge=0, le=MAX_SUBWORDS)] = 0
    adapter: AdapterRecipe = AdapterRecipe()

    @model_validator(mode="after")
    def _has_a_head_to_publish(self) -> LanguageRecipe:
        if self.publish_head and self.head == "frozen":
            raise ValueError("publish_head is for a head that is trained, and head is frozen")
        return self


class TaskRecipe(TrainingRecipe):
    """A task adapter with its head; `batch_size` counts sentences (windows of them, when they are long).

    `options` are the task's own, such as `decoding` of dp; `badx_hub.tasks.task_named` checks them.
    """

    options: dict[str, bool | str] = {}
    adapter: AdapterRecipe = AdapterRecipe(reduction_factor=16.0)


class Recipe(StrictModel):
    """A whole recipe: how language adapters are trained, and each task's adapter.

    `la_steps` are the steps of a mixture of one language, where they differ.
    `base`, `text` (language -> source) and `data` (task -> source) stand in for what a user leaves out.
    """

    name: str
    la_steps: Positive | None = None
    base: str | None = None
    text: dict[str, str] = {}
    data: dict[str, str] = {}
    language: LanguageRecipe
    tasks: dict[str, TaskRecipe]

    @field_validator("text")
    @classmethod
    def _languages_are_tags(cls, text: dict[str, str]) -> dict[str, str]:
        """ "wol" and "Wolof" mean wo here too: a key that matches nothing would be left out without a word."""
        from badx_hub.languages import normalise  # its tables are slow to load

        tagged = {normalise(language): source for language, source in text.items()}
        if len(tagged) < len(text):
            raise ValueError("a language is there twice, in two spellings")
        return tagged

    @model_validator(mode="after")
    def _has_tasks_of_data(self) -> Recipe:
        if unknown := [task for task in self.data if task not in self.tasks]:
            raise ValueError(f"data is for {unknown[0]}, and the tasks are {', '.join(self.tasks)}")
        return self

    def language_side(self, languages: int) -> LanguageRecipe:
        """The recipe of an adapter for this number of languages: an LA (1), a BA (2) or an MA."""
        if languages > 1 or self.la_steps is None:
            return self.language
        return self.language.model_copy(update={"steps": self.la_steps})

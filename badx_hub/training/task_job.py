"""What a task adapter is trained for and on what, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from badx_hub.errors import UsageError
from badx_hub.languages import Mixture
from badx_hub.names import sentences_in
from badx_hub.recipes import TaskRecipe
from badx_hub.remedies import Advice
from badx_hub.setups import DEFAULT, LanguageAdapterRole, setup_named
from badx_hub.training.annotated_data import AnnotatedData
from badx_hub.training.runs import seed_label


@dataclass(frozen=True)
class TaskJob:
    """What a task adapter is trained for, and on what.

    Attributes:
        mixture: the languages of the setup's adapters; its source is the language of `data`.
        task: its name, such as "pos".
        data: what the task reads of the source, such as a folder with `*-ud-{train,dev}.conllu`; or of several
            languages of the mixture, by language. Then the label tells how many sentences of each other language.
        base: `demo`, a folder or a Hub id; default the base of the language adapters (mBERT where there are none).
        setup: which adapters are below it in training (`badx_hub.setups`); "full": the whole base is trained.
        label: as of the language adapters; default none for seed 1, else `seedN`.
        data_ratio: batches of each language's data in turn, such as "2:1"; default one each.
        limit, select_on: see `badx_hub.training.annotated_data.AnnotatedData`.

    Raises UsageError for data that does not fit the mixture or the setup, and for a label that only such data makes.
    """

    mixture: Mixture
    task: str
    recipe: TaskRecipe
    data: str | Path | Mapping[str, str | Path]
    base: str | None = None
    setup: str = DEFAULT
    label: str | None = None
    data_ratio: str | None = None
    limit: Mapping[str, int] | None = None
    select_on: str | None = None

    def __post_init__(self) -> None:
        if sentences_in(self.label):
            raise UsageError(
                f"The label {self.label} is given to what learned from sentences of the target.",
                remedies=(Advice("Leave {} out: such data makes the label.", (("label", None),)),),
            )
        if len(self.annotated.sources) > 1 and setup_named(self.setup).training is LanguageAdapterRole.SOURCE:
            raise UsageError(
                f"The setup {self.setup} trains on the adapter of the source, which is no place for sentences of "
                "another language.",
                remedies=(Advice("With {} each language's data is on its own adapter.", (("setup", "tlr"),)),),
            )

    @property
    def annotated(self) -> AnnotatedData:
        """`data` with all that says how it is used."""
        return AnnotatedData.of(
            self.data, self.mixture, ratio=self.data_ratio, limit=self.limit, select_on=self.select_on
        )

    @property
    def plain_label(self) -> str | None:
        """The label in the names of the language adapters, with which that of the task adapter begins."""
        return self.label or seed_label(self.recipe.seed)

"""Which mean of two LAs: the ratio of "mad-x-merged" by scores on annotated data. Nothing is trained or registered.

The mean is lambda * LA(target) + (1 - lambda) * LA(source), below the task adapter of the source's LA ("language
arithmetic", Klimaszewski et al., COLING 2025). Each ratio is scored on the source's development data, which are there
anyway, and on the target's, where the user has some. So are both ends: without the target's LA it is the setup
"source-kept", and without the source's it is "mad-x". Scores are kept, so what was scored before is found again.

The source's scores know nothing of the target: they are highest near the source's own LA. What they do tell is how much
of the target's LA the task adapter tolerates. So they choose the largest lambda that costs it little.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scipy.stats import spearmanr

from badx_hub.errors import UsageError
from badx_hub.evaluation import evaluate
from badx_hub.evaluation.results import Result, read_result, result_of
from badx_hub.languages import Mixture
from badx_hub.modeling.memory import give_memory_back
from badx_hub.modeling.precision import settled
from badx_hub.names import AdapterName
from badx_hub.registry import AdapterQuery, Entry, LocalRegistry, Registry, copy
from badx_hub.registry.chain import Where, find, open_chain
from badx_hub.registry.merging import merge
from badx_hub.registry.query import swapped_in
from badx_hub.stack import load_entries
from badx_hub.storage import atomic_write_text, digest_of, results_folder, scratch_folder
from badx_hub.studies.ratio_tuning import FEWEST_RATIOS, RATIOS, PairInRatios
from badx_hub.tasks import task_named

SETUP = "mad-x-merged"
_SOURCE_ALONE, _TARGET_ALONE = "source-kept", "mad-x"
SLACK = 0.01


@dataclass(frozen=True)
class MeansJob(PairInRatios):
    """What is scored, and on what.

    Attributes:
        languages: source and target; a ratio is left out of account.
        data: annotated data of the source with a dev split.
        dev: annotated data of the target with a dev split, which then decides; default: the source's do.
        ratios: source to target, as `merge` weights their LAs.
        slack: how much lower than the highest the source's score may be, as a fraction, where it decides.
        base, label: as for `load_bilingual_stack`.

    Raises UsageError for languages that are no pair, an unknown task, a slack that is no fraction, and ratios that are
    too few or there twice.
    """

    languages: Mixture
    task: str
    data: str
    dev: str | None = None
    ratios: tuple[str, ...] = RATIOS
    slack: float = SLACK
    base: str | None = None
    label: str | None = None

    def __post_init__(self) -> None:
        task_named(self.task)
        self.check_pair()
        if not 0 <= self.slack <= 1:
            raise UsageError(f"The slack is a fraction from 0 to 1; got {self.slack:g}. A hundredth is a point.")
        self.check_ratios(len({share_of(mixture) for mixture in self.mixtures}))

    def asks(self, setup: str, mixture: Mixture | None = None) -> AdapterQuery:
        """The stack of a setup; `mixture`: the pair in a ratio."""
        return AdapterQuery(mixture or self.languages.balanced, self.task, self.base, setup, self.label)


@dataclass(frozen=True)
class MeansTrial:
    """A stack that was scored.

    `mean` is the name of the mean; None at both ends, where `setup` is that which has none. `share` is lambda, the
    weight of the target's LA, from 0 to 1. Scores are fractions; `target_score` is None without data of the target.
    """

    setup: str
    mean: AdapterName | None
    share: float
    source_score: float
    target_score: float | None = None

    @property
    def ratio(self) -> str | None:
        """Source to target; None at both ends."""
        return self.mean.mixture.ratio if self.mean else None


@dataclass(frozen=True)
class MeansTuning:
    """All trials, by `share`. `parents` are the LAs of source and target; `metric` is that of the scores.

    `slack` is that of the job.
    """

    trials: tuple[MeansTrial, ...]
    parents: tuple[Entry, Entry]
    metric: str
    slack: float = SLACK

    @property
    def by_target(self) -> bool:
        """Whether the target's scores are known, and decide."""
        return all(one.target_score is not None for one in self.trials)

    @property
    def best(self) -> MeansTrial:
        """The mean with the highest score of the target; where that is not known, the one with the most of the target's
        LA among those that cost the source little (`within_slack`). If there is none, the source's score decides.
        """
        means = [one for one in self.trials if one.mean]
        if self.by_target:
            return max(means, key=lambda one: (one.target_score or 0.0, one.share))
        if within := [one for one in means if self.within_slack(one)]:
            return within[-1]
        return max(means, key=lambda one: one.source_score)

    def within_slack(self, trial: MeansTrial) -> bool:
        """Whether the source's score is within `slack` of the highest of all trials."""
        return trial.source_score >= max(one.source_score for one in self.trials) - self.slack

    @property
    def ends(self) -> tuple[MeansTrial, MeansTrial]:
        """The LA of the source alone, and that of the target."""
        return self.trials[0], self.trials[-1]

    def agreement(self) -> float | None:
        """How far the source's scores order all trials as the target's do: Spearman's rho; None where it has none."""
        source = [one.source_score for one in self.trials]
        target = [one.target_score for one in self.trials if one.target_score is not None]
        if len(target) < len(source) or min(len(set(source)), len(set(target))) < FEWEST_RATIOS:
            return None
        return float(spearmanr(source, target).statistic)


def share_of(mixture: Mixture) -> float:
    """lambda: the weight of the target's LA in the mean of a pair."""
    return mixture.weights[-1] / sum(mixture.weights)


def tune_means(
    job: MeansJob,
    registry: Where = None,
    *,
    results: Path | None = None,
    offline: bool = False,
    before: Callable[[str], None] | None = None,
) -> MeansTuning:
    """Score the means and both ends. The registry is left as it is; `merge` registers the mean that was chosen.

    Args:
        registry, offline: as for `load_bilingual_stack`; it has both LAs and the task adapter of the source's.
        results: the folder in which scores are kept; default that of studies.
        before: called with "ratio 3:1" and the like before it is scored.

    Raises:
        NotFoundError: an adapter or the data are not there.
        DataError, IntegrityError, UsageError: as `merge`, `load_entries` and `evaluate` do.
    """
    chain = open_chain(registry, offline=offline)
    target, task_adapter = find(chain, job.asks(_TARGET_ALONE)).entries
    source, _ = find(chain, job.asks(_SOURCE_ALONE)).entries
    points = sorted((share_of(mixture), mixture) for mixture in job.mixtures)
    with scratch_folder() as folder:
        scorer = _Scorer(job, (source, target, task_adapter), chain, LocalRegistry(folder), results or results_folder())
        trials = [scorer.trial(share, mixture, before) for share, mixture in ((0.0, None), *points, (1.0, None))]
    return MeansTuning(tuple(trials), (source, target), task_named(job.task).selection_metric, job.slack)


@dataclass(frozen=True)
class _Scorer:
    """Scores stacks of `entries`: the LAs of source and target, and the task adapter.

    `registry` has them. `workshop` is another one, which gets copies of them and the means.
    """

    job: MeansJob
    entries: tuple[Entry, Entry, Entry]
    registry: Registry
    workshop: LocalRegistry
    results: Path

    def trial(self, share: float, mixture: Mixture | None, before: Callable[[str], None] | None) -> MeansTrial:
        """The scores of the mean in the ratio of `mixture`; without one, of the LA that has the whole share."""
        setup = SETUP if mixture else _TARGET_ALONE if share else _SOURCE_ALONE
        mean = None
        if mixture is not None:
            wanted = swapped_in(self.job.asks(setup, mixture))
            mean = AdapterName(self.entries[0].name.base, wanted.mixture, label=wanted.label)
        found = {language: read_result(self._path(setup, share, language)) for language in self._data}
        if missing := [language for language, result in found.items() if result is None]:
            if before:
                before(f"ratio {mixture.ratio}" if mixture else setup)
            found |= self._scored(setup, share, mean, missing)
        scores = {language: result.metrics[result.metric] for language, result in found.items() if result}
        return MeansTrial(setup, mean, share, scores[self.job.languages.source], scores.get(self.job.target))

    @property
    def _data(self) -> Mapping[str, str]:
        """The annotated data by language."""
        own = {self.job.languages.source: self.job.data}
        return own if self.job.dev is None else {**own, self.job.target: self.job.dev}

    def _path(self, setup: str, share: float, language: str) -> Path:
        """Where the scores are kept: by all that they depend on."""
        *_, task_adapter = self.entries
        references = task_named(self.job.task).references(self._data[language], "dev")
        key = {
            "adapters": [entry.manifest.digest for entry in self.entries],
            "share": share,
            "setup": setup,
            "data": [file.digest for file in references],
            "task": self.job.task,
            "recipe": {name: task_adapter.manifest.recipe.get(name) for name in ("max_length", "options")},
            "precision": settled("auto"),
        }
        return self.results / f"{digest_of(key)}.json"

    def _scored(self, setup: str, share: float, mean: AdapterName | None, languages: list[str]) -> Mapping[str, Result]:
        """Load the stack, score it on the data of each language, and keep the scores."""
        source, target, task_adapter = (self._copied(entry) for entry in self.entries)
        below = target if share else source
        if mean is not None:
            below = merge([source, target], self.workshop, name=mean, base=self.job.base).entry
        stack = load_entries((below, task_adapter), self.workshop, base=self.job.base, setup=setup)
        found = {}
        for language in languages:
            found[language] = result_of(
                evaluate(stack, self._data[language], split="dev"),
                stack.entries,
                self.workshop,
                mixture=str(mean.mixture if mean else self.job.languages.balanced),
                target=language,
                metric=stack.task.selection_metric,
            )
            atomic_write_text(self._path(setup, share, language), found[language].model_dump_json(indent=1) + "\n")
        del stack
        give_memory_back()
        return found

    def _copied(self, entry: Entry) -> Entry:
        copy(entry, self.registry, self.workshop)
        return self.workshop.get(entry.name, entry.version)

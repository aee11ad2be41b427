"""The ratio of a pair under a fixed budget: successive halving over ratios, each going on from where it stopped.

In each rung every ratio that is left is trained by an equal share of the rung's steps. It begins with the weights, of
adapter and head, that it had after the rung before; the optimizer and the learning rate start again. The better half
stays. Runs are those of training: what was done before is found by its key, and what was stopped goes on.

Jamieson and Talwalkar, AISTATS 2016.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scipy.stats import rankdata, spearmanr

from badx_hub.errors import UsageError
from badx_hub.evaluation import evaluate
from badx_hub.languages import Mixture, pair
from badx_hub.metric_key import MetricKey
from badx_hub.modeling.precision import DTYPES, with_settled_precision
from badx_hub.recipes import LanguageRecipe, TaskRecipe, override
from badx_hub.registry import Entry, LocalRegistry, Registry
from badx_hub.remedies import Advice
from badx_hub.stack import load_entries
from badx_hub.storage import home
from badx_hub.studies.pinned_registry import Pinned
from badx_hub.tasks import task_named
from badx_hub.training.language_adapter import train_language_adapter
from badx_hub.training.loop import Reporter
from badx_hub.training.runs import run_label
from badx_hub.training.task_adapter import TaskJob, train_job

RATIOS = ("5:1", "2:1", "1:1", "1:2", "1:5")
FEWEST_RATIOS = 2
_LABEL = "rung"


class PairInRatios:
    """A pair of languages in several ratios: what both kinds of jobs are about."""

    languages: Mixture
    ratios: tuple[str, ...]

    @property
    def mixtures(self) -> tuple[Mixture, ...]:
        """The pair in each of the ratios."""
        return tuple(pair(self.languages.source, self.target, ratio) for ratio in self.ratios)

    @property
    def target(self) -> str:
        """The language to transfer to."""
        return self.languages.targets[0]

    def check_pair(self) -> None:
        """Raises UsageError for languages that are no pair."""
        if self.languages.kind != "bilingual":
            raise UsageError(f"{self.languages} is no pair: a ratio is of a source and a target, as in en-wo.")

    def check_ratios(self, different: int) -> None:
        """Raises UsageError unless all ratios, two or more, are `different`."""
        if different < max(FEWEST_RATIOS, len(self.ratios)):
            raise UsageError(f"The ratios are {', '.join(self.ratios) or 'none'}: expected two or more, each once.")


@dataclass(frozen=True)
class TuningJob(PairInRatios):
    """What is tuned, and on what.

    Attributes:
        languages: source and target; a ratio is left out of account.
        budget: steps of all language adapters together; those of task adapters are extra, `task_recipe` has them.
        language_recipe: of the language adapters but for their steps, and for `publish_head`, by which rungs go on.
        text: language -> source, as for training; data: annotated data of the source.
        dev: annotated data of the target with a dev split, which then decides; without it, the target's perplexity and
            the score on the source's dev data do, by the mean of their ranks.

    Raises UsageError for languages that are no pair, ratios that are too few or there twice, and too small a budget.
    """

    languages: Mixture
    task: str
    budget: int
    language_recipe: LanguageRecipe
    task_recipe: TaskRecipe
    text: Mapping[str, str]
    data: str | Path
    ratios: tuple[str, ...] = RATIOS
    dev: str | Path | None = None
    base: str | None = None

    def __post_init__(self) -> None:
        self.check_pair()
        mixtures = self.mixtures
        self.check_ratios(len(set(mixtures)))
        longest = max(len(one.cycle) for one in mixtures)
        if (least := min(steps for _, steps in rungs(len(mixtures), self.budget))) < longest:
            enough = longest * len(mixtures) * len(rungs(len(mixtures), self.budget))
            raise UsageError(
                f"A budget of {self.budget:,} steps leaves {least:,} to a ratio in a rung, and "
                f"{max(mixtures, key=lambda one: len(one.cycle)).ratio} takes {longest} to go round once.",
                remedies=(Advice("Give at least {}.", (("budget", enough),)),),
            )


@dataclass(frozen=True)
class Trial:
    """A ratio in a rung, after `steps` in all of its rungs so far; scores are fractions, `stays` for the next rung."""

    rung: int
    ratio: str
    steps: int
    perplexity: float
    source_score: float
    target_score: float | None
    stays: bool = False


@dataclass(frozen=True)
class Tuning:
    """All trials, those of a rung together and the best one first; the first of the last rung has the best ratio."""

    trials: tuple[Trial, ...]
    metric: str

    @property
    def best(self) -> Trial:
        """The best one of the last rung."""
        last = self.trials[-1].rung
        return next(trial for trial in self.trials if trial.rung == last)

    def agreement(self) -> Mapping[str, float]:
        """How far the other signs order the ratios of the first rung as the target's dev data do: Spearman's rho.

        Empty without such data or with two ratios; without the signs whose values are all the same.
        """
        first = [trial for trial in self.trials if trial.rung == 1]
        scores = [trial.target_score for trial in first if trial.target_score is not None]
        signs = {
            "perplexity": [-trial.perplexity for trial in first],
            "source dev": [trial.source_score for trial in first],
        }
        if len(scores) <= FEWEST_RATIOS or len(set(scores)) < FEWEST_RATIOS:
            return {}
        return {
            name: float(spearmanr(values, scores).statistic)
            for name, values in signs.items()
            if len(set(values)) >= FEWEST_RATIOS
        }


def rungs(ratios: int, budget: int) -> tuple[tuple[int, int], ...]:
    """For each rung the ratios in it and the steps of each: half of them stay, down to two, and rungs cost the same."""
    counts = [ratios]
    while counts[-1] > FEWEST_RATIOS:
        counts.append(-(-counts[-1] // 2))
    return tuple((count, budget // (len(counts) * count)) for count in counts)


def tune_ratio(job: TuningJob, registry: Registry | None = None, *, reporter: Reporter | None = None) -> Tuning:
    """Find the ratio for a task under the job's budget; the adapters of the trials stay in a registry of their own.

    Raises what training and evaluating raise; after TrainingInterrupted the same call goes on.
    """
    metric = task_named(job.task, job.task_recipe.options).selection_metric
    trials = list(_halved(job, metric, registry or LocalRegistry(tuning_folder()), reporter))
    return Tuning(tuple(trials), metric)


def tuning_folder() -> Path:
    """The registry of trials, unless another one is given."""
    return home() / "tuning"


def _halved(job: TuningJob, metric: str, registry: Registry, reporter: Reporter | None) -> Iterator[Trial]:
    left: dict[Mixture, Entry | None] = dict.fromkeys(job.mixtures)
    plan, spent = rungs(len(left), job.budget), 0
    for rung, (_, steps) in enumerate(plan, start=1):
        spent += steps
        trained = [_trained(job, mixture, rung, steps, before, registry, reporter) for mixture, before in left.items()]
        trials = [_trial(job, metric, rung, spent, entry, registry, reporter) for entry in trained]
        after = plan[rung][0] if rung < len(plan) else 1
        ranks = _ranks(trials)
        order = sorted(range(len(trials)), key=lambda place: (ranks[place], place))
        yield from (replace(trials[place], stays=number < after) for number, place in enumerate(order))
        left = {trained[place].name.mixture: trained[place] for place in sorted(order[:after])}


def _trained(
    job: TuningJob,
    mixture: Mixture,
    rung: int,
    steps: int,
    before: Entry | None,
    registry: Registry,
    reporter: Reporter | None,
) -> Entry:
    """The BA of a rung. Other seeds than in the rung before draw other text."""
    recipe = job.language_recipe
    flags = {"steps": steps, "seed": recipe.seed + rung - 1, "publish_head": recipe.head != "frozen"}
    return train_language_adapter(
        mixture,
        with_settled_precision(override(recipe, flags)),
        registry=registry,
        base=job.base,
        text=job.text,
        label=_label(job, rung),
        init=before,
        reporter=reporter,
    ).entry


def _label(job: TuningJob, rung: int) -> str | None:
    return run_label(job.language_recipe.seed, f"{_LABEL}{rung}")


def _trial(
    job: TuningJob, metric: str, rung: int, steps: int, ba: Entry, registry: Registry, reporter: Reporter | None
) -> Trial:
    """Train the task adapter of a BA, and judge both."""
    recipe = with_settled_precision(job.task_recipe)
    mixture = ba.name.mixture
    task_job = TaskJob(mixture, job.task, recipe, job.data, base=job.base, label=_label(job, rung))
    task_adapter = train_job(task_job, Pinned(registry, (ba,)), reporter=reporter).entry
    target = None
    if job.dev is not None:
        stack = load_entries(
            (ba, task_adapter), registry, base=job.base, dtype=DTYPES[recipe.precision], options=recipe.options
        )
        target = evaluate(stack, job.dev, split="dev").scores.metrics[metric]
    return Trial(
        rung,
        mixture.ratio,
        steps,
        perplexity=ba.manifest.metrics["dev"][str(MetricKey.perplexity(job.target))],
        source_score=task_adapter.manifest.metrics["dev"][str(MetricKey(metric, mixture.source))],
        target_score=target,
    )


def _ranks(trials: Sequence[Trial]) -> list[float]:
    """The lower the better: by the target's score where it is known, else the mean rank of the other two signs."""
    if all(trial.target_score is not None for trial in trials):
        return [-(trial.target_score or 0.0) for trial in trials]
    by_text = rankdata([trial.perplexity for trial in trials])
    by_source = rankdata([-trial.source_score for trial in trials])
    return [float(one + other) / 2 for one, other in zip(by_text, by_source, strict=True)]

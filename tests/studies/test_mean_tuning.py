"""The ratio of a mean of two LAs by scores on annotated data."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from badx_hub.errors import NotFoundError, UsageError
from badx_hub.evaluation import evaluate
from badx_hub.languages import Mixture
from badx_hub.names import AdapterName
from badx_hub.registry import LocalRegistry
from badx_hub.registry.merging import merge
from badx_hub.stack import load_bilingual_stack
from badx_hub.studies import mean_tuning
from badx_hub.studies.mean_tuning import MeansJob, MeansTrial, MeansTuning, tune_means
from tests.cli.conftest import Run
from tests.cli.conftest import run as run
from tests.made import made
from tests.refusals import refused
from tests.tiny import small_treebank

PAIR = Mixture.of("en", "wo")
RATIOS = ("1:1", "3:1")


@pytest.fixture
def registry(tmp_path: Path, tiny_base: Path) -> LocalRegistry:
    """LAs of English and Wolof, and a tagger on that of English, all of seed 2."""
    found = LocalRegistry(tmp_path / "registry")
    source = made(found, tiny_base, "tiny/en#seed2", seed=1)
    made(found, tiny_base, "tiny/wo#seed2", seed=2)
    made(found, tiny_base, "tiny/en/pos#seed2", seed=3, on=source)
    return found


def trial(share: float, source: float, target: float | None = None) -> MeansTrial:
    ratio = f"{round(10 * (1 - share))}:{round(10 * share)}"
    mean = AdapterName.parse(f"tiny/en-wo@{ratio}#merged") if 0 < share < 1 else None
    return MeansTrial("made", mean, share, source, target)


def tuning(*trials: MeansTrial) -> MeansTuning:
    return MeansTuning(trials, (None, None), "accuracy")  # type: ignore[arg-type]


def test_scores_are_those_of_evaluate_and_are_found_again(
    registry: LocalRegistry, home: Path, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, before = small_treebank(tmp_path / "en"), registry.list()
    job = MeansJob(PAIR, "pos", data, dev=data, ratios=RATIOS, base=str(tiny_base), label="seed2")
    found = tune_means(job, registry)
    assert registry.list() == before
    assert [(one.setup, one.ratio, one.share) for one in found.trials] == [
        ("source-kept", None, 0.0),
        ("mad-x-merged", "3:1", 0.25),
        ("mad-x-merged", "1:1", 0.5),
        ("mad-x", None, 1.0),
    ]
    merge(list(found.parents), registry, name=found.trials[1].mean, base=str(tiny_base))
    for one in (found.trials[0], found.trials[1], found.trials[3]):
        stack = load_bilingual_stack(
            *("en", "wo", "pos"), setup=one.setup, ratio=one.ratio, label="seed2", registry=registry
        )
        score = evaluate(stack, data, split="dev").scores.metrics["accuracy"]
        assert (one.source_score, one.target_score) == (score, score)
    assert len({one.source_score for one in found.trials}) > 1

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("it was scored again")

    monkeypatch.setattr(mean_tuning, "load_entries", refuse)
    assert tune_means(job, registry) == found


def test_the_source_bears_the_mean_and_the_targets_data_decide_where_they_are_known() -> None:
    scores = ((0.0, 0.93), (0.2, 0.928), (0.5, 0.93), (0.8, 0.921), (1.0, 0.9))
    found = tuning(*(trial(*one) for one in scores))
    assert (found.best.share, found.agreement()) == (0.8, None)
    assert replace(found, slack=0.005).best.share == replace(found, slack=0.0).best.share == 0.5
    steep = tuning(trial(0.0, 0.9), trial(0.2, 0.7), trial(0.8, 0.8), trial(1.0, 0.2))
    assert steep.best.share == 0.8  # No mean is near the LA of the source.
    known = tuning(trial(0.0, 0.9, 0.1), trial(0.2, 0.8, 0.4), trial(0.8, 0.8, 0.3), trial(1.0, 0.2, 0.5))
    assert known.best.share == 0.2 and known.agreement() == pytest.approx(-0.95, abs=0.01)


@pytest.mark.parametrize(
    ("languages", "ratios", "said"),
    [
        (Mixture.of("en", "wo", "fo"), RATIOS, "is no pair"),
        (PAIR, ("1:1",), "expected two or more, each once"),
        (PAIR, ("1:2", "2:4"), "expected two or more, each once"),
    ],
)
def test_what_has_no_ratio_is_refused(languages: Mixture, ratios: tuple[str, ...], said: str) -> None:
    with refused(UsageError, said):
        MeansJob(languages, "pos", "data", ratios=ratios)


def test_what_is_missing_is_named(registry: LocalRegistry) -> None:
    with refused(NotFoundError, "badx-hub train en-wo --task pos .*--setup mad-x"):
        tune_means(MeansJob(PAIR, "pos", "data"), registry)


def test_the_command_shows_the_curve_and_says_how_to_get_the_mean(
    run: Run, registry: LocalRegistry, home: Path, tiny_base: Path, tmp_path: Path
) -> None:
    data = small_treebank(tmp_path / "en")
    asked = ("tune-ratio", "en-wo", "--task", "pos", "--setup", "mad-x-merged", "--ratios", "3:1,1:1", "--data", data)
    where = ("--registry", registry.root, "--label", "seed2")
    table = run(*asked, *where, "--base", tiny_base)
    assert table.code == 0, table.err
    lines = table.out.splitlines()
    assert max(map(len, lines)) <= 80 and sum("best mean" in line for line in lines) == 1
    document = json.loads(run(*asked, *where, "--format", "json").out)
    assert [one["lambda"] for one in document["trials"]] == [0.0, 0.25, 0.5, 1.0]
    assert document["judged_by"] == "source dev" and document["best"] in ("3:1", "1:1")
    command = next(line for line in table.err.splitlines() if "badx-hub merge " in line).partition("badx-hub ")[2]
    assert run(*command.replace("'", "").split()).code == 0
    used = run("evaluate", "en-wo", "--task", "pos", "--data", data, "--split", "dev", *where, "--setup",
               "mad-x-merged", "--ratio", document["best"], "--format", "quiet")  # fmt: skip
    best = next(one for one in document["trials"] if one["ratio"] == document["best"])
    assert f"accuracy\t{best['source_score']:.6f}" in used.out.splitlines()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "add --budget STEPS, such as --budget 3000"),
        (("--setup", "tlr"), "Expected --setup bad-x or mad-x-merged"),
        (("--setup", "mad-x-merged", "--budget", "9", "--seed", "2"), "leave --budget, --seed out"),
        (("--budget", "9", "--registry", "there", "--within", "2"), "leave --registry, --within out"),
        (("--setup", "mad-x-merged", "--within", "2", "--dev", "there"), "leave --within out"),
        (("--setup", "mad-x-merged", "--ratios", "1:1", "--data", "there"), "expected two or more"),
        (("--setup", "mad-x-merged", "--dev", "en=there", "--data", "there"), "--dev is about the target"),
    ],
)
def test_options_of_the_other_way_are_refused(run: Run, home: Path, options: tuple[str, ...], said: str) -> None:
    result = run("tune-ratio", "en-wo", "--task", "pos", *options)
    assert (result.code, result.out) == (2, "") and said in result.err

"""Results made by hand: their scores are those asked for, their tallies fit them."""

from __future__ import annotations

from collections.abc import Mapping

from badx_hub.evaluation.results import Cost, Result

DENOMINATOR = 1000
"""Of the tallies of a made result, all examples together; scores are to be multiples of 1/DENOMINATOR."""

MAIN = {"pos": "accuracy", "dp": "las", "nli": "accuracy"}
COST = Cost(steps=1000, tokens=200_000, sentences=8000, seconds=360.0, trained=50_000, stored=30_000)


def made(
    name: str,
    target: str,
    score: float,
    *,
    task: str = "pos",
    seed: int = 1,
    more: Mapping[str, float] | None = None,
    cost: Cost = COST,
    base: str = "mini-mmt",
    split: str = "test",
) -> Result:
    """The result of "bad-x@5:1", "bad-x+few-wo-20" or another on `target`: `score` is that of the main metric.

    `more` holds other metrics, fractions too.
    """
    system, _, label = name.partition("+")
    setup, at, ratio = system.partition("@")
    mixture = f"en-{target}{at}{ratio}"
    hits = round(score * DENOMINATOR)
    return Result(
        base=base,
        mixture=mixture,
        source="en",
        target=target,
        task=task,
        setup=setup,
        seed=seed,
        adapters=((f"mini/{mixture}", f"{name}-{seed}"), (f"mini/{mixture}/{task}", f"{name}-{task}-{seed}")),
        data=((f"{target}-{task}-{split}.conllu", f"{target}-{task}".ljust(64, "0")),),
        split=split,
        metric=MAIN[task],
        metrics={MAIN[task]: score, **(more or {})},
        tallies=tuple((hits // 100 + (example < hits % 100), DENOMINATOR // 100) for example in range(100)),
        cost=cost,
        label=label or None,
    )

"""Published differences between setups, shown beside measured ones. Data; pure.

Parović, Glavaš, Vulić and Korhonen, "BAD-X: Bilingual Adapters Improve Zero-Shot Cross-Lingual Transfer", NAACL 2022.
Base: multilingual BERT. Source: English. Targets: the paper's own, ten a task.
"""

from __future__ import annotations

from dataclasses import dataclass

CITATION = "Parović et al., NAACL 2022"
ADDRESS = "https://aclanthology.org/2022.naacl-main.130/"
CAVEAT = (
    f"Published figures are those of {CITATION}: averages over the languages of the paper, with multilingual BERT as "
    "the base and with its budgets. On other languages, another base or less training, expect other figures."
)
SHORT_CAVEAT = f"Published: {CITATION}, multilingual BERT, averages over the languages of the paper."
FINDINGS = (
    "The paper also reports that BAD-X at 1:1 beats MAD-X in 8 of 10 languages (POS), 9 of 10 (DP) and 8 of 10 "
    "(NLI), that Wolof gains about 9 points in DP, and that DP does best at 5:1, POS and NLI at 1:2."
)
_F1 = "The code of the paper counts F1 with seqeval, over runs of one tag; ours is the macro F1 of tags."


@dataclass(frozen=True)
class Published:
    """A published difference in points: `name` ("bad-x" is 1:1) minus `baseline`.

    It is of `target`, or of the average over languages if `target` is None. `remark` says how the metric differs from
    the one of the same name here.
    """

    task: str
    metric: str
    name: str
    baseline: str
    delta: float
    target: str | None = None
    remark: str | None = None


PUBLISHED = (
    Published("pos", "accuracy", "bad-x", "mad-x", 1.06),
    Published("pos", "macro_f1", "bad-x", "mad-x", 0.66, remark=_F1),
    Published("dp", "uas", "bad-x", "mad-x", 2.62),
    Published("dp", "las", "bad-x", "mad-x", 2.38),
    Published("nli", "accuracy", "bad-x", "mad-x", 2.4),
    Published("nli", "accuracy", "bad-x", "mad-x", 6.67, target="hch"),
    Published("pos", "accuracy", "bad-x", "ma", 3.55),
    Published("pos", "macro_f1", "bad-x", "ma", 2.87, remark=_F1),
    Published("dp", "uas", "bad-x", "ma", 2.22),
    Published("dp", "las", "bad-x", "ma", 2.82),
)


def published_average(task: str, metric: str, name: str, baseline: str) -> Published | None:
    """The published average difference of `name` to `baseline`, if the paper has it."""
    wanted = (task, metric, name, baseline, None)
    found = (one for one in PUBLISHED if (one.task, one.metric, one.name, one.baseline, one.target) == wanted)
    return next(found, None)

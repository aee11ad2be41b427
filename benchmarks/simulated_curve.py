"""How long two studies would take on 1 to 256 devices: that of the paper, and 1,000 pairs of languages.

    python benchmarks/simulated_curve.py [--plot-only]

Nothing is trained. Speeds are those of the paper's figures: 24 hours for a BA and 2 for a TA on one RTX 3090. Each
node has one device and fails once a day on average; ten failures of the seed are averaged, as one may strike the
longest chain or not. Writes simulated_curve.json beside this file, and docs/simulated.svg.
"""

from __future__ import annotations

import itertools
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import langcodes
from measuring import say

from badx_hub.languages import normalise
from badx_hub.studies.plan import plan_of
from badx_hub.studies.simulate import Cluster, SimulatedStep, simulate
from badx_hub.studies.study import Study, load_study
from badx_hub.studies.time_estimates import SpeedClass, simulated_steps

RESULT = Path(__file__).with_suffix(".json")
ROOT = Path(__file__).resolve().parents[1]
PLOT = ROOT / "docs" / "simulated.svg"
NODES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
MTBF = 24 * 3600.0
SEEDS = range(1, 11)
PAIRS = 1000
DAY = 24 * 3600.0

# A BA has 50,000 steps of 64 blocks of 256 tokens at most, a TA 15,000 steps of 8 sentences.
RATES: Mapping[SpeedClass, float] = {
    (None, False): 9481.0,
    **{(task, whole): 17.0 for task in ("pos", "dp") for whole in (False, True)},
}


def pairs_study() -> Study:
    """English with 1,000 languages: tagging in BAD-X, MAD-X and with the task adapter alone."""
    codes = ("".join(letters) for letters in itertools.product("abcdefghijklmnopqrstuvwxyz", repeat=3))
    targets = list(itertools.islice(filter(_is_language, codes), PAIRS))
    return Study.model_validate(
        {
            "name": "pairs",
            "base": "bert-base-multilingual-cased",
            "recipe": "paper",
            "source": "en",
            "baseline": "mad-x",
            "train": {"pos": "ud:UD_English-EWT"},
            "test": {"pos": {target: f"ud:UD_{target}-X" for target in targets}},
            "blocks": [{"targets": targets, "tasks": ["pos"], "setups": ["bad-x", "mad-x", "ta-only"]}],
        }
    )


def _is_language(code: str) -> bool:
    return langcodes.tag_is_valid(code) and normalise(code) == code and code != "eng"


def curve(study: Study) -> dict[str, Any]:
    """A row for each number of nodes, failing and not."""
    steps = plan_of(study)
    simulated = simulated_steps(steps, study, RATES)
    rows = []
    for nodes in NODES:
        failing = [simulate(simulated, Cluster(nodes, mtbf=MTBF), seed=seed) for seed in SEEDS]
        rows.append(
            {
                "nodes": nodes,
                "days": round(fmean(found.makespan for found in failing) / DAY, 2),
                "days without failures": round(simulate(simulated, Cluster(nodes)).makespan / DAY, 2),
                "used": round(fmean(found.utilisation for found in failing), 3),
                "failures": round(fmean(found.failures for found in failing), 1),
                "lost hours": round(fmean(found.lost for found in failing) / 3600, 1),
            }
        )
        say(f"{study.name}: {rows[-1]}")
    return {"steps": len(steps), "longest chain, days": round(_longest(simulated) / DAY, 2), "rows": rows}


def _longest(steps: Sequence[SimulatedStep]) -> float:
    return simulate(steps, Cluster(len(steps))).makespan


def plot(result: Mapping[str, Any]) -> None:
    """Days by devices, both axes logarithmic; dotted is what no number of devices gets below."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    titles = {"paper-ud": "the paper's tagging and parsing", "pairs": "1,000 pairs, tagging"}
    look = {"svg.hashsalt": "badx_hub", "font.size": 10, "axes.spines.top": False, "axes.spines.right": False}
    with rc_context(look):
        figure = Figure(figsize=(7.0, 4.2), layout="constrained")
        axes = figure.subplots()
        for (name, found), colour, marker in zip(result.items(), ("#0072B2", "#D55E00"), "os", strict=True):
            days = [row["days"] for row in found["rows"]]
            label = f"{titles[name]} ({found['steps']:,} steps)"
            axes.plot(NODES, days, marker=marker, color=colour, label=label)
            straight = [days[0] / nodes for nodes in NODES]
            axes.plot(NODES, straight, linestyle="--", linewidth=0.8, color=colour, alpha=0.6)
            for nodes, value in zip(NODES, days, strict=True):
                if nodes in (1, 8, 64, 256):
                    text = f"{value:,.0f} d" if value > 100 else f"{value:.1f} d"
                    axes.annotate(text, (nodes, value), (4, 6), textcoords="offset points", fontsize=9)
        chain = max(found["longest chain, days"] for found in result.values())
        axes.axhline(chain, linestyle=":", color="#555555")
        axes.annotate(f"longest chain: {chain:.2g} d", (1, chain), (0, -13), textcoords="offset points", fontsize=9)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_ylim(bottom=10 ** (math.floor(math.log10(chain) * 4) / 4) / 2)
        axes.set_xticks(NODES, [str(nodes) for nodes in NODES])
        axes.set_xlabel("nodes with one device each; dashed: a straight line from one node")
        axes.set_ylabel("days")
        axes.grid(visible=True, alpha=0.3)
        axes.legend(frameon=False)
        figure.savefig(PLOT, metadata={"Date": None})


def main() -> None:
    if sys.argv[1:] != ["--plot-only"]:
        studies = load_study(ROOT / "studies" / "paper-ud.yaml"), pairs_study()
        result = {study.name: curve(study) for study in studies}
        RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    plot(json.loads(RESULT.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()

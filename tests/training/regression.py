"""A toy objective with dropout: a run of it takes a tenth of a second, and its random state matters."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from badx_hub.metric_key import MetricKey
from badx_hub.modeling.fast import Share
from badx_hub.recipes import AdapterRecipe, TrainingRecipe
from badx_hub.training.loop import Batch, EvaluationRow


def recipe(**changes: float) -> TrainingRecipe:
    numbers = {
        "steps": 12,
        "batch_size": 8,
        "learning_rate": 0.05,
        "weight_decay": 0.01,
        "warmup_steps": 2,
        "clip_norm": 1.0,
        "eval_every": 4,
        "save_every": 3,
        "micro_batches": 1,
        "seed": 1,
    }
    return TrainingRecipe(**{**numbers, **changes}, adapter=AdapterRecipe())


class Toy(nn.Module):
    """Squared error, with dropout, so that the random state matters."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return ((self.linear(self.dropout(x)).squeeze(-1) - y) ** 2).sum()


class Regression:
    """An objective whose evaluation can be scripted, and which sends its process a signal before a step is made."""

    unit = "rows"
    selection = MetricKey("perplexity")

    def __init__(self, *, dropout: float = 0.5, script: Sequence[float] = ()) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(7)
            self.module = Toy(dropout)
        self.parameters: Mapping[str, nn.Parameter] = dict(self.module.named_parameters())
        self.script = list(script)
        self.interrupt_at: int | None = None
        self.signal = signal.SIGINT
        self.killed_at: int | None = None
        self.prepared: list[int] = []

    def prepare(self, step: int) -> None:
        self.prepared.append(step)

    def batches(self, step: int, parts: int) -> Sequence[Batch]:
        if step == self.interrupt_at:
            os.kill(os.getpid(), self.signal)
        if step == self.killed_at:
            raise RuntimeError("killed")
        generator = torch.Generator().manual_seed(step)
        x = torch.randn(8, 4, generator=generator)
        y = x @ torch.tensor([1.0, -2.0, 0.5, 0.0])
        size = -(-len(x) // parts)
        shares = [Share(start, min(start + size, len(x)), len(x)) for start in range(0, len(x), size)]
        return [Batch({"x": x[a:b], "y": y[a:b]}, b - a, b - a, Share(a, b, total)) for a, b, total in shares]

    def evaluate(self) -> EvaluationRow:
        if self.script:
            return {"perplexity": self.script.pop(0)}
        batch = self.batches(10_000, 1)[0]
        return {"perplexity": float(self.module(**batch.inputs)) / batch.labels}

    def weights(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.parameters.items()}

"""How much memory the steps of a study need, so that no more of them run on a machine than fit there. Pure.

The figures behind it are those of `benchmarks/scaling.json`: twelve trainings of language adapters on a processor.
"""

from __future__ import annotations

from math import prod

from badx_hub.modeling.base_configs import BaseConfig
from badx_hub.studies.plan import Step, TrainLanguage, TrainTask
from badx_hub.studies.study import Study

_NUMBER = 4
"""Bytes of a number in single precision; bfloat16 needs less."""
_PROCESS = 650 * 10**6
"""Bytes of a process without a base: the libraries, and the trained weights of an adapter with their optimizer."""
_KEPT = 25
"""Numbers that a layer keeps for the way back, for each sub-word and each of its `hidden_size` numbers."""
_TRAINED = 4
"""A weight that is trained, with its gradient and two moments."""


def memory_of(step: Step, study: Study, base: BaseConfig) -> int:
    """Bytes that the process of a step needs, estimated: libraries, base, and what a slice of a batch keeps."""
    weights = sum(prod(shape) for shape in base.shapes().values())
    if isinstance(step, TrainTask) and step.setup.trains_base:
        weights *= _TRAINED
    kept = _KEPT * _sub_words(step, study) * base.num_hidden_layers * base.hidden_size
    return _PROCESS + _NUMBER * (weights + kept)


def _sub_words(step: Step, study: Study) -> int:
    """Of a slice of a batch, at most; 0 where nothing is trained."""
    if isinstance(step, TrainLanguage):
        recipe = study.language_recipe(step.mixture, step.seed, step.label)
        return recipe.batch_size // recipe.micro_batches * recipe.max_length
    if isinstance(step, TrainTask):
        task = study.task_recipe(step.task, step.seed, step.label)
        return task.batch_size // task.micro_batches * task.max_length
    return 0

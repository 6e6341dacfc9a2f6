"""Training with `model.fit`: the published recipes, the authors' optimizer, exact resume.

Names are imported when they are first used: some need TensorFlow.
"""

import importlib
from typing import TYPE_CHECKING, Any

from keras_tdn.training.optimizer import CoupledSGD
from keras_tdn.training.schedules import WarmUp

if TYPE_CHECKING:
    from keras_tdn.training import recipes
    from keras_tdn.training.freezing import (
        freeze_batch_norms,
        freeze_until,
        synchronize_batch_norms,
    )
    from keras_tdn.training.recipe import Recipe
    from keras_tdn.training.schedules import CosineDecay, ProportionalStepDecay, StepDecay

__all__ = [
    "CosineDecay",
    "CoupledSGD",
    "ProportionalStepDecay",
    "Recipe",
    "StepDecay",
    "WarmUp",
    "freeze_batch_norms",
    "freeze_until",
    "recipes",
    "synchronize_batch_norms",
]

_HOMES = {
    "CosineDecay": "schedules",
    "ProportionalStepDecay": "schedules",
    "Recipe": "recipe",
    "StepDecay": "schedules",
    "freeze_batch_norms": "freezing",
    "freeze_until": "freezing",
    "synchronize_batch_norms": "freezing",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value: Any = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    elif name in __all__:
        value = importlib.import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""Training with `model.fit`: the published recipes, the authors' optimizer, exact resume.

Names are imported when they are first used: most need Keras, some TensorFlow.
"""

from typing import TYPE_CHECKING

from keras_tdn.lazy_names import lazy_names

if TYPE_CHECKING:
    from keras_tdn.training import callbacks, recipes
    from keras_tdn.training.callbacks import TrainingDivergedError, TrainingState, load_checkpoint
    from keras_tdn.training.distribution import (
        Devices,
        device_scope,
        join_processes,
        keep_tensorflow_off_gpus,
    )
    from keras_tdn.training.freezing import (
        freeze_batch_norms,
        freeze_until,
        synchronize_batch_norms,
        unfreeze,
    )
    from keras_tdn.training.optimizer import CoupledSGD
    from keras_tdn.training.recipe import Recipe
    from keras_tdn.training.schedules import CosineDecay, ProportionalStepDecay, StepDecay, WarmUp
    from keras_tdn.training.training_result import TrainingResult, plot_history
    from keras_tdn.training.training_run import train

__all__ = [
    "CosineDecay",
    "CoupledSGD",
    "Devices",
    "ProportionalStepDecay",
    "Recipe",
    "StepDecay",
    "TrainingDivergedError",
    "TrainingResult",
    "TrainingState",
    "WarmUp",
    "callbacks",
    "device_scope",
    "freeze_batch_norms",
    "freeze_until",
    "join_processes",
    "keep_tensorflow_off_gpus",
    "load_checkpoint",
    "plot_history",
    "recipes",
    "synchronize_batch_norms",
    "train",
    "unfreeze",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "CosineDecay": "schedules",
        "CoupledSGD": "optimizer",
        "Devices": "distribution",
        "ProportionalStepDecay": "schedules",
        "Recipe": "recipe",
        "StepDecay": "schedules",
        "TrainingDivergedError": "callbacks",
        "TrainingResult": "training_result",
        "TrainingState": "callbacks",
        "WarmUp": "schedules",
        "device_scope": "distribution",
        "freeze_batch_norms": "freezing",
        "freeze_until": "freezing",
        "join_processes": "distribution",
        "keep_tensorflow_off_gpus": "distribution",
        "load_checkpoint": "callbacks",
        "plot_history": "training_result",
        "synchronize_batch_norms": "freezing",
        "train": "training_run",
        "unfreeze": "freezing",
    },
)

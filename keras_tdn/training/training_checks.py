"""Checks, before a training starts, of what would fail late or in silence."""

from __future__ import annotations

import logging
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from keras_tdn.data.records import RecordList
from keras_tdn.data.records.labelled import MAX_SHOWN, check_class_names, check_labelled
from keras_tdn.models import TDNResNet
from keras_tdn.training import distribution
from keras_tdn.training.recipe import Recipe
from keras_tdn.training.schedules import check_run_length

logger = logging.getLogger("keras_tdn")

BALANCED = "balanced"


def check_training(
    model: Any,
    train_records: RecordList,
    validation_records: RecordList | None,
    recipe: Recipe,
    early_stopping: int | None,
    optimizer: Any = None,
) -> None:
    """Raises a `ValueError` if arguments of `train` do not fit each other; warns of odd ones."""
    if not isinstance(model, TDNResNet) or not model.include_top:
        raise ValueError(
            "`train` trains a TDNResNet with its classifier, such as TDNResNet50 builds. "
            f"Received: model={type(model).__name__}"
            + (", include_top=False" if isinstance(model, TDNResNet) else "")
        )
    if not isinstance(recipe, Recipe):
        raise ValueError(
            "`recipe` is a Recipe, for example keras_tdn.training.recipes.finetune_small. "
            f"Received: recipe={recipe!r}"
        )
    if (num_processes := distribution.num_joined_processes()) > 1:
        raise ValueError(
            "`train` and keras-tdn train are for one process. Several are joined in Python, with "
            "`join_processes` or Keras' environment variables, the recipe and `fit`: see "
            f"examples/train_on_several_machines.py. Received: {num_processes} processes"
        )
    check_labelled("Training", train_records, model.classes)
    check_class_names("the training videos", train_records.labels, "the model", model.labels)
    present = {record.label for record in train_records}
    if len(present) < 2:
        raise ValueError(
            "There is nothing to tell apart: a training set needs videos of at least two classes. "
            f"Received: {len(train_records)} videos, all of class {present.pop()}"
        )
    absent = sorted(set(range(model.classes)) - present)
    if absent:
        named = dict(enumerate(model.labels or train_records.labels or ()))
        listed = [f"{each} ({named[each]})" if each in named else str(each) for each in absent]
        logger.warning(
            f"{len(absent)} of the model's {model.classes} classes have no training video, so that "
            f"it cannot learn them: {_shown(listed)}. Are the labels those of this list?"
        )
    # Raises if a batch does not fill, or cannot be divided.
    check_run_length(recipe, recipe.steps_per_epoch(train_records), optimizer)
    num_devices = distribution.devices_of_an_array()
    devices = distribution.Devices(max(num_devices, distribution.num_replicas()))
    devices.batch_size(recipe.batch_size)
    spec, expected = model.clip_spec, recipe.clip_spec_for(model)
    size = min(spec.height, spec.width)
    if size != min(expected.height, expected.width):
        logger.warning(
            f"Clips are cut to {spec.height}x{spec.width} pixels, and the recipe is meant for "
            f"{recipe.crop_size}, which decides how long training takes. For the recipe's size, "
            "set model.clip_spec = recipe.clip_spec_for(model); to keep this one, say so with "
            f"dataclasses.replace(recipe, crop_size={size})."
        )
    if validation_records is None:
        if early_stopping is not None:
            raise ValueError(
                "Early stopping looks at validation videos, and there are none. Pass "
                "`validation_records`, or leave `early_stopping` out."
            )
        return
    check_labelled("Validation", validation_records, model.classes, optional=True)
    names = validation_records.labels
    check_class_names("the validation videos", names, "the model", model.labels)
    check_class_names("the validation videos", names, "the training videos", train_records.labels)
    if num_devices > 1 and len(validation_records) < recipe.batch_size:
        raise ValueError(
            "On several devices of the JAX backend each batch is whole, also in validation. "
            f"Received: {len(validation_records)} validation videos and batches of "
            f"{recipe.batch_size}. Use smaller batches, more videos or one device."
        )
    trained = {os.path.realpath(record.path) for record in train_records}
    paths = [record.path for record in validation_records]
    if shared := [repr(path) for path in paths if os.path.realpath(path) in trained]:
        logger.warning(
            f"{len(shared)} of the {len(paths)} validation videos are trained on as well, so that "
            f"the accuracy will be too good: {_shown(shared)}"
        )


def _shown(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - MAX_SHOWN} more" if len(texts) > MAX_SHOWN else ""
    return ", ".join(texts[:MAX_SHOWN]) + more


def class_weights(
    records: RecordList, weights: str | Mapping[int, float] | None, classes: int
) -> dict[int, float] | None:
    """Returns the `class_weight` that `fit` takes.

    With `"balanced"`, every class that there is counts alike, and the mean over the videos is 1. A
    mapping of class indices to positive weights is filled up with 1.
    """
    if weights is None:
        return None
    if weights == BALANCED:
        counts = Counter(record.label for record in records)
        return {
            index: len(records) / (len(counts) * counts[index]) if counts[index] else 1.0
            for index in range(classes)
        }
    if not isinstance(weights, Mapping) or not all(
        not {bool} & {type(index), type(weight)}
        and (isinstance(index, int) and 0 <= index < classes)
        and (isinstance(weight, int | float) and 0 < weight < math.inf)
        for index, weight in weights.items()
    ):
        raise ValueError(
            f"Class weights are {BALANCED!r}, or a mapping of class indices from 0 to "
            f"{classes - 1} to positive numbers. Received: {weights!r:.200}"
        )
    # Keras takes the highest index for the number of classes.
    return {index: float(weights.get(index, 1.0)) for index in range(classes)}

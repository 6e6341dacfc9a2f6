"""Checks, before a training starts, of what would fail late or in silence."""

from __future__ import annotations

import logging
import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from keras_tdn.data.records import RecordList
from keras_tdn.models import TDNResNet
from keras_tdn.training.distribution import (
    Devices,
    devices_of_an_array,
    num_joined_processes,
    num_replicas,
)
from keras_tdn.training.recipe import Recipe
from keras_tdn.training.schedules import check_accumulation, check_run_length

logger = logging.getLogger("keras_tdn")

MAX_SHOWN = 3


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
    if num_joined_processes() > 1:
        raise ValueError(
            "`train` and keras-tdn train are for one process. Several are joined in Python, with "
            "`join_processes` or Keras' environment variables, the recipe and `fit`: see "
            "examples/train_on_several_machines.py. Received: "
            f"{num_joined_processes()} processes"
        )
    _check_records("training", train_records, model)
    present = {record.label for record in train_records}
    if len(present) < 2:
        raise ValueError(
            "There is nothing to tell apart: a training set needs videos of at least two classes. "
            f"Received: {len(train_records)} videos, all of class {present.pop()}"
        )
    absent = sorted(set(range(model.classes)) - present)
    if absent:
        named = dict(enumerate(model.labels or train_records.labels or ()))
        listed = [f"{index} ({named[index]})" if index in named else index for index in absent]
        logger.warning(
            f"{len(absent)} of the model's {model.classes} classes have no training video, so that "
            f"it cannot learn them: {_shown(listed)}. Are the labels those of this list?"
        )
    # Raises if a batch does not fill, or cannot be divided.
    steps = recipe.steps_per_epoch(train_records)
    check_run_length(recipe, steps)
    check_accumulation(
        getattr(optimizer, "gradient_accumulation_steps", None),
        steps * recipe.epochs,
        f"{recipe.epochs} epochs of {steps} batches",
    )
    Devices(max(devices_of_an_array(), num_replicas())).batch_size(recipe.batch_size)
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
    _check_records("validation", validation_records, model)
    if devices_of_an_array() > 1 and len(validation_records) < recipe.batch_size:
        raise ValueError(
            "On several devices of the JAX backend each batch is whole, also in validation. "
            f"Received: {len(validation_records)} validation videos and batches of "
            f"{recipe.batch_size}. Use smaller batches, more videos or one device."
        )
    names = train_records.labels
    _check_names("validation", validation_records.labels, "the training videos", names)
    trained = {os.path.realpath(record.path) for record in train_records}
    shared = [
        record.path for record in validation_records if os.path.realpath(record.path) in trained
    ]
    if shared:
        logger.warning(
            f"{len(shared)} of the {len(validation_records)} validation videos are trained on as "
            f"well, so that the accuracy will be too good: {_shown(map(repr, shared))}"
        )


def _check_records(kind: str, records: Any, model: TDNResNet) -> None:
    if not isinstance(records, RecordList) or not records:
        empty = "an empty one" if isinstance(records, RecordList) else f"{records!r:.100}"
        without = " To train without any, say so with None." if kind == "validation" else ""
        raise ValueError(
            f"`train` takes {kind} records as a RecordList with at least one video; load_records "
            f"makes one of lists, folders and tuples.{without} Received: {empty}"
        )
    unlabelled = [record.path for record in records if record.label is None]
    if unlabelled:
        raise ValueError(
            f"Training needs a label for each video, and {len(unlabelled)} of {len(records)} "
            f"{kind} videos have none: {_shown(map(repr, unlabelled))}. A list has one in the last "
            "column."
        )
    beyond = [record for record in records if (record.label or 0) >= model.classes]
    if beyond:
        named = [f"{record.path!r} has label {record.label}" for record in beyond[:MAX_SHOWN]]
        raise ValueError(
            f"The model has {model.classes} classes, so that labels are 0 to {model.classes - 1}, "
            f"and {len(beyond)} of {len(records)} {kind} videos have others: {'; '.join(named)}. "
            f"Build the model with classes={max((r.label or 0) for r in beyond) + 1} or more, or "
            "fix the list."
        )
    _check_names(kind, records.labels, "the model", model.labels)


def _check_names(
    kind: str, names: tuple[str, ...] | None, other: str, others: tuple[str, ...] | None
) -> None:
    if names is None or others is None or tuple(names) == tuple(others):
        return
    differ = [
        f"class {index} is {ours!r} and {theirs!r}"
        for index, (ours, theirs) in enumerate(zip(names, others, strict=False))
        if ours != theirs
    ]
    raise ValueError(
        f"The class names of the {kind} videos are not those of {other}: there are {len(names)} "
        f"and {len(others)}"
        + (f", and {'; '.join(differ[:MAX_SHOWN])}" if differ else "")
        + ". Pass the same `labels` to load_records for both lists, and to the model."
    )


def _shown(values: Iterable[object]) -> str:
    """Returns the first few of them, and how many more there are."""
    texts = [str(value) for value in values]
    more = f" and {len(texts) - MAX_SHOWN} more" if len(texts) > MAX_SHOWN else ""
    return ", ".join(texts[:MAX_SHOWN]) + more


BALANCED = "balanced"


def class_weights(
    records: RecordList, weights: str | Mapping[int, float] | None, classes: int
) -> dict[int, float] | None:
    """Returns the `class_weight` that `fit` takes.

    With `"balanced"`, every class that there is counts alike, and the mean over the videos is 1. A
    mapping of class indices to positive weights is filled up with 1.

    >>> records = load_records([("a.mp4", 0), ("b.mp4", 0), ("c.mp4", 1)], check_files=False)
    >>> class_weights(records, "balanced", classes=2)
    {0: 0.75, 1: 1.5}
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
        and isinstance(index, int)
        and isinstance(weight, int | float)
        and 0 <= index < classes
        and 0 < weight < math.inf
        for index, weight in weights.items()
    ):
        raise ValueError(
            f"Class weights are {BALANCED!r}, or a mapping of class indices from 0 to "
            f"{classes - 1} to positive numbers. Received: {weights!r:.200}"
        )
    # Keras takes the highest index for the number of classes.
    return {index: float(weights.get(index, 1.0)) for index in range(classes)}

"""What stays as it is while a model is fine-tuned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

from keras_tdn.choices import PARTS as PARTS
from keras_tdn.models import TDNResNet


def freeze_until(model: TDNResNet, part: str) -> None:
    """Freezes everything in front of a part of a `TDNResNet`; `unfreeze` undoes it.

    Use it to fine-tune on few videos, before `compile`. Frozen batch norms use their averages.

    Args:
        model: The model.
        part: The first part trained: `"stem"` (all), `"stage1"` to `"stage4"`, `"classifier"`.

    Raises:
        ValueError: if there is no such part.

    Example:

    >>> freeze_until(model, "stage2")  # Stem, stage 1 and the motion path stay as they are.
    """
    if part not in PARTS:
        listed = ", ".join(PARTS)
        raise ValueError(f"Parts that training can start with are {listed}. Received: {part!r}")
    for layer in _layers_before(model, part):
        layer.trainable = False


def unfreeze(model: TDNResNet) -> None:
    """Has all layers of a model trained again, whatever froze them.

    Use it between two phases of training, before the next `compile`. With Keras on TensorFlow,
    `model.trainable = True` does nothing unless the model as a whole was frozen.

    Example:

    >>> head_only.compile(model, steps)
    >>> model.fit(train, epochs=5, steps_per_epoch=steps)
    >>> unfreeze(model)
    >>> recipe.compile(model, steps)
    """
    for layer in model._flatten_layers():
        layer.trainable = True


def frozen_layers(model: TDNResNet, part: str) -> list[keras.layers.Layer]:
    """Returns frozen layers with weights, from a part of the model on, other than batch norms."""
    left_out = {id(layer) for layer in (*_layers_before(model, part), *batch_norms(model))}
    layers = [layer for layer in model.layers if layer.weights and not layer.trainable]
    return [layer for layer in layers if id(layer) not in left_out]


def _layers_before(model: TDNResNet, part: str) -> Iterator[keras.layers.Layer]:
    structure, place = model.structure, PARTS.index(part)
    if place > 0:
        yield from structure.stem.layers()
        if structure.motion is not None:
            yield structure.motion.tdm
    for block in structure.blocks():
        if block.stage < place:
            yield from block.layers()


def freeze_batch_norms(model: TDNResNet) -> None:
    """Freezes all batch norms of a `TDNResNet` but the first: "partial batch norm".

    Use it when batches are too small for statistics; the authors' models were trained without.
    """
    for norm in batch_norms(model):
        if norm is not model.structure.stem.norm:
            norm.trainable = False


def synchronize_batch_norms(model: TDNResNet) -> None:
    """Makes a model's batch norms take their statistics from the whole batch, over all replicas.

    Use it with `tf.distribute.MirroredStrategy` when each replica has few clips, before `fit`. On
    JAX they do so anyway, because there the batch is one array in many places.

    Raises:
        ValueError: on the PyTorch backend, whose Keras has no such norms.
    """
    backend = keras.backend.backend()
    if backend == "torch":
        raise ValueError("Keras' batch norms are synchronised on TensorFlow and JAX backends only.")
    if backend == "tensorflow":
        for norm in batch_norms(model):
            norm.synchronized = True


def batch_norms(model: Any) -> Iterator[keras.layers.BatchNormalization]:
    """Every batch norm of a model, also those inside its layers."""
    layers = model._flatten_layers()
    return (layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization))

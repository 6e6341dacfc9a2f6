"""What stays as it is while a model is fine-tuned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

from keras_tdn.models import TDNResNet

STEM_NORM = "stem_norm"
# In the order in which pixels meet them. The motion path is worked on as long as stage 1 is.
PARTS = ("stem", "stage1", "stage2", "stage3", "stage4", "classifier")
_PREFIXES = {
    "stem": ("stem_", "short_term_tdm", "motion_pool"),
    "stage1": ("stage1_", "motion_stage1_"),
}


def freeze_until(model: TDNResNet, part: str) -> None:
    """Freezes everything in front of a part of the model.

    Use it to fine-tune on few videos, before `compile`. Frozen batch norms use their averages. To
    undo it, set `model.trainable = True`.

    Args:
        model: A `TDNResNet`.
        part: The first part that is trained: `"stem"` (nothing is frozen), `"stage1"` to
            `"stage4"`, or `"classifier"`.

    Raises:
        ValueError: if there is no such part.

    Example:

    >>> freeze_until(model, "stage2")  # Stem, stage 1 and the motion path stay as they are.
    """
    if part not in PARTS:
        raise ValueError(
            f"Parts that training can start with are {', '.join(PARTS)}. Received: {part!r}"
        )
    prefixes = tuple(
        prefix
        for earlier in PARTS[: PARTS.index(part)]
        for prefix in _PREFIXES.get(earlier, (f"{earlier}_",))
    )
    for layer in model.layers:
        if prefixes and layer.name.startswith(prefixes):
            layer.trainable = False


def freeze_batch_norms(model: TDNResNet) -> None:
    """Freezes all batch norms but the first, of the stem: "partial batch norm".

    Use it when batches are too small for statistics of their own. It is a switch of the authors'
    code, which their published models were trained without.

    Args:
        model: A `TDNResNet`.
    """
    for norm in batch_norms(model):
        if norm.name != STEM_NORM:
            norm.trainable = False


def synchronize_batch_norms(model: TDNResNet) -> None:
    """Makes batch norms take their statistics from the batch as a whole, over all replicas.

    Use it with `tf.distribute.MirroredStrategy` when each replica has few clips, before `fit`. On
    JAX they do so anyway, because there the batch is one array in many places.

    Args:
        model: A `TDNResNet`.

    Raises:
        ValueError: on the PyTorch backend, whose Keras has no such norms.
    """
    if keras.backend.backend() == "torch":
        raise ValueError(
            "Keras' batch norms are synchronised on the TensorFlow and JAX backends only."
        )
    if keras.backend.backend() == "tensorflow":
        for norm in batch_norms(model):
            norm.synchronized = True


def batch_norms(model: Any) -> Iterator[keras.layers.BatchNormalization]:
    """Every batch norm of a model, also those inside its layers."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            yield layer

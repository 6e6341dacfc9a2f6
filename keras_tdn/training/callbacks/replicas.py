"""One set of moving averages, where each replica keeps its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from keras_tdn.training.variables import average_replicas


class AverageReplicas(keras.callbacks.Callback):
    """Averages batch norms' statistics over TensorFlow's replicas before they are used or saved.

    Use it with `tf.distribute.MirroredStrategy` where batch norms are not synchronised, in front of
    callbacks that save: otherwise validation mixes the replicas' statistics, and what is saved has
    the first replica's. On one device, and on other backends, it does nothing.

    Example:

    >>> model.fit(train, validation_data=validation, callbacks=[AverageReplicas(), checkpoints])
    """

    def on_test_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        average_replicas(self.model)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        average_replicas(self.model)

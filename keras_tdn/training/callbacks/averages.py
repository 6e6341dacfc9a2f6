"""Validation with averaged weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_tdn.training.variables import put_back, take_averages


class EvaluateAverages(keras.callbacks.Callback):
    """Evaluates, during `fit`, with the averages of the weights that the optimizer keeps.

    Use it with `use_ema=True`; otherwise it does nothing. It does what
    `keras.callbacks.SwapEMAWeights` does, but gives back the very weights that training had:
    Keras' own rounds on TensorFlow.

    Example:

    >>> model.compile(keras.optimizers.SGD(0.01, use_ema=True), loss, metrics=metrics)
    >>> model.fit(train, validation_data=validation, callbacks=[EvaluateAverages()])
    """

    def __init__(self) -> None:
        super().__init__()
        self._saved: Sequence[np.ndarray] | None = None

    def on_test_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        self._saved = take_averages(self.model)

    def on_test_end(self, logs: Mapping[str, Any] | None = None) -> None:
        put_back(self.model, self._saved)
        self._saved = None

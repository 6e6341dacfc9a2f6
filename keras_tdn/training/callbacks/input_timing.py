"""How long training waited for its input."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import keras

from keras_tdn.data.dataset.order import BatchPositions


class InputTiming(keras.callbacks.Callback):
    """Measures how long the model had nothing to do because no batch was ready.

    Use it to find out which is the limit: if it is the input, use more cores, packed records or
    smaller videos, and if not, a faster device or mixed precision. A step waits from the end of the
    one before it to the moment its batch was ready, which `positions` tells; time spent in
    validation does not count.

    Args:
        positions: What was passed to `make_dataset`.

    Attributes:
        seconds: Duration of the steps so far, but the first of each call of `fit`, which compiles.
        waited: The part of it that was spent waiting.

    Example:

    >>> positions = BatchPositions()
    >>> train = make_dataset(records, spec, training=True, batch_size=8, positions=positions)
    >>> timing = InputTiming(positions)
    >>> model.fit(train, epochs=5, steps_per_epoch=100, callbacks=[timing])
    >>> print(f"{timing.waited / timing.seconds:.0%} of the time there was nothing to do")
    """

    # Called while the next step is under way, when the loss of the last has been computed.
    async_safe = True

    def __init__(self, positions: BatchPositions) -> None:
        super().__init__()
        self._positions = positions
        self.seconds = 0.0
        self.waited = 0.0
        self._before = 0.0
        self._batches_before = 0
        self._batches = 0

    @property
    def share_waited(self) -> float:
        """Part of the duration that was spent waiting, from 0 to 1."""
        return self.waited / self.seconds if self.seconds else 0.0

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        self._batches_before = self._batches = 0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._batches_before += self._batches
        self._before = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        now = time.perf_counter()
        self._batches = batch + 1
        made = self._positions.made_at(self._batches_before + batch)
        # The first step of a call of `fit` compiles, and fills the pipeline only then.
        if made is not None and self._batches_before + batch:
            self.seconds += now - self._before
            self.waited += min(max(made - self._before, 0.0), now - self._before)
        self._before = now

    def state(self) -> dict[str, Any]:
        """What `restore` takes to go on from here, as JSON holds it."""
        return {"seconds": self.seconds, "waited": self.waited}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from what `state` gave."""
        self.seconds, self.waited = state["seconds"], state["waited"]

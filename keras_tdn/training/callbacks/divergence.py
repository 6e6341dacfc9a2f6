"""An end to training whose loss is no number any more."""

from __future__ import annotations

import math
from collections.abc import Mapping

import keras

from keras_tdn.training.variables import first_not_finite

ADVICE = (
    "What was trained before is kept. Try a lower learning rate or a longer warm-up; with float16, "
    "try bfloat16 or float32; and look at the data with `keras-tdn browse`."
)


class TrainingDivergedError(ValueError):
    """The loss, or a weight, is NaN or infinite: more training would not help."""


class StopOnDivergence(keras.callbacks.Callback):
    """Ends training with an error when the loss becomes NaN or infinite.

    Use it instead of `keras.callbacks.TerminateOnNaN`, which ends as if all were well. Put it in
    front of callbacks that write weights, so that good ones are not replaced. It does not make the
    training wait for the loss, so that it may notice a few steps late.

    Raises:
        TrainingDivergedError: from within `fit`.

    Example:

    >>> model.fit(train, epochs=5, callbacks=[StopOnDivergence()])
    """

    # Keras then computes losses while the next step is under way.
    async_safe = True

    def __init__(self) -> None:
        super().__init__()
        self._epoch = 0
        self._found: tuple[int, float] | None = None

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._epoch, self._found = epoch, None

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._raise_if_found()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        loss = (logs or {}).get("loss", 0.0)
        # An error here, in a thread of Keras', would come up late or get lost.
        if not math.isfinite(loss) and self._found is None:
            self._found = batch, float(loss)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._raise_if_found()
        for name in ("loss", "val_loss"):
            value = float((logs or {}).get(name, 0.0))
            if not math.isfinite(value):
                raise TrainingDivergedError(
                    f"The {name} is {value} at the end of epoch {epoch + 1}. {ADVICE}"
                )
        # The last step's update is in no loss yet.
        broken = first_not_finite(self.model)
        if broken is not None:
            raise not_finite(epoch, broken)

    def _raise_if_found(self) -> None:
        if self._found is not None:
            batch, loss = self._found
            raise TrainingDivergedError(
                f"The loss is {loss} in epoch {self._epoch + 1}, at step {batch + 1}. {ADVICE}"
            )


def not_finite(epoch: int, variable: str, step: int | None = None) -> TrainingDivergedError:
    """The error for a weight that is NaN although the loss was not."""
    when = "at its end" if step is None else f"after step {step}"
    return TrainingDivergedError(
        f"The weight {variable!r} is NaN or infinite in epoch {epoch + 1}, {when}. {ADVICE}"
    )

"""Training that continues after any interruption as if there had been none."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_tdn.data.dataset.order import BatchPositions
from keras_tdn.training import variables
from keras_tdn.training.callbacks.checkpoints_and_stopping import not_finite
from keras_tdn.training.state_files import State, read_newest_state, write_state

# Between two states in the middle of an epoch, unless said otherwise.
SAVE_SECONDS = 300.0


class TrainingState(keras.callbacks.Callback):
    """Saves all that training depends on, and continues from there.

    Use it when a training must survive its process. Killed at any moment and continued with the
    same model, arguments and data, it has the weights and the history of one that was not: on a CPU
    to the last bit. `keras.callbacks.BackupAndRestore` keeps neither place in the data nor metrics.

    A state is written at the start, at the end of each epoch, and in between as `save_every` or
    `save_seconds` say. The latest two are kept, each under its hash, and a damaged one is passed
    over. `fit` must be called once for each of `spans`, with this callback as the last.

    Args:
        folder: Where states are written.
        epochs: Epochs of the whole training.
        steps_per_epoch: Batches in each.
        positions: Takes note of the place in the data; new if `None`. `make_dataset` is passed it.
        save_every: Batches from one state to the next; `None` goes by time.
        save_seconds: Seconds from one state to the next where `save_every` is `None`.

    Attributes:
        members: Callbacks with `state()` and `restore(state)`, whose memory is saved as well, one
            of each class. `training_callbacks` sets it.

    Raises:
        ValueError: if `save_every` or `save_seconds` is not positive, if a state does not fit the
            model, or if `fit` is called without this callback.

    Example:

    >>> state = TrainingState("run/state", epochs=epochs, steps_per_epoch=steps)
    >>> for span in state.spans():
    ...     place = {"start": span.start, "positions": state.positions}
    ...     train = make_dataset(records, spec, training=True, batch_size=8, **place)
    ...     model.fit(train, callbacks=[state], **span.fit_arguments)
    """

    # Keras then reports the end of a step while the next one is under way, and waits for no loss.
    async_safe = True

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        epochs: int,
        steps_per_epoch: int,
        positions: BatchPositions | None = None,
        save_every: int | None = None,
        save_seconds: float = SAVE_SECONDS,
    ) -> None:
        super().__init__()
        if (save_every is not None and save_every < 1) or not save_seconds > 0:
            raise ValueError(
                "States are saved every so many batches or seconds, a positive number. Received: "
                f"save_every={save_every!r}, save_seconds={save_seconds!r}"
            )
        self.folder = Path(folder)
        self.positions = BatchPositions() if positions is None else positions
        self.epochs, self.steps_per_epoch = epochs, steps_per_epoch
        self.members: tuple[Any, ...] = ()
        self.save_every, self.save_seconds = save_every, save_seconds
        self._place = TrainingPlace()
        self._saved_at = 0.0
        # Batches of the whole training when it was last asked whether to save.
        self._asked_at = 0
        # Batches of this call of `fit` before the present epoch, and of the epoch before the call.
        self._batches = self._offset = 0
        # What the next epoch and the next step start with.
        self._metrics: Mapping[str, Any] | None = None
        self._random: Mapping[str, Any] | None = None
        # Batches of this call of `fit` whose steps started and ended.
        self._started = self._ended = 0
        self._interrupted = self._saving = False

    @property
    def finished(self) -> bool:
        return self._place.stopped or self._place.epoch >= self.epochs

    def spans(self) -> Iterator[FitSpan]:
        """Yields the calls of `fit` that are left: none, one or, in the middle of an epoch, two.

        The first is then the rest of that epoch, which has fewer steps.
        """
        self._read_place()
        while not self.finished:
            before = self._place
            epochs = before.epoch + 1 if before.step else self.epochs
            arguments = {"initial_epoch": before.epoch, "epochs": epochs}
            arguments["steps_per_epoch"] = self.steps_per_epoch - before.step
            yield FitSpan(before.start, arguments)
            if self._place == before:
                how = "among the callbacks, with the span's `fit_arguments`"
                raise ValueError(f"No epoch was trained. Pass this TrainingState to `fit` {how}.")

    def stop_soon(self) -> None:
        """Has the training saved, and ended with `KeyboardInterrupt`, before its next step."""
        self._interrupted = True

    def is_at_work(self) -> bool:
        """Returns whether a step or a state is under way; not while it waits for a batch."""
        if self._saving or self._started <= self._ended:
            return self._saving
        # Several steps may be one execution, but for the last ones of an epoch.
        more = getattr(self.model, "steps_per_execution", 1) - 1
        left = self._batches + self.steps_per_epoch - self._offset - self._started
        return self.positions.made_at(self._started - 1 + min(more, left)) is not None

    # === What Keras calls ===

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        variables.build_optimizer(self.model)
        state = self._read_place()
        self._batches, self._offset = 0, self._place.step
        self._started = self._ended = 0
        self._asked_at = self._place.epoch * self.steps_per_epoch + self._place.step
        self._saved_at = time.monotonic()
        if state is None:
            self._random = random_arrays()
            self._save(self._place)
            return
        variables.assign_arrays(self.model, state.arrays, metrics=False)
        self._random = state.arrays
        self._metrics = state.arrays if self._offset else None

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        if self._metrics is not None:
            variables.build_metrics(self.model, self.positions.label_spec)
            variables.assign_arrays(self.model, self._metrics, metrics=True)
            self._metrics = None

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        if self._random is not None:
            # Not before: the start of an iterator draws on PyTorch, and how many times it starts
            # depends on the interruptions.
            assign_random_arrays(self._random)
            self._random = None
        self._started = self._batches + batch + 1
        # Here and not at a batch's end, where Keras would wait for each loss.
        if self._interrupted and batch == 0:
            raise KeyboardInterrupt
        if batch == 0 or not (self._interrupted or self._is_due(self._offset + batch)):
            return
        variables.sync(self.model)
        start = self.positions.after(self._batches + batch)
        self._save(TrainingPlace(self._place.epoch, self._offset + batch, start))
        if self._interrupted:
            raise KeyboardInterrupt

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._ended = self._batches + batch + 1

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._batches += self.steps_per_epoch - self._offset
        self._offset = 0
        start = self.positions.after(self._batches)
        self._save(TrainingPlace(epoch + 1, 0, start, self.model.stop_training))

    def _is_due(self, step: int) -> bool:
        if self.save_every is not None:
            # Several steps may be one execution, and pass by a multiple.
            before, self._asked_at = self._asked_at, self._place.epoch * self.steps_per_epoch + step
            return self._asked_at // self.save_every > before // self.save_every
        return time.monotonic() - self._saved_at >= self.save_seconds

    def _read_place(self) -> State | None:
        state = read_newest_state(self.folder)
        self._place = TrainingPlace(**state.meta["place"]) if state else TrainingPlace()
        if state is None:
            return None
        for member in self.members:
            name = type(member).__name__
            if name not in state.meta["members"]:
                raise ValueError(
                    f"The training in {str(self.folder)!r} was started without {name}. "
                    "Continue with the same callbacks, or start anew in another folder."
                )
            member.restore(state.meta["members"][name])
        return state

    def _save(self, place: TrainingPlace) -> None:
        self._saving = True
        try:
            variables.average_replicas(self.model)
            arrays = variables.arrays_of(self.model, metrics=place.step > 0)
            broken = variables.first_not_finite(self.model, arrays)
            if broken is not None:
                ended = place.epoch > self._place.epoch
                raise not_finite(self._place.epoch, broken, None if ended else place.step)
            members = {type(member).__name__: member.state() for member in self.members}
            meta = {"place": dataclasses.asdict(place), "members": members}
            step = place.epoch * self.steps_per_epoch + place.step
            write_state(self.folder, State(step, {**arrays, **random_arrays()}, meta))
            self._place, self._saved_at = place, time.monotonic()
        finally:
            self._saving = False


@dataclasses.dataclass(frozen=True)
class TrainingPlace:
    """Epochs done, batches done in the next, records before them, and whether it ended early."""

    epoch: int = 0
    step: int = 0
    start: int = 0
    stopped: bool = False


class FitSpan(NamedTuple):
    """One call of `fit`: `make_dataset`'s `start`, and arguments of `fit`."""

    start: int
    fit_arguments: Mapping[str, int]


GROUP = "random"


def random_arrays() -> dict[str, np.ndarray]:
    """Returns the state of PyTorch's generators; dropout without a seed draws from them."""
    if keras.backend.backend() != "torch":
        return {}
    import torch

    states = [torch.get_rng_state(), *torch.cuda.get_rng_state_all()]
    return {f"{GROUP}/{index:05d}": state.numpy().copy() for index, state in enumerate(states)}


def assign_random_arrays(arrays: Mapping[str, np.ndarray]) -> None:
    """Gives generators the state that `random_arrays` returned; those of other devices stay."""
    states = [arrays[name] for name in sorted(arrays) if name.startswith(f"{GROUP}/")]
    if not states or keras.backend.backend() != "torch":
        return
    import torch

    torch.set_rng_state(torch.from_numpy(states[0]))
    for device, state in enumerate(states[1 : 1 + torch.cuda.device_count()]):
        torch.cuda.set_rng_state(torch.from_numpy(state), device)

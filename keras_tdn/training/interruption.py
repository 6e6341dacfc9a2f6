"""Ctrl-C, and a machine that is about to be taken away."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Iterator
from typing import Any

from keras_tdn.ending import SIGNALS, finishing
from keras_tdn.training.callbacks import TrainingState

logger = logging.getLogger("keras_tdn")


@contextlib.contextmanager
def saving_when_interrupted(state: TrainingState) -> Iterator[None]:
    """Within the block, a first signal to end saves the training before the next step.

    A second one ends at once, and so does the first where the process is a command's own and no
    batch comes in a second and a half. Only the main thread can take signals; elsewhere nothing
    changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def stop_soon(number: int, frame: Any) -> None:
        for each, handler in before.items():
            signal.signal(each, handler)
        state.stop_soon()
        logger.warning("Saving in front of the next step, then stopping. Again stops at once.")

    for number in SIGNALS:
        signal.signal(number, stop_soon)
    try:
        with finishing(state.is_at_work):
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

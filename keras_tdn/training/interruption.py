"""Ctrl-C, and a machine that is about to be taken away."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Iterator
from typing import Any

from keras_tdn.training.callbacks import TrainingState

logger = logging.getLogger("keras_tdn")

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def saving_when_interrupted(state: TrainingState) -> Iterator[None]:
    """Within the block, a first signal to end saves the training before the next step.

    A second one ends at once. Only the main thread can take signals; elsewhere nothing changes.
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
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""How long batches of clips take a model, and on which machine."""

from __future__ import annotations

import contextlib
import dataclasses
import platform
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_tdn.layers.layer_helpers import check_positive_int
from keras_tdn.processes import cpu_info
from keras_tdn.worker_pool import process_count

WARM_UP = 2
REPEATS = 10


@dataclasses.dataclass(frozen=True)
class Latency:
    """How long batches of one size took, in seconds: median and deciles.

    Args:
        batch_size: Clips in a batch.
        median: Half of the batches took less.
        p10: A tenth took less.
        p90: Nine tenths took less.
        runs: Batches that were measured, after those to warm up.
        first: What the very first batch took, which is when it is compiled.
    """

    batch_size: int
    median: float
    p10: float
    p90: float
    runs: int
    first: float

    @property
    def clips_per_second(self) -> float:
        """Clips in a second, at the median."""
        return self.batch_size / self.median


@dataclasses.dataclass(frozen=True)
class Machine:
    """What the time was taken on: cores are those that this process may use."""

    processor: str
    cores: int
    devices: tuple[str, ...]
    backend: str
    versions: str


def measure_latency(
    model: keras.Model,
    clip_shape: Sequence[int],
    batch_sizes: Sequence[int] = (1, 2, 4),
    *,
    repeats: int = REPEATS,
) -> tuple[Latency, ...]:
    """Times batches of random clips, from pixels in memory to scores in memory.

    Use it on an idle machine. Reading videos is not part of it, and neither are the first calls,
    which compile.

    Args:
        model: The model.
        clip_shape: Shape of one clip, `(frames, height, width, 3)`.
        batch_sizes: Clips in a batch, one `Latency` for each.
        repeats: Batches to measure for each size.

    Raises:
        ValueError: if a number is not a positive integer.

    Example:

    >>> latency, = measure_latency(model, (40, 224, 224, 3), [1])
    >>> latency.median
    1.21
    """
    for name, number in [("repeats", repeats), *(("batch_sizes", size) for size in batch_sizes)]:
        check_positive_int("Latency", name, number)
    results = []
    for size in batch_sizes:
        clips: Any = np.random.default_rng(0).integers(0, 256, (size, *clip_shape), np.uint8)
        if not getattr(model, "include_preprocessing", True):
            clips = clips.astype(np.float32) / np.float32(127.5) - np.float32(1)
        warm_up = [_seconds(model, clips) for _ in range(WARM_UP)]
        times = [_seconds(model, clips) for _ in range(repeats)]
        p10, median, p90 = np.percentile(times, (10, 50, 90)).tolist()
        results.append(Latency(size, median, p10, p90, repeats, warm_up[0]))
    return tuple(results)


def this_machine() -> Machine:
    """What is running."""
    backend = keras.backend.backend()
    version = __import__(backend).__version__
    devices: tuple[str, ...] = ()
    # Not every backend can tell.
    with contextlib.suppress(AttributeError, NotImplementedError):
        devices = tuple(keras.distribution.list_devices())
    versions = f"Keras {keras.__version__}, {backend} {version}"
    processor = cpu_info("model name") or platform.processor() or platform.machine()
    return Machine(processor, process_count(None), devices, backend, versions)


def _seconds(model: keras.Model, clips: Any) -> float:
    start = time.perf_counter()
    model.predict_on_batch(clips)
    return time.perf_counter() - start

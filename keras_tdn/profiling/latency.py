"""How long a model takes on this machine."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import platform
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

WARM_UP = 2
REPEATS = 10
CPU_INFO = "/proc/cpuinfo"


@dataclasses.dataclass(frozen=True)
class Latency:
    """How long batches of one size took. Times are in seconds.

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
    """Times batches from clips in memory to scores in memory.

    Use it on an idle machine. A batch of random pixels goes through `model.predict_on_batch`, which
    waits for the scores; reading videos is not part of it, and neither are the first calls, which
    compile.

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
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise ValueError(
                f"Latency needs positive integers for `{name}`. Received: {name}={number!r}"
            )
    results = []
    for size in batch_sizes:
        clips = _random_clips(model, (size, *clip_shape))
        warm_up = [_seconds(model, clips) for _ in range(WARM_UP)]
        times = [_seconds(model, clips) for _ in range(repeats)]
        p10, median, p90 = (float(value) for value in np.percentile(times, (10, 50, 90)))
        results.append(Latency(size, median, p10, p90, repeats, warm_up[0]))
    return tuple(results)


def this_machine() -> Machine:
    """What is running."""
    backend = keras.backend.backend()
    version = __import__(backend).__version__
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        devices = tuple(keras.distribution.list_devices())
    except (AttributeError, NotImplementedError):
        # Not every backend can tell.
        devices = ()
    versions = f"Keras {keras.__version__}, {backend} {version}"
    return Machine(_processor(), cores, devices, backend, versions)


def _random_clips(model: keras.Model, shape: tuple[int, ...]) -> Any:
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    if getattr(model, "include_preprocessing", True):
        return pixels
    return pixels.astype(np.float32) / np.float32(127.5) - np.float32(1)


def _seconds(model: keras.Model, clips: Any) -> float:
    start = time.perf_counter()
    model.predict_on_batch(clips)
    return time.perf_counter() - start


def _processor() -> str:
    with contextlib.suppress(OSError), open(CPU_INFO, encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

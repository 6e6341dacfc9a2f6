"""Rendered videos, for those who have none at hand that the model knows."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Callable, Sequence

import numpy as np

from keras_tdn.datasets.motion import MOTION_LABELS, MotionConfig, render_motion
from keras_tdn.datasets.motion.make import encode_mp4

# What is asked for in the page is drawn from other seeds than any data set.
PART = 7
# One movement after the other shows what a timeline is for. These go on as long as one likes.
SIMPLE = 8
MOVEMENTS = 2
FRAMES, SIZE = 50, 128


def example_maker(labels: Sequence[str] | None, folder: str) -> Callable[[], str] | None:
    """A function that renders a video of two movements and gives its path.

    Args:
        labels: The model's class names.
        folder: Where to write.

    Returns:
        The function, another video with every call; `None` if the model knows other things.
    """
    if labels is None or tuple(labels) != MOTION_LABELS:
        return None

    def make() -> str:
        return write_example(folder, random.SystemRandom().randrange(2**32))

    return make


def write_example(folder: str, seed: int) -> str:
    """Renders the example of a seed into a folder and gives its path."""
    config = MotionConfig(num_frames=FRAMES, size=SIZE)
    classes = np.random.default_rng([seed, PART]).permutation(SIMPLE)[:MOVEMENTS]
    parts = [
        render_motion(int(label), config, (seed, PART, number))
        for number, label in enumerate(classes)
    ]
    handle, path = tempfile.mkstemp(suffix=".mp4", prefix="example_", dir=folder)
    with os.fdopen(handle, "wb") as file:
        file.write(encode_mp4(np.concatenate(parts), config))
    return path

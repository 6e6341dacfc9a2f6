"""Data sets that the package makes itself, so that anyone can train without downloading.

Names are imported when they are first used: what they do needs Keras and TensorFlow.
"""

from typing import TYPE_CHECKING

from keras_tdn.lazy_names import lazy_names

if TYPE_CHECKING:
    from keras_tdn.datasets import motion
    from keras_tdn.datasets.frames_in_memory import FramesInMemory

__all__ = ["FramesInMemory", "motion"]

__getattr__, __dir__ = lazy_names(__name__, {"FramesInMemory": "frames_in_memory"})

"""Data sets that the package makes itself, so that anyone can train without downloading."""

from keras_tdn.datasets import motion
from keras_tdn.datasets.frames_in_memory import FramesInMemory

__all__ = ["FramesInMemory", "motion"]

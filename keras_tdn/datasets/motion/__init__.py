"""A data set whose classes differ by motion alone, and the compact model for it."""

from keras_tdn.datasets.motion.config import MotionConfig
from keras_tdn.datasets.motion.make import make_motion_dataset
from keras_tdn.datasets.motion.model import motion_model
from keras_tdn.datasets.motion.rendering import render_motion
from keras_tdn.datasets.motion.trajectories import MOTION_CLASSES, MOTION_LABELS, MotionClass

__all__ = [
    "MOTION_CLASSES",
    "MOTION_LABELS",
    "MotionClass",
    "MotionConfig",
    "make_motion_dataset",
    "motion_model",
    "render_motion",
]

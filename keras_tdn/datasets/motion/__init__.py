"""A data set whose classes differ by motion alone, and the compact model for it.

Names are imported when they are first used: the processes that render videos need no Keras.
"""

from typing import TYPE_CHECKING

from keras_tdn.lazy_names import lazy_names

if TYPE_CHECKING:
    from keras_tdn.datasets.motion.make import make_motion_dataset, motion_model
    from keras_tdn.datasets.motion.rendering import (
        MOTION_CLASSES,
        MOTION_LABELS,
        MotionClass,
        MotionConfig,
        render_motion,
    )

__all__ = [
    "MOTION_CLASSES",
    "MOTION_LABELS",
    "MotionClass",
    "MotionConfig",
    "make_motion_dataset",
    "motion_model",
    "render_motion",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "MOTION_CLASSES": "rendering",
        "MOTION_LABELS": "rendering",
        "MotionClass": "rendering",
        "MotionConfig": "rendering",
        "make_motion_dataset": "make",
        "motion_model": "make",
        "render_motion": "rendering",
    },
)

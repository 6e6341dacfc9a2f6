from .make import make_motion_dataset as make_motion_dataset, motion_model as motion_model
from .rendering import (
    MOTION_CLASSES as MOTION_CLASSES,
    MOTION_LABELS as MOTION_LABELS,
    MotionClass as MotionClass,
    MotionConfig as MotionConfig,
    render_motion as render_motion,
)

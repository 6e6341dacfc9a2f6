"""The compact model of the motion data set."""

from __future__ import annotations

from typing import Any

from keras_tdn.datasets.motion.rendering import MOTION_LABELS
from keras_tdn.models import TDNResNet

STAGE_DEPTHS = (1, 1, 1, 1)
WIDTH = 16
NUM_SEGMENTS = 4
FRAMES_PER_SEGMENT = 5
CROP_SIZE = 56


def motion_model(
    short_term: bool = True, long_term: bool = True, temporal_shift: bool = True, **arguments: Any
) -> TDNResNet:
    """A TDN small enough to be trained in a minute or two on two processor cores.

    Use it with `make_motion_dataset`, with its temporal modules switched on and off to see what
    each is for. It has one block per stage, a quarter of a ResNet's width, four segments of five
    frames of 56 pixels, and half a million parameters. Both paths weigh the same where they meet,
    as in the published models of eight segments.

    Args:
        short_term: Whether it has short-term TDMs.
        long_term: Whether it has long-term TDMs.
        temporal_shift: Whether it has temporal shift convolutions.
        **arguments: Further arguments of `TDNResNet`, which also win over the ones above.

    Returns:
        A `TDNResNet` with random weights and the labels of the data set.

    Example:

    >>> baseline = motion_model(short_term=False, long_term=False, temporal_shift=False)  # a TSN
    """
    num_segments = arguments.get("num_segments", NUM_SEGMENTS)
    frames = num_segments * arguments.get("frames_per_segment", FRAMES_PER_SEGMENT)
    ours: dict[str, Any] = {
        "stage_depths": STAGE_DEPTHS,
        "width": WIDTH,
        "num_segments": num_segments,
        "input_shape": (frames, CROP_SIZE, CROP_SIZE, 3),
        "classes": len(MOTION_LABELS),
        "labels": MOTION_LABELS,
        "dropout_rate": 0.0,
        "appearance_weight": 0.5,
        "motion_weight": 0.5,
        "name": "motion_model",
    }
    switches = {
        "short_term": short_term,
        "long_term": long_term,
        "temporal_shift": temporal_shift,
    }
    return TDNResNet(**{**ours, **switches, **arguments})

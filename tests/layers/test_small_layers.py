"""CenterFrame, MotionFusion, SegmentConsensus and UnfoldSegments.

Their goldens are taps of tests/models/test_parity.py: appearance_pool sees CenterFrame, stage2
MotionFusion, the logits SegmentConsensus.
"""

import keras
import numpy as np
import pytest
from battery import check_arguments_covered, random_like, run_layer_test

from keras_tdn.layers import CenterFrame, MotionFusion, SegmentConsensus, UnfoldSegments


def test_center_frame_battery(tmp_path):
    arguments = {"frames_per_segment": 3}
    check_arguments_covered(CenterFrame, arguments)
    run_layer_test(CenterFrame, arguments, (2, 6, 4, 5, 3), (4, 4, 5, 3), tmp_path)


def test_center_frame_by_hand():
    clips = np.arange(20).reshape(2, 10, 1, 1, 1).astype("float32")
    frames = keras.ops.convert_to_numpy(CenterFrame(frames_per_segment=5)(clips))
    np.testing.assert_array_equal(frames.ravel(), [2, 7, 12, 17])


def test_motion_fusion_battery(tmp_path):
    arguments = {"appearance_weight": 0.75, "motion_weight": 0.25}
    check_arguments_covered(MotionFusion, arguments)
    run_layer_test(MotionFusion, arguments, [(4, 7, 6, 8), (4, 3, 3, 8)], (4, 7, 6, 8), tmp_path)


def test_motion_fusion_upsamples_from_the_left():
    # Source index floor(i * 3 / 7): half-pixel centres would give 0 0 1 1 1 2 2 instead.
    motion = np.arange(3, dtype="float32").reshape(1, 3, 1, 1) * np.ones((1, 1, 3, 1), "float32")
    fused = MotionFusion(0.5, 0.25)([np.ones((1, 7, 7, 1), "float32"), motion])
    rows = keras.ops.convert_to_numpy(fused)[0, :, 0, 0]
    np.testing.assert_allclose(rows, 0.5 + 0.25 * np.array([0, 0, 0, 1, 1, 2, 2]))


def test_segment_consensus_battery(tmp_path):
    arguments = {"num_segments": 3}
    check_arguments_covered(SegmentConsensus, arguments)
    run_layer_test(SegmentConsensus, arguments, (6, 10), (2, 10), tmp_path)


def test_segment_consensus_by_hand():
    scores = np.array([[1, 2], [3, 4], [10, 20], [30, 40]], "float32")
    means = keras.ops.convert_to_numpy(SegmentConsensus(2)(scores))
    np.testing.assert_array_equal(means, [[2, 3], [20, 30]])


def test_unfold_segments_battery(tmp_path):
    arguments = {"num_segments": 3}
    check_arguments_covered(UnfoldSegments, arguments)
    run_layer_test(UnfoldSegments, arguments, (6, 4, 5, 2), (2, 3, 4, 5, 2), tmp_path)


def test_unfold_segments_by_hand():
    x = random_like((6, 2, 2, 1))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(UnfoldSegments(3)(x))[1, 2], x[5])


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (lambda: CenterFrame(0), None, "integer of at least 1 for `frames_per_segment`"),
        (lambda: CenterFrame(5), (2, 12, 8, 8, 3), "12 frames are not divisible"),
        (lambda: CenterFrame(5), (10, 8, 8, 3), "CenterFrame needs a 5-D input"),
        (lambda: SegmentConsensus(True), None, "integer of at least 1 for `num_segments`"),
        (lambda: SegmentConsensus(8), (12, 10), "12 is not divisible by num_segments=8"),
        (lambda: SegmentConsensus(8), (8,), "at least 2 axes"),
        (lambda: UnfoldSegments(8), (8, 10), "UnfoldSegments needs a 4-D input"),
        (lambda: UnfoldSegments(8), (9, 2, 2, 1), "9 is not divisible by num_segments=8"),
        (MotionFusion, (8, 7, 7, 64), "a list of two maps"),
        (MotionFusion, [(8, 7, 7, 64)], "a list of two maps"),
        (MotionFusion, [(8, 7, 7, 64), (8, 3, 3, 32)], "must have equal channels"),
        (MotionFusion, [(8, 7, 64), (8, 3, 3, 64)], "MotionFusion needs a 4-D input"),
    ],
)
def test_errors(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer().build(shape)

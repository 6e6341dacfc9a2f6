import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from keras_tdn.data.segment_sampling import SegmentSampler

GOLDEN = Path(__file__).parents[1] / "golden" / "sampling_and_crops.json"


def center_indices(num_frames, num_segments, frames_per_segment=5):
    return SegmentSampler(num_segments, frames_per_segment)(num_frames)


def golden_cases():
    center = json.loads(GOLDEN.read_text())["center"]
    return [
        (int(segments), int(num_frames), indices)
        for segments, by_length in center.items()
        for num_frames, indices in by_length.items()
    ]


def test_golden_has_every_length():
    cases = golden_cases()
    assert {segments for segments, _, _ in cases} == {4, 8, 16}
    assert len(cases) == 3 * 53


@pytest.mark.parametrize("segments", [4, 8, 16])
def test_agrees_with_the_reference(segments):
    for _, num_frames, expected in [case for case in golden_cases() if case[0] == segments]:
        indices = center_indices(num_frames, segments)
        assert indices.ravel().tolist() == expected, f"{num_frames} frames"


def test_by_hand():
    # 24 frames, 5 at a time: starts 0 to 19 in 2 parts of 10, so 5 and 15.
    expected = [[5, 6, 7, 8, 9], [15, 16, 17, 18, 19]]
    np.testing.assert_array_equal(center_indices(24, 2), expected)
    assert center_indices(24, 2).dtype == np.int32


def test_other_frames_per_segment_by_hand():
    np.testing.assert_array_equal(center_indices(10, 2, 1), [[2], [7]])
    np.testing.assert_array_equal(center_indices(10, 2, 3), [[2, 3, 4], [6, 7, 8]])


def test_as_many_starts_as_segments_still_counts_as_short():
    assert (center_indices(12, 8)[:, 0] == 0).all()
    assert center_indices(13, 8)[:, 0].tolist() == [0, 1, 2, 3, 5, 6, 7, 8]


@given(st.integers(1, 2000), st.integers(1, 32), st.integers(1, 8))
def test_properties(num_frames, num_segments, frames_per_segment):
    indices = center_indices(num_frames, num_segments, frames_per_segment)
    assert indices.shape == (num_segments, frames_per_segment)
    assert indices.dtype == np.int32
    assert indices.min() >= 0
    assert indices.max() < num_frames
    steps = np.diff(indices, axis=1)
    assert ((steps == 1) | ((steps == 0) & (indices[:, 1:] == num_frames - 1))).all()
    starts = indices[:, 0]
    assert (np.diff(starts) >= 0).all()
    if num_frames > num_segments + frames_per_segment - 1:
        assert (steps == 1).all()
        # Neighbouring starts lie one tick apart, up to rounding; so do the ends of the video.
        tick = (num_frames - frames_per_segment + 1) / num_segments
        assert (np.abs(np.diff(starts) - tick) < 1).all()
        assert abs(starts[0] - tick / 2) < 1
    else:
        assert (starts == 0).all()


@pytest.mark.parametrize("value", [0, -3, 2.5, "8", None, True])
@pytest.mark.parametrize("argument", ["num_frames", "num_segments", "frames_per_segment"])
def test_error_names_the_argument(argument, value):
    arguments = {"num_frames": 30, "num_segments": 8, "frames_per_segment": 5, argument: value}
    with pytest.raises(ValueError, match=f"positive integer for `{argument}`. Received"):
        center_indices(**arguments)


def test_numpy_integers_are_integers():
    assert center_indices(np.int64(30), np.int32(8)).shape == (8, 5)

"""SegmentSampler beyond the centre clip, and the same indices from NumPy and from graphs."""

import functools
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings, strategies as st

from keras_tdn.data.segment_sampling import SegmentSampler

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "sampling_and_crops.json").read_text())
SUPPORT = [
    (int(segments), int(num_frames), np.array(bounds))
    for segments, by_length in GOLDEN["random_support"].items()
    for num_frames, bounds in by_length.items()
]
MODES = ("center", "random", "dense")
# Graphs are traced once per sampler, so the property tests choose from these numbers.
SEGMENTS = (1, 2, 3, 4, 5, 7, 8, 11, 16, 23, 31, 32)


def random_sampler(num_segments, frames_per_segment=5):
    return SegmentSampler(num_segments, frames_per_segment, mode="random")


@functools.cache
def graph(num_segments, frames_per_segment, mode):
    sampler = SegmentSampler(num_segments, frames_per_segment, mode)

    @tf.function(input_signature=[tf.TensorSpec([], tf.int64), tf.TensorSpec([2], tf.int64)])
    def sample(num_frames, seed):
        clip = sampler(num_frames, seed)
        clips = sampler.sample_clips(num_frames, 3, "uniform")
        draws = sampler.sample_clips(num_frames, 3, "random", seed)
        assert clip.shape == (num_segments, frames_per_segment)
        assert clips.shape == draws.shape == (3, num_segments, frames_per_segment)
        assert {clip.dtype, clips.dtype, draws.dtype} == {tf.int32}
        return clip, clips, draws

    return sample


# === Random mode ===


@pytest.mark.parametrize(("segments", "num_frames", "bounds"), SUPPORT)
def test_random_starts_reach_what_the_reference_reaches(segments, num_frames, bounds):
    draws = random_sampler(segments).sample_clips(num_frames, 60_000, "random", seed=3)
    starts = draws[..., 0]
    lowest, highest = starts.min(axis=0), starts.max(axis=0)
    if num_frames - 4 >= segments or num_frames <= segments:
        np.testing.assert_array_equal(np.stack([lowest, highest], axis=1), bounds)
    else:
        # Sorted draws from the whole span: the far ends are rare, in the recording as here.
        assert lowest.min() == 0
        assert highest.max() == num_frames - 5
        assert (lowest <= bounds[:, 0]).all()
        assert (highest >= bounds[:, 1]).all()


def test_random_by_hand():
    # 24 frames, 5 at a time: 20 starts, 0 to 9 for segment 0 and 10 to 19 for segment 1.
    starts = random_sampler(2).sample_clips(24, 2000, "random", seed=1)[..., 0]
    assert set(starts[:, 0]) == set(range(10))
    assert set(starts[:, 1]) == set(range(10, 20))
    # 2 frames more than segments and a span of 1: all starts are drawn from that one.
    assert (random_sampler(3)(5, seed=1) == np.arange(5)).all()


def test_random_starts_are_uniform():
    starts = random_sampler(2).sample_clips(24, 20_000, "random", seed=5)[..., 0]
    counts = np.bincount(starts[:, 0], minlength=10)
    # 99.99 % of uniform draws have a chi-square below 33.7 with nine degrees of freedom.
    assert ((counts - 2000) ** 2 / 2000).sum() < 33.7
    assert abs(np.corrcoef(starts.T)[0, 1]) < 0.03


def test_random_video_shorter_than_a_segment_with_fewer_segments():
    # The reference would draw from an empty span here, and raises.
    np.testing.assert_array_equal(random_sampler(2)(3, seed=0), [[0, 1, 2, 2, 2]] * 2)


def test_same_seed_same_clip_and_others_differ():
    sampler = random_sampler(8)
    np.testing.assert_array_equal(sampler(300, seed=(4, 7)), sampler(300, seed=(4, 7)))
    np.testing.assert_array_equal(sampler(300, seed=4), sampler(300, seed=(4, 0)))
    clips = {
        sampler(300, seed=(first, second)).tobytes() for first in range(30) for second in range(30)
    }
    assert len(clips) == 900


def test_random_clips_start_with_the_single_clip():
    sampler = random_sampler(8)
    clips = sampler.sample_clips(300, 4, "random", seed=9)
    np.testing.assert_array_equal(clips[0], sampler(300, seed=9))
    np.testing.assert_array_equal(clips[:2], sampler.sample_clips(300, 2, "random", seed=9))
    assert len({clip.tobytes() for clip in clips}) == 4


# === Dense mode ===


def test_dense_by_hand():
    # A window of 64 starts in 100 possible ones: 36 to spare, and a step of 8 for 8 segments.
    sampler = SegmentSampler(8, mode="dense")
    np.testing.assert_array_equal(sampler(104)[:, 0], 18 + 8 * np.arange(8))
    np.testing.assert_array_equal(sampler(104)[3], 42 + np.arange(5))
    clips = sampler.sample_clips(104, 10, "uniform")
    np.testing.assert_array_equal(clips[:, 0, 0], 4 * np.arange(10))
    # A video shorter than the window is covered whole: 32 starts for 8 segments.
    np.testing.assert_array_equal(sampler(36, seed=3)[:, 0], 4 * np.arange(8))
    np.testing.assert_array_equal(sampler(1), np.zeros((8, 5)))


def test_dense_windows_reach_both_ends():
    sampler = SegmentSampler(4, 3, mode="dense", dense_window=16)
    starts = sampler.sample_clips(30, 3000, "random", seed=2)[..., 0]
    # 28 possible starts and a window of 16: it begins at one of 0 to 12.
    assert set(starts[:, 0]) == set(range(13))
    np.testing.assert_array_equal(np.diff(starts, axis=1), np.full((3000, 3), 4))


# === Several clips ===


def test_uniform_clips_by_hand():
    # 16 starts in 2 parts of 8; in clip j of 4 each segment starts (j + 1/2) / 4 of the way.
    clips = SegmentSampler(2).sample_clips(20, 4)
    np.testing.assert_array_equal(clips[..., 0], [[1, 9], [3, 11], [5, 13], [7, 15]])


@given(st.integers(1, 2000), st.integers(1, 32), st.integers(1, 8), st.integers(1, 12))
@settings(deadline=None)
def test_uniform_clips_properties(num_frames, num_segments, frames_per_segment, num_clips):
    sampler = SegmentSampler(num_segments, frames_per_segment)
    clips = sampler.sample_clips(num_frames, num_clips)
    assert clips.shape == (num_clips, num_segments, frames_per_segment)
    assert clips.min() >= 0
    assert clips.max() < num_frames
    # From clip to clip every segment moves on, and stays before the next segment's first clip.
    starts = clips[..., 0]
    assert (np.diff(starts.T.ravel()) >= 0).all()
    one = sampler.sample_clips(num_frames, 1)[0]
    np.testing.assert_array_equal(one, SegmentSampler(num_segments, frames_per_segment)(num_frames))
    if num_clips % 2:
        np.testing.assert_array_equal(clips[num_clips // 2], one)


# === All modes ===


@given(
    st.integers(1, 2000),
    st.integers(1, 32),
    st.integers(1, 8),
    st.sampled_from(MODES),
    st.integers(-(2**70), 2**70),
)
@settings(deadline=None)
def test_properties(num_frames, num_segments, frames_per_segment, mode, seed):
    indices = SegmentSampler(num_segments, frames_per_segment, mode)(num_frames, seed)
    assert indices.shape == (num_segments, frames_per_segment)
    assert indices.dtype == np.int32
    assert indices.min() >= 0
    assert indices.max() < num_frames
    steps = np.diff(indices, axis=1)
    assert ((steps == 1) | ((steps == 0) & (indices[:, 1:] == num_frames - 1))).all()
    assert (np.diff(indices[:, 0]) >= 0).all()
    if num_frames >= frames_per_segment:
        assert (steps == 1).all()


@given(
    st.integers(1, 2000),
    st.sampled_from(SEGMENTS),
    st.sampled_from([1, 5]),
    st.sampled_from(MODES),
    st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1)),
)
@settings(deadline=None)
def test_graph_gives_what_numpy_gives(num_frames, num_segments, frames_per_segment, mode, seed):
    sampler = SegmentSampler(num_segments, frames_per_segment, mode)
    expected = (
        sampler(num_frames, seed),
        sampler.sample_clips(num_frames, 3, "uniform"),
        sampler.sample_clips(num_frames, 3, "random", seed),
    )
    for actual, clip in zip(
        graph(num_segments, frames_per_segment, mode)(num_frames, seed), expected, strict=True
    ):
        np.testing.assert_array_equal(actual, clip)


# Numbers that are no powers of two come first: TensorFlow's graph optimiser would compute ticks of
# 1/7 of a video as products with a rounded 1/7.
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("segments", [7, 11, 29, 1, 8, 16])
def test_tf_data_gives_what_numpy_gives_at_every_length(mode, segments):
    sampler = SegmentSampler(segments, mode=mode)
    dataset = tf.data.Dataset.range(1, 2001).map(
        lambda length: sampler(length, tf.stack([length, 3])), num_parallel_calls=2
    )
    assert dataset.element_spec == tf.TensorSpec((segments, 5), tf.int32)
    actual = next(iter(dataset.batch(2000).as_numpy_iterator()))
    expected = [sampler(length, (length, 3)) for length in range(1, 2001)]
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("segments", [3, 7, 25])
def test_tf_data_gives_the_same_uniform_clips_at_every_length(segments):
    sampler = SegmentSampler(segments)
    dataset = tf.data.Dataset.range(1, 2001).map(lambda length: sampler.sample_clips(length, 10))
    actual = next(iter(dataset.batch(2000).as_numpy_iterator()))
    expected = [sampler.sample_clips(length, 10) for length in range(1, 2001)]
    np.testing.assert_array_equal(actual, expected)


def test_center_ticks_agree_with_python_floats_in_a_graph():
    for length, indices in GOLDEN["center"]["16"].items():
        clip, _, _ = graph(16, 5, "center")(int(length), (0, 0))
        assert clip.numpy().ravel().tolist() == indices


@pytest.mark.parametrize("dtype", [tf.int32, tf.int64, tf.uint8])
def test_eager_tensors_of_any_integer_type(dtype):
    sampler = random_sampler(8)
    clip = sampler(tf.constant(200, dtype), tf.constant([3, 250], tf.uint8))
    assert isinstance(clip, tf.Tensor)
    np.testing.assert_array_equal(clip, sampler(200, (3, 250)))
    np.testing.assert_array_equal(sampler(tf.constant(200, dtype), seed=6), sampler(200, 6))
    np.testing.assert_array_equal(sampler(200, tf.constant(6, tf.int32)), sampler(200, 6))


def test_negative_seed_tensors_are_twos_complement():
    sampler = random_sampler(8)
    for dtype in (tf.int32, tf.int64):
        clip = sampler(200, tf.constant([-1, 5], dtype))
        np.testing.assert_array_equal(clip, sampler(200, (-1, 5)))


def test_numpy_integers_and_seeds():
    sampler = random_sampler(8)
    clip = sampler(np.int32(200), np.array([1, 2], np.uint32))
    assert isinstance(clip, np.ndarray)
    np.testing.assert_array_equal(clip, sampler(200, (1, 2)))
    np.testing.assert_array_equal(sampler(np.array(200), np.int64(1)), sampler(200, 1))


def test_samplers_are_values():
    assert SegmentSampler(np.int64(8)) == SegmentSampler(8)
    assert hash(SegmentSampler(8)) == hash(SegmentSampler(8))
    assert SegmentSampler(8) != SegmentSampler(8, mode="random")
    assert type(SegmentSampler(np.int64(8)).num_segments) is int


# === Errors ===


@pytest.mark.parametrize("field", ["num_segments", "frames_per_segment", "dense_window"])
@pytest.mark.parametrize("value", [0, -1, 2.5, "8", None, True])
def test_error_for_a_field(field, value):
    with pytest.raises(ValueError, match=f"positive integer for `{field}`. Received"):
        SegmentSampler(**{"num_segments": 8, field: value})


def test_error_for_a_mode():
    with pytest.raises(ValueError, match=r"mode` is one of \['center', 'random', 'dense'\]"):
        SegmentSampler(8, mode="uniform")
    with pytest.raises(ValueError, match=r"`mode` of \['uniform', 'random'\]. Received: mode='ten"):
        SegmentSampler(8).sample_clips(100, 10, "ten")


def test_error_for_a_narrow_window():
    with pytest.raises(ValueError, match="dense_window=4, num_segments=8"):
        SegmentSampler(8, mode="dense", dense_window=4)


def test_error_for_a_missing_seed():
    with pytest.raises(ValueError, match="Random sampling needs a `seed`"):
        random_sampler(8)(100)
    with pytest.raises(ValueError, match="Random sampling needs a `seed`"):
        SegmentSampler(8).sample_clips(100, 10, "random")


@pytest.mark.parametrize("seed", ["1", 1.5, (1,), (1, 2, 3), (1, 2.0), True, [[1, 2], [3, 4]]])
def test_error_for_a_seed(seed):
    with pytest.raises(ValueError, match="A seed is an integer or a pair of integers"):
        random_sampler(8)(100, seed)
    if seed not in ("1", True, (1, 2.0)):
        with pytest.raises(ValueError, match="A seed is an integer or a pair of integers"):
            random_sampler(8)(100, tf.constant(seed))


def test_error_for_num_frames():
    with pytest.raises(ValueError, match="positive integer for `num_frames`"):
        SegmentSampler(8)(0)
    with pytest.raises(ValueError, match="one integer for `num_frames`"):
        SegmentSampler(8)(tf.constant(100.0))
    with pytest.raises(ValueError, match="one integer for `num_frames`"):
        SegmentSampler(8)(tf.constant([100]))
    with pytest.raises(ValueError, match="positive integer for `num_clips`"):
        SegmentSampler(8).sample_clips(100, 0)


def test_error_for_no_frames_in_a_graph():
    with pytest.raises(tf.errors.InvalidArgumentError, match="video without frames has no clip"):
        graph(8, 5, "center")(0, (0, 0))
    dataset = tf.data.Dataset.range(3).map(SegmentSampler(8))
    with pytest.raises(tf.errors.InvalidArgumentError, match="video without frames has no clip"):
        list(dataset)
    with pytest.raises(tf.errors.InvalidArgumentError, match="video without frames has no clip"):
        SegmentSampler(8)(tf.constant(-1))

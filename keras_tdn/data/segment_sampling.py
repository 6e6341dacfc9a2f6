"""The choice of a clip's frames."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, get_args

import numpy as np

from keras_tdn.data.stateless_draws import array_module, cast, draw_below
from keras_tdn.specs import checked_integer, python_integer

SamplingMode = Literal["center", "random", "dense"]
ClipMode = Literal["uniform", "random"]

# The window that 3-D networks are trained on, and that the authors' dense sampling takes.
DENSE_WINDOW = 64


@dataclasses.dataclass(frozen=True)
class SegmentSampler:
    """Chooses the frames of a clip: some neighbouring ones from each segment of a video.

    A sampler is a pure function of the number of frames and the seed, the same for Python and NumPy
    integers and for TensorFlow tensors, eagerly and in a `tf.data` graph. The span that a segment
    can start in is `num_frames - frames_per_segment + 1` frames long. By `mode`:

    - `"center"`, for validation and prediction: the span is divided into `num_segments` equal
      parts, and a segment starts in the middle of each. If the video has no more than
      `num_segments + frames_per_segment - 1` frames, all segments are its opening frames.
    - `"random"`, for training: each part has whole frames, and a segment starts at a random one of
      them; frames left over at the end are not used. If the parts would be empty, all starts are
      drawn from the whole span and sorted. If the video has no more than `num_segments` frames,
      all segments are its opening frames.
    - `"dense"`: segments start at equal steps inside a window of `dense_window` frames, which lies
      at random with a seed and in the middle of the video without one. A span shorter than the
      window is taken whole; the reference wraps around to the start of the video.

    Reference: Wang et al., CVPR 2021, section 4; arXiv:2012.10071. `"center"` and `"random"` are
    those of its code.

    Args:
        num_segments: Equal spans that the video is divided into.
        frames_per_segment: Neighbouring frames taken from each segment.
        mode: `"center"`, `"random"` or `"dense"`.
        dense_window: Frames that dense starts are spread over, at least `num_segments`.

    Raises:
        ValueError: if an argument is out of range.

    Example:

    >>> sampler = SegmentSampler(num_segments=4, frames_per_segment=3)
    >>> sampler(100)[:, 0].tolist()
    [12, 36, 61, 85]
    >>> training = SegmentSampler(num_segments=4, frames_per_segment=3, mode="random")
    >>> training(100, seed=(0, 7))[:, 0].tolist()
    [10, 34, 59, 79]
    """

    num_segments: int
    frames_per_segment: int = 5
    mode: SamplingMode = "center"
    dense_window: int = DENSE_WINDOW

    def __post_init__(self) -> None:
        for field in ("num_segments", "frames_per_segment", "dense_window"):
            # NumPy's integers compare equal to Python's but do not go into JSON.
            object.__setattr__(self, field, _positive_int(field, getattr(self, field)))
        if self.mode not in get_args(SamplingMode):
            raise ValueError(
                f"SegmentSampler's `mode` is one of {list(get_args(SamplingMode))}. "
                f"Received: mode={self.mode!r}"
            )
        if self.mode == "dense" and self.dense_window < self.num_segments:
            raise ValueError(
                "Dense sampling needs a frame of its own for every segment to start at: "
                "`dense_window` must be at least `num_segments`. Received: "
                f"dense_window={self.dense_window}, num_segments={self.num_segments}"
            )

    def __call__(self, num_frames: Any, seed: Any = None) -> Any:
        """Samples one clip.

        Args:
            num_frames: Frames in the video: an integer, or an integer tensor of shape `()`.
            seed: An integer or a pair of integers, also as a tensor. Random mode needs one, dense
                mode may have one, and centre mode ignores it.

        Returns:
            Zero-based indices, int32, of shape `(num_segments, frames_per_segment)`. Those past the
            end of the video repeat its last frame. A tensor if one was given, else an array.

        Raises:
            ValueError: if an argument is not what it should be; of a tensor below one, it is a
                `tf.errors.InvalidArgumentError` when the graph runs.
        """
        random = self.mode == "random" or (self.mode == "dense" and seed is not None)
        return self._sample(num_frames, 1, random, seed)[0]

    def sample_clips(
        self, num_frames: Any, num_clips: int, mode: ClipMode = "uniform", seed: Any = None
    ) -> Any:
        """Samples several clips of one video, for view averaging.

        Use uniform clips unless the published way has to be repeated, which is random ones. One
        uniform clip is the clip of centre mode.

        Args:
            num_frames, seed: As in calling the sampler, whose errors are raised here too.
            num_clips: Clips to sample.
            mode: `"uniform"`: in clip `j` every segment starts `(j + 0.5) / num_clips` of the way
                through its part of the span; of a dense sampler, the windows start at equal steps
                from the first frame to the last possible one. `"random"`: independent draws, as
                random mode makes them (dense windows of a dense sampler), which need a seed.

        Returns:
            Zero-based indices, int32, of shape `(num_clips, num_segments, frames_per_segment)`.

        Example:

        >>> SegmentSampler(2, frames_per_segment=1).sample_clips(16, num_clips=2)[..., 0].tolist()
        [[2, 10], [6, 14]]
        """
        num_clips = _positive_int("num_clips", num_clips)
        if mode not in get_args(ClipMode):
            raise ValueError(
                f"Clips are sampled with a `mode` of {list(get_args(ClipMode))}. "
                f"Received: mode={mode!r}"
            )
        return self._sample(num_frames, num_clips, mode == "random", seed)

    def _sample(self, num_frames: Any, num_clips: int, random: bool, seed: Any) -> Any:
        if random and seed is None:
            raise ValueError(
                "Random sampling needs a `seed`, so that a clip can be drawn again: an integer or "
                "a pair of integers, for example (epoch, record.index). Received: seed=None"
            )
        # What centre mode ignores must not decide which library computes.
        ops = array_module(num_frames, seed) if random else array_module(num_frames)
        num_frames = _frame_count(ops, num_frames)
        span = num_frames - (self.frames_per_segment - 1)
        if self.mode == "dense":
            starts = self._dense_starts(ops, span, num_clips, seed if random else None)
        elif random:
            starts = self._random_starts(ops, num_frames, num_clips, seed)
        else:
            starts = self._uniform_starts(ops, span, num_clips)
        indices = starts[..., np.newaxis] + np.arange(self.frames_per_segment)
        return cast(ops, ops.minimum(indices, num_frames - 1), "int32")

    def _uniform_starts(self, ops: Any, span: Any, num_clips: int) -> Any:
        # A video with exactly `num_segments` possible starts counts as too short in the reference.
        long_enough = span > self.num_segments
        # The reference computes in Python floats and truncates; integer arithmetic would differ.
        # So would a graph in which TensorFlow finds a division by a constant, which it replaces by
        # a product, or a factor common to a sum: the divisor depends on the video, therefore, and
        # the two products are taken as one.
        parts = ops.where(long_enough, float(self.num_segments), 1.0)
        tick = cast(ops, span, "float64") / cast(ops, parts, "float64")
        shifts = (np.arange(num_clips)[:, np.newaxis] + 0.5) / num_clips
        segments = np.arange(self.num_segments, dtype=np.float64)
        products = tick * np.stack(np.broadcast_arrays(shifts, segments))
        starts = cast(ops, products[0] + products[1], "int64")
        return ops.where(long_enough, starts, ops.zeros_like(starts))

    def _random_starts(self, ops: Any, num_frames: Any, num_clips: int, seed: Any) -> Any:
        span = num_frames - (self.frames_per_segment - 1)
        part = ops.maximum(span // self.num_segments, 0)
        # Where the reference would draw from an empty span, the only start is the first frame.
        whole = ops.where(num_frames > self.num_segments, ops.maximum(span, 1), 1)
        bounds = ops.where(part > 0, part, whole)
        draws = draw_below(ops, bounds, seed, (num_clips, self.num_segments))
        # One start from each part is in order already; starts from the whole span become so.
        return ops.sort(part * np.arange(self.num_segments) + draws)

    def _dense_starts(self, ops: Any, span: Any, num_clips: int, seed: Any) -> Any:
        span = ops.maximum(span, 1)
        window = ops.minimum(span, self.dense_window)
        last = span - window
        if seed is not None:
            first = draw_below(ops, last + 1, seed, (num_clips, 1))
        elif num_clips == 1:
            first = last // 2 + np.zeros((1, 1), np.int64)
        else:
            first = last * np.arange(num_clips)[:, np.newaxis] // (num_clips - 1)
        return first + window * np.arange(self.num_segments) // self.num_segments


def _frame_count(ops: Any, num_frames: Any) -> Any:
    if array_module(num_frames) is np:
        number = np.int64(_positive_int("num_frames", num_frames))
        return number if ops is np else ops.constant(number)
    if not num_frames.dtype.is_integer or num_frames.shape.rank not in (0, None):
        raise ValueError(
            "Sampling needs one integer for `num_frames`, a tensor of shape (). "
            f"Received: num_frames={num_frames!r}"
        )
    number = ops.ensure_shape(ops.cast(num_frames, "int64"), ())
    check = ops.debugging.assert_positive(
        number,
        message="Sampling needs a positive integer for `num_frames`: a video without frames has "
        "no clip. Leave such records out before sampling.",
    )
    # Eagerly the check has run by now and there is nothing to depend on.
    with ops.control_dependencies([check] if check is not None else []):
        return ops.identity(number)


def _positive_int(argument: str, value: int) -> int:
    wanted = f"Sampling needs a positive integer for `{argument}`"
    index = value if isinstance(value, np.bool_) else python_integer(value)
    return checked_integer(argument, index, wanted)

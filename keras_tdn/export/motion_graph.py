"""The motion path in inference: short-term TDM and its own stage 1."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from keras_tdn.export.folding import fold_norm
from keras_tdn.export.graph_ops import constant, convolve, halve, max_pool
from keras_tdn.export.residual_graph import StageGraph


class MotionGraph:
    """Differences of neighbouring frames to the two maps that appearance is fused with.

    Args:
        layers: Keras layer by name.
        depth: Bottlenecks of the stage.
        frames_per_segment: Neighbouring frames in a segment.
        pixel_scale: What a pixel is multiplied by before the network, for each channel.
        dtype: Precision behind the differences.
        portable: Whether it is for runtimes that do not keep channels last.
    """

    def __init__(
        self,
        layers: Any,
        depth: int,
        frames_per_segment: int,
        pixel_scale: np.ndarray,
        dtype: tf.DType,
        portable: bool,
    ) -> None:
        short_term = layers("short_term_tdm")
        # A difference has no mean to take off.
        scales = np.tile(pixel_scale, frames_per_segment - 1)
        self._stem = fold_norm(short_term.conv, short_term.norm).scaled_input(scales)
        self._stage = StageGraph(layers, "motion_stage1", depth, 1, portable=False)
        self._dtype = dtype
        self._differences = self._convolved_differences if portable else self._differences_of_sums

    def scale_output(self, factor: float) -> None:
        """Makes both maps `factor` times what they were. The factor is at least 0."""
        self._stem = self._stem.scaled_output(factor)
        self._stage.scale_biases(factor)

    def stem(self, segments: tf.Tensor) -> tf.Tensor:
        """Segments of uint8 frames to the map that is fused before stage 1."""
        differences = self._differences(tf.cast(segments, tf.float32))
        x = tf.cast(differences, self._dtype)
        return max_pool(tf.nn.relu(convolve(x, self._stem, 2)))

    def _differences_of_sums(self, segments: tf.Tensor) -> tf.Tensor:
        """Halved differences `(segments, height, width, (frames - 1) * channels)`."""
        _, frames, height, width, channels = segments.shape
        pixels = tf.reshape(segments, (-1, height, width, channels))
        # Pooled first, which leaves a quarter to take differences of. Both are exact: sums of four
        # pixels and their differences are small integers.
        pooled = halve(pixels)
        _, height, width, _ = pooled.shape
        pooled = tf.reshape(pooled, (-1, frames, height, width, channels))
        differences = tf.transpose(pooled[:, 1:] - pooled[:, :-1], (0, 2, 3, 1, 4))
        return tf.reshape(differences, (-1, height, width, (frames - 1) * channels))

    def _convolved_differences(self, segments: tf.Tensor) -> tf.Tensor:
        """The same as one convolution, where three channels are padded to sixteen.

        It is exact too, also in bfloat16, which holds whole numbers to 256.
        """
        _, frames, height, width, channels = segments.shape
        pixels = tf.transpose(segments, (0, 2, 3, 1, 4))
        pixels = tf.reshape(pixels, (-1, height, width, frames * channels))
        window = min(2, height), min(2, width)
        step = np.eye(frames, frames - 1, -1) - np.eye(frames, frames - 1)
        kernel = np.kron(step, np.eye(channels)) / np.prod(window)
        kernel = np.broadcast_to(kernel, (*window, *kernel.shape))
        return tf.nn.conv2d(pixels, constant(kernel, pixels), window, "VALID")

    def stage(self, x: tf.Tensor) -> tf.Tensor:
        """That map to the one that is fused behind stage 1."""
        return self._stage(x)

"""The motion path in inference: short-term TDM and its own stage 1."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from keras_tdn.export.folding import fold_norm
from keras_tdn.export.graph_ops import convolve, halve, halve_pixels, max_pool
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
        self._halve = halve_pixels if portable else halve

    def scale_output(self, factor: float) -> None:
        """Makes both maps `factor` times what they were. The factor is at least 0."""
        self._stem = self._stem.scaled_output(factor)
        self._stage.scale_biases(factor)

    def stem(self, segments: tf.Tensor) -> tf.Tensor:
        """Segments of uint8 frames to the map that is fused before stage 1."""
        _, frames, height, width, channels = segments.shape
        pixels = tf.reshape(tf.cast(segments, tf.float32), (-1, height, width, channels))
        # Pooled first, which leaves a quarter to take differences of. Both are exact: sums of four
        # pixels and their differences are small integers.
        pooled = self._halve(pixels)
        _, height, width, _ = pooled.shape
        pooled = tf.reshape(pooled, (-1, frames, height, width, channels))
        differences = tf.transpose(pooled[:, 1:] - pooled[:, :-1], (0, 2, 3, 1, 4))
        differences = tf.reshape(differences, (-1, height, width, (frames - 1) * channels))
        x = tf.cast(differences, self._dtype)
        return max_pool(tf.nn.relu(convolve(x, self._stem, 2)))

    def stage(self, x: tf.Tensor) -> tf.Tensor:
        """That map to the one that is fused behind stage 1."""
        return self._stage(x)

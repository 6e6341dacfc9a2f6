"""TDN in inference as a TensorFlow graph: the same numbers as the Keras model's, sooner.

What a Keras layer does for training's sake, or because it stands alone, is left out: batch norms
are inside the convolutions, both directions of a long-term TDM are one batch, a temporal shift is
one convolution, and the weights of the two paths are inside the layers before them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from keras_tdn.export.folding import fold_norm
from keras_tdn.export.graph_ops import add, add_upsampled, convolve, max_pool, resize_nearest
from keras_tdn.export.motion_graph import MotionGraph
from keras_tdn.export.residual_graph import StageGraph
from keras_tdn.models import TDNResNet

MAX_PIXEL = 255.0
# Appearance and motion, once they are inside the layers.
FOLDED = (1.0, 1.0)


class InferenceGraph:
    """Clips of pixels to one vector for each segment.

    Pixels are taken apart in float32, where differences of neighbouring frames are exact; all else
    is computed in `dtype`.

    Args:
        model: A `TDNResNet`; its weights are read here.
        dtype: `"float32"` or `"bfloat16"`.
        portable: Whether it is for runtimes that do not keep channels last.
    """

    def __init__(self, model: TDNResNet, dtype: str, portable: bool = False) -> None:
        self._portable = portable
        layers = {layer.name: layer for layer in model.layers}.get
        self._dtype = tf.as_dtype(dtype)
        self._frames_per_segment = model.frames_per_segment
        normalization = model.clip_spec.normalization
        self._mean = MAX_PIXEL * np.asarray(normalization.mean)
        scale = 1 / (MAX_PIXEL * np.asarray(normalization.std))
        self._stem = fold_norm(layers("stem_conv"), layers("stem_norm")).scaled_input(scale)
        self._stages = [
            StageGraph(layers, f"stage{number}", depth, 1 if number == 1 else 2, portable)
            for number, depth in enumerate(model.stage_depths, start=1)
        ]
        self._motion: MotionGraph | None = None
        self._weights = FOLDED
        if model.short_term:
            depth = model.stage_depths[0]
            self._motion = MotionGraph(
                layers, depth, model.frames_per_segment, scale, self._dtype, portable
            )
            fusion: Any = layers("stem_fusion")
            self._weights = fusion.appearance_weight, fusion.motion_weight
            # A negative factor does not pass a ReLU.
            if min(self._weights) >= 0:
                self._fold_weights(self._motion, *self._weights)
                self._weights = FOLDED

    def _fold_weights(self, motion: MotionGraph, appearance_weight: float, weight: float) -> None:
        """Makes each path give its weighted output, so that fusion is a sum."""
        self._stem = self._stem.scaled_output(appearance_weight)
        self._stages[0].scale_input(appearance_weight)
        self._stages[0].scale_biases(appearance_weight)
        motion.scale_output(weight)

    def __call__(self, clips: tf.Tensor) -> tf.Tensor:
        """uint8 clips to float32 vectors `(batch * num_segments, features)`."""
        _, _, height, width, channels = clips.shape
        segments = tf.reshape(clips, (-1, self._frames_per_segment, height, width, channels))
        x = self._appearance(segments)
        if self._motion is None:
            x = self._stages[0](x)
        else:
            motion = self._motion.stem(segments)
            x = self._stages[0](self._fuse(x, motion))
            x = self._fuse(x, self._motion.stage(motion))
        for stage in self._stages[1:]:
            x = stage(x)
        return tf.reduce_mean(tf.cast(x, tf.float32), axis=(1, 2))

    def _appearance(self, segments: tf.Tensor) -> tf.Tensor:
        center = tf.cast(segments[:, self._frames_per_segment // 2], tf.float32)
        x = tf.cast(center - tf.constant(self._mean, tf.float32), self._dtype)
        return max_pool(tf.nn.relu(convolve(x, self._stem, 2)))

    def _fuse(self, appearance: tf.Tensor, motion: tf.Tensor) -> tf.Tensor:
        if self._weights != FOLDED:
            appearance, motion = appearance * self._weights[0], motion * self._weights[1]
        if self._portable:
            height, width = appearance.shape[1:3]
            return add(appearance, resize_nearest(motion, height, width, portable=True))
        return add_upsampled(appearance, motion)

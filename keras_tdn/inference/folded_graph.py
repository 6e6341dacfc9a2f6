"""A TDN model folded for inference, as a TensorFlow graph: the same numbers, sooner.

What a Keras layer does for training's sake, or because it stands alone, is left out: batch norms
are inside the convolutions, both directions of a long-term TDM are one batch, a temporal shift is
one convolution, and the weights of the two paths are inside the layers before them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from keras_tdn.inference.folding import fold, fold_norm
from keras_tdn.inference.graph_ops import (
    add,
    add_upsampled,
    constant,
    convolve,
    halve,
    max_pool,
    resize_nearest,
)
from keras_tdn.inference.temporal_graph import LongTermGraph, TemporalShiftGraph, fold_gain
from keras_tdn.models import TDNResNet
from keras_tdn.models.network_structure import Bottleneck, MotionPath

MAX_PIXEL = 255.0
# Appearance and motion, once they are inside the layers.
FOLDED = (1.0, 1.0)


class FoldedGraph:
    """Computes one vector for each segment of clips of pixels.

    Pixels are taken apart in float32, where differences of neighbouring frames are exact; all else
    is computed in `dtype`.

    Args:
        model: A `TDNResNet`; its weights are read here.
        dtype: `"float32"` or `"bfloat16"`.
        portable: Whether it is for runtimes that do not keep channels last.
    """

    def __init__(self, model: TDNResNet, dtype: str, portable: bool = False) -> None:
        self._portable = portable
        network = model.structure
        self._dtype = tf.as_dtype(dtype)
        self._frames_per_segment = model.frames_per_segment
        normalization = model.clip_spec.normalization
        self._mean = MAX_PIXEL * np.asarray(normalization.mean)
        scale = 1 / (MAX_PIXEL * np.asarray(normalization.std))
        self._stem = fold(network.stem).scaled_input(scale)
        self._stages = [_StageGraph(stage, portable) for stage in network.stages]
        self._motion: _MotionGraph | None = None
        self._weights = FOLDED
        if network.motion is not None:
            self._motion = _MotionGraph(network.motion, scale, self._dtype, portable)
            fusion = network.motion.stem_fusion
            self._weights = fusion.appearance_weight, fusion.motion_weight
            # A negative factor does not pass a ReLU.
            if min(self._weights) >= 0:
                self._fold_weights(self._motion, *self._weights)
                self._weights = FOLDED

    def _fold_weights(self, motion: _MotionGraph, appearance_weight: float, weight: float) -> None:
        """Makes each path compute its weighted output, so that fusion is a sum."""
        self._stem = self._stem.scaled_output(appearance_weight)
        self._stages[0].scale_input(appearance_weight)
        self._stages[0].scale_biases(appearance_weight)
        motion.scale_output(weight)

    def __call__(self, clips: tf.Tensor) -> tf.Tensor:
        """Returns float32 vectors `(batch * num_segments, features)` of clips."""
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


class _MotionGraph:
    """Computes the two motion maps from the differences of neighbouring frames.

    Args:
        motion: The model's layers.
        pixel_scale: What a pixel is multiplied by before the network, for each channel.
        dtype: Precision behind the differences.
        portable: Whether it is for runtimes that do not keep channels last.
    """

    def __init__(
        self,
        motion: MotionPath,
        pixel_scale: np.ndarray,
        dtype: tf.DType,
        portable: bool,
    ) -> None:
        # A difference has no mean to take off.
        scales = np.tile(pixel_scale, motion.tdm.frames_per_segment - 1)
        self._stem = fold_norm(motion.tdm.conv, motion.tdm.norm).scaled_input(scales)
        self._stage = _StageGraph(motion.stage, portable=False)
        self._dtype = dtype
        self._differences = self._convolved_differences if portable else self._differences_of_sums

    def scale_output(self, factor: float) -> None:
        """Makes both maps `factor` times what they were. The factor is at least 0."""
        self._stem = self._stem.scaled_output(factor)
        self._stage.scale_biases(factor)

    def stem(self, segments: tf.Tensor) -> tf.Tensor:
        """Returns the map that is fused before stage 1."""
        differences = self._differences(tf.cast(segments, tf.float32))
        x = tf.cast(differences, self._dtype)
        return max_pool(tf.nn.relu(convolve(x, self._stem, 2)))

    def _differences_of_sums(self, segments: tf.Tensor) -> tf.Tensor:
        """Returns halved differences `(segments, height, width, (frames - 1) * channels)`."""
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
        """Computes the same as one convolution, where three channels are padded to sixteen.

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
        """Returns the map that is fused behind stage 1, from that before it."""
        return self._stage(x)


class _BottleneckGraph:
    """A folded bottleneck.

    Args:
        block: The model's block.
        portable: Which form of the temporal modules.
    """

    def __init__(self, block: Bottleneck, portable: bool) -> None:
        self.convs = [fold(conv) for conv in block.convs]
        self.shortcut = None if block.shortcut is None else fold(block.shortcut)
        self._stride = block.strides
        self._temporal: list[Callable[[tf.Tensor], tf.Tensor]] = []
        gain = 1.0
        if block.long_term_tdm is not None:
            self._temporal.append(LongTermGraph(block.long_term_tdm, portable))
            gain = LongTermGraph.GAIN
        if block.temporal_shift is not None:
            self._temporal.append(TemporalShiftGraph(block.temporal_shift, gain, portable))
            gain = 1.0
        self.convs[1] = fold_gain(self.convs[1], gain)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        shortcut = x if self.shortcut is None else convolve(x, self.shortcut, self._stride)
        y = tf.nn.relu(convolve(x, self.convs[0]))
        for module in self._temporal:
            y = module(y)
        y = tf.nn.relu(convolve(y, self.convs[1], self._stride))
        return tf.nn.relu(add(convolve(y, self.convs[2]), shortcut))


class _StageGraph:
    """A folded stage.

    Args:
        stage: The model's blocks.
        portable: Which form of the temporal modules.
    """

    def __init__(self, stage: Sequence[Bottleneck], portable: bool) -> None:
        self._blocks = [_BottleneckGraph(block, portable) for block in stage]

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        for block in self._blocks:
            x = block(x)
        return x

    def scale_biases(self, factor: float) -> None:
        """Makes the stage return `factor` times its output for `factor` times its input.

        A network of convolutions and ReLUs does so but for its biases. The factor is at least 0.
        """
        for block in self._blocks:
            block.convs = [conv.scaled_bias(factor) for conv in block.convs]
            if block.shortcut is not None:
                block.shortcut = block.shortcut.scaled_bias(factor)

    def scale_input(self, factor: float) -> None:
        """Moves a factor of the input into the stage."""
        first = self._blocks[0]
        first.convs[0] = first.convs[0].scaled_input(factor)
        if first.shortcut is not None:
            first.shortcut = first.shortcut.scaled_input(factor)

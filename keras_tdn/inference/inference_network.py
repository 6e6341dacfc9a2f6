"""A TDN model folded for inference, as a TensorFlow graph: the same numbers, sooner."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_tdn.choices import check_folded_dtype
from keras_tdn.inference import temporal_graph as graph
from keras_tdn.inference.folding import (
    FoldedConv,
    check_not_quantized,
    classifier_weights,
    fold,
    reason_not_to_fold,
)
from keras_tdn.models import TDNResNet
from keras_tdn.models.network_structure import Bottleneck, run_layers

MAX_PIXEL = 255.0
# Appearance and motion, once they are inside the layers.
FOLDED = (1.0, 1.0)


class FoldedGraph:
    """Computes one vector for each segment of clips of pixels.

    Batch norms are inside the convolutions, and so are the weights of the two paths. Differences of
    frames are taken in float32, where they are exact for whole pixels; all else in `dtype`.
    """

    def __init__(self, model: TDNResNet, dtype: str, portable: bool = False) -> None:
        self._portable = portable
        network, motion = model.structure, model.structure.motion
        self._dtype = tf.as_dtype(dtype)
        self._frames_per_segment = model.frames_per_segment
        normalization = model.clip_spec.normalization
        self._mean = MAX_PIXEL * np.asarray(normalization.mean)
        scale = 1 / (MAX_PIXEL * np.asarray(normalization.std))
        # Each path computes its weighted output, so that fusion is a sum; but a negative factor
        # does not pass a ReLU.
        self._weights, inside = FOLDED, FOLDED
        if motion is not None:
            inside = motion.stem_fusion.appearance_weight, motion.stem_fusion.motion_weight
            if min(inside) < 0:
                self._weights, inside = inside, FOLDED
        appearance_weight, motion_weight = inside
        stem = fold(network.stem.conv, network.stem.norm)
        self._stem = stem.scaled(scale * appearance_weight, appearance_weight)
        first, *others = network.stages
        self._first = _fold_stage(first, portable, appearance_weight, appearance_weight)
        self._others = [block for stage in others for block in _fold_stage(stage, portable)]
        self._motion_stem: FoldedConv | None = None
        if motion is not None:
            # A difference has no mean to take off.
            scales = np.tile(scale, motion.tdm.frames_per_segment - 1) * motion_weight
            self._motion_stem = fold(motion.tdm.conv, motion.tdm.norm).scaled(scales, motion_weight)
            self._motion_stage = _fold_stage(motion.stage, portable, bias_factor=motion_weight)

    def __call__(self, clips: tf.Tensor) -> tf.Tensor:
        """Returns float32 vectors `(batch * num_segments, features)` of clips."""
        _, _, height, width, channels = clips.shape
        segments = tf.reshape(clips, (-1, self._frames_per_segment, height, width, channels))
        center = tf.cast(segments[:, self._frames_per_segment // 2], tf.float32)
        x = self._run_stem(self._stem, center - tf.constant(self._mean, tf.float32))
        if self._motion_stem is None:
            x = run_layers(x, self._first)
        else:
            differences = _halved_differences(tf.cast(segments, tf.float32))
            motion = self._run_stem(self._motion_stem, differences)
            x = run_layers(self._fuse(x, motion), self._first)
            x = self._fuse(x, run_layers(motion, self._motion_stage))
        x = run_layers(x, self._others)
        return tf.reduce_mean(tf.cast(x, tf.float32), axis=(1, 2))

    def _run_stem(self, stem: FoldedConv, x: tf.Tensor) -> tf.Tensor:
        return graph.max_pool(tf.nn.relu(graph.convolve(tf.cast(x, self._dtype), stem, 2)))

    def _fuse(self, appearance: tf.Tensor, motion: tf.Tensor) -> tf.Tensor:
        if self._weights != FOLDED:
            appearance, motion = appearance * self._weights[0], motion * self._weights[1]
        if self._portable:
            height, width = appearance.shape[1:3]
            return graph.add(appearance, graph.resize_nearest(motion, height, width, portable=True))
        return graph.add_upsampled(appearance, motion)


def _halved_differences(segments: tf.Tensor) -> tf.Tensor:
    """Returns halved differences `(segments, height, width, (frames - 1) * channels)`."""
    # Exact, also where a convolution multiplies as bfloat16, which holds integers to 256.
    _, frames, height, width, channels = segments.shape
    pixels = tf.transpose(segments, (0, 2, 3, 1, 4))
    pixels = tf.reshape(pixels, (-1, height, width, frames * channels))
    window = min(2, height), min(2, width)
    step = np.eye(frames, frames - 1, -1) - np.eye(frames, frames - 1)
    kernel = np.kron(step, np.eye(channels)) / np.prod(window)
    kernel = np.broadcast_to(kernel, (*window, *kernel.shape))
    return tf.nn.conv2d(pixels, graph.constant(kernel, pixels), window, "VALID")


class _BottleneckGraph:
    def __init__(self, block: Bottleneck, portable: bool, scale: float, bias: float) -> None:
        first, second, third = (fold(each.conv, each.norm) for each in block.convs)
        self._stride = block.strides
        self._temporal: list[Callable[[tf.Tensor], tf.Tensor]] = []
        gain = 1.0
        if block.long_term_tdm is not None:
            self._temporal.append(graph.LongTermGraph(block.long_term_tdm, portable))
            gain = graph.LongTermGraph.GAIN
        if block.temporal_shift is not None:
            self._temporal.append(graph.TemporalShiftGraph(block.temporal_shift, gain, portable))
            gain = 1.0
        self._first, self._third = first.scaled(scale, bias), third.scaled(bias=bias)
        self._second = second.scaled(1 / gain, bias)
        self._shortcut: FoldedConv | None = None
        if block.shortcut is not None:
            self._shortcut = fold(block.shortcut.conv, block.shortcut.norm).scaled(scale, bias)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        shortcut = x if self._shortcut is None else graph.convolve(x, self._shortcut, self._stride)
        y = tf.nn.relu(graph.convolve(x, self._first))
        y = run_layers(y, self._temporal)
        y = tf.nn.relu(graph.convolve(y, self._second, self._stride))
        return tf.nn.relu(graph.add(graph.convolve(y, self._third), shortcut))


def _fold_stage(
    stage: Sequence[Bottleneck], portable: bool, input_factor: float = 1.0, bias_factor: float = 1.0
) -> list[_BottleneckGraph]:
    """Folds a stage; with one factor for its input and all biases, its output has that factor."""
    # Convolutions and ReLUs do so for a factor of at least 0; an input that has it leaves biases.
    factors = [input_factor, *[1.0] * (len(stage) - 1)]
    return [
        _BottleneckGraph(block, portable, factor, bias_factor)
        for block, factor in zip(stage, factors, strict=True)
    ]


def folded_network(model: TDNResNet, dtype: str = "float32") -> FoldedNetwork:
    """Folds a model for inference on the TensorFlow backend.

    Use it to score many clips on a CPU, where it takes about three quarters of the time of the
    Keras model; making it takes some seconds. In float32 it gives the model's scores to 1e-5.

    Args:
        model: A `TDNResNet` with its classifier. Later changes of its weights are not seen.
        dtype: `"float32"`, or `"bfloat16"`, which takes about half of the time on processors that
            have instructions for it. Scores are float32 in any case.

    Returns:
        A function from a batch of clips to the model's scores. Clips are pixels in [0, 255], uint8
        or float32, of shape `(batch, num_frames, height, width, 3)`, also for a model that takes
        normalised pixels.

    Raises:
        ValueError: if the model cannot be folded (see `can_fold`) or `dtype` is another.

    Example:

    >>> scores = keras_tdn.inference.folded_network(model)(clips)
    """
    if reason := reason_not_to_fold(model):
        raise ValueError(reason)
    return FoldedNetwork(model, dtype)


class FoldedNetwork:
    """Scores and features of clips as TensorFlow functions, on the TensorFlow backend.

    The weights are constants, read when the network is made. All calls with clips of one size and
    type share one function, so that an export stores them once. Any number of threads may call it.

    `model` and `dtype` are those of `folded_network`; a `ValueError` refuses others. It is
    `portable` for runtimes that do not keep channels last.
    """

    def __init__(self, model: TDNResNet, dtype: str = "float32", portable: bool = False) -> None:
        check_not_quantized(model)
        check_folded_dtype(dtype)
        self._graph = FoldedGraph(model, dtype, portable)
        self._functions: dict[tf.TensorSpec, Callable[[tf.Tensor], tf.Tensor]] = {}
        self._lock = threading.Lock()
        self._num_segments, self._portable = model.num_segments, portable
        self._kernel, self._bias = classifier_weights(model)
        self._activation = keras.activations.get(model.classifier_activation)

    def __call__(self, clips: np.ndarray) -> np.ndarray:
        """Returns float32 scores `(batch, classes)` of pixels in [0, 255], uint8 or float32."""
        logits = self._logits(self.features(tf.convert_to_tensor(clips)))
        return self._activation(logits).numpy()

    def features(self, clips: tf.Tensor) -> tf.Tensor:
        """Returns one float32 vector for each clip: the mean over positions and segments."""
        pooled = self.pooled(clips if self._portable else _at_least_one(clips))
        pooled = tf.reshape(pooled, (-1, self._num_segments, self._kernel.shape[0]))
        features = tf.reduce_mean(pooled, axis=1)
        return features if self._portable else features[: tf.shape(clips)[0]]

    def probabilities(self, clips: tf.Tensor) -> tf.Tensor:
        """Returns one row of probabilities for each clip, also of a model that gives logits."""
        logits = self._logits(self.features(clips))
        are_logits = self._activation is keras.activations.linear
        return tf.nn.softmax(logits) if are_logits else self._activation(logits)

    def pooled(self, clips: tf.Tensor) -> tf.Tensor:
        """Returns one float32 vector for each segment: the mean over positions."""
        spec = tf.TensorSpec((None, *clips.shape[1:]), clips.dtype)
        with self._lock:
            if spec not in self._functions:
                traced = tf.function(self._graph, input_signature=[spec], autograph=False)
                self._functions[spec] = traced
        return self._functions[spec](clips)

    def _logits(self, features: tf.Tensor) -> tf.Tensor:
        # The mean over segments before the classifier instead of behind it, which is the same.
        return tf.matmul(features, self._kernel) + self._bias


def _at_least_one(clips: tf.Tensor) -> tf.Tensor:
    """Returns the clips, or one black clip if there are none, where fused convolutions fail."""
    # Padding by nothing takes no copy; other runtimes would copy, and lose the batch size.
    missing = tf.maximum(1 - tf.shape(clips)[0], 0)
    padded = tf.pad(clips, [[0, missing], *[[0, 0]] * 4])
    return tf.ensure_shape(padded, (None, *clips.shape[1:]))

"""Stages of bottlenecks in inference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_tdn.export.folding import FoldedConv, fold_norm
from keras_tdn.export.graph_ops import add, convolve
from keras_tdn.export.temporal_graph import LongTermGraph, TemporalShiftGraph, fold_gain

Layers = Callable[[str], Any]


class BottleneckGraph:
    """1x1, temporal modules, 3x3 with the stride, 1x1, and the shortcut.

    Args:
        layers: Keras layer by name, or `None` where there is none.
        name: Of the block.
        stride: Of the 3x3 convolution.
        portable: Which form of the temporal modules.
    """

    def __init__(self, layers: Layers, name: str, stride: int, portable: bool) -> None:
        self.convs = {
            part: fold_norm(layers(f"{name}_conv{part}"), layers(f"{name}_norm{part}"))
            for part in "123"
        }
        self.shortcut: FoldedConv | None = None
        if layers(f"{name}_shortcut_conv") is not None:
            self.shortcut = fold_norm(
                layers(f"{name}_shortcut_conv"), layers(f"{name}_shortcut_norm")
            )
        self._stride = stride
        self._temporal: list[Callable[[tf.Tensor], tf.Tensor]] = []
        gain = 1.0
        if (layer := layers(f"{name}_long_term_tdm")) is not None:
            self._temporal.append(LongTermGraph(layer, portable))
            gain = LongTermGraph.GAIN
        if (layer := layers(f"{name}_temporal_shift")) is not None:
            self._temporal.append(TemporalShiftGraph(layer, gain, portable))
            gain = 1.0
        self.convs["2"] = fold_gain(self.convs["2"], gain)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        shortcut = x if self.shortcut is None else convolve(x, self.shortcut, self._stride)
        y = tf.nn.relu(convolve(x, self.convs["1"]))
        for module in self._temporal:
            y = module(y)
        y = tf.nn.relu(convolve(y, self.convs["2"], self._stride))
        return tf.nn.relu(add(convolve(y, self.convs["3"]), shortcut))


class StageGraph:
    """Bottlenecks, one behind the other.

    Args:
        layers: Keras layer by name, or `None` where there is none.
        name: Of the stage.
        depth: How many bottlenecks.
        stride: Of the first.
        portable: Which form of the temporal modules.
    """

    def __init__(self, layers: Layers, name: str, depth: int, stride: int, portable: bool) -> None:
        self._blocks = [
            BottleneckGraph(layers, f"{name}_block{index}", 1 if index else stride, portable)
            for index in range(depth)
        ]

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        for block in self._blocks:
            x = block(x)
        return x

    def scale_biases(self, factor: float) -> None:
        """Makes it give `factor` times its output for `factor` times its input.

        A network of convolutions and ReLUs does so but for its biases. The factor is at least 0.
        """
        for block in self._blocks:
            block.convs = {part: conv.scaled_bias(factor) for part, conv in block.convs.items()}
            if block.shortcut is not None:
                block.shortcut = block.shortcut.scaled_bias(factor)

    def scale_input(self, factor: float) -> None:
        """Makes it take what lacks this factor."""
        first = self._blocks[0]
        first.convs["1"] = first.convs["1"].scaled_input(factor)
        if first.shortcut is not None:
            first.shortcut = first.shortcut.scaled_input(factor)

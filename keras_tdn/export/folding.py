"""Batch norms merged into the convolutions before them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from keras_tdn.export.layer_weights import as_float64


@dataclasses.dataclass(frozen=True)
class FoldedConv:
    """A convolution with its batch norm inside, in float64 until it is used.

    Args:
        kernel: `(height, width, in, out)`.
        bias: `(out,)`.
    """

    kernel: np.ndarray
    bias: np.ndarray

    @property
    def size(self) -> int:
        """Height and width of the kernel."""
        return self.kernel.shape[0]

    def scaled_input(self, factors: Any) -> FoldedConv:
        """The same of an input that lacks these factors, one for each of its channels or for all.

        Zero padding commutes with a factor, and would not with an offset.
        """
        return FoldedConv(self.kernel * np.reshape(factors, (1, 1, -1, 1)), self.bias)

    def scaled_output(self, factor: float) -> FoldedConv:
        """The same, times a factor."""
        return FoldedConv(self.kernel * factor, self.bias * factor)

    def scaled_bias(self, factor: float) -> FoldedConv:
        """What keeps a factor of the input: with ReLU behind it, a factor of at least 0."""
        return FoldedConv(self.kernel, self.bias * factor)

    def plus_identity(self) -> FoldedConv:
        """The same, with the input added."""
        kernel = self.kernel.copy()
        channels = np.arange(kernel.shape[3])
        kernel[self.size // 2, self.size // 2, channels, channels] += 1
        return FoldedConv(kernel, self.bias)


def fold_norm(conv: Any, norm: Any) -> FoldedConv:
    """A bias-free `Conv2D` and the `BatchNormalization` behind it, in inference.

    Args:
        conv: The Keras layer.
        norm: The Keras layer.
    """
    gain = as_float64(norm.gamma) / np.sqrt(as_float64(norm.moving_variance) + norm.epsilon)
    bias = as_float64(norm.beta) - as_float64(norm.moving_mean) * gain
    return FoldedConv(as_float64(conv.kernel) * gain, bias)

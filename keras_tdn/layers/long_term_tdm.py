"""The long-term temporal difference module."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_tdn.layers.batch_norm import batch_norm
from keras_tdn.layers.convolution import DATA_FORMAT, conv2d, fan_out_normal
from keras_tdn.layers.layer_helpers import (
    SegmentLayer,
    all_but_first,
    all_but_last,
    check_channels,
    check_positive_int,
    halve,
    merge_segments,
    resize_nearest,
    split_segments,
)
from keras_tdn.saved_classes import SERIALIZATION_PACKAGE

KERNEL_SIZE = 3


@keras.saving.register_keras_serializable(package=SERIALIZATION_PACKAGE)
class LongTermTDM(SegmentLayer):
    """Enhances the channels that change between neighbouring segments, in both directions.

    Use it inside a residual block of a 2-D network whose batch axis holds the segments. Squeezed
    features of a segment are compared with the smoothed ones of its successor and of its
    predecessor; each difference goes through one shared pyramid of three scales and becomes a
    gate in (-0.5, 0.5), and the input is returned as `x + x * mean(gates)` (section 3.3 of the
    paper; the branch that the paper draws at quarter resolution runs at full resolution in the
    authors' code and so here).

    In training every batch norm of the pyramid is applied once per direction: its statistics are
    those of one direction, and its moving averages advance twice a step.

    Args:
        num_segments: Segments per video; neighbours on the batch axis.
        reduction: Channels are squeezed to `channels // reduction`.

    Input shape:
        4-D `(batch * num_segments, height, width, channels)`.

    Output shape:
        The input's.

    Raises:
        ValueError: if the input is of another shape, or `reduction` does not divide its channels.

    Example:

    >>> features = keras.ops.ones((2 * 8, 14, 14, 256))
    >>> keras_tdn.layers.LongTermTDM(num_segments=8)(features).shape
    (16, 14, 14, 256)
    """

    def __init__(self, num_segments: int, reduction: int = 16, **kwargs: Any) -> None:
        super().__init__(num_segments, **kwargs)
        self.reduction = check_positive_int("LongTermTDM", "reduction", reduction)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.check_shape(input_shape)
        channels = check_channels("LongTermTDM", input_shape)
        if channels % self.reduction:
            raise ValueError(
                f"LongTermTDM squeezes channels by reduction={self.reduction}, and {channels} "
                "channels are not divisible by it. Choose a reduction that divides the channels. "
                f"Received: shape={tuple(input_shape)}"
            )
        squeezed = channels // self.reduction
        policy = self.dtype_policy
        self.squeeze_conv = conv2d(squeezed, 1, name="squeeze_conv", dtype=policy)
        self.squeeze_norm = batch_norm("squeeze_norm", dtype=policy)
        self.smooth_conv = keras.layers.DepthwiseConv2D(
            KERNEL_SIZE,
            padding="same",
            use_bias=False,
            depthwise_initializer=fan_out_normal(KERNEL_SIZE, squeezed),
            data_format=DATA_FORMAT,
            name="smooth_conv",
            dtype=policy,
        )
        self.half_scale_conv = conv2d(squeezed, KERNEL_SIZE, name="half_scale_conv", dtype=policy)
        self.half_scale_norm = batch_norm("half_scale_norm", dtype=policy)
        self.full_scale_conv = conv2d(squeezed, KERNEL_SIZE, name="full_scale_conv", dtype=policy)
        self.full_scale_norm = batch_norm("full_scale_norm", dtype=policy)
        self.expand_conv = conv2d(channels, 1, name="expand_conv", dtype=policy)
        self.expand_norm = batch_norm("expand_norm", dtype=policy)

        self.squeeze_conv.build((None, None, None, channels))
        for layer in (
            self.squeeze_norm,
            self.smooth_conv,
            self.half_scale_conv,
            self.half_scale_norm,
            self.full_scale_conv,
            self.full_scale_norm,
            self.expand_conv,
        ):
            layer.build((None, None, None, squeezed))
        self.expand_norm.build((None, None, None, channels))

    def call(self, x: Any, training: bool | None = None) -> Any:
        forward, backward = self._sigmoids(x, training)
        # x + x * mean(sigmoid - 0.5 in each direction)
        return x * (0.5 * (forward + backward) + 0.5)

    def gates(self, x: Any) -> tuple[Any, Any]:
        """Returns the gates of inference, to look at what the module does.

        `call` returns `x + x * (forward + backward) / 2`. The last segment has no next one and the
        first no previous one: their gates there do not depend on the video away from the borders.

        Args:
            x: Features, as `call` takes them.

        Returns:
            Forward and backward gates in (-0.5, 0.5), each of the shape of `x`: how much a channel
            is raised or lowered because of the next segment, or the previous one.
        """
        forward, backward = self._sigmoids(ops.cast(x, self.compute_dtype), False)
        return forward - 0.5, backward - 0.5

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "reduction": self.reduction}

    def _differences(self, x: Any, training: bool | None) -> tuple[Any, Any]:
        """Returns how each segment's successor and predecessor differ; zeros at the ends."""
        squeezed = self.squeeze_norm(self.squeeze_conv(x), training=training)
        smoothed = split_segments(self.smooth_conv(squeezed), self.num_segments)
        current = split_segments(squeezed, self.num_segments)
        edge = ops.zeros_like(current[:, :1])
        forward = all_but_first(smoothed) - all_but_last(current)
        backward = all_but_last(smoothed) - all_but_first(current)
        forward = ops.concatenate([forward, edge], axis=1)
        backward = ops.concatenate([edge, backward], axis=1)
        return merge_segments(forward, squeezed), merge_segments(backward, squeezed)

    def _sigmoids(self, x: Any, training: bool | None) -> tuple[Any, Any]:
        """Returns the gates of both directions plus 0.5; the directions share a batch."""
        self.check_shape(x.shape)
        difference = ops.concatenate(self._differences(x, training), axis=0)
        _, height, width, _ = ops.shape(difference)
        half = self.half_scale_conv(halve(difference))
        half = self.half_scale_norm.call_on_parts(half, 2, training)
        full = self.full_scale_conv(difference)
        full = self.full_scale_norm.call_on_parts(full, 2, training)
        pyramid = (difference + resize_nearest(half, height, width) + full) / 3.0
        forward, backward = ops.split(pyramid, 2, axis=0)
        # Apart from here: the maps are large, and to split or join them costs a copy.
        return self._expand(forward, training), self._expand(backward, training)

    def _expand(self, pyramid: Any, training: bool | None) -> Any:
        return ops.sigmoid(self.expand_norm(self.expand_conv(pyramid), training=training))

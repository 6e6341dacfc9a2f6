"""Multiply-accumulates of a TDN model on one clip, counted layer by layer from its shapes."""

import math

import keras

from keras_tdn.layers import LongTermTDM, ShortTermTDM, TemporalShift


def count_macs(model):
    """For a model with a static height and width."""
    return model.num_segments * sum(_per_segment(layer) for layer in model.layers)


def _per_segment(layer):
    if isinstance(layer, keras.layers.Conv2D):
        return _positions(layer) * math.prod(layer.kernel.shape)
    if isinstance(layer, keras.layers.Dense):
        return math.prod(layer.kernel.shape)
    if isinstance(layer, ShortTermTDM):
        return _positions(layer) * math.prod(layer.conv.kernel.shape)
    if isinstance(layer, TemporalShift):
        return _positions(layer) * math.prod(layer.kernel.shape)
    if isinstance(layer, LongTermTDM):
        _, height, width, _ = layer.output.shape
        halved = (height // 2) * (width // 2)
        squeeze, smooth, half, full, expand = (
            math.prod(conv.kernel.shape)
            for conv in (
                layer.squeeze_conv,
                layer.smooth_conv,
                layer.half_scale_conv,
                layer.full_scale_conv,
                layer.expand_conv,
            )
        )
        both_directions = 2 * (_positions(layer) * (full + expand) + halved * half)
        return _positions(layer) * (squeeze + smooth) + both_directions
    return 0


def _positions(layer):
    _, height, width, _ = layer.output.shape
    return height * width

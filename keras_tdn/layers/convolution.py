"""Convolutions without biases, on maps whose channels are last."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from keras_tdn.saved_classes import SERIALIZATION_PACKAGE

DATA_FORMAT = "channels_last"


@keras.saving.register_keras_serializable(package=SERIALIZATION_PACKAGE)
class Conv2D(keras.layers.Conv2D):
    """Keras' convolution, faster on PyTorch and on processors with JAX.

    Keras' PyTorch backend copies each map to channels first, and then to channels last again, which
    takes a sixth of a training step on a processor. PyTorch's kernels take the map as it is. With
    JAX, a kernel of 1x1 is a matrix product, whose gradients take a third of a convolution's. The
    class has Keras' name because files of weights are laid out by it.
    """

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        if keras.config.backend() == "torch":
            same = self.padding == "same"
            return _torch_convolve(inputs, ops.convert_to_tensor(kernel), self.strides, same)
        if keras.config.backend() == "jax" and self.kernel_size == (1, 1):
            import jax

            if jax.default_backend() == "cpu":
                rows, columns = self.strides
                return ops.matmul(inputs[:, ::rows, ::columns], ops.convert_to_tensor(kernel)[0, 0])
        return super().convolution_op(inputs, kernel)


def conv2d(
    filters: int, kernel_size: int, *, strides: int = 1, name: str, dtype: Any = None
) -> Conv2D:
    """Makes a bias-free convolution. With a stride, its input comes padded by half the kernel.

    With stride 2, Keras' "same" pads even sizes on the far side; the reference pads both sides.
    """
    return Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="same" if strides == 1 else "valid",
        use_bias=False,
        kernel_initializer=fan_out_normal(kernel_size, filters),
        data_format=DATA_FORMAT,
        name=name,
        dtype=dtype,
    )


def depthwise(x: Any, kernel: Any) -> Any:
    """Convolves each channel by itself, with zeros around; `kernel` is `(rows, columns, channels)`.

    Rows and columns are odd. Not for JAX, where grouped convolutions are slow.
    """
    if keras.config.backend() == "torch":
        return _torch_convolve(x, kernel[:, :, None], (1, 1), True, groups=x.shape[-1])
    return ops.depthwise_conv(x, kernel[..., None], padding="same", data_format=DATA_FORMAT)


def _torch_convolve(
    x: Any, kernel: Any, strides: tuple[int, int], same: bool, groups: int = 1
) -> Any:
    import torch

    padding = [size // 2 for size in kernel.shape[:2]] if same else 0
    # Copied here, once: the gradient needs the kernel in this order again.
    kernel = kernel.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
    maps = torch.nn.functional.conv2d(
        x.permute(0, 3, 1, 2), kernel, None, strides, padding, groups=groups
    )
    return maps.permute(0, 2, 3, 1)


def fan_out_normal(kernel_size: int, filters: int) -> keras.initializers.Initializer:
    """Returns a normal initializer with std `sqrt(2 / (kernel area * filters))`.

    Not `VarianceScaling(mode="fan_out")`, which counts one output for a depthwise kernel.
    """
    return keras.initializers.RandomNormal(stddev=math.sqrt(2.0 / (kernel_size**2 * filters)))

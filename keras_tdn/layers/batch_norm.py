"""Batch norm by the kernel that a backend has for it."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from keras_tdn.saved_classes import SERIALIZATION_PACKAGE

MOMENTUM = 0.9
EPSILON = 1e-5


@keras.saving.register_keras_serializable(package=SERIALIZATION_PACKAGE)
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' batch norm on maps whose channels are last, in training by one kernel.

    Keras computes mean, variance, differences and products one by one, and each reads and writes
    the whole map. TensorFlow and PyTorch have one kernel for all of it, and one for its gradient;
    on JAX, XLA fuses what Keras does. Statistics, moving averages and saved files are Keras': the
    moving variance averages the biased one, in float32 under half precision. The class has Keras'
    name because files of weights are laid out by it.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        kernel = KERNELS.get(keras.backend.backend())
        if not training or not self.trainable or mask is not None or kernel is None:
            return super().call(inputs, training=training, mask=mask)
        result = kernel(self, inputs)
        if result is None:
            return super().call(inputs, training=training)
        outputs, mean, variance = result
        for average, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            average.assign(average * self.momentum + value * (1.0 - self.momentum))
        return outputs

    def call_on_parts(self, inputs: Any, num_parts: int, training: bool | None) -> Any:
        """Normalizes equal parts of the batch axis, in training by the statistics of each.

        The moving averages advance once for each part, in their order.
        """
        if not training or not self.trainable:
            return self(inputs, training=training)
        parts = ops.split(inputs, num_parts, axis=0)
        return ops.concatenate([self(part, training=training) for part in parts], axis=0)


def batch_norm(name: str, dtype: Any = None) -> BatchNormalization:
    """Makes a batch norm with the constants that every norm of TDN has."""
    return BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, name=name, dtype=dtype)


def _tensorflow_kernel(norm: BatchNormalization, x: Any) -> tuple[Any, Any, Any] | None:
    import tensorflow as tf

    # It takes parameters in float32, and looks at no other replica.
    if norm.synchronized or norm.gamma.dtype != "float32" or len(x.shape) != 4:
        return None
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x,
        scale=tf.convert_to_tensor(norm.gamma),
        offset=tf.convert_to_tensor(norm.beta),
        mean=tf.zeros([0]),
        variance=tf.zeros([0]),
        epsilon=norm.epsilon,
        is_training=True,
    )
    # It returns the unbiased variance; of a single value it is 0, whatever the device says.
    count = tf.cast(tf.reduce_prod(tf.shape(x)[:-1]), variance.dtype)
    variance = tf.where(count > 1, variance * (count - 1) / count, tf.zeros_like(variance))
    return outputs, mean, variance


def _torch_kernel(norm: BatchNormalization, x: Any) -> tuple[Any, Any, Any] | None:
    import torch

    count = math.prod(x.shape[:-1])
    # It refuses a single value, and sums in the dtype of the parameters.
    if x.ndim != 4 or count < 2 or norm.gamma.dtype not in ("float32", "float64"):
        return None
    gamma, beta = (ops.convert_to_tensor(weight) for weight in (norm.gamma, norm.beta))
    mean, variance = torch.zeros_like(gamma), torch.zeros_like(gamma)
    # With a momentum of 1 its averages are the statistics of this batch, the variance unbiased.
    outputs = torch.nn.functional.batch_norm(
        x.permute(0, 3, 1, 2), mean, variance, gamma, beta, True, 1.0, norm.epsilon
    )
    return outputs.permute(0, 2, 3, 1), mean, variance * ((count - 1) / count)


KERNELS = {"tensorflow": _tensorflow_kernel, "torch": _torch_kernel}

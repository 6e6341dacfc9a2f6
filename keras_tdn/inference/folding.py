"""The weights of a model as inference needs them: batch norms merged into convolutions."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np

from keras_tdn.models import TDNResNet
from keras_tdn.models.predicting import check_gives_scores


@dataclasses.dataclass(frozen=True)
class FoldedConv:
    """A convolution `(height, width, in, out)` with its batch norm inside, in float64."""

    kernel: np.ndarray
    bias: np.ndarray

    @property
    def size(self) -> int:
        return self.kernel.shape[0]

    def scaled(self, kernel: Any = 1.0, bias: float = 1.0) -> FoldedConv:
        """Multiplies the kernel, by one factor or by one for each input channel, and the bias."""
        # A factor of the input moves into the kernel so: zero padding commutes with it.
        return FoldedConv(self.kernel * np.reshape(kernel, (1, 1, -1, 1)), self.bias * bias)

    def plus_identity(self) -> FoldedConv:
        kernel = self.kernel.copy()
        channels = np.arange(kernel.shape[3])
        kernel[self.size // 2, self.size // 2, channels, channels] += 1
        return FoldedConv(kernel, self.bias)


def fold(conv: Any, norm: Any) -> FoldedConv:
    """Folds a bias-free `Conv2D` and the `BatchNormalization` behind it."""
    gain = as_float64(norm.gamma) / np.sqrt(as_float64(norm.moving_variance) + norm.epsilon)
    bias = as_float64(norm.beta) - as_float64(norm.moving_mean) * gain
    return FoldedConv(as_float64(conv.kernel) * gain, bias)


def as_float64(weight: Any) -> np.ndarray:
    """Returns the values of a variable, or of the tensor that LoRA puts in its place."""
    return np.asarray(keras.ops.convert_to_numpy(weight), np.float64)


def classifier_weights(model: TDNResNet) -> tuple[np.ndarray, np.ndarray]:
    """Returns kernel and bias of the classifier in float32, with LoRA merged in."""
    # `get_weights` has the parts of LoRA one by one.
    classifier = model.get_layer("classifier")
    kernel, bias = as_float64(classifier.kernel), as_float64(classifier.bias)
    return kernel.astype(np.float32), bias.astype(np.float32)


def check_not_quantized(model: TDNResNet) -> None:
    """Refuses a model whose kernels are integers, which mean nothing without their scales."""
    for layer in model.layers:
        if (mode := getattr(layer, "quantization_mode", None)) is not None:
            raise ValueError(
                f"The layer {layer.name!r} has been quantized to {mode!r}, and the inference graph "
                "is made of the weights before that. Build it from the model as it was before "
                "`model.quantize`, and let the export store fewer bits: dtype='bfloat16' for a "
                "SavedModel, 'float16' or 'int8' for other formats (on the command line --dtype)."
            )


def can_fold(model: Any) -> bool:
    """Whether `folded_network` gives a model's scores to 1e-5: on TensorFlow, all in float32."""
    return reason_not_to_fold(model) is None and all(
        layer.compute_dtype == "float32" for layer in model.structure.layers()
    )


def reason_not_to_fold(model: Any) -> str | None:
    """Returns why a model cannot be folded, as an error message, or `None` if it can be."""
    if keras.backend.backend() != "tensorflow" or not isinstance(model, TDNResNet):
        return (
            "The folded network is for TDN models on the TensorFlow backend. Received: "
            f"{type(model).__name__} on {keras.backend.backend()!r}. Use the model itself."
        )
    try:
        check_gives_scores(model)
        check_not_quantized(model)
    except ValueError as error:
        return str(error)
    return None

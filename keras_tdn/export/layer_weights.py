"""The weights of Keras' layers as they act, whatever a layer is made of."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_tdn.models import TDNResNet


def as_float64(weight: Any) -> np.ndarray:
    """A variable, or the tensor that a layer with LoRA gives in its place."""
    return np.asarray(keras.ops.convert_to_numpy(weight), np.float64)


def classifier_weights(model: TDNResNet) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and bias of a model's classifier, float32, with LoRA inside if there is any."""
    # `get_weights` has the parts of LoRA one by one.
    classifier = model.get_layer("classifier")
    kernel, bias = as_float64(classifier.kernel), as_float64(classifier.bias)
    return kernel.astype(np.float32), bias.astype(np.float32)


def check_not_quantized(model: TDNResNet) -> None:
    """Refuses a model whose kernels are integers, which are no weights without their scales.

    Raises:
        ValueError: if `model.quantize` has changed one of its layers.
    """
    for layer in model.layers:
        mode = getattr(layer, "quantization_mode", None)
        if mode is not None:
            raise ValueError(
                f"The layer {layer.name!r} has been quantized to {mode!r}, and the inference graph "
                "is made of the weights before that. Build it from the model as it was before "
                "`model.quantize`, and let the export store fewer bits: dtype='bfloat16' for a "
                "SavedModel, 'float16' or 'int8' for other formats (on the command line --dtype)."
            )

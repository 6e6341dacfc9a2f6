"""Which of Keras' backends are installed, and tests that need one that is not.

The extra `test` brings TensorFlow alone; PyTorch's wheel for Linux is gigabytes.
"""

import importlib
import importlib.util

import pytest

HOW_TO_INSTALL = {
    "tensorflow": "pip install tensorflow",
    "jax": "pip install 'keras-tdn[jax]'",
    "torch": "pip install 'keras-tdn[test-torch]'",
}


def is_installed(backend):
    return importlib.util.find_spec(backend) is not None


def skip_without(backend):
    """Skips the test, or the module that is being imported, unless `backend` is installed."""
    if not is_installed(backend):
        reason = f"{backend} is not installed: {HOW_TO_INSTALL[backend]}"
        pytest.skip(reason, allow_module_level=True)


def import_or_skip(backend):
    """The module `backend`."""
    skip_without(backend)
    return importlib.import_module(backend)


def infer(model, inputs):
    """What a model that is built makes of inputs in inference, in NumPy arrays.

    JAX compiles it as one program, in a seventh of the time that all operations by themselves take.
    """
    import keras

    def call(trainable, other, inputs):
        return model.stateless_call(trainable, other, inputs, training=False)[0]

    if keras.backend.backend() == "jax":
        call = importlib.import_module("jax").jit(call)
    variables = model.trainable_variables, model.non_trainable_variables
    outputs = call(*([each.value for each in part] for part in variables), inputs)
    return keras.tree.map_structure(keras.ops.convert_to_numpy, outputs)


# For processes that may run on any: PyTorch is imported in a third of TensorFlow's time.
QUICKEST = next(backend for backend in ("torch", "jax", "tensorflow") if is_installed(backend))

"""What every layer must do, on any backend."""

import inspect

import keras
import numpy as np

POLICIES = ("float32", "mixed_float16", "mixed_bfloat16")


def random_like(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def run_layer_test(cls, non_default, shapes, expected_shape, tmp_path):
    """Config, dynamic axes, precision policies, training and saving.

    `shapes` is one input shape or a list of them; `expected_shape` is the output's.
    `non_default` sets every argument of the constructor to another value than its default.
    """
    many = isinstance(shapes, list)
    inputs = [random_like(shape, seed) for seed, shape in enumerate(shapes if many else [shapes])]

    check_config(cls, non_default)
    reference = None
    for policy in POLICIES:
        layer = cls(**non_default, dtype=policy)
        output = layer(inputs if many else inputs[0])
        assert tuple(output.shape) == expected_shape
        assert tuple(layer.compute_output_shape(shapes)) == expected_shape
        if reference is None:
            reference = keras.ops.convert_to_numpy(output)
            weights = layer.get_weights()
        else:
            layer.set_weights(weights)
            output = layer(inputs if many else inputs[0])
            output = keras.ops.convert_to_numpy(keras.ops.cast(output, "float32"))
            # Half precision has 8 to 11 bits and the layers are a few operations deep.
            np.testing.assert_allclose(output, reference, atol=0.1, rtol=0.1)

    layer = cls(**non_default, name="layer")
    symbolic = [keras.Input(_dynamic(shape)) for shape in (shapes if many else [shapes])]
    symbolic = symbolic if many else symbolic[0]
    model = keras.Model(symbolic, layer(symbolic))
    assert model.output_shape[-1] == expected_shape[-1]
    layer.set_weights(weights)
    dynamic = keras.ops.convert_to_numpy(model(inputs if many else inputs[0]))
    np.testing.assert_allclose(dynamic, reference, rtol=1e-4, atol=1e-4)

    model.save(tmp_path / "layer.keras")
    loaded = keras.saving.load_model(tmp_path / "layer.keras")
    again = keras.ops.convert_to_numpy(loaded(inputs if many else inputs[0]))
    np.testing.assert_array_equal(again, dynamic)
    if model.trainable_variables:
        check_training(model, inputs if many else inputs[0], expected_shape)


def check_training(model, inputs, expected_shape):
    """One step of training on the whole batch moves every trainable weight that can matter."""
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
    before = [keras.ops.convert_to_numpy(v) for v in model.trainable_variables]
    loss = model.train_on_batch(inputs, random_like(expected_shape, seed=9))
    assert np.isfinite(loss)
    for variable, value in zip(model.trainable_variables, before, strict=True):
        after = keras.ops.convert_to_numpy(variable)
        assert np.all(np.isfinite(after))
        assert np.any(after != value), f"{variable.path} did not learn"


def _dynamic(shape):
    """The shape without its batch axis, with every axis open that a layer may leave open."""
    open_axes = (2, 3) if len(shape) == 5 else range(1, len(shape) - 1)
    return tuple(None if axis in open_axes else shape[axis] for axis in range(1, len(shape)))


def check_config(cls, non_default):
    """Builds with every argument non-default; compares arguments, not configs with themselves."""
    layer = cls(**non_default, name="renamed", trainable=False)
    config = layer.get_config()
    for argument, value in non_default.items():
        assert config[argument] == value
    revived = cls.from_config(config)
    for argument, value in non_default.items():
        assert getattr(revived, argument) == value
    assert revived.name == "renamed"
    assert revived.trainable is False
    serialized = keras.saving.serialize_keras_object(layer)
    assert serialized["registered_name"] == f"keras_tdn>{cls.__name__}"
    assert keras.saving.deserialize_keras_object(serialized).get_config() == config


def check_arguments_covered(cls, non_default):
    """`non_default` names every argument of the constructor, and none at its default."""
    parameters = inspect.signature(cls.__init__).parameters.values()
    named = {p.name: p.default for p in parameters if p.name != "self" and p.kind != p.VAR_KEYWORD}
    assert set(named) == set(non_default)
    assert all(named[name] != value for name, value in non_default.items())

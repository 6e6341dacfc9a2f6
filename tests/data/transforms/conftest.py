import numpy as np
import pytest
import tensorflow as tf

SEED = (11, 4)


def as_numpy(result):
    return tf.nest.map_structure(lambda tensor: tensor.numpy(), result)


def same(first, second):
    tf.nest.map_structure(np.testing.assert_array_equal, first, second)


def unknown_frames(shape):
    return [*shape[:-4], None, None, None, 3]


@pytest.fixture
def apply():
    """Calls a transform eagerly, and checks that tf.data gives the same, sizes known or not.

    With several seeds there is a list of results, for the time that it takes to trace one.
    """

    def call(transform, inputs, *seeds, unknown_sizes=True):
        seeds = [tf.constant(seed, tf.int32) for seed in seeds or (SEED,)]
        inputs = tf.nest.map_structure(tf.convert_to_tensor, inputs)
        eager = [as_numpy(transform(inputs, seed)) for seed in seeds]
        signature = tf.nest.map_structure(tf.TensorSpec.from_tensor, inputs)
        if unknown_sizes:
            signature = tf.nest.map_structure(
                lambda spec: tf.TensorSpec(
                    unknown_frames(spec.shape) if spec.shape.rank >= 4 else spec.shape,
                    spec.dtype,
                ),
                signature,
            )
        values = as_numpy(inputs)
        for spec in (signature, tf.nest.map_structure(tf.TensorSpec.from_tensor, inputs)):
            dataset = tf.data.Dataset.from_generator(
                lambda: ((values, seed) for seed in seeds),
                output_signature=(spec, tf.TensorSpec((2,), tf.int32)),
            )
            dataset = dataset.map(lambda inputs, seed: transform(inputs, seed))
            for result, expected in zip(dataset, eager, strict=True):
                same(as_numpy(result), expected)
        return eager if len(seeds) > 1 else eager[0]

    return call


def pictures(frames=3, height=48, width=64, seed=0):
    """Frames with edges, gradients and every level: not noise, and no two alike."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (frames, 7, 9, 3)).astype(np.float32)
    smooth = tf.image.resize(coarse, (height, width), method="bicubic").numpy()
    smooth[:, height // 3 : height // 2, width // 4 : width // 2] = rng.integers(0, 256, 3)
    return np.clip(np.rint(smooth), 0, 255).astype(np.uint8)


@pytest.fixture
def clip():
    return pictures()


@pytest.fixture
def still():
    """Four equal frames."""
    return np.repeat(pictures(1), 4, axis=0)


@pytest.fixture
def make_pictures():
    return pictures

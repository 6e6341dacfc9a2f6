import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from backends import skip_without

from keras_tdn.data.transforms import Compose, KerasAugmentation, RandomHorizontalFlip

layers = keras.layers

# Drawing ones, whose results must vary with the seed.
RANDOM = {
    "rotation": lambda: layers.RandomRotation(0.1),
    "brightness": lambda: layers.RandomBrightness(0.5),
    "contrast": lambda: layers.RandomContrast(0.5),
    "flip": lambda: layers.RandomFlip(),
    "zoom": lambda: layers.RandomZoom(0.3),
    "translation": lambda: layers.RandomTranslation(0.2, 0.2),
    "shear": lambda: layers.RandomShear(0.3, 0.3),
    "hue": lambda: layers.RandomHue(0.5),
    "saturation": lambda: layers.RandomSaturation(0.5),
    "sharpness": lambda: layers.RandomSharpness(0.5),
    "grayscale": lambda: layers.RandomGrayscale(0.5),
    "blur": lambda: layers.RandomGaussianBlur(1.0),
    "color jitter": lambda: layers.RandomColorJitter(
        brightness_factor=0.3, contrast_factor=0.3, saturation_factor=0.3, hue_factor=0.3
    ),
    "rand augment": lambda: layers.RandAugment(),
    "pipeline": lambda: layers.Pipeline([layers.RandomRotation(0.1), layers.RandomBrightness(0.3)]),
}
NEEDS_SIZES = {
    "crop": lambda: layers.RandomCrop(30, 40),
    "erasing": lambda: layers.RandomErasing(1.0),
    "perspective": lambda: layers.RandomPerspective(1.0),
    "elastic": lambda: layers.RandomElasticTransform(1.0),
}
FIXED = {
    "auto contrast": lambda: layers.AutoContrast(),
    "resizing": lambda: layers.Resizing(20, 24),
}


def check_layer(make, apply, still, varies=True, unknown_sizes=True):
    transform = KerasAugmentation(make())
    result = apply(transform, still, unknown_sizes=unknown_sizes)
    assert (result == result[:1]).all()
    assert result.dtype == np.uint8
    # Another wrapper around another copy of the layer, with other calls before, agrees.
    other = KerasAugmentation(make())
    results = [other(still, (9, index)).numpy() for index in range(12)]
    np.testing.assert_array_equal(other(still, (11, 4)), result)
    assert all((frames == frames[:1]).all() for frames in results)
    assert (len({frames.tobytes() for frames in results}) > 1) == varies


@pytest.mark.parametrize("name", RANDOM)
def test_one_draw_per_clip(name, apply, still):
    check_layer(RANDOM[name], apply, still)


@pytest.mark.parametrize("name", NEEDS_SIZES)
def test_layers_that_need_sizes(name, apply, still):
    check_layer(NEEDS_SIZES[name], apply, still, unknown_sizes=False)
    dataset = tf.data.Dataset.from_generator(
        lambda: [still], output_signature=tf.TensorSpec((None, None, None, 3), tf.uint8)
    )
    transform = KerasAugmentation(NEEDS_SIZES[name]())
    message = "failed on frames whose size is not known .* after a crop or a resize"
    with pytest.raises(ValueError, match=message):
        dataset.map(lambda clip: transform(clip, (1, 2)))


@pytest.mark.parametrize("name", FIXED)
def test_layers_that_draw_nothing(name, apply, still):
    check_layer(FIXED[name], apply, still, varies=False)


def test_every_frame_gets_what_the_layer_does(clip):
    # All frames by one draw: each equals what the layer makes of it alone with that angle.
    transform = KerasAugmentation(layers.RandomRotation((0.25, 0.25), fill_mode="constant"))
    square = clip[:, :40, :40]
    result = transform(square, (0, 0)).numpy().astype(int)
    turned = np.rot90(square, axes=(1, 2)), np.rot90(square, -1, axes=(1, 2))
    assert min(np.abs(result - expected).max() for expected in turned) <= 1


def test_the_layer_is_left_as_it_was(still):
    layer = layers.RandomColorJitter(brightness_factor=0.5, contrast_factor=0.5, seed=3)
    before = [variable.numpy() for variable in layer.variables]
    attributes = set(vars(layer))
    KerasAugmentation(layer)(still, (1, 1))
    after = [variable.numpy() for variable in layer.variables]
    assert all((one == two).all() for one, two in zip(before, after, strict=True))
    assert "_get_seed_generator" not in set(vars(layer)) - attributes
    assert isinstance(layer.generator, keras.random.SeedGenerator)
    assert layer(still[0] * np.float32(1), training=True).shape == still[0].shape


def test_wrappers_are_equal_only_to_themselves():
    one, two = (KerasAugmentation(layers.RandomHue(0.1)) for _ in range(2))
    assert one == one
    assert one != two
    assert len({one, two}) == 2


def test_with_other_transforms(apply, still):
    both = Compose((RandomHorizontalFlip([1, 0]), KerasAugmentation(layers.RandomRotation(0.1))))
    result, label = apply(both, (still, np.int32(1)))
    assert (result == result[:1]).all()
    assert label in (0, 1)


def test_parallel_calls_do_not_disturb_each_other(still):
    transform = KerasAugmentation(layers.RandomBrightness(0.5))
    numbers = tf.data.Dataset.range(24).map(lambda index: tf.cast(index, tf.int32))
    parallel = numbers.map(lambda i: transform(still, tf.stack([1, i])), num_parallel_calls=4)
    for index, result in enumerate(parallel):
        np.testing.assert_array_equal(result, transform(still, (1, index)))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="keras.ops in a tf graph")
def test_own_layer_with_its_own_generator(apply, still):
    class Darken(layers.Layer):
        def __init__(self):
            super().__init__()
            self.dice = keras.random.SeedGenerator(1)

        def call(self, images):
            return images * keras.random.uniform(
                (keras.ops.shape(images)[0], 1, 1, 1), seed=self.dice
            )

    check_layer(Darken, apply, still)


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
@pytest.mark.slow
def test_backends_agree(backend, tmp_path, still):
    if backend == keras.backend.backend():
        pytest.skip(f"{backend} is the backend that all the other tests run with")
    skip_without(backend)
    code = (
        "import sys, keras, numpy as np\n"
        "from keras_tdn.data.transforms import KerasAugmentation\n"
        "transform = KerasAugmentation(keras.layers.RandAugment())\n"
        "np.save(sys.argv[2], transform(np.load(sys.argv[1]), (1, 2)))\n"
    )
    source, output = tmp_path / "clip.npy", tmp_path / "result.npy"
    np.save(source, still)
    subprocess.run(
        [sys.executable, "-c", code, str(source), str(output)],
        check=True,
        capture_output=True,
        env={**os.environ, "KERAS_BACKEND": backend},
    )
    expected = KerasAugmentation(layers.RandAugment())(still, (1, 2)).numpy().astype(int)
    assert np.abs(np.load(output) - expected).max() <= 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: "RandomRotation", "takes a Keras layer .* Received: str"),
        (lambda: layers.MixUp(), "has MixUp and CutMix for batches .* Received: MixUp"),
        (
            lambda: layers.RandomBrightness(0.1, value_range=(0, 1)),
            r"`value_range=\(0, 255\)`. Received: RandomBrightness with value_range=\(0, 1\)",
        ),
        (
            lambda: layers.Pipeline([layers.RandomHue(0.1, value_range=(0, 1))]),
            r"Received: RandomHue with value_range=\(0, 1\)",
        ),
    ],
)
def test_error_layer(make, message):
    with pytest.raises(ValueError, match=message):
        KerasAugmentation(make())


def test_error_draws_out_of_reach(still):
    class Stateful(layers.Layer):
        def call(self, images):
            return images * tf.random.uniform(())

    with pytest.raises(ValueError, match=r"no seed reaches.*Received a layer with: RandomUniform"):
        KerasAugmentation(Stateful())(still, (0, 0))
    with pytest.raises(ValueError, match=r"AugMix one draw per clip.*by Python's or NumPy's"):
        KerasAugmentation(layers.AugMix())(still, (0, 0))


def test_error_not_images(still):
    with pytest.raises(ValueError, match="Flatten returned"):
        KerasAugmentation(layers.Flatten())(still, (0, 0))

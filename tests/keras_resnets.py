"""Networks and files of `keras.applications`, for the tests of their conversion."""

import json
import pathlib
import re

import h5py
import keras
import numpy as np
from keras import ops

EPSILON, OLDER_EPSILON = 1.001e-5, 1e-3
CAFFE_MEAN = np.array([123.68, 116.779, 103.939])
IMAGENET_MEAN = np.array([0.485, 0.456, 0.406])
BRANCHES = {"0": "1", "1": "2a", "2": "2b", "3": "2c"}


def build(include_top=False, **arguments):
    shape = (32, 32, 3) if include_top else (None, None, 3)
    return keras.applications.ResNet50(
        weights=None, include_top=include_top, input_shape=shape, **arguments
    )


def fill_with_random_weights(net, seed=0):
    rng = np.random.default_rng(seed)
    for layer in net.layers:
        shapes = [tuple(weight.shape) for weight in layer.weights]
        if isinstance(layer, keras.layers.BatchNormalization):
            size = shapes[0]
            values = [
                rng.uniform(0.5, 1.5, size),
                rng.normal(0, 0.2, size),
                rng.normal(0, 0.2, size),
                rng.uniform(0.5, 2.0, size),
            ]
        elif shapes:
            # The stem takes pixels in tens.
            gain = 0.02 if layer.name == "conv1_conv" else 1.4
            deviation = gain / np.sqrt(np.prod(shapes[0][:-1]))
            values = [rng.normal(0, deviation, shapes[0]), rng.normal(0, 0.2, shapes[1])]
        else:
            continue
        layer.set_weights(values)


class PaddedConv2D(keras.layers.Conv2D):
    """A 3x3 convolution with stride 2 that pads both sides alike."""

    def call(self, x):
        return super().call(ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]))

    def compute_output_shape(self, shape):
        padded = [size and size + 2 for size in shape[1:3]]
        return super().compute_output_shape((shape[0], *padded, shape[3]))


def with_moved_strides(net, epsilon=EPSILON, stem_padding=True):
    """The network with its strides in the 3x3 convolutions, otherwise layer for layer the same.

    Without `stem_padding` it takes pictures that are padded already.
    """

    def copy(layer):
        config = layer.get_config()
        if isinstance(layer, keras.layers.BatchNormalization):
            config["epsilon"] = epsilon
        if layer.name == "conv1_pad" and not stem_padding:
            config["padding"] = 0
        if re.fullmatch(r"conv[345]_block1_1_conv", layer.name):
            config["strides"] = 1
        if re.fullmatch(r"conv[345]_block1_2_conv", layer.name):
            return PaddedConv2D.from_config({**config, "strides": 2, "padding": "valid"})
        return type(layer).from_config(config)

    moved = keras.models.clone_model(net, clone_function=copy)
    moved.set_weights(net.get_weights())
    return moved


def caffe_input(pictures):
    return (pictures - CAFFE_MEAN)[..., ::-1].astype("float32")


def padded_with_our_mean(pictures):
    """The colour that zeros have behind this package's normalisation."""
    height, width = pictures.shape[1] + 6, pictures.shape[2] + 6
    padded = np.broadcast_to(255 * IMAGENET_MEAN, (len(pictures), height, width, 3)).copy()
    padded[:, 3:-3, 3:-3] = pictures
    return padded


def older_name(layer):
    """`conv2_block1_1_conv` to `res2a_branch2a`."""
    if layer in ("conv1_conv", "conv1_bn"):
        return {"conv1_conv": "conv1", "conv1_bn": "bn_conv1"}[layer]
    stage, block, part, kind = re.fullmatch(r"conv(\d)_block(\d+)_(\d)_(\w+)", layer).groups()
    prefix = {"conv": "res", "bn": "bn"}[kind]
    return f"{prefix}{stage}{chr(ord('a') + int(block) - 1)}_branch{BRANCHES[part]}"


def layers_of(net):
    return {layer.name: layer.get_weights() for layer in net.layers if layer.weights}


def write_legacy_file(path, layers, names=("w_0:0", "w_1:0", "w_2:0", "w_3:0")):
    """The layout of Keras 1 and 2: a group per layer, its `weight_names` in order."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.encode() for layer in layers]
        for layer, weights in layers.items():
            group = file.create_group(layer)
            weight_names = [f"{layer}/{name}" for name in names[: len(weights)]]
            group.attrs["weight_names"] = [name.encode() for name in weight_names]
            for name, weight in zip(weight_names, weights, strict=True):
                group[name] = weight
    return path


def read_tfjs(folder):
    """The layers of a TensorFlow.js model: one byte stream in shards, described in JSON."""
    folder = pathlib.Path(folder)
    layers = {}
    for group in json.loads((folder / "model.json").read_text())["weightsManifest"]:
        data = b"".join((folder / shard).read_bytes() for shard in group["paths"])
        offset = 0
        for entry in group["weights"]:
            count = int(np.prod(entry["shape"]))
            array = np.frombuffer(data, entry["dtype"], count, offset).reshape(entry["shape"])
            offset += array.nbytes
            layers.setdefault(entry["name"].split("/")[0], []).append(array)
        if offset != len(data):
            raise ValueError(f"{len(data) - offset} bytes left over in {group['paths']}")
    return layers

"""Files that are odd, that ask for far more than they have, or whose numbers do not fit.

Each is refused in words, before memory is taken and before a variable is changed.
"""

import json
import shutil
import zipfile

import h5py
import keras
import numpy as np
import pytest
import safetensors.numpy
from resealed import reseal

import keras_tdn
from keras_tdn.pretrained import (
    load_official_state_dict,
    load_preset,
    save_preset,
    to_official_state_dict,
)
from keras_tdn.pretrained.imagenet import _bindings, load_imagenet
from keras_tdn.pretrained.weights import load_weights
from keras_tdn.pretrained.weights_file import load_model_file
from keras_tdn.training.variables import arrays_of, assign_arrays

BIAS = "layers/dense/vars/1"
KERNEL = "layers/conv2d/vars/0"


def small_model(**changes):
    return keras_tdn.TDNResNet((1, 1, 1, 1), width=8, classes=3, num_segments=2, **changes)


@pytest.fixture(scope="module")
def model():
    return small_model()


@pytest.fixture(scope="module")
def half():
    return small_model(dtype="float16")


@pytest.fixture(scope="module")
def resnet(model):
    """The tensors of a ResNet under torchvision's names."""
    rng = np.random.default_rng(0)
    return {
        name: rng.uniform(0.1, 1, binding.shape).astype(np.float32)
        for binding in _bindings(model)
        for name in binding.names
    }


@pytest.fixture(scope="module")
def folder(model, resnet, tmp_path_factory):
    folder = tmp_path_factory.mktemp("refused")
    model.save_weights(folder / "a.weights.h5")
    model.save(folder / "a.keras")
    save_preset(model, folder / "preset")
    safetensors.numpy.save_file(resnet, folder / "a.safetensors")
    with h5py.File(folder / "a.h5", "w") as file:
        for name, weights in {"conv1_conv": [np.ones((7, 7, 3, 8), "f4")]}.items():
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{index}".encode() for index in range(len(weights))]
            for index, weight in enumerate(weights):
                group[f"{index}"] = weight
    return folder


def values(model):
    return [keras.ops.convert_to_numpy(weight).copy() for weight in model.weights]


def assert_unchanged(model, before):
    for ours, theirs in zip(values(model), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


# === Odd files ===


def whole(content):
    return lambda path: path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-500])


def zipped(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights", "nothing")


def tensors(**changes):
    def change(path):
        arrays = safetensors.numpy.load_file(path) | changes
        safetensors.numpy.save_file(arrays, path)

    return change


def bias_of_type(dtype):
    return tensors(**{"bn1.bias": np.ones(8, dtype)})


def described(dtype, count):
    """One tensor of a type that NumPy may not have."""
    text = json.dumps({"a": {"dtype": dtype, "shape": [count], "data_offsets": [0, 16]}}).encode()
    return whole(len(text).to_bytes(8, "little") + text + bytes(16))


def attribute(path, name, value):
    def change(file_path):
        with h5py.File(file_path, "r+") as file:
            file[path].attrs[name] = value

    return change


def array(path, value, **attributes):
    def change(file_path):
        with h5py.File(file_path, "r+") as file:
            del file[path]
            file[path] = value
            file[path].attrs.update(attributes)

    return change


ODD = {
    "a.safetensors": {
        "empty": (whole(b""), "not a safetensors file"),
        "cut off": (cut, "not a safetensors file"),
        "a zip": (zipped, "not a safetensors file"),
        "of eight bits": (described("F8_E4M3", 16), "or store its tensors as float32"),
        "of no known type": (described("XX", 16), "not a safetensors file"),
        "of whole numbers": (
            tensors(**{"bn1.bias": np.ones(8, np.int32)}),
            "no real numbers .*int32",
        ),
        "of truths": (tensors(**{"bn1.bias": np.ones(8, bool)}), "no real numbers .*bn1.bias of"),
        "a scalar for a kernel": (
            tensors(**{"conv1.weight": np.zeros((), np.float32)}),
            "holds no ResNet: expected kernels",
        ),
        "numbers for names": (
            lambda path: safetensors.numpy.save_file({"1": np.ones(3, np.float32)}, path),
            r"holds no ResNet.*Received 1 names: 1",
        ),
        "a long description": (
            whole((17 << 20).to_bytes(8, "little") + b"{}" + b" " * (17 << 20)),
            "its description has 17825792 bytes",
        ),
    },
    "a.h5": {
        "empty": (whole(b""), "is no HDF5 file of weights"),
        "cut off": (cut, "is no HDF5 file of weights"),
        "a zip": (zipped, "is no HDF5 file of weights"),
        "numbers for names": (
            attribute("conv1_conv", "weight_names", [1, 2]),
            "'weight_names' of 'conv1_conv' is no text",
        ),
        "a number for names": (
            attribute("conv1_conv", "weight_names", b"0"),
            "'weight_names' of 'conv1_conv' is no list of texts",
        ),
        "names of nothing": (
            attribute("conv1_conv", "weight_names", [b"0", b"5"]),
            "the layer 'conv1_conv' lists 'conv1_conv/5', which is not there",
        ),
        "a scalar for a kernel": (array("conv1_conv/0", np.float32(1)), "needs four vectors"),
        "a text for a kernel": (array("conv1_conv/0", "text"), "an array of real numbers at"),
    },
    "a.weights.h5": {
        "empty": (whole(b""), "is no Keras weights file"),
        "a zip": (zipped, "is no Keras weights file"),
        "a number for a name": (
            attribute("layers/dense/vars", "name", 5),
            "'name' of 'layers/dense/vars' is no text",
        ),
        "a scalar for a kernel": (array(KERNEL, np.float32(1)), r"of another shape .*kernel \(\),"),
        "a text for a bias": (array(BIAS, [b"a", b"b", b"c"]), "vars/1 holds |S1"),
        "bfloat16 that is none": (
            array(BIAS, np.ones(3, np.float32), dtype="bfloat16"),
            "vars/1 says that it is bfloat16, and holds float32",
        ),
    },
    "a.keras": {
        "empty": (whole(b""), "is no Keras model file"),
        "cut off": (cut, "is no Keras model file"),
        "another zip": (zipped, "is no Keras model file"),
        "HDF5": (whole(b"\x89HDF\r\n\x1a\n" + bytes(99)), "is no Keras model file"),
    },
}


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name, kinds in ODD.items() for kind in kinds]
)
def test_odd_files(model, folder, tmp_path, name, kind):
    change, message = ODD[name][kind]
    path = tmp_path / name
    shutil.copy(folder / name, path)
    change(path)
    before = values(model)
    with pytest.raises(ValueError, match=message):
        load_weights(model, path)
    assert_unchanged(model, before)


# === More than a file has ===


def with_config(folder, tmp_path, change):
    """A `.keras` file with another config."""
    path = tmp_path / "a.keras"
    with zipfile.ZipFile(folder / "a.keras") as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                config = json.loads(content)
                config["config"].update(change)
                content = json.dumps(config)
            new.writestr(name, content)
    return path


@pytest.mark.parametrize(
    "change",
    [
        {"width": 8192},
        {"stage_depths": [25_000] * 4},
        {"stage_depths": [900, 1, 1, 1], "width": 1, "long_term": False},
        {"classes": 10**9, "labels": None},
    ],
)
def test_a_config_of_more_than_the_weights(folder, tmp_path, change):
    with pytest.raises(ValueError, match=r"a\.keras' does not make a model: .* or damaged"):
        load_model_file(with_config(folder, tmp_path, change))
    shutil.copytree(folder / "preset", tmp_path / "preset")
    config = json.loads((tmp_path / "preset" / "config.json").read_text())
    config["model"]["arguments"].update({**change} | {"labels": None})
    del config["model"]["arguments"]["labels"]
    (tmp_path / "preset" / "config.json").write_text(json.dumps(config))
    reseal(tmp_path / "preset")
    with pytest.raises(ValueError, match="from different models, or damaged"):
        load_preset(tmp_path / "preset")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": "8"}, "another kind of value for the model's 'width'"),
        ({"unknown": 1}, r"missing or unknown: \['unknown'\]"),
        ({"clip_spec": {"num_segments": 2}}, "A ClipSpec config has the entries"),
        ({"clip_spec": 5}, "A ClipSpec config has the entries"),
        ({"dtype": 5}, "another kind of value for the model's 'dtype'"),
    ],
)
def test_a_config_that_is_damaged(folder, tmp_path, change, message):
    with pytest.raises(ValueError, match=f"does not make a model: .*{message}"):
        load_model_file(with_config(folder, tmp_path, change))


def test_a_config_that_is_nested_deeply(folder, tmp_path):
    path = tmp_path / "a.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "[" * 100_000)
        archive.writestr("model.weights.h5", b"")
    with pytest.raises(ValueError, match="is damaged or is no Keras model file"):
        load_model_file(path)


def test_a_stem_that_is_a_scalar_is_no_checkpoint_of_the_authors(model):
    state = to_official_state_dict(model)
    for name in ("base_model.conv1.weight", "new_fc.weight"):
        with pytest.raises(ValueError, match="not the tensors of a TDN model"):
            keras_tdn.pretrained.state_dict.architecture_of(state | {name: np.float32(1)})


# === Not finite, in the model's precision ===


def write_value(folder, path, value, dtype):
    shutil.copy(folder / "a.weights.h5", path)
    array(BIAS, np.array([0, value, 1], dtype))(path)
    return path


@pytest.mark.parametrize(
    ("precision", "value", "dtype"), [("float32", 1e39, "f8"), ("float16", 1e6, "f4")]
)
def test_weights_that_are_not_finite_after_the_cast(
    model, half, folder, resnet, tmp_path, precision, value, dtype
):
    model = half if precision == "float16" else model
    before = values(model)
    path = write_value(folder, tmp_path / "a.weights.h5", value, dtype)
    told = rf"not finite \(1\): .* \(too large for {precision}\)"
    with pytest.raises(ValueError, match=told):
        load_weights(model, path)
    state = to_official_state_dict(model)
    state["new_fc.bias"] = np.array([0, value, 1], dtype)
    with pytest.raises(ValueError, match=told):
        load_official_state_dict(model, state)
    tensors = resnet | {
        "layer4.0.bn3.bias": np.full(resnet["layer4.0.bn3.bias"].shape, value, dtype)
    }
    safetensors.numpy.save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=told):
        load_imagenet(model, tmp_path / "a.safetensors")
    model.compile(keras.optimizers.SGD(0.1))
    arrays = arrays_of(model, metrics=False)
    last = max(name for name in arrays if arrays[name].shape == (3,) and name.startswith("model/"))
    with pytest.raises(ValueError, match=told):
        assign_arrays(model, arrays | {last: np.array([0, value, 1], dtype)}, metrics=False)
    assert_unchanged(model, before)


def test_a_preset_of_too_large_numbers(folder, tmp_path):
    shutil.copytree(folder / "preset", tmp_path / "preset")
    write_value(folder, tmp_path / "preset" / "model.weights.h5", 1e39, "f8")
    reseal(tmp_path / "preset")
    with pytest.raises(ValueError, match=r"classifier/1 \(too large for float32\)"):
        load_preset(tmp_path / "preset")


def test_a_training_state_of_another_optimizer_changes_nothing(model):
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9))
    model.optimizer.build(model.trainable_variables)
    arrays = arrays_of(model, metrics=False)
    before = values(model)
    changed = {
        name: array + 1 if name.startswith("model/") else array for name, array in arrays.items()
    }
    del changed[max(name for name in arrays if name.startswith("optimizer/"))]
    with pytest.raises(ValueError, match="its optimizer has"):
        assign_arrays(model, changed, metrics=False)
    assert_unchanged(model, before)

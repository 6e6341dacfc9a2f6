"""No HDF5 file leads anywhere else, and none takes far more memory than it has bytes.

Each kind of file is tried with every reader that takes it.
"""

import os
import shutil
import zipfile
import zlib

import h5py
import keras
import keras_resnets as kr
import numpy as np
import pytest
from resealed import reseal

import keras_tdn
from keras_tdn.pretrained import load_preset, save_preset, verify_preset
from keras_tdn.pretrained.imagenet import load_imagenet
from keras_tdn.pretrained.weights import load_weights
from keras_tdn.pretrained.weights_file import load_model_file

BIAS = "layers/dense/vars/1"
KERNEL = "layers/conv2d/vars/0"
CLASSES = 3


def small_model(**changes):
    return keras_tdn.TDNResNet((1, 1, 1, 1), width=8, classes=CLASSES, num_segments=2, **changes)


@pytest.fixture(scope="module")
def model():
    return small_model()


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    """One model in every kind of file, and another model's weights for links to lead to."""
    folder = tmp_path_factory.mktemp("hdf5")
    model.save_weights(folder / "a.weights.h5")
    model.save(folder / "a.keras")
    save_preset(model, folder / "preset")
    other = small_model()
    other.save_weights(folder / "other.weights.h5")
    resnet = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Conv2D(8, 7, name="conv1_conv"),
            keras.layers.BatchNormalization(name="conv1_bn"),
        ]
    )
    resnet.save_weights(folder / "resnet.weights.h5")
    layers = {layer.name: layer.get_weights() for layer in resnet.layers}
    kr.write_legacy_file(folder / "legacy.h5", layers)
    os.mkfifo(folder / "pipe")
    return folder


def replace(path, make):
    """An edit that puts something else in the place of an object."""

    def edit(file, folder):
        place = path(file) if callable(path) else path
        old = np.asarray(file[place]) if isinstance(file[place], h5py.Dataset) else None
        del file[place]
        make(file, place, folder, old)

    return edit


def first_array(file):
    names = []
    file.visititems(lambda name, item: names.append(name) if hasattr(item, "shape") else None)
    return BIAS if BIAS in names else names[0]


def kernel(file):
    return KERNEL if KERNEL in file else "conv1_conv/conv1_conv/w_0:0"


def first_group(file):
    return "layers" if "layers" in file else next(iter(file))


def external_link(file, place, folder, old):
    file[place] = h5py.ExternalLink(str(folder / "other.weights.h5"), place)


def link_to_a_pipe(file, place, folder, old):
    file[place] = h5py.ExternalLink(str(folder / "pipe"), place)


def soft_link(file, place, folder, old):
    file[place] = h5py.SoftLink("/elsewhere")


def external_array(file, place, folder, old):
    shape = (CLASSES,) if old is None else old.shape
    file.create_dataset(
        place, shape, "f4", external=[(str(folder / "pipe"), 0, h5py.h5f.UNLIMITED)]
    )


def virtual_array(file, place, folder, old):
    # The shape of one that may grow is that of the other file, which has to be opened for it.
    layout = h5py.VirtualLayout((CLASSES,), "f4", maxshape=(None,))
    layout[:] = h5py.VirtualSource(str(folder / "pipe"), place, (CLASSES,), maxshape=(None,))
    file.create_virtual_dataset(place, layout)


def huge_array(file, place, folder, old):
    """12 GB of zeros in a few bytes."""
    size = 3_000_000_000
    file.create_dataset(place, (size,), "f4", chunks=(1_000_000,), compression="gzip")


def huge_chunk(file, place, folder, old):
    shape = (CLASSES,) if old is None else old.shape
    chunk = (1 << 28, *(1 for _ in shape[1:]))
    file.create_dataset(place, shape, "f4", maxshape=(None,) * len(shape), chunks=chunk)


def bomb(file, place, folder, old):
    """A chunk of a few numbers that unpacks to two hundred megabytes."""
    shape = (CLASSES,) if old is None else old.shape
    dataset = file.create_dataset(place, shape, "f4", chunks=shape, compression="gzip")
    dataset.id.write_direct_chunk((0,) * len(shape), zlib.compress(bytes(200_000_000)))


def other_compression(file, place, folder, old):
    data = np.zeros((CLASSES,) if old is None else old.shape, "f4")
    file.create_dataset(place, data=data, compression="lzf")


def cycle(file, place, folder, old):
    file[place] = file["/"]


def nothing(file, place, folder, old):
    file[place] = h5py.Empty("f4")


EDITS = {
    "a group by external link": (replace(first_group, external_link), "is a link"),
    "a group by a link to a pipe": (replace(first_group, link_to_a_pipe), "is a link"),
    "a group by soft link": (replace(first_group, soft_link), "is a link"),
    "an array by external link": (replace(first_array, external_link), "is a link"),
    "an array by soft link": (replace(first_array, soft_link), "is a link"),
    "external storage": (replace(first_array, external_array), "is stored elsewhere"),
    "a virtual array": (replace(first_array, virtual_array), "is stored elsewhere"),
    "a cycle": (replace(first_group, cycle), "is a second link to one object"),
    "12 GB": (replace(first_array, huge_array), r"its \d+ bytes unpack to 1\d{10}"),
    "a chunk of 1 GB": (replace(first_array, huge_chunk), "has chunks of 268435456"),
    "a chunk that unpacks to more": (replace(kernel, bomb), "unpacks to more than its"),
    "another compression": (replace(first_array, other_compression), "not just once by gzip"),
    "nothing": (replace(first_array, nothing), "holds nothing"),
}


def values(model):
    return [keras.ops.convert_to_numpy(weight).copy() for weight in model.weights]


def edited(path, edit, folder):
    with h5py.File(path, "r+") as file:
        edit(file, folder)
    return path


def weights_file(folder, tmp_path, edit):
    path = shutil.copy(folder / "a.weights.h5", tmp_path / "a.weights.h5")
    return edited(path, edit, folder)


def keras_file(folder, tmp_path, edit):
    with zipfile.ZipFile(folder / "a.keras") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    (tmp_path / "model.weights.h5").write_bytes(parts["model.weights.h5"])
    parts["model.weights.h5"] = edited(tmp_path / "model.weights.h5", edit, folder).read_bytes()
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return tmp_path / "a.keras"


def preset(folder, tmp_path, edit):
    shutil.copytree(folder / "preset", tmp_path / "preset")
    edited(tmp_path / "preset" / "model.weights.h5", edit, folder)
    reseal(tmp_path / "preset")
    return tmp_path / "preset"


FORMS = {"weights": weights_file, "keras": keras_file, "preset": preset}


@pytest.mark.parametrize("kind", EDITS)
def test_the_weights_of_a_model(model, folder, tmp_path, kind):
    edit, message = EDITS[kind]
    before = values(model)
    for form, make in FORMS.items():
        path = make(folder, tmp_path, edit)
        with pytest.raises(ValueError, match=message):
            load_weights(model, path)
        if form == "weights":
            # Keras' own reader follows some of them.
            with pytest.raises(ValueError, match=message):
                model.load_weights(path)
        elif form == "keras":
            with pytest.raises(ValueError, match=message):
                load_model_file(path)
    for ours, theirs in zip(values(model), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_hashes_of_a_preset_say_which_weights_it_has(folder, tmp_path):
    path = preset(folder, tmp_path, EDITS["a group by external link"][0])
    with pytest.raises(ValueError, match="layers is a link"):
        load_preset(path)
    report = verify_preset(path)
    assert not report.passed
    assert "layers is a link" in str(report)


@pytest.mark.parametrize("kind", EDITS)
@pytest.mark.parametrize("name", ["resnet.weights.h5", "legacy.h5"])
def test_imagenet_files(model, folder, tmp_path, name, kind):
    edit, message = EDITS[kind]
    path = edited(shutil.copy(folder / name, tmp_path / name), edit, folder)
    with pytest.raises(ValueError, match=message):
        load_imagenet(model, path)


def test_gzip_as_h5repack_applies_it_is_read(model, folder, tmp_path):
    path = tmp_path / "a.weights.h5"
    with h5py.File(folder / "a.weights.h5") as source, h5py.File(path, "w") as target:
        for name in source:
            source.copy(name, target)

        def compress(name, item):
            if isinstance(item, h5py.Dataset) and item.shape:
                found[name] = item[()]

        found = {}
        target.visititems(compress)
        for name, data in found.items():
            attributes = dict(target[name].attrs)
            del target[name]
            target.create_dataset(
                name, data=data, compression="gzip", shuffle=True, fletcher32=True
            ).attrs.update(attributes)
    loaded = small_model(weights=path, clip_spec=model.clip_spec)
    for ours, theirs in zip(values(loaded), values(model), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", ["a.weights.h5", "a.h5"])
def test_a_pipe_is_not_waited_for(model, tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(ValueError, match="There are no weights"):
        load_weights(model, tmp_path / name)


def test_two_layers_of_one_name(model, folder, tmp_path):
    def edit(file, folder):
        file["layers/conv2d_1/vars"].attrs["name"] = file["layers/conv2d/vars"].attrs["name"]

    with pytest.raises(ValueError, match="two layers are called 'stem_conv'"):
        load_weights(model, weights_file(folder, tmp_path, edit))

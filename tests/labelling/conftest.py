"""Small videos with bad ones among them, and models that take no time."""

import keras
import pytest
from evaluation_toys import NAMES, VIDEOS, toy
from synthetic_videos import encode_video

import keras_tdn
from keras_tdn.data.records import load_records
from keras_tdn.labelling import LabelOptions, label_videos

# In the order that a folder is read in.
FILES = ("a 0.mp4", "b bad.mp4", "c 1.mp4", "deep/2.mp4", "e empty.mp4", "f 3.mp4", "g 4.mp4")
BAD = (1, 4)


@pytest.fixture(scope="session")
def video_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    (folder / "deep").mkdir()
    good = iter(range(len(VIDEOS)))
    for place, name in enumerate(FILES):
        content = b"no video" * 100 if place == BAD[0] else b""
        if place not in BAD:
            number = next(good)
            num_frames, size = VIDEOS[number]
            content = encode_video(num_frames, size=size, first=37 * number % 128)
        (folder / name).write_bytes(content)
    (folder / "notes.txt").write_text("not a video")
    return folder


@pytest.fixture(scope="session")
def paths(video_folder):
    return [str(video_folder / name) for name in FILES]


@pytest.fixture(scope="session")
def records(paths):
    return load_records([(path, 0) for path in paths])


@pytest.fixture(scope="session")
def model():
    model = toy()
    model.labels = NAMES
    return model


@pytest.fixture(scope="session")
def tdn():
    keras.utils.set_random_seed(3)
    model = keras_tdn.TDNResNet(
        (1, 1, 1, 1), width=16, classes=4, num_segments=2, labels=["a", "b", "c", "ü"]
    )
    kernel = model.get_layer("classifier").kernel
    kernel.assign(kernel * 500)
    model.clip_spec = keras_tdn.ClipSpec(2, 5, 32, 40, 48)
    return model


@pytest.fixture(scope="session")
def run(model):
    """Labels with the toy, three videos in a file, unless told otherwise."""

    def run(videos, output, model=model, options=None, **how):
        options = options or LabelOptions(top=2, videos_per_shard=3)
        how = {"batch_size": 4, "num_workers": 2, "progress": False, **how}
        return label_videos(model, videos, output, options, **how)

    return run

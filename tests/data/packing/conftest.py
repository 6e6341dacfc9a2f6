"""Some small videos of every sort, and what they are packed to."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest
import synthetic_videos
import tensorflow as tf

from keras_tdn.data.packing import pack
from keras_tdn.data.records import Record, RecordList

SHORT_SIDE = 80
LABELS = ("jump", "run", "sit")


@pytest.fixture(scope="session")
def records(tmp_path_factory):
    """Seven records that can be packed, and two that cannot."""
    folder = tmp_path_factory.mktemp("videos")
    videos = {
        "plain.mp4": {"num_frames": 30, "options": {"bf": "2", "g": "12"}},
        "large.mkv": {"num_frames": 20, "container": "matroska", "size": (192, 320)},
        "small.mp4": {"num_frames": 25, "size": (48, 64)},
        "turned.mp4": {"num_frames": 12, "rotation": 90, "turns": -1},
        "one frame.webm": {"num_frames": 1, "container": "webm", "codec": "libvpx-vp9"},
        "palette.gif": {"num_frames": 8, "container": "gif", "codec": "gif", "pix_fmt": "rgb8"},
    }
    paths = []
    for name, options in videos.items():
        (folder / name).write_bytes(synthetic_videos.encode_video(**options))
        paths.append(folder / name)
    paths.append(folder / "frames")
    paths[-1].mkdir()
    for number in range(9):
        frame = synthetic_videos.numbered_frame(number, 64, 96)
        (paths[-1] / f"img_{number:05d}.jpg").write_bytes(tf.io.encode_jpeg(frame).numpy())
    paths.insert(2, folder / "noise.mp4")
    paths[2].write_bytes(bytes(range(256)) * 20)
    paths.append(folder / "gone.mp4")
    # Indices with gaps, as of a list from which records were left out.
    return RecordList(
        [Record(str(path), place % 3, index=2 * place) for place, path in enumerate(paths)], LABELS
    )


@pytest.fixture(scope="session")
def packed(records, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed") / "all"
    pack(
        records,
        folder,
        short_side=SHORT_SIDE,
        num_shards=3,
        num_processes=1,
        max_failure_share=0.5,
        progress=False,
    )
    return folder

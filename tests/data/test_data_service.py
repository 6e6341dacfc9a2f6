"""Clips made by the workers of a `tf.data` service, in processes that know TensorFlow alone."""

import os
import time

import numpy as np
import pytest
import synthetic_videos
import tensorflow as tf
from data_service import Service

from keras_tdn.data import from_service, load_packed, load_records, make_dataset
from keras_tdn.data.packing import pack
from keras_tdn.specs import ClipSpec

SPEC = ClipSpec.for_crop(num_segments=2, frames_per_segment=5, height=32, width=32)
NUM_VIDEOS = 10
# Starts with the number of the process that reads it.
PROCESS_FILE = "/proc/self/stat"
STARTING_SECONDS = 300


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    service = Service(tmp_path_factory.mktemp("service"))
    service.add_worker()
    yield service
    service.stop()


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for number in range(NUM_VIDEOS):
        content = synthetic_videos.encode_video(12 + number, first=20 * number)
        (folder / f"{number}.mp4").write_bytes(content)
    paths = sorted(str(path) for path in folder.iterdir())
    return load_records([(path, label) for label, path in enumerate(paths)])


@pytest.fixture(scope="module")
def packed(videos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed") / "records"
    pack(videos, folder, num_processes=1, progress=False)
    return load_packed(folder)


@pytest.fixture(scope="module")
def folders(packed, tmp_path_factory):
    """Frames with the numbers of their videos, so that no clip equals another."""
    root = tmp_path_factory.mktemp("frames")
    for number in range(NUM_VIDEOS):
        folder = root / str(number)
        folder.mkdir()
        for frame in range(12):
            picture = synthetic_videos.numbered_frame(20 * number + frame)
            (folder / f"{frame:03d}.jpg").write_bytes(tf.io.encode_jpeg(picture).numpy())
    paths = sorted(str(path) for path in root.iterdir())
    return load_records([(path, label) for label, path in enumerate(paths)])


def clips_of(dataset, batches):
    pairs = list(dataset.take(batches).as_numpy_iterator())
    assert len(pairs) == batches
    return pairs


def test_one_worker_gives_the_same_batches(service, packed):
    dataset = make_dataset(packed, SPEC, training=True, batch_size=4, max_failure_share=None)
    # Two epochs and a half, across whose ends batches go.
    served = from_service(dataset, service.address)
    assert served.element_spec == dataset.element_spec
    for (clips, labels), (same, same_labels) in zip(
        clips_of(dataset, 6), clips_of(served, 6), strict=True
    ):
        np.testing.assert_array_equal(same, clips)
        np.testing.assert_array_equal(same_labels, labels)


@pytest.mark.skipif(not os.path.exists(PROCESS_FILE), reason="tells workers apart by /proc")
def test_two_workers_give_the_same_clips(service, folders):
    service.add_worker()
    dataset = make_dataset(
        folders, SPEC, training=True, repeat=False, batch_size=1, max_failure_share=None
    )
    expected = {(int(label[0]), clip.tobytes()) for clip, label in dataset.as_numpy_iterator()}
    assert len(expected) == NUM_VIDEOS
    dataset = dataset.map(lambda clips, labels: (clips, labels, tf.io.read_file(PROCESS_FILE)))
    workers = set()
    give_up = time.monotonic() + STARTING_SECONDS
    # The second worker is a while in coming, and may then find that all is taken.
    while len(workers) < 2 and time.monotonic() < give_up:
        served = from_service(dataset, f"grpc://{service.address}")
        elements = list(served.as_numpy_iterator())
        assert len(elements) == NUM_VIDEOS
        assert {(int(label[0]), clip.tobytes()) for clip, label, _ in elements} == expected
        workers = {status.split()[0] for _, _, status in elements}
    assert len(workers) == 2


def test_videos_are_refused(videos):
    dataset = make_dataset(videos, SPEC, training=True, batch_size=2, max_failure_share=None)
    with pytest.raises(ValueError, match="`keras-tdn pack`"):
        from_service(dataset, "localhost:5050")


def test_counted_failures_are_refused(packed):
    dataset = make_dataset(packed, SPEC, training=True, batch_size=2)
    with pytest.raises(ValueError, match="max_failure_share=None"):
        from_service(dataset, "localhost:5050")


@pytest.mark.parametrize("address", ["localhost", "grpc://localhost", "", "localhost:http"])
def test_bad_addresses(packed, address):
    dataset = make_dataset(packed, SPEC, training=True, batch_size=2, max_failure_share=None)
    with pytest.raises(ValueError, match="host:port"):
        from_service(dataset, address)

import keras
import numpy as np
import pytest
import tensorflow as tf
from synthetic_videos import encode_video

from keras_tdn.data.browsing import browse_clips
from keras_tdn.data.dataset import make_dataset
from keras_tdn.data.decoding.pyav_decoder import PyAVDecoder
from keras_tdn.data.failures import read_failures
from keras_tdn.data.packed_records import load_packed
from keras_tdn.data.packing import pack
from keras_tdn.data.records import load_records
from keras_tdn.data.transforms import ResizeAndCenterCrop
from keras_tdn.specs import ClipSpec

SPEC = ClipSpec(num_segments=2, frames_per_segment=5, height=32, width=32, short_side=32)
BAD = (1, 6)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Ten videos of lengths 30 to 39, of which two are empty."""
    root = tmp_path_factory.mktemp("videos")
    for number in range(10):
        content = b"" if number in BAD else encode_video(30 + number)
        (root / f"{number}.mp4").write_bytes(content)
    return load_records([(str(root / f"{n}.mp4"), n % 2) for n in range(10)], num_classes=2)


@pytest.fixture(scope="module")
def folders(records, tmp_path_factory):
    """Folders of JPEG frames: the second is empty, the seventh has a damaged frame."""
    root = tmp_path_factory.mktemp("folders")
    items = []
    for record in records:
        folder = root / f"folder {record.index}"
        folder.mkdir()
        for number in range(0 if record.index == 1 else 12):
            content = tf.io.encode_jpeg(np.full((36, 64, 3), record.index * 20, np.uint8)).numpy()
            if record.index == 6:
                content = b"noise"
            (folder / f"{number:05d}.jpg").write_bytes(content)
        items.append((str(folder), record.label))
    return load_records(items, num_classes=2)


def make(records, training, **arguments):
    return make_dataset(records, SPEC, training=training, batch_size=4, **arguments)


def test_bad_videos_are_skipped_and_reported_once(records, tmp_path):
    report = tmp_path / "failures.jsonl"
    dataset = make(records, False, failure_report=report)
    for _ in range(3):
        assert [len(labels) for _, labels in dataset] == [4, 4]
    failures = read_failures(report)
    assert [failure.index for failure in failures] == list(BAD)
    assert [failure.path for failure in failures] == [records[index].path for index in BAD]
    assert "the file is empty" in failures[0].reason
    labels = [int(label) for _, labels in dataset for label in labels]
    assert labels == [record.label for record in records if record.index not in BAD]


def test_bad_videos_are_not_tried_again(records):
    opened = []

    class Counting(PyAVDecoder):
        def read_frames(self, source, *arguments):
            opened.append(source)
            return super().read_frames(source, *arguments)

    dataset = make(records, True, decoder=Counting(num_threads=1), num_parallel_calls=1)
    # Batches stay full across epochs.
    assert [len(labels) for _, labels in dataset.take(10)] == [4] * 10
    times = [opened.count(record.path) for record in records]
    assert [times[index] for index in BAD] == [1, 1]
    assert min(times[index] for index in range(10) if index not in BAD) >= 5


@pytest.mark.parametrize("transforms", [None, ResizeAndCenterCrop.from_spec(SPEC)])
def test_bad_folders_are_skipped_and_reported(folders, tmp_path, transforms):
    report = tmp_path / "failures.jsonl"
    dataset = make(
        folders,
        True,
        repeat=False,
        drop_remainder=False,
        failure_report=report,
        transforms=transforms,
        shuffle=False,
    )
    clips = np.concatenate([clips for clips, _ in dataset])
    levels = [round(float(clip.mean()) / 20) for clip in clips]
    assert levels == [index for index in range(10) if index not in BAD]
    failures = read_failures(report)
    assert [failure.index for failure in failures] == list(BAD)
    assert "has no JPEG files" in failures[0].reason
    assert "not a JPEG picture" in failures[1].reason


def test_frames_that_take_too_much_are_not_decoded(folders, tmp_path, monkeypatch):
    """Of folders and packed records, whose frames have 36x64 pixels."""
    pack(folders[3:4], tmp_path / "packed", num_shards=1, num_processes=1, progress=False)
    # Room for the largest square of ten frames, which is all that training decodes.
    monkeypatch.setenv("KERAS_TDN_MAX_CLIP_GIB", str(10 * 36 * 36 * 3 / 2**30))
    for records in (folders[3:4], load_packed(tmp_path / "packed")):
        (clip,) = browse_clips(records, SPEC)
        assert clip.reason == (
            "10 frames of 36x64 pixels would take more memory than one clip may. To allow it, "
            "raise the environment variable KERAS_TDN_MAX_CLIP_GIB."
        )
        dataset = make_dataset(records, SPEC, training=True, batch_size=1, repeat=False)
        assert [clips.shape for clips, _ in dataset] == [(1, 10, 32, 32, 3)]


def test_nothing_is_counted_on_request(folders, capfd):
    dataset = make(folders, False, max_failure_share=None)
    assert sum(len(labels) for _, labels in dataset) == 8
    assert "Skipped record 6: a frame is missing" in capfd.readouterr().err


def test_too_many_failures_stop_the_run(records, tmp_path):
    report = tmp_path / "failures.jsonl"
    dataset = make(records, True, failure_report=report, max_failure_share=0.01)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"2 of the .* is a share of"):
        list(dataset.take(10))
    assert len(read_failures(report)) == 2


def test_list_without_a_good_video_ends(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.mp4").write_bytes(b"")
    bad = load_records([(str(tmp_path / f"{number}.mp4"), 0) for number in range(3)])
    with pytest.raises(tf.errors.InvalidArgumentError, match="3 of the 3 records seen"):
        list(make(bad, True))
    with pytest.raises(tf.errors.InvalidArgumentError, match="3 of the 3 records seen"):
        list(make(bad, False, max_failure_share=1))


def test_training_epoch_with_a_fifth_of_corrupt_copies(tmp_path):
    from data.corruption import damaged_videos

    video = encode_video(30)
    items = []
    for damaged in damaged_videos([(".mp4", video)], 24, seed=3):
        (tmp_path / damaged.name).write_bytes(damaged.content)
        items.append((str(tmp_path / damaged.name), 0))
    for number in range(96):
        (tmp_path / f"good {number}.mp4").write_bytes(video)
        items.append((str(tmp_path / f"good {number}.mp4"), 1))
    records = load_records(items, num_classes=2)
    report = tmp_path / "failures.jsonl"
    dataset = make(records, True, failure_report=report, max_failure_share=0.25)
    # Any model will do: it is the data that is tested.
    layers = keras.layers
    model = keras.Sequential(
        [layers.Rescaling(1 / 255), layers.GlobalAveragePooling3D(), layers.Dense(2, "softmax")]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    history = model.fit(dataset, epochs=2, steps_per_epoch=30, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    failures = read_failures(report)
    # Many damages leave frames that decode.
    assert 6 <= len(failures) <= 24
    assert all("good" not in failure.path for failure in failures)
    assert len({failure.path for failure in failures}) == len(failures)
    assert any("the file is empty" in failure.reason for failure in failures)


def test_damaged_shards_are_reported(records, tmp_path):
    good = load_records([(record.path, record.label) for record in records[2:6]])
    pack(good, tmp_path / "packed", num_shards=4, num_processes=1, progress=False)
    packed = load_packed(tmp_path / "packed")
    shard = sorted((tmp_path / "packed").glob("*.tfrecord"))[2]
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 255
    shard.write_bytes(content)
    report = tmp_path / "failures.jsonl"
    dataset = make(packed, True, repeat=False, drop_remainder=False, failure_report=report)
    assert [len(labels) for _, labels in dataset] == [3]
    (failure,) = read_failures(report)
    assert "its packed record is damaged" in failure.reason


def test_iterator_goes_on_from_a_checkpoint_past_bad_videos(records, tmp_path):
    iterator = iter(make(records, True))
    checkpoint = tf.train.Checkpoint(iterator=iterator)
    for _ in range(5):
        next(iterator)
    saved = checkpoint.save(str(tmp_path / "checkpoint"))
    expected = [next(iterator)[0].numpy() for _ in range(4)]
    iterator = iter(make(records, True))
    tf.train.Checkpoint(iterator=iterator).restore(saved).assert_consumed()
    for clips in expected:
        np.testing.assert_array_equal(next(iterator)[0], clips)

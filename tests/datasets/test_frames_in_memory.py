import numpy as np
import pytest
from synthetic_videos import encode_video, read_numbers

from keras_tdn import ClipSpec
from keras_tdn.data import Record, RecordList, VideoDecodeError, make_dataset, read_frames
from keras_tdn.datasets import FramesInMemory


class Counting:
    def __init__(self):
        self.num_calls = 0

    def read_frames(self, source, choose_indices, size=None):
        self.num_calls += 1
        return read_frames(source, choose_indices, size)


@pytest.fixture
def paths(tmp_path):
    paths = [tmp_path / f"{number}.mp4" for number in range(4)]
    for number, path in enumerate(paths):
        path.write_bytes(encode_video(20, first=30 * number))
    return [str(path) for path in paths]


def test_frames_are_the_decoders_and_decoded_once(paths):
    behind = Counting()
    decoder = FramesInMemory(behind)
    for indices in ([3, 1, 1], [[0, 19]], [5]):
        for size in (None, (48, 80)):
            ours = decoder.read_frames(paths[1], lambda _, chosen=indices: chosen, size)
            theirs = read_frames(paths[1], lambda _, chosen=indices: chosen, size)
            np.testing.assert_array_equal(ours, theirs)
    assert behind.num_calls == 2
    assert decoder.num_bytes == 20 * 3 * (96 * 160 + 48 * 80)


def test_what_was_given_out_may_be_changed(paths):
    decoder = FramesInMemory()
    first = decoder.read_frames(paths[0], lambda _: [4])
    first[:] = 0
    assert read_numbers(decoder.read_frames(paths[0], lambda _: [4])) == [4]


def test_what_does_not_fit_is_decoded_each_time(paths):
    behind = Counting()
    one = 20 * 96 * 160 * 3
    decoder = FramesInMemory(behind, max_bytes=2 * one + 1)
    for _ in range(3):
        for number, path in enumerate(paths):
            frames = decoder.read_frames(path, lambda _: [2])
            assert read_numbers(frames) == [30 * number + 2]
    assert behind.num_calls == 2 + 3 * 2
    assert decoder.num_bytes == 2 * one


def test_sources_without_a_name_are_not_kept(paths):
    decoder = FramesInMemory()
    with open(paths[1], "rb") as file:
        assert read_numbers(decoder.read_frames(file.read(), lambda _: [2])) == [32]
    assert decoder.num_bytes == 0


def test_errors_are_those_of_the_decoder(paths, tmp_path):
    decoder = FramesInMemory()
    (tmp_path / "bad.mp4").write_bytes(b"nothing")
    with pytest.raises(VideoDecodeError):
        decoder.read_frames(str(tmp_path / "bad.mp4"), lambda _: [0])
    for _ in range(2):
        with pytest.raises(ValueError, match="indices from 0 to 19 for a video of 20 frames"):
            decoder.read_frames(paths[0], lambda _: [20])
    for size in (0, 1.5, True, None):
        with pytest.raises(ValueError, match="a positive integer for `max_bytes`"):
            FramesInMemory(max_bytes=size)


def test_batches_are_the_same_and_draws_differ_by_epoch(paths):
    records = RecordList([Record(path, 0, index=n) for n, path in enumerate(paths)])
    spec = ClipSpec(2, 2, 48, 48, 48)
    arguments = {"training": True, "batch_size": 4, "seed": 3}

    def batches(**more):
        dataset = make_dataset(records, spec, **arguments, **more)
        return [clips.numpy() for clips, _ in dataset.take(3)]

    kept, plain = batches(decoder=FramesInMemory()), batches()
    np.testing.assert_array_equal(kept, plain)
    assert len({batch.tobytes() for batch in kept}) == 3

import numpy as np
import pytest
import tensorflow as tf
from synthetic_videos import HEIGHT, WIDTH, encode_video, read_numbers

from keras_tdn.data.decoding import get_decoder, read_frames_in_graph


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Videos of 20, 21, 22 frames; among them an empty file, noise, and one that is not there."""
    folder = tmp_path_factory.mktemp("videos")
    contents = [encode_video(20), b"", encode_video(21), b"noise" * 99, encode_video(22)]
    for number, content in enumerate(contents):
        (folder / f"ü {number}.mp4").write_bytes(content)
    return [str(folder / f"ü {number}.mp4") for number in range(6)]


def last_and(num_frames, seed):
    return [[num_frames - 1], [int(seed[0])]]


def read(path, seed, **options):
    return read_frames_in_graph(path, last_and, seed, **options)


@pytest.mark.parametrize("parallel", [None, 4])
def test_dataset_goes_on_past_bad_files(paths, parallel):
    seeds = [[number, 0] for number in range(6)]
    dataset = tf.data.Dataset.from_tensor_slices((paths, seeds)).map(read, parallel)
    assert dataset.element_spec[0].shape.as_list() == [None, None, None, 3]
    frames, reasons = zip(*dataset.as_numpy_iterator(), strict=True)
    numbers = [read_numbers(of_one) for of_one in frames]
    assert numbers == [[19, 0], [], [20, 2], [], [21, 4], []]
    assert frames[1].shape == (0, 0, 0, 3)
    assert [bool(reason) for reason in reasons] == [False, True] * 3
    assert "the file is empty" in reasons[1].decode()
    assert "ü 3.mp4': it is not a video" in reasons[3].decode()
    assert "there is no such file" in reasons[5].decode()


def test_size_and_decoder(paths):
    frames, reason = read(paths[0], [7, 0], size=48, decoder=get_decoder("pyav"))
    assert reason.numpy() == b""
    assert frames.shape == (2, 48, 48 * WIDTH // HEIGHT, 3)
    assert read_numbers(frames.numpy()) == [19, 7]


def test_reasons_for_what_does_not_fit(paths, monkeypatch):
    _, reason = read(paths[0], [99, 0])
    assert b"ValueError: `choose_indices` must return indices from 0 to 19" in reason.numpy()
    with monkeypatch.context() as patch:
        patch.setenv("KERAS_TDN_MAX_CLIP_GIB", str(HEIGHT * WIDTH * 3 / 2**30))
        _, reason = read(paths[0], [7, 0])
    assert b"2 frames of 96x160 pixels would take" in reason.numpy()
    _, reason = read_frames_in_graph(paths[0], lambda num_frames: 1 // 0)
    assert reason.numpy().startswith(b"ZeroDivisionError")


def test_same_frames_in_any_order(paths):
    dataset = tf.data.Dataset.from_tensor_slices([paths[0], paths[2], paths[4]] * 8)

    def all_frames(path):
        return read_frames_in_graph(path, np.arange)[0]

    in_turn = list(dataset.map(all_frames).as_numpy_iterator())
    side_by_side = list(dataset.map(all_frames, 8).as_numpy_iterator())
    for one, other in zip(in_turn, side_by_side, strict=True):
        np.testing.assert_array_equal(one, other)

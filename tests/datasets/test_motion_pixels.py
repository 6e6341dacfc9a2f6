"""What the videos show: motion, and nothing else, tells the classes apart."""

import numpy as np
import pytest

from keras_tdn.data import read_frames
from keras_tdn.datasets.motion import (
    MOTION_LABELS,
    MotionConfig,
    make_motion_dataset,
    render_motion,
)
from keras_tdn.datasets.motion.make import encode_mp4

NUM_CLASSES = len(MOTION_LABELS)
NUM_TRAIN, NUM_TEST = 30 * NUM_CLASSES, 20 * NUM_CLASSES
# Of 240 guesses of one class in 12, more than 34 are right with a probability of 0.0013 (binomial).
# The seed is fixed, so that this passes or fails for good.
MOST_RIGHT_BY_CHANCE = 34
# Half as long as they are by default, which halves the time and changes nothing in one frame.
CONFIG = MotionConfig(num_frames=16)
MOMENTS = (0, 5, 8, 15)
MOMENTS_READ = (*MOMENTS, 9)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Some frames as they come out of the files, and labels, of both parts."""
    folder = tmp_path_factory.mktemp("motion")
    parts = make_motion_dataset(folder, NUM_TRAIN, NUM_TEST, seed=5, config=CONFIG)
    return tuple(
        (
            np.stack([read_frames(record.path, lambda _: MOMENTS_READ) for record in records]),
            np.array([record.label for record in records]),
        )
        for records in parts
    )


def features(frames):
    """Of single frames: colours in coarse cells, and how strong details of each scale are."""
    pixels = frames.astype(np.float32) / 255
    count, size = len(pixels), pixels.shape[1]
    cells = pixels.reshape(count, 8, size // 8, 8, size // 8, 3).mean((2, 4)).reshape(count, -1)
    spectrum = np.abs(np.fft.fft2(pixels.mean(-1)))[:, : size // 2]
    rows, columns = np.arange(size // 2), np.abs(np.fft.fftfreq(size) * size)
    rings = np.hypot(rows[:, None], columns[None]).astype(int)
    details = np.stack([np.log(spectrum[:, rings == r].mean(-1)) for r in range(1, 32)], axis=1)
    edges = [np.abs(np.diff(pixels, axis=axis)).mean((1, 2, 3))[:, None] for axis in (1, 2)]
    return np.concatenate([cells, details, *edges], axis=1)


def num_right(train, train_labels, test, test_labels):
    """Right answers of ridge regression, fitted on one part and asked about the other."""
    mean, std = train.mean(0), train.std(0) + 1e-6
    x, y = (train - mean) / std, np.eye(NUM_CLASSES)[train_labels]
    weights = np.linalg.solve(x.T @ x + 30 * np.eye(x.shape[1]), x.T @ (y - y.mean(0)))
    guesses = ((test - mean) / std @ weights).argmax(1)
    return int((guesses == test_labels).sum())


@pytest.mark.parametrize("place", range(len(MOMENTS)))
@pytest.mark.slow
def test_single_frames_do_not_tell_the_class(videos, place):
    (train, train_labels), (test, test_labels) = videos
    right = num_right(
        features(train[:, place]), train_labels, features(test[:, place]), test_labels
    )
    assert right <= MOST_RIGHT_BY_CHANCE


@pytest.mark.slow
def test_two_frames_do(videos):
    """The same classifier, asked about what changes: it can find a label where there is one."""
    (train, train_labels), (test, test_labels) = videos

    def change(frames):
        return features(np.abs(frames[:, -1].astype(int) - frames[:, 2]))

    right = num_right(change(train), train_labels, change(test), test_labels)
    assert right > 1.5 * MOST_RIGHT_BY_CHANCE


def test_file_sizes_do_not_tell_the_class():
    """Frames are stored on their own: what stands still takes as many bytes as what moves."""
    sizes = np.array(
        [
            [len(encode_mp4(render_motion(label, CONFIG, (seed,)), CONFIG)) for seed in range(5)]
            for label in (0, 2, 6, 11)
        ]
    ).mean(axis=1)
    assert sizes.max() / sizes.min() < 1.1

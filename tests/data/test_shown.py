"""Colours, orientation and shape of frames, against what ffmpeg shows; see golden/README.md."""

import json

import goldens
import numpy as np
import pytest
from coded_videos import why_sequential
from synthetic_videos import with_display_matrix

from keras_tdn.data.checking import look_at
from keras_tdn.data.decoding import VideoDecodeError, packet_index, read_frames
from keras_tdn.data.packing.sequence_example import stream_frames
from keras_tdn.web.uploads import UploadLimits, check_upload

SHOWN = json.loads(goldens.path("shown/shown.json").read_text())
# The numbers are equal on x86-64. Elsewhere swscale's assembly rounds otherwise, and so does its
# scaling; a wrong matrix or range is off by 10 and more.
TOLERANCE, SCALED_TOLERANCE = 2, 4
QUADRANTS = goldens.path("shown/quadrants.mp4").read_bytes()


@pytest.fixture(params=["indexed", "sequential"])
def decoder(request, monkeypatch):
    if request.param == "sequential":
        monkeypatch.setattr(packet_index, "_CODECS", {})
    assert bool(why_sequential(QUADRANTS)) == (request.param == "sequential")


def first_frame(video, size=None):
    return read_frames(video, lambda num_frames: [0], size)[0]


def centers(frame, rows, columns):
    down, across = frame.shape[0] // rows, frame.shape[1] // columns
    return frame[down // 2 :: down, across // 2 :: across].reshape(-1, 3).astype(int)


@pytest.mark.parametrize("size", [None, (48, 64), (144, 192)])
@pytest.mark.parametrize("name", SHOWN["colors"])
def test_colors_are_those_of_ffmpeg(name, size):
    frame = first_frame(goldens.path(f"shown/{name}.mp4"), size)
    atol = TOLERANCE if size is None else SCALED_TOLERANCE
    np.testing.assert_allclose(centers(frame, 3, 4), SHOWN["colors"][name], atol=atol)
    # Which are the colours that were painted, rounded on the way.
    np.testing.assert_allclose(SHOWN["colors"][name], SHOWN["painted"], atol=3)


@pytest.mark.parametrize("name", SHOWN["orientations"])
def test_orientation_is_that_of_ffmpeg(name, decoder):
    shown = SHOWN["orientations"][name]
    frame = first_frame(with_display_matrix(QUADRANTS, shown["matrix"]))
    assert list(frame.shape[:2]) == shown["size"]
    np.testing.assert_allclose(centers(frame, 2, 2), shown["colors"], atol=TOLERANCE)


@pytest.mark.parametrize("name", ["left_right", "turned_90"])
def test_resized_frames_are_oriented_alike(name):
    shown = SHOWN["orientations"][name]
    frame = first_frame(with_display_matrix(QUADRANTS, shown["matrix"]), 64)
    assert frame.shape[:2] == tuple(2 * side for side in shown["size"])
    np.testing.assert_allclose(centers(frame, 2, 2), shown["colors"], atol=TOLERANCE)


@pytest.mark.parametrize("ratio", SHOWN["ratios"])
def test_shape_is_that_of_ffmpeg(ratio, decoder):
    video = goldens.path(f"shown/ratio_{ratio.replace(':', '_')}.mp4").read_bytes()
    frame = first_frame(video)
    assert list(frame.shape[:2]) == SHOWN["ratios"][ratio]
    identity = SHOWN["orientations"]["identity"]["colors"]
    np.testing.assert_allclose(centers(frame, 2, 2), identity, atol=TOLERANCE)
    # The short side is that of the shape shown.
    height, width = frame.shape[:2]
    assert min(first_frame(video, 16).shape[:2]) == 16
    resized = first_frame(video, 16).shape
    assert resized[1] / resized[0] == pytest.approx(width / height, rel=0.05)


def test_everything_that_reads_files_shows_them_alike(tmp_path):
    """Turned and of pixels twice as wide as high."""
    wide = goldens.path("shown/ratio_2_1.mp4").read_bytes()
    path = tmp_path / "video.mp4"
    path.write_bytes(with_display_matrix(wide, (0, 1, -1, 0)))
    frame = first_frame(path)
    assert frame.shape == (128, 32, 3)
    colors = SHOWN["orientations"]["turned_90"]["colors"]
    np.testing.assert_allclose(centers(frame, 2, 2), colors, atol=TOLERANCE)
    looked = look_at(str(path), full=False)
    assert (looked["height"], looked["width"]) == frame.shape[:2]
    np.testing.assert_array_equal(next(stream_frames(str(path), 256)), frame)
    check_upload(str(path), UploadLimits(), min_frames=2)


@pytest.mark.parametrize("degrees", [1, 45, 91, -30])
def test_what_is_turned_by_less_than_a_quarter_is_refused(degrees, tmp_path, decoder):
    turn = np.radians(degrees)
    matrix = np.cos(turn), np.sin(turn), -np.sin(turn), np.cos(turn)
    path = tmp_path / "video.mp4"
    path.write_bytes(with_display_matrix(QUADRANTS, matrix))
    message = rf"video.mp4': it is to be shown turned by {degrees % 360} degrees, and only quarter"
    with pytest.raises(VideoDecodeError, match=message):
        first_frame(path)
    with pytest.raises(VideoDecodeError, match="Cannot read the file: it is to be shown turned"):
        check_upload(str(path), UploadLimits(), min_frames=2)


def test_pixels_may_not_be_wide_without_bound(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_TDN_MAX_CLIP_GIB", str(32 * 127 * 3 / 2**30))
    path = goldens.path("shown/ratio_2_1.mp4")
    for read in (first_frame, lambda path: next(stream_frames(str(path), 256))):
        with pytest.raises(VideoDecodeError, match=r"of 32x128 pixels would take .*_CLIP_GIB=1\."):
            read(path)

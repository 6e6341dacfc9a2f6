import io
import os
import re
import subprocess
import sys

import av
import numpy as np
import pytest
from synthetic_videos import (
    HEIGHT,
    WIDTH,
    encode_audio,
    encode_video,
    is_upright,
    numbered_frame,
    read_numbers,
)

from keras_tdn.data.decoding import VideoDecodeError, pyav_decoder, read_frames

B_FRAMES = {"bf": "3", "g": "50", "b_strategy": "0", "x264-params": "b-adapt=0:bframes=3"}

KINDS = {
    "mp4_h264": {},
    "mp4_h264_b_frames": {"options": B_FRAMES},
    "mp4_hevc": {"codec": "libx265", "options": {"x265-params": "log-level=none"}},
    "mkv_h264_b_frames": {"container": "matroska", "options": B_FRAMES},
    "webm_vp9": {"container": "webm", "codec": "libvpx-vp9"},
    "webm_vp8": {"container": "webm", "codec": "libvpx"},
    "avi_h264_b_frames": {"container": "avi", "options": B_FRAMES},
    "avi_mpeg4_b_frames": {"container": "avi", "codec": "mpeg4", "options": {"bf": "2"}},
    "avi_mjpeg": {"container": "avi", "codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "gif": {"container": "gif", "codec": "gif", "pix_fmt": "rgb8"},
    "animated_png": {"container": "apng", "codec": "apng", "pix_fmt": "rgb24"},
    "animated_avif": {"container": "avif", "codec": "libsvtav1", "options": {"preset": "12"}},
    "mpegts": {"container": "mpegts", "options": B_FRAMES},
    "raw_h264": {"container": "h264", "options": B_FRAMES},
    "ten_bit": {"container": "matroska", "codec": "ffv1", "pix_fmt": "yuv420p10le"},
    "alpha": {"container": "matroska", "codec": "ffv1", "pix_fmt": "bgra"},
}


def every(num_frames):
    return range(num_frames)


@pytest.mark.parametrize("kind", KINDS)
def test_frames_are_exact(kind):
    video = encode_video(40, **KINDS[kind])
    counts = []

    def choose(num_frames):
        counts.append(num_frames)
        return [[39, 0, 17], [18, 17, 5]]

    frames = read_frames(video, choose)
    assert counts == [40]
    assert frames.shape == (6, HEIGHT, WIDTH, 3)
    assert frames.dtype == np.uint8
    assert read_numbers(frames) == [39, 0, 17, 18, 17, 5]
    assert all(is_upright(frame) for frame in frames)


def test_order_shown_is_not_the_order_of_wrong_timestamps():
    video = encode_video(40, container="matroska", options=B_FRAMES, wrong_timestamps=True)
    with av.open(io.BytesIO(video)) as container:
        times = [frame.pts for frame in container.decode(video=0)]
    assert times != sorted(times)
    assert read_numbers(read_frames(video, every)) == list(range(40))


@pytest.mark.parametrize("kind", ["mp4_h264_b_frames", "webm_vp9"])
def test_second_pass_gives_the_same_frames(kind, monkeypatch, tmp_path):
    monkeypatch.setattr(pyav_decoder, "KEPT_FRAMES_BYTES", 0)
    monkeypatch.setattr(pyav_decoder, "KEPT_PACKETS_BYTES", 0)
    video = encode_video(30, **KINDS[kind])
    path = tmp_path / "video"
    path.write_bytes(video)
    for source in (video, path, io.BytesIO(video)):
        assert read_numbers(read_frames(source, every)) == list(range(30))


def test_sources(tmp_path):
    video = encode_video(6)
    path = tmp_path / "a:b %d ünï.mp4"
    path.write_bytes(video)

    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    read_before = io.BytesIO(video)
    read_before.read(100)
    sources = [path, str(path), video, bytearray(video), memoryview(video)]
    for source in [*sources, io.BytesIO(video), read_before, Pipe(video)]:
        assert read_numbers(read_frames(source, every)) == list(range(6))
    with path.open("rb") as file:
        assert read_numbers(read_frames(file, every)) == list(range(6))
        assert not file.closed


# `rotation` undoes `turns`: both are counter-clockwise, in degrees and in quarters.
@pytest.mark.parametrize(("rotation", "turns"), [(-90, 1), (180, 2), (90, 3)])
def test_rotation_tag_is_honoured(rotation, turns):
    video = encode_video(5, rotation=rotation, turns=turns)
    frames = read_frames(video, every)
    assert frames.shape == (5, HEIGHT, WIDTH, 3)
    assert read_numbers(frames) == list(range(5))
    assert all(is_upright(frame) for frame in frames)


def test_cover_picture_is_not_the_video():
    video = encode_video(5, cover=True)
    with av.open(io.BytesIO(video)) as container:
        assert len(container.streams.video) == 2
    assert read_numbers(read_frames(video, every)) == list(range(5))


def test_size_of_the_first_frame_holds():
    small = encode_video(4, container="h264")
    large = encode_video(4, container="h264", size=(2 * HEIGHT, 2 * WIDTH), first=4)
    frames = read_frames(small + large, every)
    assert frames.shape == (8, HEIGHT, WIDTH, 3)
    assert read_numbers(frames) == list(range(8))
    # Also where the first frame itself is not wanted.
    frames = read_frames(large + small, lambda num_frames: [num_frames - 1])
    assert frames.shape == (1, 2 * HEIGHT, 2 * WIDTH, 3)
    assert read_numbers(frames) == [3]


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (97, 161)])
def test_odd_sizes(size):
    video = encode_video(
        3, container="matroska", codec="ffv1", pix_fmt="bgr0", size=size, first=255
    )
    frames = read_frames(video, every)
    np.testing.assert_array_equal(frames[0], numbered_frame(255, *size))


def test_metadata_that_is_not_utf8():
    video = encode_video(3, container="avi", metadata={"title": "XXXX"})
    assert video.count(b"XXXX") == 1
    assert read_numbers(read_frames(video.replace(b"XXXX", b"\xff\xfe\xe9\x80"), every)) == [
        0,
        1,
        2,
    ]


@pytest.mark.parametrize("kind", ["mkv_h264_b_frames", "avi_mpeg4_b_frames", "mpegts"])
def test_truncated_video_gives_what_decodes(kind):
    video = encode_video(60, **KINDS[kind])
    frames = read_frames(video[: len(video) * 2 // 3], every)
    numbers = read_numbers(frames)
    assert 10 < len(numbers) < 60
    # Around the cut, B-frames may be missing and the last frame may be half there.
    assert numbers[:-4] == list(range(len(numbers) - 4))


def wipe_pictures(video, numbers):
    """Zeroes whole pictures of a motion JPEG AVI, which has an 8-byte header before each."""
    starts = [match.start() for match in re.finditer(rb"00dc....\xff\xd8\xff", video, re.DOTALL)]
    damaged = bytearray(video)
    for number in numbers:
        start = starts[number] + 8
        size = int.from_bytes(video[start - 4 : start], "little")
        damaged[start : start + size] = bytes(size)
    return bytes(damaged)


def motion_jpeg(num_frames):
    return encode_video(num_frames, container="avi", codec="mjpeg", pix_fmt="yuvj420p")


def test_damaged_frame_does_not_end_the_video():
    numbers = read_numbers(read_frames(wipe_pictures(motion_jpeg(30), [9, 20]), every))
    assert numbers == [number for number in range(30) if number not in (9, 20)]


def test_a_still_picture_is_a_video_of_one_frame():
    still = encode_video(1, container="avif", codec="libsvtav1", options={"preset": "12"}, first=5)
    assert read_numbers(read_frames(still, every)) == [5]


def test_cover_picture_alone_is_no_video():
    video = encode_video(0, cover=True)
    with pytest.raises(VideoDecodeError, match="no video that PyAV can decode, only a cover pict"):
        read_frames(video, every)


def source_in(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.mp4", lambda: b"", "empty.mp4': the file is empty"),
        ("noise.mp4", lambda: np.random.default_rng(0).bytes(9999), "noise.mp4': it"),
        ("text.mp4", lambda: b"1 Walk\n" * 500, "text.mp4': it is not a video"),
        (
            "text.txt",
            lambda: b"1 Walk\n" * 500,
            "text.txt': it is not a video of a format that is read here",
        ),
        ("ansi.ans", lambda: b"\x1b[31mred\x1b[0m\n" * 500, "ansi.ans': it"),
        ("list.m3u8", lambda: b"#EXTM3U\n#EXTINF:9,\nhttp://0.0.0.0/a.ts\n", "list.m3u8': it"),
        ("sound.wav", encode_audio, "no video that PyAV can decode, only audio"),
        ("cut.mp4", lambda: encode_video(20)[:-2000], "cut short before its index"),
        (
            "hollow.avi",
            lambda: wipe_pictures(motion_jpeg(2), [0, 1]),
            "hollow.avi': not one of its frames decodes",
        ),
    ],
)
def test_error_is_one_clear_line(name, content, message, tmp_path, capfd):
    path = source_in(tmp_path, name, content())
    with pytest.raises(VideoDecodeError, match=message) as caught:
        read_frames(path, every)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_error_missing_file(tmp_path):
    with pytest.raises(VideoDecodeError, match=r"nowhere.mp4': there is no such file"):
        read_frames(tmp_path / "nowhere.mp4", every)


def test_error_directory(tmp_path):
    with pytest.raises(VideoDecodeError, match="it is a directory"):
        read_frames(tmp_path, every)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a file one may not read")
def test_error_permission(tmp_path):
    path = source_in(tmp_path, "secret.mp4", b"1")
    path.chmod(0)
    with pytest.raises(VideoDecodeError, match="no permission"):
        read_frames(path, every)


def test_error_bytes():
    with pytest.raises(VideoDecodeError, match="0 bytes long"):
        read_frames(b"", every)
    with pytest.raises(VideoDecodeError, match="the video of 7 bytes: it is not a video"):
        read_frames(b"nothing", every)


def test_error_source_type():
    with pytest.raises(ValueError, match=r"path of a file, its content as bytes.*Received: int"):
        read_frames(7, every)


@pytest.mark.parametrize("indices", [[], [0.5], ["a"], None])
def test_error_no_indices(indices):
    with pytest.raises(ValueError, match="must return at least one integer"):
        read_frames(encode_video(3), lambda num_frames: indices)


@pytest.mark.parametrize("indices", [[3], [-1]])
def test_error_index_out_of_range(indices):
    with pytest.raises(ValueError, match="from 0 to 2 for a video of 3 frames"):
        read_frames(encode_video(3), lambda num_frames: indices)


def test_decoder_is_loaded_only_when_needed():
    code = (
        "import sys, keras_tdn, keras_tdn.prediction, keras_tdn.data.decoding;"
        "sys.exit('av' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)

"""What is opened, and what is refused before anything is."""

import contextlib
import io
import os
import re
import socket
import threading
from pathlib import Path

import pytest
from synthetic_videos import encode_audio, encode_video

import keras_tdn
from keras_tdn.data.checking import look_at
from keras_tdn.data.decoding import VideoDecodeError, read_frames
from keras_tdn.data.jpeg_frames import scan_frame_folder
from keras_tdn.web.uploads import UploadLimits, check_upload

LIVE = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\n{target}\n"
# Each names another file, which FFmpeg by itself plays, or waits for.
NAMING_FILES = {
    "live.m3u8": LIVE,
    "whole.m3u8": LIVE + "#EXT-X-ENDLIST\n",
    "list.ffconcat": "ffconcat version 1.0\nfile {target}\n",
    "list.mp4": "ffconcat version 1.0\nfile {target}\n",
    "session.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=a\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "manifest.mpd": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" '
    'type="dynamic" profiles="urn:mpeg:dash:profile:isoff-live:2011"><Period>'
    '<BaseURL>{target}</BaseURL></Period></MPD>\n',
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """`secret.ts`, and files that name it."""
    folder = tmp_path_factory.mktemp("opening")
    target = folder / "secret.ts"
    target.write_bytes(encode_video(5, container="mpegts"))
    for name, text in NAMING_FILES.items():
        (folder / name).write_text(text.format(target=target))
    return folder


def read_first(source):
    return read_frames(source, lambda num_frames: [0])


def watch_first(source):
    from keras_tdn.watching.opening import StreamOptions, find_source, open_stream

    how = StreamOptions()
    with open_stream(find_source(source, how), how) as (container, stream):
        return next(container.decode(stream))


READERS = {
    "file": lambda path: read_first(path),
    "bytes": lambda path: read_first(Path(path).read_bytes()),
    "upload": lambda path: check_upload(str(path), UploadLimits(), min_frames=5),
    "watch": lambda path: watch_first(path),
    "watch object": lambda path: watch_first(io.BytesIO(Path(path).read_bytes())),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", NAMING_FILES)
def test_files_that_name_files_are_not_opened(name, reader, folder):
    with ends_within(10), pytest.raises(VideoDecodeError, match="it is not a video"):
        READERS[reader](folder / name)


@contextlib.contextmanager
def ends_within(seconds):
    """FFmpeg cannot be interrupted: what hangs ends the tests, saying where."""
    import faulthandler

    faulthandler.dump_traceback_later(seconds, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def test_the_message_says_what_to_pass(folder):
    with pytest.raises(VideoDecodeError, match=r"files that name files are not read: pass the vid"):
        read_first(folder / "list.ffconcat")


def test_a_name_is_no_pattern_of_names(tmp_path):
    """FFmpeg takes `picture%d.jpg` for all of `picture1.jpg`, `picture2.jpg` and so on."""
    picture = encode_video(1, container="mjpeg", codec="mjpeg", pix_fmt="yuvj420p")
    for name in ("picture1.jpg", "picture2.jpg", "picture%d.jpg"):
        (tmp_path / name).write_bytes(picture)
    assert len(read_first(tmp_path / "picture1.jpg")) == 1
    with pytest.raises(VideoDecodeError, match=r"picture%d.jpg': it is not a video"):
        read_first(tmp_path / "picture%d.jpg")


@pytest.fixture(params=["pipe", "socket", "device"])
def endless(request, tmp_path, monkeypatch):
    """A video's name for what is none."""
    path = tmp_path / "x.mp4"
    if request.param == "pipe":
        os.mkfifo(path)
        yield path, "a pipe"
    elif request.param == "socket":
        with socket.socket(socket.AF_UNIX) as listening:
            # Names of sockets are short.
            monkeypatch.chdir(tmp_path)
            listening.bind("x.mp4")
            yield path, "a socket"
    else:
        path.symlink_to("/dev/zero")
        yield path, "a device"


def test_what_may_never_end_is_one_bad_record(endless):
    path, kind = endless
    message = rf"x.mp4': it is {kind}, which may never end. Pass the path of a video file"
    with ends_within(10):
        with pytest.raises(VideoDecodeError, match=message):
            read_first(path)
        assert re.search(message, look_at(str(path), full=True)["reason"])
        with pytest.raises(VideoDecodeError, match=r"That is not a file\. Drop a video"):
            check_upload(str(path), UploadLimits(), min_frames=5)


def test_frames_of_a_folder_are_files(tmp_path):
    (tmp_path / "img_1.jpg").write_bytes(b"")
    os.mkfifo(tmp_path / "img_2.jpg")
    with pytest.raises(ValueError, match=r"'img_2.jpg' in the frame folder .* is not a file"):
        scan_frame_folder(str(tmp_path))


def test_a_pipe_is_watched_where_it_is_asked_for(tmp_path):
    pipe = tmp_path / "x.mp4"
    os.mkfifo(pipe)
    content = encode_video(5, container="mpegts")
    thread = threading.Thread(target=pipe.write_bytes, args=(content,))
    thread.start()
    assert watch_first(pipe).width == 160
    thread.join()


def test_standard_input_is_watched_where_it_is_asked_for():
    reading, writing = os.pipe()
    before = os.dup(0)
    os.dup2(reading, 0)
    try:
        # Small enough for a pipe to hold.
        os.write(writing, encode_video(5, container="mpegts"))
        os.close(writing)
        assert watch_first("-").width == 160
    finally:
        os.dup2(before, 0)
        for descriptor in (before, reading):
            os.close(descriptor)


def test_sound_and_pictures_are_told_apart():
    with pytest.raises(VideoDecodeError, match="no video that PyAV can decode, only audio"):
        read_first(encode_audio())


def test_one_place_opens_containers():
    package = Path(keras_tdn.__file__).parent
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        for call in re.findall(r"\bav\.open\(\s*[^\n]*", path.read_text())
        # Encoders write.
        if '"w"' not in call
    }
    assert found == {"data/decoding/pyav_container.py"}

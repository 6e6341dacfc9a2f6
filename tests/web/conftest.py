"""A small model, and uploads good and bad."""

import signal

import pytest
from running_page import Server
from synthetic_videos import encode_audio, encode_video
from watched import LABELS, small_model

# Without an end, so that whoever opens it waits for more.
LIVE_PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\na.ts\n"
BAD = {
    # Name: content and what the page says.
    "empty.mp4": (lambda: b"", "The file is empty."),
    "rubbish.mp4": (lambda: bytes(range(256)) * 20, "Cannot read the file: it is not a video"),
    "text.mp4": (lambda: b"some words\n" * 90, "it is not a video"),
    "cut.mp4": (lambda: encode_video(40)[:1500], "one cut short before its index"),
    "sound.wav": (encode_audio, "The file has sound alone."),
    "sound.mp4": (lambda: encode_audio("mp4", "aac"), "it has no video that PyAV can decode"),
    "short.mp4": (lambda: encode_video(3), "it has 3 frames, and the model looks at 5"),
    "picture.png": (lambda: encode_video(1, container="image2pipe", codec="png",
                                         pix_fmt="rgb24"), "The file is a picture"),
    "playlist.mp4": (lambda: LIVE_PLAYLIST, "Cannot read the file: it is not a video"),
    "playlist.m3u8": (lambda: LIVE_PLAYLIST,
                      "Playlists and other files that name files are not read"),
    "pieces.mp4": (lambda: b"ffconcat version 1.0\nfile video.mp4\n",
                   "Playlists and other files that name files are not read"),
    "wide.mp4": (lambda: encode_video(6, size=(2306, 4098), options={"preset": "ultrafast"}),
                 "4098 x 2306 pixels; this page takes up to 4096 x 2304"),
}  # fmt: skip


@pytest.fixture(scope="session")
def model():
    return small_model(labels=(LABELS[0], "get <on>", LABELS[2]))


@pytest.fixture(scope="session")
def uploads(tmp_path_factory):
    """The folder they are in, `video.mp4` of four seconds among them."""
    folder = tmp_path_factory.mktemp("uploads")
    (folder / "video.mp4").write_bytes(encode_video(100))
    for name, (content, _) in BAD.items():
        (folder / name).write_bytes(content())
    return folder


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One that all tests ask; the browser's are the last, and end it."""
    server = Server(tmp_path_factory.mktemp("web"))
    yield server
    if server.process.poll() is None:
        server.stop(signal.SIGKILL)
    server.errors.close()

import pytest
from synthetic_videos import encode_video

from keras_tdn.data.decoding.interface import VideoDecodeError
from keras_tdn.web import UploadLimits, check_upload
from keras_tdn.web.uploads import MEGABYTE

from .conftest import BAD


@pytest.mark.parametrize("name", BAD)
def test_what_is_said_of_bad_files(uploads, name):
    with pytest.raises(VideoDecodeError) as caught:
        check_upload(str(uploads / name), UploadLimits(), min_frames=5)
    message = str(caught.value)
    assert BAD[name][1] in message
    # Where uploads lie is nobody's business.
    assert str(uploads) not in message


def test_a_playlist_does_not_show_the_files_it_names(uploads):
    """`pieces.mp4` names a good video beside it, which libav alone would play."""
    import av

    with av.open(str(uploads / "pieces.mp4"), format="concat") as container:
        assert sum(1 for _ in container.decode(video=0)) == 100
    with pytest.raises(VideoDecodeError, match="Playlists and other files that name files"):
        check_upload(str(uploads / "pieces.mp4"), UploadLimits(), min_frames=5)


@pytest.mark.parametrize(
    ("container", "codec", "pix_fmt"),
    [
        ("mp4", "libx264", "yuv420p"),
        ("matroska", "libx264", "yuv420p"),
        ("webm", "libvpx-vp9", "yuv420p"),
        ("avi", "mpeg4", "yuv420p"),
        ("mov", "mpeg4", "yuv420p"),
        ("mpegts", "libx264", "yuv420p"),
        ("gif", "gif", "rgb8"),
    ],
)
def test_containers_that_are_taken(tmp_path, container, codec, pix_fmt):
    (tmp_path / "file").write_bytes(
        encode_video(8, container=container, codec=codec, pix_fmt=pix_fmt)
    )
    check_upload(str(tmp_path / "file"), UploadLimits(), min_frames=5)


def test_size_and_absence(tmp_path):
    path = tmp_path / "large.mp4"
    with path.open("wb") as file:
        file.truncate(3 * MEGABYTE + 1)
    with pytest.raises(VideoDecodeError, match="has 4 MB; this page takes up to 3"):
        check_upload(str(path), UploadLimits(megabytes=3), min_frames=5)
    with pytest.raises(VideoDecodeError, match="not here any more"):
        check_upload(str(tmp_path / "none.mp4"), UploadLimits(), min_frames=5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"megabytes": 0}, "`megabytes` is a positive integer"),
        ({"megabytes": 1.5}, "`megabytes` is a positive integer"),
        ({"seconds": 0}, "`seconds` is a positive number"),
        ({"seconds": float("nan")}, "`seconds` is a positive number"),
    ],
)
def test_limits_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        UploadLimits(**arguments)

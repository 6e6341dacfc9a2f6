"""Small videos of every kind, and a model that takes no time."""

import pytest
from evaluation_toys import NAMES, VIDEOS, toy
from synthetic_videos import encode_video

from keras_tdn.data.records import load_records


@pytest.fixture(scope="session")
def video_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation")
    for number, (num_frames, size) in enumerate(VIDEOS):
        content = encode_video(num_frames, size=size, first=37 * number % 128)
        (folder / f"ü {number}.mp4").write_bytes(content)
    (folder / "bad.mp4").write_bytes(b"no video" * 100)
    (folder / "empty.mp4").write_bytes(b"")
    return folder


@pytest.fixture(scope="session")
def videos(video_folder):
    """Videos that can all be read."""
    return load_records(
        [(str(video_folder / f"ü {number}.mp4"), number % 3) for number in range(len(VIDEOS))],
        labels=NAMES,
    )


@pytest.fixture(scope="session")
def some_bad(video_folder):
    """The same with two between them that cannot."""
    numbers = [0, "bad", 1, 2, "empty", 3, 4, 5]
    paths = [
        f"ü {number}.mp4" if isinstance(number, int) else f"{number}.mp4" for number in numbers
    ]
    return load_records(
        [(str(video_folder / path), place % 3) for place, path in enumerate(paths)], labels=NAMES
    )


@pytest.fixture(scope="session")
def model():
    return toy()

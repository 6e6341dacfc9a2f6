import io

import av
import numpy as np
import pytest
import tensorflow as tf
from synthetic_videos import HEIGHT, WIDTH, numbered_frame, read_numbers

from keras_tdn.data.jpeg_frames import (
    decode_frame_files,
    decode_jpeg,
    frame_paths,
    scan_frame_folder,
)

NAMINGS = {
    "img_{:05d}.jpg": [f"img_{number:05d}.jpg" for number in range(1, 13)],
    "{:06d}.jpg": [f"{number:06d}.jpg" for number in range(1, 13)],
    "zero-based": [f"clip 2_frame{number:02d}.JPG" for number in range(12)],
    "unpadded": [f"frame{number}.jpeg" for number in range(95, 107)],
    "past the padding": [f"{number:02d}.jpg" for number in range(95, 107)],
}
IRREGULAR = {
    "words": sorted(f"{name}.jpg" for name in ["alpha", "bravo", "charlie", "delta", "echo"]),
    "gaps": [f"img_{number:05d}.jpg" for number in (1, 2, 4, 8)],
    "two videos": ["a_001.jpg", "a_002.jpg", "b_001.jpg"],
    "numbers of any length": ["f8.jpg", "f9.jpg", "f0010.jpg"],
}


def encode_jpeg(pixels):
    return tf.io.encode_jpeg(pixels, quality=95).numpy()


def folder_of(tmp_path, names):
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(encode_jpeg(numbered_frame(number)))
    (tmp_path / "labels.txt").write_text("not a frame")
    (tmp_path / ".hidden.jpg").write_text("nor this")
    scan_frame_folder.cache_clear()
    return scan_frame_folder(str(tmp_path))


@pytest.mark.parametrize("naming", NAMINGS)
def test_names_that_count(naming, tmp_path):
    names = NAMINGS[naming]
    folder = folder_of(tmp_path, names)
    assert folder.num_frames == 12
    assert folder.names == ()
    assert folder.paths == [str(tmp_path / name) for name in names]

    @tf.function
    def read(directory, indices, pattern):
        return decode_frame_files(frame_paths(directory, indices, *pattern))

    pattern = folder.pattern
    fields = (pattern.prefix, pattern.digits, pattern.suffix, pattern.first)
    indices = [[11, 0], [5, 5], [6, 11]]
    frames = read(folder.directory, tf.constant(indices), tuple(map(tf.constant, fields)))
    assert frames.shape == (6, HEIGHT, WIDTH, 3)
    assert read_numbers(frames.numpy()) == [11, 0, 5, 5, 6, 11]


@pytest.mark.parametrize("naming", IRREGULAR)
def test_names_that_do_not_count(naming, tmp_path):
    names = IRREGULAR[naming]
    folder = folder_of(tmp_path, names)
    assert folder.pattern is None
    assert folder.names == tuple(names)
    frames = decode_frame_files(folder.paths)
    assert read_numbers(frames.numpy()) == list(range(len(names)))


def test_folder_is_listed_once(tmp_path):
    folder = folder_of(tmp_path, ["1.jpg"])
    (tmp_path / "2.jpg").write_bytes(b"")
    assert scan_frame_folder(str(tmp_path)) is folder


def test_pixels_are_those_of_other_decoders(tmp_path):
    rng = np.random.default_rng(0)
    coarse = tf.image.resize(rng.uniform(0, 255, (9, 12, 3)), (90, 120), method="bicubic")
    pixels = np.clip(coarse, 0, 255).astype(np.uint8)
    content = encode_jpeg(pixels)
    (tmp_path / "1.jpg").write_bytes(content)
    decoded = decode_frame_files([str(tmp_path / "1.jpg")]).numpy()[0]
    with av.open(io.BytesIO(content)) as container:
        (frame,) = container.decode(video=0)
    luma = np.frombuffer(frame.planes[0], np.uint8).reshape(90, -1)[:, :120].astype(float)
    # The brightness is coded as such; red, green and blue are rounded on the way from it.
    assert np.abs(decoded @ [0.299, 0.587, 0.114] - luma).mean() < 0.5
    window = decode_jpeg(content, crop=[17, 23, 40, 50])
    # Near the window's border colours are interpolated from what is inside it only.
    np.testing.assert_array_equal(window[2:-2, 2:-2], decoded[19:55, 25:71])


def test_frames_in_tf_data(tmp_path):
    folder = folder_of(tmp_path, NAMINGS["img_{:05d}.jpg"])
    pattern = folder.pattern

    def read(indices):
        paths = frame_paths(
            folder.directory, indices, pattern.prefix, pattern.digits, pattern.suffix, pattern.first
        )
        return decode_frame_files(paths, crop=[0, 0, 60, WIDTH])

    dataset = tf.data.Dataset.from_tensor_slices([[0, 3], [11, 11]]).map(read, 2)
    assert dataset.element_spec.shape.as_list() == [2, 60, WIDTH, 3]
    for frames, numbers in zip(dataset, ([0, 3], [11, 11]), strict=True):
        assert frames.shape == (2, 60, WIDTH, 3)
        whole = np.pad(frames.numpy(), [(0, 0), (0, HEIGHT - 60), (0, 0), (0, 0)])
        assert read_numbers(whole) == numbers


def test_bad_frames_are_errors_that_a_dataset_can_skip(tmp_path):
    (tmp_path / "1.jpg").write_bytes(b"no picture")
    paths = [[str(tmp_path / "1.jpg")], [str(tmp_path / "2.jpg")]]
    for path in paths:
        with pytest.raises(tf.errors.OpError):
            decode_frame_files(path)
    dataset = tf.data.Dataset.from_tensor_slices(paths).map(decode_frame_files)
    assert list(dataset.ignore_errors()) == []


def test_error_no_folder(tmp_path):
    with pytest.raises(ValueError, match=r"Cannot list the frame folder '.*nowhere': No such file"):
        scan_frame_folder(str(tmp_path / "nowhere"))


def test_error_no_frames(tmp_path):
    (tmp_path / "frame.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"has no JPEG files \(.jpg, .jpeg\) among its 1 entries"):
        scan_frame_folder(str(tmp_path))

"""JPEG pictures to frames, in the TensorFlow graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorflow as tf


def decode_frame_files(paths: Any, crop: Any = None) -> tf.Tensor:
    """Decodes JPEG files inside a TensorFlow graph.

    Use it in `Dataset.map` with the paths of the frames that a clip needs, from
    `frame_folders.frame_paths` or by gathering names. A file named several times is decoded once.

    Args:
        paths: String tensor of shape `(num_frames,)`: files of one size.
        crop: Window `(top, left, height, width)` in pixels, int32, decoded instead of the whole
            frame, which takes less time; `None` decodes all of it.

    Returns:
        Pixels in [0, 255], red green blue, uint8, of shape `(num_frames, height, width, 3)`.

    Raises:
        tf.errors.OpError: if a file is missing or not a JPEG file; `Dataset.ignore_errors` skips
            such elements.

    Example:

    >>> paths = scan_frame_folder("frames/video_1").paths
    >>> decode_frame_files(paths[:5]).shape
    TensorShape([5, 240, 320, 3])
    """
    import tensorflow as tf

    paths = tf.convert_to_tensor(paths, tf.string)
    distinct, positions = tf.unique(paths)

    def decode(path: tf.Tensor) -> tf.Tensor:
        return decode_jpeg(tf.io.read_file(path), crop)

    frames = tf.map_fn(
        decode, distinct, fn_output_signature=tf.TensorSpec([None, None, 3], "uint8")
    )
    pixels = tf.gather(frames, positions)
    pixels.set_shape([paths.shape[0], None, None, 3])
    return pixels


def decode_jpeg(content: tf.Tensor, crop: Any = None) -> tf.Tensor:
    """Decodes one JPEG picture, or a window of it, as every other part of this package does.

    Use it on the content of a frame's file, or on a packed frame.

    Args:
        content: Scalar string tensor, the content of a JPEG file.
        crop: Window `(top, left, height, width)` in pixels, int32; `None` decodes all.

    Returns:
        Pixels in [0, 255], red green blue, uint8, of shape `(height, width, 3)`.

    Example:

    >>> decode_jpeg(tf.io.read_file("frames/video_1/img_00001.jpg")).shape
    TensorShape([240, 320, 3])
    """
    import tensorflow as tf

    # The default depends on the build; this is what image libraries decode with.
    accuracy = "INTEGER_ACCURATE"
    if crop is None:
        return tf.io.decode_jpeg(content, channels=3, dct_method=accuracy)
    return tf.io.decode_and_crop_jpeg(content, crop, channels=3, dct_method=accuracy)

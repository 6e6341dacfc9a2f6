"""JPEG frames: which ones a folder holds, and their pixels."""

from __future__ import annotations

import dataclasses
import functools
import os
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorflow as tf

JPEG_SUFFIXES = (".jpg", ".jpeg")
# A name without its suffix: anything, then the number that ends it.
NUMBERED = re.compile(r"(.*?)(\d+)", re.DOTALL)
# Of the number in a pattern, which is 64 bits wide in a graph.
MAX_DIGITS = 18


@dataclasses.dataclass(frozen=True)
class FramePattern:
    """Numbered names: `FramePattern("img_", 5, ".jpg", 1)` is `img_00001.jpg` and so on."""

    prefix: str
    digits: int
    suffix: str
    first: int

    def name(self, index: int) -> str:
        """Returns the file name of the frame with that zero-based index."""
        return f"{self.prefix}{self.first + index:0{self.digits}d}{self.suffix}"


@dataclasses.dataclass(frozen=True)
class FrameFolder:
    """The frames of a folder, from `scan_frame_folder`, in the order shown.

    Of names that count only the `pattern` is kept, as there may be millions; else all `names` are.
    """

    directory: str
    num_frames: int
    pattern: FramePattern | None
    names: tuple[str, ...] = ()

    @property
    def paths(self) -> list[str]:
        names: Iterable[str] = self.names
        if self.pattern:
            names = map(self.pattern.name, range(self.num_frames))
        return [os.path.join(self.directory, name) for name in names]


@functools.cache
def scan_frame_folder(directory: str) -> FrameFolder:
    """Lists a folder of JPEG frames, once: asked again, it answers from memory.

    Frames are in the order of the numbers that end their names, or of the names themselves if some
    end in no number or they begin differently. Other files are left alone. A `ValueError` says that
    the folder is missing, or has no JPEG files.
    """
    try:
        entries = list(os.scandir(directory))
    except OSError as error:
        raise ValueError(
            f"Cannot list the frame folder {directory!r}: {error.strerror}. Check the path."
        ) from error
    names = []
    for entry in entries:
        if entry.name.lower().endswith(JPEG_SUFFIXES) and not entry.name.startswith("."):
            if not entry.is_file():
                # Reading a pipe would wait for ever.
                raise ValueError(
                    f"{entry.name!r} in the frame folder {directory!r} is not a file. Remove it "
                    "from there."
                )
            names.append(entry.name)
    if not names:
        raise ValueError(
            f"The folder {directory!r} has no JPEG files ({', '.join(JPEG_SUFFIXES)}) among its "
            f"{len(entries)} entries. Pass the folder that holds the frames of one video."
        )
    names.sort(key=_order(names))
    pattern = _pattern(names)
    return FrameFolder(directory, len(names), pattern, () if pattern else tuple(names))


def _order(names: list[str]) -> Callable[[str], Any]:
    """Sorts by number where the names are a prefix and a number: frame 10 follows frame 9."""
    matches = [NUMBERED.fullmatch(os.path.splitext(name)[0]) for name in names]
    if len({match and match[1] for match in matches}) == 1 and matches[0]:
        numbers = {name: int(match[2]) for name, match in zip(names, matches, strict=True) if match}
        return lambda name: (numbers[name], name)
    return lambda name: name


def _pattern(names: list[str]) -> FramePattern | None:
    """What the sorted names have in common, if it gives all of them."""
    stem, suffix = os.path.splitext(names[0])
    match = NUMBERED.fullmatch(stem)
    if not match or len(match[2]) > MAX_DIGITS:
        return None
    pattern = FramePattern(match[1], len(match[2]), suffix, int(match[2]))
    return pattern if names == list(map(pattern.name, range(len(names)))) else None


# === In a TensorFlow graph ===


def frame_paths(
    directory: Any, indices: Any, prefix: Any, digits: Any, suffix: Any, first: Any
) -> tf.Tensor:
    """Returns the paths of frames by zero-based indices and the fields of a `FramePattern`."""
    import tensorflow as tf

    indices = tf.reshape(tf.cast(indices, tf.int64), [-1])
    numbers = tf.strings.as_string(indices + tf.cast(first, tf.int64))
    missing = tf.maximum(tf.cast(digits, tf.int32) - tf.strings.length(numbers), 0)
    zeros = tf.strings.substr(tf.fill(tf.shape(numbers), "0" * 32), tf.zeros_like(missing), missing)
    return tf.strings.join([directory, os.sep, prefix, zeros, numbers, suffix])


def decode_frame_files(paths: Any, crop: Any = None) -> tf.Tensor:
    """Decodes JPEG files of one size; one that is named several times is decoded once.

    `crop` is a window `(top, left, height, width)` in pixels, int32, decoded instead of the whole
    frames, which takes less time. Returns RGB pixels, uint8 `(num_frames, height, width, 3)`.
    A file that is missing, or not JPEG, is a `tf.errors.OpError`.
    """
    import tensorflow as tf

    return decode_distinct(tf.convert_to_tensor(paths, tf.string), tf.io.read_file, crop)


def decode_distinct(
    keys: tf.Tensor, content_of: Callable[[tf.Tensor], tf.Tensor], crop: Any
) -> tf.Tensor:
    """Decodes the JPEG content of each distinct key once, and returns the pictures of all keys."""
    import tensorflow as tf

    distinct, positions = tf.unique(keys)
    frames = tf.map_fn(
        lambda key: decode_jpeg(content_of(key), crop),
        distinct,
        fn_output_signature=tf.TensorSpec([None, None, 3], tf.uint8),
    )
    pixels = tf.gather(frames, positions)
    pixels.set_shape([keys.shape[0], None, None, 3])
    return pixels


def decode_jpeg(content: tf.Tensor, crop: Any = None) -> tf.Tensor:
    """Decodes a JPEG file's content as every part of the package does; see `decode_frame_files`."""
    import tensorflow as tf

    # The default depends on the build; this is what image libraries decode with.
    accuracy = "INTEGER_ACCURATE"
    if crop is None:
        return tf.io.decode_jpeg(content, channels=3, dct_method=accuracy)
    return tf.io.decode_and_crop_jpeg(content, crop, channels=3, dct_method=accuracy)

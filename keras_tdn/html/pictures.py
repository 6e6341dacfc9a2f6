"""Pixels inside a page."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence

import numpy as np

from keras_tdn.html.text import escape
from keras_tdn.tensorflow_gpus import leave_gpus_to_backend

JPEG_QUALITY = 82
# The filter of a PNG row that holds differences to the pixel on the left.
SUB_FILTER = 1

STYLE = """
.strip { display: flex; flex-wrap: wrap; gap: 4px; margin: .2rem 0; }
.strip figure { margin: 0; } .strip img { display: block; border-radius: 2px; }
.strip figcaption { font-size: .8rem; color: var(--muted); font-variant-numeric: tabular-nums; }
"""


def picture(
    pixels: np.ndarray, description: str, *, width: int | None = None, lossless: bool = False
) -> str:
    """A picture as an `<img>` that holds its own data.

    Args:
        pixels: uint8 of shape `(height, width, 3)`, in [0, 255].
        description: What it shows, for those who cannot see it.
        width: Width on the page in CSS pixels; by default one for each pixel.
        lossless: Whether it is a PNG, with edges kept sharp when enlarged, as charts need. A JPEG
            of a photograph takes a tenth of that, and needs TensorFlow.

    Returns:
        HTML.

    Raises:
        ValueError: if `pixels` is not a picture.

    Example:

    >>> html = picture(frame, "first frame", width=160)
    """
    _check_picture(pixels)
    height = pixels.shape[0] if width is None else round(pixels.shape[0] * width / pixels.shape[1])
    width = pixels.shape[1] if width is None else width
    if lossless:
        kind, content = "png", encode_png(pixels)
    else:
        kind, content = "jpeg", _encode_jpeg(pixels)
    sharp = ' style="image-rendering:pixelated"' if lossless else ""
    data = base64.b64encode(content).decode()
    return (
        f'<img alt="{escape(description)}" width="{width}" height="{max(1, height)}"{sharp} '
        f'src="data:image/{kind};base64,{data}">'
    )


def picture_strip(
    pictures: Sequence[np.ndarray],
    description: str,
    *,
    captions: Sequence[str] = (),
    height: int = 90,
) -> str:
    """Pictures in a row, as frames of a video are shown.

    Args:
        pictures: uint8 arrays of shape `(height, width, 3)`; larger ones are shrunk.
        description: What they show.
        captions: A few words below each, or none at all.
        height: Height on the page in CSS pixels.

    Returns:
        HTML.

    Raises:
        ValueError: if there are captions, but not one for each picture.

    Example:

    >>> html = picture_strip(list(frames[::5]), "a jump", captions=["0 s", "1 s"])
    """
    if captions and len(captions) != len(pictures):
        raise ValueError(
            "Pass a caption for each picture, or none. "
            f"Received: {len(captions)} captions for {len(pictures)} pictures"
        )
    figures = []
    for number, pixels in enumerate(pictures):
        _check_picture(pixels)
        # Twice the height, for screens that have two pixels where CSS counts one.
        shown = shrink(pixels, 2 * height)
        width = max(1, round(pixels.shape[1] * height / pixels.shape[0]))
        caption = f"<figcaption>{escape(captions[number])}</figcaption>" if captions else ""
        image = picture(shown, f"{description}, picture {number + 1}", width=width)
        figures.append(f"<figure>{image}{caption}</figure>")
    return f'<div class="strip">{"".join(figures)}</div>\n'


def shrink(pixels: np.ndarray, height: int) -> np.ndarray:
    """The picture with at most that many rows, each pixel the mean of those it stands for.

    Args:
        pixels: uint8 of shape `(height, width, 3)`.
        height: The most rows it may have. Sizes go down by whole factors.

    Returns:
        uint8 of shape `(rows, columns, 3)`.

    Example:

    >>> shrink(np.zeros((480, 640, 3), "uint8"), 120).shape
    (120, 160, 3)
    """
    _check_picture(pixels)
    factor = -(-pixels.shape[0] // height)
    # A narrow picture keeps a column.
    columns = min(factor, pixels.shape[1])
    rows, width = pixels.shape[0] // factor, pixels.shape[1] // columns
    blocks = pixels[: rows * factor, : width * columns].reshape(rows, factor, width, columns, 3)
    return np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8)


def encode_png(pixels: np.ndarray) -> bytes:
    """The picture as a PNG file, made with the standard library.

    Args:
        pixels: uint8 of shape `(height, width, 3)`.

    Returns:
        The content of the file.

    Raises:
        ValueError: if `pixels` is not a picture.

    Example:

    >>> Path("frame.png").write_bytes(encode_png(frame))
    """
    _check_picture(pixels)
    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)
    rows[:, 0] = SUB_FILTER
    rows[:, 1:4] = pixels[:, 0]
    # Unsigned bytes wrap around, as the format wants.
    rows[:, 4:] = (pixels[:, 1:] - pixels[:, :-1]).reshape(height, -1)

    def chunk(name: bytes, content: bytes) -> bytes:
        check = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows.tobytes(), 9))
        + chunk(b"IEND", b"")
    )


def _encode_jpeg(pixels: np.ndarray) -> bytes:
    import tensorflow as tf

    leave_gpus_to_backend()
    return tf.io.encode_jpeg(pixels, quality=JPEG_QUALITY).numpy()


def _check_picture(pixels: np.ndarray) -> None:
    shape, dtype = getattr(pixels, "shape", None), getattr(pixels, "dtype", None)
    if shape is None or len(shape) != 3 or shape[-1] != 3 or 0 in shape or dtype != np.uint8:
        raise ValueError(
            "A picture is a uint8 array of shape (height, width, 3). "
            f"Received: shape={shape}, dtype={dtype}"
        )

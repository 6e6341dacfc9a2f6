"""Writing an explanation as files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from keras_tdn.explaining.drawing import (
    FRAMES_PER_SECOND,
    draw_animation,
    draw_strip,
    encode_mp4,
)
from keras_tdn.explaining.explain import Explanation
from keras_tdn.explaining.explanation_page import explanation_page
from keras_tdn.files.atomic import check_free, written_beside
from keras_tdn.pages.pictures import encode, encode_gif

FILES = {
    "strip": "strip.png",
    "gif": "animation.gif",
    "mp4": "animation.mp4",
    "page": "explanation.html",
}
FORMATS = tuple(FILES)


def write_explanation(
    explanation: Explanation,
    output: str | os.PathLike[str],
    formats: Sequence[str] = FORMATS,
    *,
    video: str = "the video",
    overwrite: bool = False,
) -> tuple[Path, ...]:
    """Draws an explanation and writes it into a folder.

    Args:
        explanation: From `explain`.
        output: The folder; it is made if need be. Other files in it are left alone.
        formats: Some of `"strip"`, one PNG picture, segments from left to right; `"gif"` and
            `"mp4"`, an animation, a picture for each difference; and `"page"`, a self-contained
            page with all of it.
        video: What the page calls the video.
        overwrite: Whether files of the same names may be replaced.

    Returns:
        The files' paths, in the order of `formats`.

    Raises:
        ValueError: if there is no such format, or a file is there already.

    Example:

    >>> write_explanation(explain(model, "jump.mp4"), "explained", ["strip"])
    (PosixPath('explained/strip.png'),)
    """
    paths = check_output(output, formats, overwrite)
    pictures = None
    if {"gif", "mp4"} & set(formats):
        pictures = draw_animation(explanation)
    for name, path in zip(formats, paths, strict=True):
        if name == "strip":
            content = encode(draw_strip(explanation), "png")
        elif name == "page":
            content = explanation_page(explanation, video).encode()
        elif name == "gif":
            content = encode_gif(pictures or [], FRAMES_PER_SECOND)
        else:
            content = encode_mp4(pictures or [])
        with written_beside(path) as temporary:
            temporary.write_bytes(content)
    return paths


def check_output(
    output: str | os.PathLike[str], formats: Sequence[str], overwrite: bool = False
) -> tuple[Path, ...]:
    """The paths of the files, if they can be written."""
    unknown = [name for name in formats if name not in FILES]
    if unknown or not formats or isinstance(formats, str) or len(set(formats)) < len(formats):
        raise ValueError(
            f"The formats of an explanation are some of {list(FORMATS)}, each once. "
            f"Received: {formats!r}"
        )
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{str(folder)!r} is a file. Explanations go into a folder.")
    paths = tuple(folder / FILES[name] for name in formats)
    for path in paths:
        check_free(path, overwrite)
    return paths

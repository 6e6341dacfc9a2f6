"""What may be uploaded, and what is said of the rest."""

from __future__ import annotations

import dataclasses
import math
import os
import stat
from typing import Any

from keras_tdn.data.decoding.interface import VideoDecodeError

MEGABYTE = 2**20
# A clip's frames are in memory at their full size.
MAX_WIDTH, MAX_HEIGHT = 4096, 2304


@dataclasses.dataclass(frozen=True)
class UploadLimits:
    """How much of a stranger's video is taken.

    Args:
        megabytes: The largest file, in units of 2**20 bytes.
        seconds: How much of a longer video the timeline covers.
    """

    megabytes: int = 200
    seconds: float = 600.0

    def __post_init__(self) -> None:
        number = self.megabytes
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise ValueError(
                f"`megabytes` is a positive integer, of 2**20 bytes. Received: megabytes={number!r}"
            )
        if not isinstance(self.seconds, int | float) or not 0 < self.seconds < math.inf:
            raise ValueError(f"`seconds` is a positive number. Received: seconds={self.seconds!r}")


def check_upload(path: str, limits: UploadLimits, min_frames: int) -> None:
    """Looks at an uploaded file before a model does; decodes its first frames and no more.

    Use it on files that a stranger chose. Messages call it "the file", not by its path.

    Args:
        path: Path of the file.
        limits: How much is taken.
        min_frames: How many frames there have to be: those of one segment.

    Raises:
        VideoDecodeError: if it is no video, with nothing in it, or too large or short.

    Example:

    >>> check_upload("upload.mp4", UploadLimits(megabytes=50), min_frames=5)
    """
    # Imported here so that importing this does not load the decoder.
    import av

    from keras_tdn.data.decoding.frame_conversion import orientation_of, square_size
    from keras_tdn.data.decoding.pyav_container import (
        open_container,
        prepare_codec,
        reason,
        video_stream,
    )

    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:
        raise VideoDecodeError("The file is not here any more. Drop it again.") from error
    size = found.st_size
    if not stat.S_ISREG(found.st_mode):
        raise VideoDecodeError("That is not a file. Drop a video.")
    if size == 0:
        raise VideoDecodeError("The file is empty. Drop a video.")
    if size > limits.megabytes * MEGABYTE:
        raise VideoDecodeError(
            f"The file has {math.ceil(size / MEGABYTE)} MB; this page takes up to "
            f"{limits.megabytes}. Drop a shorter or smaller video."
        )
    with open_container("the file", path) as container:
        _check_format(container.format)
        stream = video_stream("the file", container)
        codec = stream.codec_context
        _check_frame_size(*square_size(stream, codec.height, codec.width))
        prepare_codec(stream, 1)
        num_frames = 0
        try:
            for frame in container.decode(stream):
                orientation_of("the file", frame)
                num_frames += 1
                if num_frames == min_frames:
                    return
        except (av.FFmpegError, OSError) as error:
            raise VideoDecodeError(
                f"Cannot read the file: it is damaged ({reason(error)}). Check that it plays, and "
                "fetch or encode it again if not."
            ) from error
    if num_frames == 0:
        raise VideoDecodeError(
            "Cannot read the file: not one of its frames decodes. It is damaged or incomplete; "
            "fetch or encode it again."
        )
    raise VideoDecodeError(
        f"The video is too short: it has {num_frames} frame{'s' if num_frames > 1 else ''}, and "
        f"the model looks at {min_frames} neighbouring ones at a time. Drop a longer one."
    )


def _check_format(form: Any) -> None:
    from keras_tdn.data.decoding.pyav_container import PICTURE_FORMATS, SOUND_FORMATS

    names = set(form.name.split(","))
    if names & PICTURE_FORMATS:
        raise VideoDecodeError("The file is a picture, in which nothing moves. Drop a video.")
    if names & SOUND_FORMATS:
        raise VideoDecodeError("The file has sound alone. Drop one with moving pictures.")


def _check_frame_size(height: int, width: int) -> None:
    if width * height > MAX_WIDTH * MAX_HEIGHT:
        raise VideoDecodeError(
            f"The video's frames have {width} x {height} pixels; this page takes up to "
            f"{MAX_WIDTH} x {MAX_HEIGHT}. Drop a smaller one."
        )

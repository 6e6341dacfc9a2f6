"""Uploads: which are taken, where they are and for how long, and whose they are."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
import math
import os
import stat
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from keras_tdn.data.decoding.interface import NO_FRAMES, VideoDecodeError
from keras_tdn.specs import is_positive_int

MEGABYTE = 2**20
# A clip's frames are in memory at their full size.
MAX_WIDTH, MAX_HEIGHT = 4096, 2304
# Of the place where Gradio keeps files.
FOLDER_VARIABLE = "GRADIO_TEMP_DIR"
KEEP_SECONDS = 900
SWEEP_SECONDS = 60
# Of visitors and of their tabs. Those not seen for longest are forgotten first.
MAX_REMEMBERED = 4096
# What a file counts at least, so that there cannot be too many either.
LEAST_BYTES = 2**16


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
        if not is_positive_int(self.megabytes):
            raise ValueError(
                "`megabytes` is a positive integer, of 2**20 bytes. "
                f"Received: megabytes={self.megabytes!r}"
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

    from keras_tdn.data.decoding import pyav_container
    from keras_tdn.data.decoding.frame_conversion import orientation_of, square_size

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
    with pyav_container.open_container("the file", path) as container:
        formats = set(container.format.name.split(","))
        if formats & pyav_container.PICTURE_FORMATS:
            raise VideoDecodeError("The file is a picture, in which nothing moves. Drop a video.")
        if formats & pyav_container.SOUND_FORMATS:
            raise VideoDecodeError("The file has sound alone. Drop one with moving pictures.")
        stream = pyav_container.video_stream("the file", container)
        codec = stream.codec_context
        height, width = square_size(stream, codec.height, codec.width)
        if width * height > MAX_WIDTH * MAX_HEIGHT:
            raise VideoDecodeError(
                f"The video's frames have {width} x {height} pixels; this page takes up to "
                f"{MAX_WIDTH} x {MAX_HEIGHT}. Drop a smaller one."
            )
        pyav_container.prepare_codec(stream, 1)
        num_frames = 0
        try:
            for frame in itertools.islice(container.decode(stream), min_frames):
                orientation_of("the file", frame)
                num_frames += 1
        except (av.FFmpegError, OSError) as error:
            why = pyav_container.reason(error)
            raise VideoDecodeError(
                f"Cannot read the file: it is damaged ({why}). Check that it plays, and fetch or "
                "encode it again if not."
            ) from error
    if num_frames == 0:
        raise VideoDecodeError(f"Cannot read the file: {NO_FRAMES}")
    if num_frames < min_frames:
        raise VideoDecodeError(
            f"The video is too short: it has {num_frames} frame{'s' if num_frames > 1 else ''}, "
            f"and the model looks at {min_frames} neighbouring ones at a time. Drop a longer one."
        )


@contextlib.contextmanager
def upload_folder() -> Iterator[str]:
    """Makes a folder that only this user can read; files in it are removed when they are old.

    Gradio forgets about some, such as those of a browser that leaves during an upload. All of
    Python's temporary files are made there meanwhile. At the end all of it goes.
    """
    before, place = os.environ.get(FOLDER_VARIABLE), tempfile.tempdir
    stopped = threading.Event()
    with tempfile.TemporaryDirectory(prefix="keras_tdn_web_", ignore_cleanup_errors=True) as made:
        # As files in it are named, whatever link led here.
        folder = os.path.realpath(made)

        def sweep() -> None:
            while not stopped.wait(SWEEP_SECONDS):
                _remove_older(folder, time.time() - KEEP_SECONDS)

        thread = threading.Thread(target=sweep, name="keras_tdn uploads", daemon=True)
        os.environ[FOLDER_VARIABLE] = tempfile.tempdir = folder
        thread.start()
        try:
            yield folder
        finally:
            stopped.set()
            thread.join()
            tempfile.tempdir = place
            del os.environ[FOLDER_VARIABLE]
            if before is not None:
                os.environ[FOLDER_VARIABLE] = before


def _remove_older(folder: str, moment: float) -> None:
    for parent, folders, files in os.walk(folder, topdown=False):
        for name in (*files, *folders):
            path = os.path.join(parent, name)
            # Others may remove them too, and a folder goes only if nothing is in it.
            with contextlib.suppress(OSError):
                if os.lstat(path).st_ctime < moment:
                    (os.rmdir if name in folders else os.unlink)(path)


class Visitors:
    """Remembers which files the server itself named to which visitor.

    A path from a browser is compared with those, as it is, and nothing else is done with it: so
    neither `..` nor a link nor an address leads anywhere, and no answer tells which files exist.
    """

    def __init__(self, folder: str) -> None:
        self.folder = os.path.realpath(folder)
        self._files: collections.OrderedDict[str, set[str]] = collections.OrderedDict()
        self._sessions: collections.OrderedDict[str, str] = collections.OrderedDict()
        self._shared: set[str] = set()
        # Examples are rendered in threads.
        self._lock = threading.Lock()

    def add_files(self, visitor: str, paths: Sequence[str]) -> None:
        """Lets a visitor use files just stored; a `ValueError` if one is no file in the folder."""
        for path in paths:
            inside = os.path.realpath(path) == path and path.startswith(self.folder + os.sep)
            if not inside or not _is_regular(path):
                raise ValueError(f"{path!r} is not a file in the folder of uploads.")
        with self._lock:
            before = self._files.get(visitor, ())
            self._files[visitor] = {*paths, *filter(os.path.lexists, before)}
            _forget_oldest(self._files, visitor)

    def share(self, path: str) -> None:
        """Lets every visitor use a file that the page itself has made."""
        with self._lock:
            self._shared = {path, *filter(os.path.lexists, self._shared)}

    def may_use(self, visitor: str, path: str) -> bool:
        """Whether a path is that of one of its files, which is still there."""
        with self._lock:
            known = path in self._shared or path in self._files.get(visitor, ())
        return known and _is_regular(path)

    def may_follow(self, visitor: str, session: str) -> bool:
        """Whether a session of the page is this visitor's; a new one becomes so."""
        with self._lock:
            owner = self._sessions.setdefault(session, visitor)
            _forget_oldest(self._sessions, session)
        return owner == visitor

    def stored_bytes(self) -> int:
        """How much is in the folder; small files count as some kilobytes."""
        total = 0
        for folder, _, names in os.walk(self.folder):
            for name in names:
                # Others may remove them too.
                with contextlib.suppress(OSError):
                    total += max(os.lstat(os.path.join(folder, name)).st_size, LEAST_BYTES)
        return total


def _forget_oldest(seen: collections.OrderedDict[str, Any], latest: str) -> None:
    seen.move_to_end(latest)
    while len(seen) > MAX_REMEMBERED:
        seen.popitem(last=False)


def _is_regular(path: str) -> bool:
    return os.path.isfile(path) and not os.path.islink(path)

"""Checks of one file, for a process of its own: a file may crash or hang it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from keras_tdn.data.decoding import VideoDecodeError, read_frames
from keras_tdn.data.jpeg_frames import scan_frame_folder
from keras_tdn.data.segment_sampling import SegmentSampler

# The clip of validation: frames from all over the video.
NUM_SEGMENTS = 8


def make_checker(full: bool) -> Callable[[str, Any], dict[str, Any]]:
    """Returns what a `WorkerPool` calls with each path: see `look_at`."""
    return lambda path, send: look_at(path, full)


def look_at(path: str, full: bool) -> dict[str, Any]:
    """Returns what `FileCheck` holds of a file, with a `reason` if it is bad."""
    try:
        answer = _look_at_folder(path, full) if os.path.isdir(path) else _look_at_video(path, full)
    except (ValueError, OSError) as error:
        return {"reason": str(error)}
    except Exception as error:
        # One strange file is not to end the run; what it was is in the reason.
        return {"reason": f"{type(error).__name__}: {error}"}
    return {"reason": "", **answer}


def _look_at_video(path: str, full: bool) -> dict[str, Any]:
    counts = []
    sampler = SegmentSampler(NUM_SEGMENTS)

    def choose(num_frames: int) -> Any:
        counts.append(num_frames)
        return sampler(num_frames)

    frames = read_frames(path, choose)
    answer = {
        "num_frames": counts[-1],
        "height": frames.shape[1],
        "width": frames.shape[2],
        "num_bytes": os.path.getsize(path),
    }
    frame_rate, damage = _decode_strictly(path, full)
    if frame_rate:
        answer["seconds"] = counts[-1] / frame_rate
    if damage:
        answer["reason"] = f"{path!r} plays, but with damage: {damage}"
    return answer


def _look_at_folder(path: str, full: bool) -> dict[str, Any]:
    folder = scan_frame_folder(path)
    paths = folder.paths
    wanted = range(len(paths)) if full else sorted(set(SegmentSampler(8)(len(paths)).ravel()))
    size: tuple[int, ...] = ()
    for index in wanted:
        # A picture is a video of one frame.
        frame = read_frames(paths[index], lambda num_frames: [0])[0]
        size = size or frame.shape[:2]
        if frame.shape[:2] != size:
            raise VideoDecodeError(
                f"The frames in {path!r} differ in size: {size[0]}x{size[1]} at first, and "
                f"{frame.shape[0]}x{frame.shape[1]} in {os.path.basename(paths[index])!r}. Extract "
                "them again, all of one size."
            )
    num_bytes = sum(os.path.getsize(frame_path) for frame_path in paths)
    return {"num_frames": len(paths), "height": size[0], "width": size[1], "num_bytes": num_bytes}


def _decode_strictly(path: str, full: bool) -> tuple[float | None, str]:
    """Returns frames per second, and what a decoder that glosses over nothing complains of."""
    import av

    from keras_tdn.data.decoding.pyav_container import (
        open_container,
        prepare_codec,
        reason,
        video_stream,
    )

    with open_container(repr(path), path) as container:
        stream = video_stream(repr(path), container)
        rate = stream.average_rate
        frame_rate = float(rate) if rate else None
        if not full:
            return frame_rate, ""
        prepare_codec(stream, 1, strict=True)
        num_packets = num_damaged = 0
        complaint = ""
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, OSError) as error:
                return frame_rate, f"it ends after {num_packets} packets ({reason(error)})"
            if packet is None:
                break
            num_packets += packet.size > 0
            try:
                stream.decode(packet)
            except av.EOFError:
                break
            except av.FFmpegError as error:
                num_damaged += 1
                complaint = complaint or reason(error)
    if num_damaged:
        return frame_rate, f"{num_damaged} of {num_packets} packets ({complaint})"
    return frame_rate, ""

"""The lines of a timeline on the disk: JSON objects with checksums."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np

from keras_tdn.watching.report import Loss, WatchReport
from keras_tdn.watching.window import Window

CHECKSUM = b',"crc32":'
FORMAT = "keras_tdn timeline 1"
# A header of many labels is longer than a line of scores, and no line is longer than this.
MAX_LINE_BYTES = 64 * 2**20


def make_line(values: Mapping[str, Any]) -> bytes:
    """One JSON object, the last member of which is the checksum of what comes before it."""
    text = json.dumps(values, separators=(",", ":")).encode()[:-1]
    return text + CHECKSUM + str(zlib.crc32(text)).encode() + b"}\n"


def parse_line(line: bytes) -> dict[str, Any] | None:
    """What a line holds; `None` if it is cut short or damaged."""
    text, mark, checksum = line.rpartition(CHECKSUM)
    if not mark or checksum != str(zlib.crc32(text)).encode() + b"}\n":
        return None
    try:
        values = json.loads(text + b"}")
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


def read_entries(file: BinaryIO, classes: int) -> Iterator[Window | WatchReport]:
    """Windows, and behind the last of a run that has come to its end the report."""
    latest = -1
    while (values := parse_line(file.readline(MAX_LINE_BYTES))) is not None:
        if set(values) == {"finished"}:
            report = _report(values["finished"])
            if report is not None:
                yield report
            return
        window = _window(values, classes)
        if window is None or window.index <= latest:
            return
        latest = window.index
        yield window


def _window(values: Mapping[str, Any], classes: int) -> Window | None:
    try:
        scores = np.array(values["scores"], np.float32)
        index, start, end = int(values["window"]), float(values["start"]), float(values["end"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    whole = len(values) == 4 and scores.shape == (classes,) and bool(np.isfinite(scores).all())
    return Window(index, start, end, scores) if whole else None


def _report(values: Any) -> WatchReport | None:
    try:
        losses = tuple(Loss(**loss) for loss in values["losses"])
        return WatchReport(**{**values, "losses": losses})
    except (KeyError, TypeError):
        return None

"""Reading a timeline that is on the disk."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from keras_tdn.watching.report import WatchReport
from keras_tdn.watching.timeline_lines import FORMAT, MAX_LINE_BYTES, parse_line, read_entries
from keras_tdn.watching.window import Window

TIMELINE_NAME = "timeline.jsonl"


@dataclasses.dataclass(frozen=True)
class Timeline:
    """Scores along a video, as a run wrote them down.

    Use it to work with a timeline that is on the disk. Windows are read as they are asked for, so
    that it may be longer than memory holds.

    Args:
        path: Path of the file `timeline.jsonl`.
        facts: What the scores are of: `labels`, `window_seconds` and so on.

    Example:

    >>> timeline = keras_tdn.watching.load_timeline("results")
    >>> best = max(timeline.windows(), key=lambda window: window.scores[3])
    """

    path: Path
    facts: Mapping[str, Any]

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the scores."""
        return tuple(self.facts["labels"])

    def windows(self) -> Iterator[Window]:
        """The windows in order."""
        return (item for item in self._items() if isinstance(item, Window))

    @property
    def report(self) -> WatchReport | None:
        """What was watched and lost; `None` of a run that has not come to its end."""
        return next((item for item in self._items() if isinstance(item, WatchReport)), None)

    def _items(self) -> Iterator[Window | WatchReport]:
        with open(self.path, "rb") as file:
            file.readline(MAX_LINE_BYTES)
            yield from read_entries(file, len(self.facts["labels"]))


def load_timeline(path: str | os.PathLike[str]) -> Timeline:
    """Opens a timeline that a run wrote.

    Args:
        path: The run's folder, or the file `timeline.jsonl` in it.

    Raises:
        ValueError: if it is no timeline.

    Example:

    >>> [window.start for window in load_timeline("results").windows()]
    """
    file = Path(path)
    if file.is_dir():
        file = file / TIMELINE_NAME
    if not file.is_file():
        raise ValueError(
            f"There is no timeline {str(file)!r}. `keras-tdn watch --output DIR` makes one."
        )
    with open(file, "rb") as opened:
        header = parse_line(opened.readline(MAX_LINE_BYTES))
    if header is None or header.get("format") != FORMAT:
        raise ValueError(f"{str(file)!r} is no timeline of this version; record it anew.")
    return Timeline(file, header)

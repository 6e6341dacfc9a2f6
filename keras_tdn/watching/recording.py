"""Runs that write a timeline to a folder, and continue after a kill."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import os
import struct
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_tdn.data.decoding.interface import VideoSource
from keras_tdn.files.journal import Journal, remove_journal
from keras_tdn.files.locks import locked
from keras_tdn.files.resumable_folder import check_results
from keras_tdn.models import TDNResNet
from keras_tdn.prediction import Labels, class_names
from keras_tdn.progress import Progress
from keras_tdn.scoring.model_hash import model_sha256
from keras_tdn.watching import timeline
from keras_tdn.watching.layout import Window
from keras_tdn.watching.opening import Source, StreamOptions
from keras_tdn.watching.timeline import TIMELINE_NAME, WatchReport
from keras_tdn.watching.timeline_page import write_timeline_page
from keras_tdn.watching.windows import Watch

OUTPUTS = ("csv", "srt", "vtt", "page")
NAMES = {name: f"timeline.{'html' if name == 'page' else name}" for name in OUTPUTS}
# What is done; `timeline.jsonl` and the other files are written again from it when a run continues.
JOURNAL_NAME = "timeline.sqlite"
RESULTS = (TIMELINE_NAME, *NAMES.values(), JOURNAL_NAME)
# Start and end of a window, before its scores.
_TIMES = struct.Struct("<dd")


def record_timeline(
    model: TDNResNet,
    video: VideoSource,
    output: str | os.PathLike[str],
    *,
    outputs: Sequence[str] = OUTPUTS,
    window_seconds: float | None = None,
    stride: int = 1,
    labels: Labels | None = None,
    min_score: float = 0.0,
    how: StreamOptions | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> WatchReport:
    """Watches a video and writes the timeline of its scores, as it comes.

    The folder gets `timeline.jsonl`, a line of scores for each window, and what `outputs` asks for.
    A run that is killed continues with `resume=True` and ends with the same files, byte for byte.

    Args:
        model: See `watch`; also `video`, `window_seconds` and `stride`.
        output: The folder. It is created if needed; other files in it are left alone.
        outputs: Of `"csv"`, a table; `"srt"` and `"vtt"`, subtitles; and `"page"`, a plot. Tables
            and subtitles grow along with the video, the page is written at the end.
        labels: Class names, as in `predict_video`. `None` takes the model's own.
        min_score: Below this there is no subtitle.
        how: How to open the video.
        resume: Whether to continue the run in the folder, if there is one; of files alone.
        overwrite: Whether to start anew where results are. They are removed once the first window
            of the new ones has been scored.
        progress: Whether to show how far the run is, and its speed relative to real time.

    Raises:
        ValueError: if an argument does not fit, the folder has results of something else, or the
            video cannot be read.
        OSError: if the disk is full, for example; what was written stays, and can be continued.

    Example:

    >>> record_timeline(model, "video.mp4", "results", stride=4).num_windows
    3571
    """
    folder, names = Path(output), tuple(outputs)
    if isinstance(outputs, str) or not set(names) <= set(OUTPUTS):
        raise ValueError(f"`outputs` are some of {list(OUTPUTS)}. Received: outputs={outputs!r}")
    check_results(folder, RESULTS, resume, overwrite)
    with contextlib.ExitStack() as stack:
        watch = stack.enter_context(Watch(model, video, window_seconds, stride, 0, how))
        if resume and not watch.source.is_file:
            raise ValueError(
                f"{watch.source.name} is no file, so that a run cannot continue where another one "
                "stopped. Leave out resume=True (on the command line --resume)."
            )
        classes = class_names(model, labels)
        identity = _run_identity(model, watch, classes)
        folder.mkdir(parents=True, exist_ok=True)
        stack.enter_context(locked(folder, "watching"))
        # Another run may have ended meanwhile.
        there = check_results(folder, RESULTS, resume, overwrite)
        if resume and there and JOURNAL_NAME not in there:
            raise ValueError(
                f"{str(folder)!r} has {', '.join(there)} but not {JOURNAL_NAME}, which a run "
                "continues from. Choose another folder, or pass overwrite=True (on the command "
                "line --overwrite) to start anew."
            )
        first: list[Window] = []
        if there and overwrite:
            # What cannot be watched must not cost the results of what could be.
            first = list(itertools.islice(watch, 1))
            remove_journal(folder / JOURNAL_NAME)
            for name in there:
                (folder / name).unlink(missing_ok=True)
        journal = stack.enter_context(Journal(folder / JOURNAL_NAME, identity, lock=None))
        lines = timeline.LineWriter(folder / TIMELINE_NAME, journal.identity)
        writers: list[timeline.TimelineWriter] = [lines]
        for name in names:
            path = folder / NAMES[name]
            if name == "csv":
                writers.append(timeline.CSVWriter(path, classes))
            elif name != "page":
                writers.append(timeline.SubtitleWriter(path, classes, watch.layout, min_score))
        for writer in writers:
            stack.callback(writer.close)
        next_window = 0
        for key, value, _ in journal.items():
            start, end = _TIMES.unpack_from(value or b"")
            scores = np.frombuffer(value or b"", "<f4", offset=_TIMES.size)
            window = Window(int(key), start, end, scores)
            next_window = window.index + 1
            for writer in writers:
                writer.add(window)
        if not journal.noted("finished"):
            if next_window:
                again = Watch(model, video, window_seconds, stride, next_window, how)
                watch = stack.enter_context(again)
            _run(watch, itertools.chain(first, watch), next_window, journal, writers, progress)
        report = WatchReport.from_config(journal.noted("report"))
        lines.finish(report)
    if "page" in names and report.num_windows:
        title = f"Timeline of {watch.source.name}"
        write_timeline_page(folder, folder / NAMES["page"], min_score=min_score, title=title)
    return report


def output_paths(output: str | os.PathLike[str], outputs: Sequence[str]) -> list[str]:
    """Returns the files that a run has written into its folder."""
    paths = [os.path.join(output, name) for name in (TIMELINE_NAME, *(NAMES[o] for o in outputs))]
    return [path for path in paths if os.path.exists(path)]


def _run(
    watch: Watch,
    windows: Iterable[Window],
    first_window: int,
    journal: Journal,
    writers: Sequence[timeline.TimelineWriter],
    shown: bool,
) -> None:
    ending = ""
    first_second = watch.layout.window_start(first_window)
    started = time.monotonic()
    labels = journal.identity["labels"]
    with Progress("keras-tdn watch", None, unit="s", done=first_second, shown=shown) as progress:
        try:
            for window in windows:
                times = _TIMES.pack(window.start, window.end)
                journal.put(window.index, times + window.scores.astype("<f4").tobytes())
                for writer in writers:
                    writer.add(window)
                speed = (window.end - first_second) / max(time.monotonic() - started, 1e-9)
                best = labels[int(window.scores.argmax())]
                progress.update(window.end, watch.duration, f"{speed:.1f}x real time", best)
        except KeyboardInterrupt:
            # The way to end the watching of a camera; of a file the run can continue.
            if watch.source.is_file:
                raise
            ending = "stopped"
    report = watch.report
    ending = ending or report.ending
    report = dataclasses.replace(report, num_windows=len(journal), ending=ending, finished=True)
    journal.note("report", dataclasses.asdict(report))
    journal.note("finished", True)


# Enough of a file to distinguish it from another, without reading hours of video.
SAMPLE_BYTES = 2**20
NUM_SAMPLES = 8


def _run_identity(model: TDNResNet, watch: Watch, labels: Sequence[str]) -> Mapping[str, Any]:
    """Returns what the scores follow from; a run with another identity is not continued."""
    return {
        "weights": model_sha256(model),
        "video": _video_identity(watch.source),
        "window_seconds": watch.layout.window_seconds,
        "stride": watch.layout.stride,
        "clip": model.clip_spec.to_config(),
        "backend": keras.backend.backend(),
        "labels": list(labels),
    }


def _video_identity(source: Source) -> Mapping[str, Any]:
    """Of a file its size and samples of it."""
    if not source.is_file:
        return {"name": source.name}
    digest = hashlib.sha256()
    with contextlib.ExitStack() as stack:
        file = source.opened
        if isinstance(file, str):
            file = stack.enter_context(open(file.removeprefix("file:"), "rb"))
        size = file.seek(0, os.SEEK_END)
        for part in range(NUM_SAMPLES):
            file.seek(max(0, size - SAMPLE_BYTES) * part // (NUM_SAMPLES - 1))
            digest.update(file.read(SAMPLE_BYTES))
        file.seek(0)
    return {"bytes": size, "sha256_of_samples": digest.hexdigest()}

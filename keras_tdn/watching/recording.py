"""A timeline on the disk: a run that can be killed and go on."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from keras_tdn.data.decoding.interface import VideoSource
from keras_tdn.files.locks import locked
from keras_tdn.labels import load_labels
from keras_tdn.models import TDNResNet
from keras_tdn.prediction import Labels
from keras_tdn.watching.opening import StreamOptions
from keras_tdn.watching.progress import WatchProgress
from keras_tdn.watching.report import WatchReport
from keras_tdn.watching.run_identity import run_identity
from keras_tdn.watching.timeline import TIMELINE_NAME, load_timeline
from keras_tdn.watching.timeline_log import FOLDER_VERB, TimelineLog
from keras_tdn.watching.timeline_page import write_timeline_page
from keras_tdn.watching.window import Window
from keras_tdn.watching.windows import Watch
from keras_tdn.watching.writers import CSVWriter, SubtitleWriter, TimelineWriter

OUTPUTS = ("csv", "srt", "vtt", "page")
NAMES = {name: f"timeline.{'html' if name == 'page' else name}" for name in OUTPUTS}
STOPPED = "stopped"


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

    Use it for long videos and cameras; `watch` gives the scores to a program. The folder gets
    `timeline.jsonl`, a line of scores for each window, and what `outputs` asks for. A run that is
    killed goes on with `resume=True` and ends with the same files, byte for byte.

    Args:
        model: See `watch`.
        video: See `watch`.
        output: The folder. It is made if need be; other files in it are left alone.
        outputs: Of `"csv"`, a table; `"srt"` and `"vtt"`, subtitles; and `"page"`, a plot. Tables
            and subtitles grow along with the video, the page is written at the end.
        window_seconds: See `watch`.
        stride: See `watch`.
        labels: Class names, as in `predict_video`. `None` takes the model's own.
        min_score: Below this there is no subtitle.
        how: How to open the video.
        resume: Whether to go on with a timeline that is there, if one is. One of a live video
            cannot be gone on with.
        overwrite: Whether to begin anew where results are. They are removed once the first window
            of the new ones has been scored.
        progress: Whether to show a line on a terminal: how far, and how fast against real time.

    Returns:
        What was watched, and what was lost.

    Raises:
        ValueError: if an argument does not fit, the folder has results of something else, or the
            video cannot be read.
        OSError: if the disk is full, for example; what was written stays, to go on with.

    Example:

    >>> record_timeline(model, "video.mp4", "results", stride=4).num_windows
    3571
    """
    folder = Path(output)
    names = _check_outputs(outputs)
    if resume and overwrite:
        raise ValueError(
            "Resuming goes on with the results in the folder and overwriting removes them. Pass "
            "one of `resume` and `overwrite`."
        )
    with contextlib.ExitStack() as stack:
        watch = stack.enter_context(Watch(model, video, window_seconds, stride, 0, how))
        if resume and not watch.source.is_file:
            raise ValueError(
                f"{watch.source.name} is no file, so that a run cannot go on where another one "
                "stopped. Leave out resume=True (on the command line --resume)."
            )
        classes = _names(model, labels)
        identity = run_identity(model, watch, classes)
        _make_folder(folder)
        stack.enter_context(locked(folder, FOLDER_VERB))
        there = _check_results(folder, resume, overwrite)
        first: list[Window] = []
        if there and overwrite:
            # What cannot be watched must not cost the results of what could be.
            first = list(itertools.islice(watch, 1))
            for name in there:
                (folder / name).unlink()
        log = stack.enter_context(
            TimelineLog(folder / TIMELINE_NAME, identity, len(classes), resume)
        )
        writers = _writers(folder, names, classes, watch, min_score)
        for writer in writers:
            stack.callback(writer.close)
        if log.num_windows:
            for window in load_timeline(log.path).windows():
                for writer in writers:
                    writer.add(window)
        if log.report is None:
            if log.next_window:
                watch = stack.enter_context(
                    Watch(model, video, window_seconds, stride, log.next_window, how)
                )
            _run(watch, itertools.chain(first, watch), log, writers, classes, progress)
    report = log.report
    if "page" in names and log.num_windows:
        title = f"Timeline of {watch.source.name}"
        write_timeline_page(folder, folder / NAMES["page"], min_score=min_score, title=title)
    if report is None:
        raise RuntimeError("The run has ended without a report.")
    return report


def output_paths(output: str | os.PathLike[str], outputs: Sequence[str]) -> list[str]:
    """The files that a run has written into its folder."""
    paths = [os.path.join(output, name) for name in (TIMELINE_NAME, *(NAMES[o] for o in outputs))]
    return [path for path in paths if os.path.exists(path)]


def _run(
    watch: Watch,
    windows: Iterable[Window],
    log: TimelineLog,
    writers: Sequence[TimelineWriter],
    labels: Sequence[str],
    shown: bool,
) -> None:
    ending = ""
    with WatchProgress(watch, watch.layout.window_start(log.next_window), shown) as progress:
        try:
            for window in windows:
                log.append(window)
                for writer in writers:
                    writer.add(window)
                progress.update(window, labels[int(window.scores.argmax())])
        except KeyboardInterrupt:
            # The way to end the watching of a camera; of a file the run can go on.
            if watch.source.is_file:
                raise
            ending = STOPPED
    report = watch.report
    log.finish(dataclasses.replace(report, ending=ending or report.ending, finished=True))


def _writers(
    folder: Path, names: Sequence[str], labels: Sequence[str], watch: Watch, min_score: float
) -> list[TimelineWriter]:
    make: dict[str, Callable[[Path], TimelineWriter]] = {
        "csv": lambda path: CSVWriter(path, labels),
        "srt": lambda path: SubtitleWriter(path, labels, watch.layout, min_score),
        "vtt": lambda path: SubtitleWriter(path, labels, watch.layout, min_score),
    }
    return [make[name](folder / NAMES[name]) for name in names if name in make]


def _check_outputs(outputs: Sequence[str]) -> tuple[str, ...]:
    names = tuple(outputs)
    unknown = [name for name in names if name not in OUTPUTS]
    if isinstance(outputs, str) or unknown:
        raise ValueError(f"`outputs` are some of {list(OUTPUTS)}. Received: outputs={outputs!r}")
    return names


def _make_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ValueError(
            f"{str(folder)!r} is a file. Results go into a folder; choose another place."
        )
    folder.mkdir(parents=True, exist_ok=True)


def _check_results(folder: Path, resume: bool, overwrite: bool) -> list[str]:
    """Names of the results that are there, if there may be any."""
    there = [name for name in (TIMELINE_NAME, *NAMES.values()) if (folder / name).exists()]
    if there and not (resume or overwrite):
        raise ValueError(
            f"{str(folder)!r} has results already: {', '.join(there)}. Choose another folder, go "
            "on with them by resume=True (on the command line --resume), or replace them by "
            "overwrite=True (--overwrite)."
        )
    return there


def _names(model: TDNResNet, labels: Labels | None) -> tuple[str, ...]:
    if labels is None:
        labels = model.labels
    if labels is None:
        return tuple(f"class {index}" for index in range(model.classes))
    names = load_labels(labels)
    if len(names) != model.classes:
        raise ValueError(
            f"There must be one label for each class: the scores have {model.classes} classes and "
            f"`labels` has {len(names)} names. Pass the labels that the model was trained with."
        )
    return names

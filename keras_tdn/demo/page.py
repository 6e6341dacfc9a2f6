"""The page of a demo."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from typing import Any

import keras

from keras_tdn import html
from keras_tdn.data.records import RecordList
from keras_tdn.demo.fresh_video import FreshVideo
from keras_tdn.demo.learning import LearnedModel
from keras_tdn.demo.page_sections import (
    STYLE,
    accuracy_section,
    confusion_section,
    data_section,
    difference_section,
    fresh_section,
    training_section,
)
from keras_tdn.demo.result import VIDEOS, DemoResult
from keras_tdn.version import __version__


def write_page(
    result: DemoResult,
    tdn: LearnedModel,
    tsn: LearnedModel,
    fresh: FreshVideo,
    held_out: RecordList,
    decoder: Any,
) -> str:
    """The page as text, which needs no other file.

    Args:
        result: The figures.
        tdn: The TDN.
        tsn: The same network without its temporal modules.
        fresh: The video that the export was asked about.
        held_out: Videos that both were measured on.
        decoder: What reads them.
    """
    sections = (
        _tiles(result, tdn),
        data_section(result, held_out, decoder),
        accuracy_section(result, tdn, tsn),
        confusion_section(tdn, tsn),
        fresh_section(fresh),
        difference_section(tdn, fresh),
        training_section(result, tdn, tsn),
        _times(result),
        _next(result),
    )
    lead = (
        "A data set was rendered, two networks learned from it, and the one with temporal "
        "differences was exported and asked about a video that it had never seen. All of it "
        "happened on this machine."
    )
    return html.document("keras-tdn demo", "".join(sections), lead=lead, style=STYLE)


def _tiles(result: DemoResult, tdn: LearnedModel) -> str:
    low, high = tdn.report.top1_interval
    sure = f"95 % sure: {html.percent(low)} to {html.percent(high)}"
    margin = 100 * (result.top1 - result.baseline_top1)
    return html.tiles(
        [
            html.Tile(html.percent(result.top1), "TDN, videos labelled right", sure),
            html.Tile(html.percent(result.baseline_top1), "the same of single frames", "a TSN"),
            html.Tile(html.percent(result.chance), "guessing", f"{_count(tdn)} classes"),
            html.Tile(f"{margin:+.1f}", "by temporal differences", "percentage points"),
            html.Tile(_duration(result.total.seconds), "for everything", _cores()),
        ]
    )


def _times(result: DemoResult) -> str:
    rows = [
        (step.name, f"{step.seconds:.1f} s", f"{step.cpu_seconds:.1f} s")
        for step in (*result.steps, result.total)
    ]
    note = (
        f"On {_cores()}, with Keras on {keras.backend.backend()}, and without the seconds in which "
        "Python loads TensorFlow. The last column adds up the cores."
    )
    return html.section("Time", html.table(("step", "time", "processor time"), rows), note)


def _next(result: DemoResult) -> str:
    parts = "".join(
        f"<p>{html.escape(what)}</p><pre>{html.escape(command)}</pre>"
        for what, command in next_commands(result)
    )
    note = (
        "These videos are rendered, not filmed: they show that temporal differences see motion, "
        "and not how good a network is on videos of yours."
    )
    version = f'<p class="note">keras_tdn {html.escape(__version__)}</p>'
    return html.section("Next", parts + version, note)


def next_commands(result: DemoResult) -> Iterator[tuple[str, str]]:
    """What to try, and the command for it."""
    video, preset, report, listed = (
        shlex.quote(str(path))
        for path in (
            result.video,
            result.preset,
            result.folder / "report",
            result.folder / VIDEOS / "validate.txt",
        )
    )
    export = shlex.quote(str(result.export))
    yield (
        "Label a video with the network of this page:",
        (f"keras-tdn predict {video} --weights {preset}"),
    )
    yield (
        "Measure it again, with views, calibration and the most confident mistakes:",
        (f"keras-tdn evaluate {listed} --weights {preset} --output {report}"),
    )
    yield "See what a server may be asked:", f"saved_model_cli show --dir {export} --all"
    yield (
        (
            "Train on videos of your own, from ImageNet weights; a line of a list is a path and a "
            "number or name of a class:"
        ),
        "keras-tdn train --train-list train.txt --val-list validate.txt --output my_training",
    )


def _count(learned: LearnedModel) -> int:
    return len(learned.report.classes)


def _cores() -> str:
    # From Python 3.13, those that this process may use.
    return f"{getattr(os, 'process_cpu_count', os.cpu_count)()} processor cores"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"

"""The page of a demo."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from markupsafe import Markup

from keras_tdn.data import SegmentSampler
from keras_tdn.data.frame_transforms import resize_and_center_crop
from keras_tdn.data.records import RecordList
from keras_tdn.datasets.motion import MotionConfig
from keras_tdn.demo.learning import FreshVideo, LearnedModel
from keras_tdn.demo.result import VIDEOS, DemoResult
from keras_tdn.pages.confusion import heat_rows
from keras_tdn.pages.pictures import Picture, strip
from keras_tdn.pages.plots import Line, curves, inline_svg
from keras_tdn.pages.rendering import Bar, render
from keras_tdn.progress import duration
from keras_tdn.specs import ClipSpec
from keras_tdn.version import __version__
from keras_tdn.worker_pool import process_count

TDN, TSN = "TDN", "single frames (TSN)"
PICTURES_IN_A_STRIP = 9
STRIP_HEIGHT, SEGMENT_HEIGHT = 72, 112
# Differences of neighbouring frames are weak to the eye.
GAIN = 2
GREY = 127
MAX_POINTS = 12


def write_page(
    result: DemoResult, two: list[LearnedModel], fresh: FreshVideo, videos: RecordList, decoder: Any
) -> str:
    """Returns the page, of the TDN and the TSN; `decoder` reads the videos on it."""
    tdn, _ = two
    frames, differences = segment_and_differences(fresh.frames, tdn.model.clip_spec)
    return render(
        "demo.html",
        result=result,
        recipe=result.settings.recipe,
        videos=MotionConfig(),
        report=tdn.report,
        duration=duration(result.total.seconds),
        cores=f"{process_count(None)} processor cores",
        backend=keras.backend.backend(),
        class_strips=list(_class_strips(videos, decoder)),
        networks=[
            {
                "name": name,
                "report": learned.report,
                "parameters": f"{learned.model.count_params() / 1e3:.0f} thousand",
                "bars": [
                    Bar(each.name, each.accuracy, f"{each.correct} / {each.count}", "", name == TSN)
                    for each in learned.report.classes
                ],
                "heat_rows": heat_rows(learned.report.confusion),
            }
            for name, learned in zip((TDN, TSN), two, strict=True)
        ],
        fresh=fresh,
        fresh_strip=_video_strip(fresh.frames, f"a video of {fresh.label}"),
        fresh_bars=[Bar(item.label, item.score) for item in fresh.answer],
        frames=strip(frames, "neighbouring frames", height=SEGMENT_HEIGHT),
        differences=strip(differences, "differences of neighbouring frames", height=SEGMENT_HEIGHT),
        gain=GAIN,
        learning=_learning(two),
        times=[
            (step.name, f"{step.seconds:.1f} s", f"{step.cpu_seconds:.1f} s")
            for step in (*result.steps, result.total)
        ],
        commands=list(next_commands(result)),
        version=__version__,
    )


def next_commands(result: DemoResult) -> Iterator[tuple[str, str]]:
    """Yields what to try, and the command for it."""
    folder = result.folder
    paths = (result.video, result.preset, folder / "report", folder / VIDEOS / "validate.txt")
    video, preset, report, listed = (shlex.quote(str(path)) for path in paths)
    export = shlex.quote(str(result.export))
    yield (
        "Label a video with the network of this page:",
        f"keras-tdn predict {video} --weights {preset}",
    )
    yield (
        "Measure it again, with views, calibration and the most confident mistakes:",
        f"keras-tdn evaluate {listed} --weights {preset} --output {report}",
    )
    yield "See what a server may be asked:", f"saved_model_cli show --dir {export} --all"
    yield (
        "Train on videos of your own, from ImageNet weights; a line of a list is a path and a "
        "number or name of a class:",
        "keras-tdn train --train-list train.txt --val-list validate.txt --output my_training",
    )


def segment_and_differences(
    frames: np.ndarray, spec: ClipSpec
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Returns the second segment's frames as a model sees them, and what changes between them."""
    sampler = SegmentSampler(spec.num_segments, spec.frames_per_segment, mode="center")
    indices = sampler(len(frames))[min(1, spec.num_segments - 1)]
    segment = resize_and_center_crop(frames[indices], spec)
    changes = np.diff(segment.astype(np.int32), axis=0)
    differences = np.clip(GREY + GAIN * changes, 0, 255).astype(np.uint8)
    return list(segment), list(differences)


def _class_strips(records: RecordList, decoder: Any) -> Iterator[tuple[str, list[Picture]]]:
    for number, label in enumerate(records.labels or ()):
        record = next((record for record in records if record.label == number), None)
        if record is not None:
            frames = decoder.read_frames(record.path, np.arange)
            yield label, _video_strip(frames, f"a video of {label}")


def _video_strip(frames: np.ndarray, description: str) -> list[Picture]:
    """Frames at equal steps, from the first to the last."""
    chosen = np.linspace(0, len(frames) - 1, PICTURES_IN_A_STRIP).round().astype(int)
    return strip(frames[chosen], description, height=STRIP_HEIGHT)


def _learning(two: list[LearnedModel]) -> Markup:
    lines = []
    for name, learned in zip((TDN, TSN), two, strict=True):
        history = learned.training.history
        # At equal steps up to the last, few enough for values to stand side by side.
        step = -(-len(history) // MAX_POINTS)
        rows = history[::-1][::step][::-1]
        lines.append(Line(name, [(row["epoch"], row["top1"]) for row in rows]))
    figure = curves(
        lines, "epoch", "clips labelled right in training", marks=True, legend=False,
        y_range=(0.0, 1.12), size=(640, 320),
    )  # fmt: skip
    return inline_svg(figure, "share of clips that are labelled right in each epoch of training")

"""Writes a motion data set, and builds the compact model for it."""

from __future__ import annotations

import concurrent.futures
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_tdn.data.records import Record, RecordList
from keras_tdn.datasets.motion.rendering import MOTION_LABELS, MotionConfig, render_motion
from keras_tdn.files.atomic import write_beside
from keras_tdn.files.resumable_folder import read_object
from keras_tdn.pages import pictures
from keras_tdn.specs import checked_integer, python_integer

if TYPE_CHECKING:
    from keras_tdn.models import TDNResNet


def encode_mp4(frames: np.ndarray, config: MotionConfig) -> bytes:
    """Encodes every frame on its own as H.264: prediction would let a single one betray motion."""
    # One thread, no dates and no version strings keep the bytes the same.
    options = {"preset": "veryfast", "qp": str(config.quantizer), "g": "1", "threads": "1"}
    options["flags"] = "+bitexact"
    rate = config.frame_rate
    return pictures.encode_mp4(list(frames), rate, "libx264", options, fflags="+bitexact")


CONFIG_FILE = "motion.json"
LABELS_FILE = "classes.txt"
VIDEOS_FOLDER = "videos"
# Whoever changes what videos look like changes this, lest old files pass for new ones.
RENDERING = 1


def make_motion_dataset(
    folder: str | os.PathLike[str],
    num_train: int = 960,
    num_validation: int = 240,
    *,
    seed: int = 0,
    config: MotionConfig | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[RecordList, RecordList]:
    """Renders a data set whose classes differ by motion alone, as mp4 files.

    Use it to see that a model learns motion, without downloading anything: a network that looks at
    single frames stays at chance. A video shows a scene of textured objects that moves before the
    camera in one of the twelve ways of `MOTION_LABELS`. Only neighbouring frames show where to.
    Three classes approach and retreat in different order, which only modules that compare segments
    can tell apart.

    A video depends on the seed, its part, its number and the config alone. Classes take turns.
    Files that exist are left, so that a call continues one that was interrupted or smaller.

    Args:
        folder: Gets `videos/<class>/<part>_<number>.mp4`, the lists `train.txt` and `validate.txt`,
            and `classes.txt`.
        num_train, num_validation: Videos for training and for validation.
        seed: Start of all draws, a non-negative integer.
        config: What videos look like; by default `MotionConfig()`.
        workers: Threads; by default as many as there are processors, at most 8.
        progress: Called with the number of videos that are ready and of all.

    Returns:
        Records for training and for validation, as `load_records` reads them from the lists.

    Raises:
        ValueError: if a number is out of range, or the folder has another seed or config.
        OSError: if a file cannot be written.

    Example:

    >>> train, validation = make_motion_dataset("motion_videos", num_train=960, num_validation=240)
    >>> len(train), train.labels[0]
    (960, 'moving left')
    """
    num_train = _checked("num_train", num_train, 1)
    num_validation = _checked("num_validation", num_validation, 1)
    seed = _checked("seed", seed, 0)
    workers = min(os.cpu_count() or 1, 8) if workers is None else _checked("workers", workers, 1)
    config = MotionConfig() if config is None else config
    if not isinstance(config, MotionConfig):
        raise ValueError(
            "A motion data set needs a MotionConfig for `config`, for example "
            f"MotionConfig(num_frames=40). Received: config={config!r}"
        )
    root = Path(os.path.abspath(os.fspath(folder)))
    _claim(root, seed, config)

    counts = {"train": num_train, "validate": num_validation}
    records = {part: _records(root, part, count) for part, count in counts.items()}
    # Parts draw from seeds of their own, so that a data set grows without changing what is there.
    jobs = [
        (Path(record.path), number % len(MOTION_LABELS), (seed, part, number))
        for part, part_records in enumerate(records.values())
        for number, record in enumerate(part_records)
    ]
    missing = [job for job in jobs if not job[0].exists()]
    ready = len(jobs) - len(missing)
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(_write_video, *job, config) for job in missing]
        try:
            for future in concurrent.futures.as_completed(futures):
                future.result()
                ready += 1
                if progress is not None:
                    progress(ready, len(jobs))
        finally:
            pool.shutdown(cancel_futures=True)
    write_beside(root / LABELS_FILE, "".join(f"{label}\n" for label in MOTION_LABELS).encode())
    for part, part_records in records.items():
        # With slashes, so that a set made on Windows is read everywhere.
        paths = [Path(record.path).relative_to(root).as_posix() for record in part_records]
        listed = zip(paths, part_records, strict=True)
        lines = "".join(f"{path} {record.label}\n" for path, record in listed)
        write_beside(root / f"{part}.txt", lines.encode())
    return records["train"], records["validate"]


def motion_model(
    short_term: bool = True, long_term: bool = True, temporal_shift: bool = True, **arguments: Any
) -> TDNResNet:
    """A TDN small enough to be trained in a minute or two on two processor cores.

    Use it with `make_motion_dataset`, and switch its temporal modules off to see what each is for.
    It has one block per stage, a quarter of a ResNet's width, four segments of five frames of 56
    pixels, and half a million parameters.

    Args:
        short_term, long_term, temporal_shift: Which temporal modules it has.
        **arguments: Further arguments of `TDNResNet`, which also win over the ones above.

    Returns:
        A `TDNResNet` with random weights and the labels of the data set.

    Example:

    >>> baseline = motion_model(short_term=False, long_term=False, temporal_shift=False)  # a TSN
    """
    from keras_tdn.models import TDNResNet

    num_segments = arguments.get("num_segments", 4)
    frames = num_segments * arguments.get("frames_per_segment", 5)
    ours: dict[str, Any] = {
        "stage_depths": (1, 1, 1, 1),
        "width": 16,
        "num_segments": num_segments,
        "input_shape": (frames, 56, 56, 3),
        "short_term": short_term,
        "long_term": long_term,
        "temporal_shift": temporal_shift,
        "classes": len(MOTION_LABELS),
        "labels": MOTION_LABELS,
        "dropout_rate": 0.0,
        "appearance_weight": 0.5,
        "motion_weight": 0.5,
        "name": "motion_model",
    }
    return TDNResNet(**{**ours, **arguments})


def _records(root: Path, part: str, count: int) -> RecordList:
    folders = [root / VIDEOS_FOLDER / label.replace(" ", "_") for label in MOTION_LABELS]
    records = []
    for index in range(count):
        label = index % len(folders)
        path = folders[label] / f"{part}_{index:05d}.mp4"
        records.append(Record(str(path), label, index=index))
    return RecordList(records, MOTION_LABELS)


def _write_video(path: Path, label: int, seed: tuple[int, int, int], config: MotionConfig) -> None:
    write_beside(path, encode_mp4(render_motion(label, config, seed), config))


def _claim(root: Path, seed: int, config: MotionConfig) -> None:
    """Notes what the folder holds, or compares it with what is noted."""
    ours: dict[str, Any] = {"rendering": RENDERING, "seed": seed, "config": config.to_config()}
    path = root / CONFIG_FILE
    if not path.exists():
        write_beside(path, f"{json.dumps(ours, indent=2)}\n".encode())
    elif read_object(path) != ours:
        raise ValueError(
            f"{str(root)!r} holds a motion data set of another seed or config, which {str(path)!r} "
            f"states. Choose another folder, or delete this one. Received: seed={seed}, {config}"
        )


def _checked(name: str, value: Any, least: int) -> int:
    wanted = f"A motion data set needs an integer of at least {least} for `{name}`"
    return checked_integer(name, python_integer(value), wanted, least)

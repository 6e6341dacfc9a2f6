"""A video that is in no list, labelled by the export alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from keras_tdn.data import SegmentSampler, read_frames
from keras_tdn.data.frame_transforms import resize_and_center_crop
from keras_tdn.datasets.motion import MOTION_LABELS, MotionConfig, render_motion
from keras_tdn.datasets.motion.make import encode_mp4
from keras_tdn.models import TDNResNet
from keras_tdn.prediction import Prediction, predict_video

# The data set draws from parts 0 and 1 of the seed.
FRESH_PART = 2
JPEG_QUALITY = 95
# A video in which nothing happens shows little on a page.
STILL = "still"


@dataclasses.dataclass(frozen=True)
class FreshVideo:
    """A video, what it shows, and what the export says of it.

    Args:
        frames: Its frames, uint8 `(num_frames, height, width, 3)`.
        label: What it shows.
        answer: The labels and scores that the export gave for JPEG frames, highest first.
        jpeg_difference: Largest difference of any class' score from `predict_video`'s.
        raw_difference: The same for raw pixels.
    """

    frames: np.ndarray
    label: str
    answer: tuple[Prediction, ...]
    jpeg_difference: float
    raw_difference: float


def write_fresh_video(path: Path, seed: int) -> str:
    """Renders and writes a video of a class that the seed draws; its label."""
    moving = [number for number, label in enumerate(MOTION_LABELS) if label != STILL]
    label = int(np.random.default_rng([seed, FRESH_PART]).choice(moving))
    config = MotionConfig()
    path.write_bytes(encode_mp4(render_motion(label, config, (seed, FRESH_PART, 0)), config))
    return MOTION_LABELS[label]


def ask_export(export: Path, model: TDNResNet, path: Path, label: str) -> FreshVideo:
    """Sends a video's frames to the export as JPEG files, as a client of a server would.

    Args:
        export: A SavedModel that `export_saved_model` wrote. It is loaded by TensorFlow itself.
        model: The model that it was made of: only to compare with.
        path: A video file.
        label: What it shows.
    """
    import tensorflow as tf

    spec = model.clip_spec
    sampler = SegmentSampler(spec.num_segments, spec.frames_per_segment, mode="center")
    frames = read_frames(str(path), np.arange)
    chosen = frames[sampler(len(frames)).ravel()]
    files = [tf.io.encode_jpeg(frame, quality=JPEG_QUALITY) for frame in chosen]
    served = tf.saved_model.load(str(export)).signatures
    answer = served["encoded_frames"](encoded_frames=tf.stack(files)[tf.newaxis])
    raw = served["serving_default"](clips=resize_and_center_crop(chosen, spec)[np.newaxis])
    names = [name.decode() for name in answer["labels"][0].numpy()]
    predictions = tuple(
        Prediction(MOTION_LABELS.index(name), name, float(score))
        for name, score in zip(names, answer["top_scores"][0].numpy(), strict=True)
    )
    ours = predict_video(model, str(path), top=len(MOTION_LABELS))

    def difference(scores: np.ndarray) -> float:
        return max(abs(float(scores[item.index]) - item.score) for item in ours)

    return FreshVideo(
        frames,
        label,
        predictions,
        jpeg_difference=difference(answer["scores"][0].numpy()),
        raw_difference=difference(raw["scores"][0].numpy()),
    )

"""The networks of a demo: trained, and the TDN's export asked about a video that is in no list."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_tdn.data import SegmentSampler, read_frames
from keras_tdn.data.frame_transforms import resize_and_center_crop
from keras_tdn.data.records import RecordList
from keras_tdn.datasets.motion import MOTION_LABELS, MotionConfig, motion_model, render_motion
from keras_tdn.datasets.motion.make import encode_mp4
from keras_tdn.demo.result import DemoSettings
from keras_tdn.models import TDNResNet
from keras_tdn.prediction import Prediction, predict_video
from keras_tdn.pretrained import Accuracy, PresetCard
from keras_tdn.pretrained.preset_config import TDN_CITATION
from keras_tdn.training import train
from keras_tdn.version import __version__

if TYPE_CHECKING:
    from keras_tdn.evaluation import EvaluationReport
    from keras_tdn.training.training_result import TrainingResult

# The data set draws from parts 0 and 1 of the seed.
FRESH_PART = 2
JPEG_QUALITY = 95
# A video in which nothing happens shows little on a page.
STILL = "still"


@dataclasses.dataclass(frozen=True)
class LearnedModel:
    """A model, how its training went, and what its evaluation on held-out videos found."""

    model: TDNResNet
    training: TrainingResult
    report: EvaluationReport


def learn(
    is_tdn: bool, videos: RecordList, settings: DemoSettings, place: Path, decoder: Any, shown: bool
) -> tuple[TDNResNet, TrainingResult]:
    """Trains the TDN, or the same network without its temporal modules, in the same way.

    Without temporal modules it is a TSN: a network of single frames, with a mean over the segments.
    Nothing is chosen by looking at other videos: the last epoch's weights are the result.
    """
    # For the weights and dropout: both models draw from the same start.
    keras.utils.set_random_seed(settings.seed)
    model = motion_model(short_term=is_tdn, long_term=is_tdn, temporal_shift=is_tdn)
    how: dict[str, Any] = {"seed": settings.seed, "dataset_arguments": {"decoder": decoder}}
    result = train(model, videos, None, settings.recipe, place, progress=shown, **how)
    return model, result


def card_of(learned: LearnedModel, settings: DemoSettings) -> PresetCard:
    """Returns what the preset says about itself."""
    report = learned.report
    accuracy = Accuracy(learned.model.num_segments, 1, 1, 100 * report.top1, 100 * report.top5)
    source = f"Trained by `keras-tdn demo` (keras_tdn {__version__}) for {settings.epochs} epochs "
    source += f"on {settings.num_train} rendered videos, seed {settings.seed}; accuracy measured "
    source += f"on {report.num_scored} others."
    return PresetCard("motion", source=source, measured=(accuracy,), citation=TDN_CITATION)


@dataclasses.dataclass(frozen=True)
class FreshVideo:
    """A video, what it shows, and what the export says of it.

    The differences are the largest of any class' score from `predict_video`'s.
    """

    frames: np.ndarray
    label: str
    answer: tuple[Prediction, ...]
    jpeg_difference: float
    raw_difference: float


def write_fresh_video(path: Path, seed: int) -> str:
    """Renders and writes a video of a class that the seed draws, and returns its label."""
    moving = [number for number, label in enumerate(MOTION_LABELS) if label != STILL]
    label = int(np.random.default_rng([seed, FRESH_PART]).choice(moving))
    config = MotionConfig()
    path.write_bytes(encode_mp4(render_motion(label, config, (seed, FRESH_PART, 0)), config))
    return MOTION_LABELS[label]


def ask_export(export: Path, model: TDNResNet, path: Path, label: str) -> FreshVideo:
    """Sends a video's frames to the export as JPEG files, as a client would; compares `model`."""
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

    differences = (difference(each["scores"][0].numpy()) for each in (answer, raw))
    return FreshVideo(frames, label, predictions, *differences)

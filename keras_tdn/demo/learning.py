"""One of the two models: trained, and measured on videos that it has not seen."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from keras_tdn.data.records import RecordList
from keras_tdn.datasets.motion import motion_model
from keras_tdn.demo.settings import DemoSettings
from keras_tdn.evaluation import evaluate
from keras_tdn.models import TDNResNet
from keras_tdn.pretrained import Accuracy, PresetCard
from keras_tdn.pretrained.preset_config import TDN_CITATION
from keras_tdn.training import train
from keras_tdn.version import __version__

if TYPE_CHECKING:
    from keras_tdn.evaluation import EvaluationReport
    from keras_tdn.training.training_result import TrainingResult


@dataclasses.dataclass(frozen=True)
class LearnedModel:
    """A model that was trained and measured.

    Args:
        model: The model.
        training: How the training went.
        report: What the evaluation found.
    """

    model: TDNResNet
    training: TrainingResult
    report: EvaluationReport


def learn(
    temporal: bool,
    train_records: RecordList,
    settings: DemoSettings,
    output: Path,
    decoder: Any,
    progress: bool,
) -> tuple[TDNResNet, TrainingResult]:
    """Trains the TDN, or the same network without its temporal modules, in the same way.

    Nothing is chosen by looking at other videos: the last epoch's weights are the result.

    Args:
        temporal: Whether the model has temporal modules. Without them it is a TSN: a network of
            single frames, with a mean over the segments.
        train_records: Videos to learn from.
        settings: Epochs and seed.
        output: Folder for the training.
        decoder: What reads videos.
        progress: Whether to show a bar.
    """
    # For the weights and dropout: both models draw from the same start.
    keras.utils.set_random_seed(settings.seed)
    model = motion_model(short_term=temporal, long_term=temporal, temporal_shift=temporal)
    result = train(
        model,
        train_records,
        None,
        settings.recipe,
        output,
        seed=settings.seed,
        progress=progress,
        dataset_arguments={"decoder": decoder},
    )
    return model, result


def measure(
    model: TDNResNet, records: RecordList, decoder: Any, progress: bool
) -> EvaluationReport:
    """The report on one clip and one crop of each video."""
    return evaluate(model, records, batch_size=20, decoder=decoder, progress=progress)


def card_of(learned: LearnedModel, settings: DemoSettings) -> PresetCard:
    """What the preset says about itself."""
    report = learned.report
    accuracy = Accuracy(learned.model.num_segments, 1, 1, 100 * report.top1, 100 * report.top5)
    return PresetCard(
        dataset="motion",
        source=(
            f"Trained by `keras-tdn demo` (keras_tdn {__version__}) for "
            f"{settings.epochs} epochs on {settings.num_train} rendered videos, seed "
            f"{settings.seed}; accuracy measured on {report.num_scored} others."
        ),
        measured=(accuracy,),
        citation=TDN_CITATION,
    )

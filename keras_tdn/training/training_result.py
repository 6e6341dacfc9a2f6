"""The end of a training: its preset, its result and its curves."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from keras_tdn.data.failures import Failure, read_failures
from keras_tdn.data.records import RecordList
from keras_tdn.pages.plots import PALETTE, drawing
from keras_tdn.pages.texts import percent
from keras_tdn.pretrained import save_preset
from keras_tdn.pretrained.preset_config import TDN_CITATION, Accuracy, PresetCard
from keras_tdn.pretrained.weights import load_weights
from keras_tdn.training.callbacks import BEST_FILE, LAST_FILE, Checkpoints, load_checkpoint
from keras_tdn.training.callbacks.reporting import EpochLog, InputTiming
from keras_tdn.training.recipe import TOP_K, Recipe
from keras_tdn.training.run_folder import FAILURES_FILE, PRESET_FOLDER, RESULT_FILE
from keras_tdn.training.state_files import failures_to_write_in_words, written_durably
from keras_tdn.version import __version__

if TYPE_CHECKING:
    from matplotlib.figure import Figure

logger = logging.getLogger("keras_tdn")


def finish_training(
    model: Any,
    folder: Path,
    recipe: Recipe,
    callbacks: list[keras.callbacks.Callback],
    train_records: RecordList,
    validation_records: RecordList | None,
    card: PresetCard | None,
    whole_batches: bool,
) -> TrainingResult:
    """Loads the best weights, or the last, into the model, and writes the preset and the result."""
    log, checkpoints, timing = (
        next(callback for callback in callbacks if isinstance(callback, kind))
        for kind in (EpochLog, Checkpoints, InputTiming)
    )
    best = checkpoints.best_epoch
    load_checkpoint(model, folder / (BEST_FILE if best else LAST_FILE))
    epoch = best or len(log.rows)
    row = log.rows[epoch - 1]
    failures = tuple(read_failures(folder / FAILURES_FILE))
    bad = {failure.path for failure in failures}
    measured = sum(record.path not in bad for record in validation_records or ())
    if whole_batches:
        measured -= measured % recipe.batch_size
    result = TrainingResult(
        output=folder,
        preset=folder / PRESET_FOLDER,
        epochs=len(log.rows),
        epoch=epoch,
        top1=row.get("val_top1"),
        # The first five of five classes are all there are, and it is not measured.
        top5=row.get(f"val_top{TOP_K}", None if validation_records is None else 1.0),
        num_validation=measured,
        stopped_early=len(log.rows) < recipe.epochs,
        history=tuple(log.rows),
        failures=failures,
        seconds=timing.seconds,
        share_waited=timing.share_waited,
    )
    labels = train_records.labels if train_records.num_classes == model.classes else None
    card = _filled_in(card or PresetCard(), model, recipe, result, len(train_records))
    with failures_to_write_in_words(result.preset):
        save_preset(model, result.preset, labels=labels, card=card, overwrite=True)
    result.write(folder / RESULT_FILE)
    return result


def finished_training(model: Any, folder: Path) -> TrainingResult | None:
    """Returns the result of a training that is done, its weights loaded; otherwise `None`."""
    preset = folder / PRESET_FOLDER
    result = TrainingResult.read(folder / RESULT_FILE, preset)
    if result is None or not preset.is_dir():
        return None
    logger.info("The training in %s is done; nothing was trained.", folder)
    load_weights(model, preset)
    return result


def _filled_in(
    card: PresetCard, model: Any, recipe: Recipe, result: TrainingResult, num_videos: int
) -> PresetCard:
    source = (
        f"Trained with keras_tdn {__version__} by the recipe {recipe.name!r}, epoch "
        f"{result.epoch} of {result.epochs}, on {num_videos} videos"
    )
    measured = card.measured
    if result.top1 is not None and result.top5 is not None:
        source += f"; accuracy measured on {result.num_validation} validation videos"
        shares = 100 * result.top1, 100 * result.top5
        measured = measured or (Accuracy(model.num_segments, 1, 1, *shares),)
    source, citation = card.source or f"{source}.", card.citation or TDN_CITATION
    return dataclasses.replace(card, source=source, measured=measured, citation=citation)


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """What `train` gives back, and writes to `result.json`.

    Args:
        output: Folder of the training.
        preset: Folder of the preset: the model of the best epoch; without validation, the last.
        epochs: Epochs that were trained.
        epoch: The epoch that the preset is of, counted from 1.
        top1: Share of validation videos, from 0 to 1, that one view labels right, or `None`.
        top5: Share whose label is among its first five guesses; `None` likewise.
        num_validation: Validation videos that this was measured on.
        stopped_early: Whether training ended before the recipe's last epoch.
        history: For each epoch, its figures by name.
        failures: Videos that could not be read.
        seconds: Duration of the training steps, of all processes together.
        share_waited: Part of it in which the model waited for its input, from 0 to 1.
    """

    output: Path
    preset: Path
    epochs: int
    epoch: int
    top1: float | None
    top5: float | None
    num_validation: int
    stopped_early: bool
    history: tuple[Mapping[str, float], ...]
    failures: tuple[Failure, ...]
    seconds: float
    share_waited: float

    def write(self, path: Path) -> None:
        content = dataclasses.asdict(self)
        del content["output"], content["preset"]
        with written_durably(path) as new:
            new.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path, preset: Path) -> TrainingResult | None:
        """Reads what `write` wrote; `None` if there is no such file or it is damaged."""
        try:
            content: dict[str, Any] = json.loads(path.read_text("utf-8"))
            content["history"] = tuple(content["history"])
            content["failures"] = tuple(Failure(**entry) for entry in content["failures"])
            return cls(output=path.parent, preset=preset, **content)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None


# Figures of training clips and of validation, and what the legend calls them.
SETS = (("", "training", "bar"), ("val_", "validation", "other"))


def plot_history(history: Sequence[Mapping[str, float]]) -> Figure:
    """Draws loss and accuracy by epoch, of training and, if there is one, of validation.

    Use it in a notebook. `history` has, for each epoch, its figures by name, such as
    `TrainingResult.history` or the rows of `log.csv`.

    Raises:
        ValueError: if there is no epoch, or an epoch without `"epoch"`, `"loss"` and `"top1"`.

    Example:

    >>> result = train(model, records, validation, recipe, "trained")
    >>> plot_history(result.history).savefig("curves.png")
    """
    if not history or any({"epoch", "loss", "top1"} - set(row) for row in history):
        raise ValueError(
            "A history is a sequence of epochs with the figures 'epoch', 'loss' and 'top1', as "
            f"`train` returns it. Received: {list(history[:1])}"
        )
    with drawing((900, 320)) as figure:
        left, right = figure.subplots(1, 2)
        for axes, name, text in ((left, "loss", "loss"), (right, "top1", "top-1 accuracy")):
            for prefix, label, color in SETS:
                if rows := [row for row in history if prefix + name in row]:
                    epochs = [row["epoch"] for row in rows]
                    values = [row[prefix + name] for row in rows]
                    mark = "o" if len(rows) == 1 else ""
                    axes.plot(epochs, values, color=PALETTE[color], label=label, marker=mark)
            axes.set(xlabel="epoch", ylabel=text)
            axes.locator_params(axis="x", integer=True)
        right.yaxis.set_major_formatter(lambda share, _: percent(share, 0))
        if len(left.lines) > 1:
            left.legend()
    return figure

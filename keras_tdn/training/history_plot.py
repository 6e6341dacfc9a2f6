"""The curves of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from keras_tdn.pages.plots import PALETTE, drawing
from keras_tdn.pages.texts import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Figures of training clips and of validation, and what the legend calls them.
SETS = (("", "training", "bar"), ("val_", "validation", "other"))


def plot_history(history: Sequence[Mapping[str, float]]) -> Figure:
    """Draws loss and accuracy by epoch, of training and, if there is one, of validation.

    Use it in a notebook, on what `train` returns or what `log.csv` holds.

    Args:
        history: For each epoch its figures by name, such as `TrainingResult.history`.

    Returns:
        A `matplotlib.figure.Figure`.

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
                points = [
                    (row["epoch"], row[prefix + name]) for row in history if prefix + name in row
                ]
                if points:
                    mark = "o" if len(points) == 1 else ""
                    epochs, values = zip(*points, strict=True)
                    axes.plot(epochs, values, color=PALETTE[color], label=label, marker=mark)
            axes.set(xlabel="epoch", ylabel=text)
            axes.locator_params(axis="x", integer=True)
        right.yaxis.set_major_formatter(lambda share, _: percent(share, 0))
        if len(left.lines) > 1:
            left.legend()
    return figure

"""The model that is served, its labels, and how many of them an answer has."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Sequence
from typing import Any

from keras_tdn.inference.folding import check_not_quantized
from keras_tdn.models import TDNResNet
from keras_tdn.specs import ClipSpec


@dataclasses.dataclass(frozen=True)
class ServedModel:
    """A classifier with names for its classes.

    Args:
        model: A `TDNResNet` with its classifier.
        labels: Names in the order of its scores.
        top: How many classes an answer names; with fewer classes than that, all.

    Raises:
        ValueError: if one of them does not fit.
    """

    model: TDNResNet
    labels: tuple[str, ...]
    top: int

    def __post_init__(self) -> None:
        classes = self.model.classes
        if len(self.labels) != classes or not all(isinstance(name, str) for name in self.labels):
            raise ValueError(
                f"`labels` needs one name for each of the {classes} classes, in the order of the "
                f"model's scores. Received: {len(self.labels)} names"
            )
        try:
            top = operator.index(self.top)
        except TypeError:
            top = 0
        if isinstance(self.top, bool) or top < 1:
            raise ValueError(f"`top` must be an integer of at least 1. Received: top={self.top!r}")
        object.__setattr__(self, "top", min(top, classes))

    @property
    def clip_spec(self) -> ClipSpec:
        """How the clips that it takes are cut."""
        return self.model.clip_spec

    @classmethod
    def of(cls, model: Any, labels: Sequence[str] | None, top: int) -> ServedModel:
        """Checks a model and its labels; those that are passed replace the model's own.

        Raises:
            ValueError: if the model cannot be served.
        """
        if not isinstance(model, TDNResNet):
            raise ValueError(
                "An export takes a TDNResNet, such as load_preset gives and TDNResNet50 builds. "
                f"Received: {type(model).__name__}"
            )
        if not model.include_top:
            raise ValueError(
                "A model without its classifier has no scores to answer with. Build it with "
                "include_top=True; the export has a signature for features as well."
            )
        check_not_quantized(model)
        names = model.labels if labels is None else labels
        if names is None:
            raise ValueError(
                "A served model answers with labels, and this one has none. Pass `labels` with one "
                f"name for each of its {model.classes} classes (on the command line --labels)."
            )
        if isinstance(names, str):
            raise ValueError(
                "`labels` is a sequence of names; keras_tdn.labels.load_labels reads them from a "
                f"file or by a data set's name. Received: labels={names!r}"
            )
        return cls(model, tuple(names), top)

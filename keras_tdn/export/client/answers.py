"""Reading a server's answers, which are not believed before they are checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_tdn.export.client.errors import MalformedAnswerError
from keras_tdn.prediction import Prediction

SCORES, LABELS, TOP_SCORES, FEATURES = "scores", "labels", "top_scores", "features"


def read_predictions(outputs: Mapping[str, np.ndarray], batch: int) -> list[list[Prediction]]:
    """The named classes of each clip, highest score first.

    Args:
        outputs: Of `serving_default` or `encoded_frames`.
        batch: Clips that were asked about.

    Raises:
        MalformedAnswerError: if they do not fit together.
    """
    scores = _floats(outputs, SCORES, batch)
    top_scores = _floats(outputs, TOP_SCORES, batch)
    labels = outputs.get(LABELS)
    if (
        labels is None
        or labels.shape != top_scores.shape
        or not all(isinstance(name, str | bytes) for name in labels.ravel())
    ):
        raise _malformed(f"{LABELS!r} has not a name for each of {TOP_SCORES!r}")
    best = np.argsort(-scores, axis=1, kind="stable")[:, : labels.shape[1]]
    if best.shape != labels.shape or not np.allclose(
        np.take_along_axis(scores, best, axis=1), top_scores, rtol=1e-6, atol=1e-9
    ):
        raise _malformed(f"{TOP_SCORES!r} are not the highest of {SCORES!r}")
    return [
        [
            Prediction(int(index), _text(name), float(score))
            for index, name, score in zip(*sample, strict=True)
        ]
        for sample in zip(best, labels, top_scores, strict=True)
    ]


def read_features(outputs: Mapping[str, np.ndarray], batch: int) -> np.ndarray:
    """One vector for each clip."""
    # REST leaves the name of a single output out.
    named = {FEATURES: outputs[""]} if set(outputs) == {""} else outputs
    return _floats(named, FEATURES, batch)


def _floats(outputs: Mapping[str, np.ndarray], name: str, batch: int) -> np.ndarray:
    value = outputs.get(name)
    if value is None:
        raise _malformed(f"it has no output {name!r}, only {sorted(outputs)}")
    is_table = value.dtype.kind in "fi" and value.ndim == 2
    if not is_table or value.shape[0] != batch or value.shape[1] == 0:
        raise _malformed(
            f"{name!r} is {value.dtype} of shape {value.shape} instead of {batch} rows of numbers"
        )
    # What float32 cannot hold becomes infinite.
    with np.errstate(over="ignore"):
        array = value.astype(np.float32)
    if not np.isfinite(array).all():
        raise _malformed(f"{name!r} has NaN or infinity")
    return array


def _text(name: Any) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def _malformed(reason: str) -> MalformedAnswerError:
    return MalformedAnswerError(
        f"The answer cannot be used: {reason}. Does the server serve what keras_tdn.export wrote?"
    )

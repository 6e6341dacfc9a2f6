"""A model and options: from clips to values, from the values of a video to its row."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_tdn.data.records import Record
from keras_tdn.evaluation.averaging import average_views
from keras_tdn.evaluation.model_hash import model_sha256
from keras_tdn.evaluation.view_reading import VideoViews
from keras_tdn.labelling.options import LabelOptions
from keras_tdn.labelling.value_scoring import value_scorer
from keras_tdn.labels import load_labels
from keras_tdn.models.clips import clip_spec_of
from keras_tdn.prediction import Labels, decode_predictions
from keras_tdn.specs import ClipSpec

Row = dict[str, Any]


class Labeller:
    """Gives the values of views, and makes rows of them.

    Use it where videos come from elsewhere than a list on the disk; `label_videos` has one inside,
    and so has every worker of the Beam pipeline. It may be called from several threads.

    Args:
        model: A model from clips to scores of classes.
        options: What a row says.
        labels: Class names, as in `decode_predictions`. `None` takes the model's own.
        clip_spec: How clips are cut. `None` takes the model's own.
        from_logits: Whether the model's scores are logits; by default its last layer tells.

    Raises:
        ValueError: if the model takes other clips or gives something else, or names do not fit it.
    """

    def __init__(
        self,
        model: keras.Model,
        options: LabelOptions = LabelOptions(),  # noqa: B008
        *,
        labels: Labels | None = None,
        clip_spec: ClipSpec | None = None,
        from_logits: bool | None = None,
    ) -> None:
        spec = clip_spec_of(model, clip_spec)
        self.options = options
        self.spec = spec
        size = options.views.crop_size_of(spec)
        self.clip_shape = (spec.num_frames, *size, 3)
        self._scorer = value_scorer(model, spec, size, from_logits, options)
        self.classes = self._scorer.classes
        self.num_values = self.classes + getattr(self._scorer, "num_features", 0)
        labels = getattr(model, "labels", None) if labels is None else labels
        self.names = None if labels is None else tuple(load_labels(labels))
        self._lock = threading.Lock()
        # What does not fit is told before a video is read.
        self.prediction(np.zeros((1, self.num_values), np.float32))

    def values(self, clips: np.ndarray) -> np.ndarray:
        """Scores, and features if they are asked for, of a batch of views.

        Args:
            clips: Pixels in [0, 255], uint8 of shape `(batch, frames, height, width, 3)`.

        Returns:
            float32 of shape `(batch, num_values)`.
        """
        with self._lock:
            return self._scorer.score(clips)

    def values_of_videos(self, videos: Sequence[VideoViews], batch_size: int) -> list[np.ndarray]:
        """Values of all views of videos, in batches that go across them and have one size.

        Args:
            videos: The views of each.
            batch_size: Views scored at once; what is missing in the last batch is black.

        Returns:
            For each video an array of shape `(views, num_values)`.
        """
        places = [(video, number) for video in videos for number in range(len(video))]
        parts = []
        for start in range(0, len(places), batch_size):
            chosen = places[start : start + batch_size]
            clips = np.zeros((batch_size, *self.clip_shape), np.uint8)
            for place, (video, number) in enumerate(chosen):
                clips[place] = video.view(number)
            parts.append(self.values(clips)[: len(chosen)])
        if not videos:
            return []
        ends = np.cumsum([len(video) for video in videos])
        return np.split(np.concatenate(parts), ends[:-1])

    def prediction(self, values: np.ndarray) -> Row:
        """What the values of a video's views say, as the columns of a row that follow from them."""
        options = self.options
        scores = values[np.newaxis, :, : self.classes]
        (averaged,) = average_views(scores, self._scorer.kind, options.average)
        (best,) = decode_predictions(averaged, options.top, self.names)
        row: Row = {
            "labels": [item.label for item in best],
            "label_indices": [item.index for item in best],
            "scores": np.asarray([item.score for item in best], np.float32),
        }
        if options.features:
            features = values[:, self.classes :].mean(axis=0, dtype=np.float64)
            row["features"] = features.astype(np.float32)
        return row

    def row(self, record: Record, values: np.ndarray | None, reason: str | None = None) -> Row:
        """The row of a video.

        Args:
            record: The video.
            values: Of its views, `(views, num_values)`; `None` if it cannot be read.
            reason: Why it cannot.
        """
        return complete_row(record, None if values is None else self.prediction(values), reason)

    @property
    def identity(self) -> Mapping[str, Any]:
        """What rows follow from besides the list and the options."""
        backend = keras.backend.backend()
        identity = {
            "weights": model_sha256(self._scorer.model),
            "clip": self.spec.to_config(),
            "labels": self.names,
            "scores": self._scorer.kind,
            "num_features": self.num_values - self.classes,
            "backend": backend,
        }
        # As it will be read back: tuples are lists there.
        return json.loads(json.dumps(identity))


def complete_row(record: Record, prediction: Row | None, reason: str | None = None) -> Row:
    """A row with all its columns; `prediction` is `None` for a video that cannot be read."""
    empty = {"labels": None, "label_indices": None, "scores": None}
    return {
        "index": record.index,
        "path": record.path,
        **(empty if prediction is None else prediction),
        "error": reason,
    }

"""TDN as a model handler of Apache Beam's `RunInference`; needs the extra `keras-tdn[beam]`."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
from apache_beam.ml.inference.base import ModelHandler

from keras_tdn.labelling.labeller import Labeller, LabelOptions, Row
from keras_tdn.prediction import Labels
from keras_tdn.scoring.model_hash import model_sha256
from keras_tdn.scoring.scoring_options import DEFAULT_BATCH_SIZE, check_positive
from keras_tdn.scoring.views import VideoViews
from keras_tdn.specs import ClipSpec

ModelSource = str | os.PathLike[str] | Callable[[], keras.Model]


class TDNModelHandler(ModelHandler[VideoViews, Row, Labeller]):
    """Gives the labels, scores and features of videos whose views have been read.

    Use it in `RunInference` where `LabelVideos` does not fit. Each worker process calls `load` for
    the model once, and refuses one of another `weights_sha256`; views of several videos are scored
    in batches of one size. The other arguments are as in `label_videos`, and then those of Beam's
    `ModelHandler`, such as `model_copies`.
    """

    def __init__(
        self,
        load: Callable[[], keras.Model],
        options: LabelOptions = LabelOptions(),  # noqa: B008
        *,
        labels: Labels | None = None,
        clip_spec: ClipSpec | None = None,
        from_logits: bool | None = None,
        batch_size: int = DEFAULT_BATCH_SIZE,
        weights_sha256: str | None = None,
        **kwargs: Any,
    ) -> None:
        check_positive("batch_size", batch_size)
        num_videos = max(1, batch_size // options.views.num_views)
        sizes = {"min_batch_size": num_videos, "max_batch_size": num_videos}
        super().__init__(**{**sizes, **kwargs})
        self._load = load
        self._make_labeller = functools.partial(
            Labeller, options=options, labels=labels, clip_spec=clip_spec, from_logits=from_logits
        )
        self._batch_size = batch_size
        self._weights_sha256 = weights_sha256

    def load_model(self) -> Labeller:
        model = self._load()
        if self._weights_sha256 is not None and model_sha256(model) != self._weights_sha256:
            raise ValueError(
                f"A worker has loaded another model {model.name!r} than the pipeline was started "
                "with. The weights must be the same file, or the same revision, on all machines."
            )
        return self._make_labeller(model)

    def run_inference(
        self,
        batch: Sequence[VideoViews],
        model: Labeller,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterable[Row]:
        videos = model.values_of_videos(batch, self._batch_size)
        return [model.prediction(values) for values in videos]

    def get_num_bytes(self, batch: Sequence[VideoViews]) -> int:
        return sum(crop.nbytes for video in batch for crop in video.crops)

    def get_metrics_namespace(self) -> str:
        return "keras_tdn"


def loader_of(model: ModelSource) -> Callable[[], keras.Model]:
    """What gives the model on a worker, which it can be sent to; refuses a model itself."""
    if isinstance(model, str | os.PathLike):
        from keras_tdn.pretrained.weights import load_model

        source = os.path.abspath(model) if os.path.exists(model) else os.fspath(model)
        return functools.partial(load_model, source)
    if isinstance(model, keras.Model) or not callable(model):
        raise ValueError(
            "Workers load the model themselves: pass a preset, a .keras file, or a function that "
            f"gives the model. Received: {type(model).__name__}"
        )
    return model

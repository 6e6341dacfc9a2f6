"""Temporal Difference Networks (TDN) for video action recognition in Keras 3.

Names are imported when they are first used: most need Keras, which starts its backend.
"""

from typing import TYPE_CHECKING

from keras_tdn.lazy_names import lazy_names
from keras_tdn.saved_classes import make_classes_known
from keras_tdn.version import __version__ as __version__

if TYPE_CHECKING:
    from keras_tdn import (
        data,
        datasets,
        demo,
        evaluation,
        explaining,
        export,
        inference,
        labelling,
        labels,
        layers,
        pretrained,
        profiling,
        training,
        watching,
        web,
    )
    from keras_tdn.models import TDNResNet, TDNResNet50, TDNResNet101
    from keras_tdn.prediction import Prediction, decode_predictions, predict_video
    from keras_tdn.specs import ClipSpec, Normalization, ViewSpec

__all__ = [
    "ClipSpec",
    "Normalization",
    "Prediction",
    "TDNResNet",
    "TDNResNet50",
    "TDNResNet101",
    "ViewSpec",
    "data",
    "datasets",
    "decode_predictions",
    "demo",
    "evaluation",
    "explaining",
    "export",
    "inference",
    "labelling",
    "labels",
    "layers",
    "predict_video",
    "pretrained",
    "profiling",
    "training",
    "watching",
    "web",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "ClipSpec": "specs",
        "Normalization": "specs",
        "Prediction": "prediction",
        "TDNResNet": "models",
        "TDNResNet50": "models",
        "TDNResNet101": "models",
        "ViewSpec": "specs",
        "decode_predictions": "prediction",
        "predict_video": "prediction",
    },
    modules=("models", "prediction", "specs"),
)

make_classes_known()

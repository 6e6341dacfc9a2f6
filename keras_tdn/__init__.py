"""Temporal Difference Networks (TDN) for video action recognition in Keras 3."""

from keras_tdn.quiet import quiet_start

# Layers and models are imported at once, so that Keras finds them by name in saved files.
with quiet_start():
    from keras_tdn import (
        data,
        datasets,
        demo,
        evaluation,
        export,
        labelling,
        labels,
        layers,
        pretrained,
        training,
        watching,
        web,
    )
    from keras_tdn.models import TDNResNet, TDNResNet50, TDNResNet101
    from keras_tdn.prediction import Prediction, decode_predictions, predict_video
    from keras_tdn.specs import ClipSpec, Normalization, ViewSpec

__version__ = "0.1.0.dev0"

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
    "export",
    "labelling",
    "labels",
    "layers",
    "predict_video",
    "pretrained",
    "training",
    "watching",
    "web",
]

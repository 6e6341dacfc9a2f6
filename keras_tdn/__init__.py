"""Temporal Difference Networks (TDN) for video action recognition in Keras 3."""

from keras_tdn import layers
from keras_tdn.models import TDNResNet, TDNResNet50, TDNResNet101
from keras_tdn.specs import ClipSpec, Normalization

__version__ = "0.1.0.dev0"

__all__ = [
    "ClipSpec",
    "Normalization",
    "TDNResNet",
    "TDNResNet50",
    "TDNResNet101",
    "layers",
]

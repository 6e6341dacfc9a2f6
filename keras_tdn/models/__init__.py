"""TDN models."""

from keras_tdn.models.published import TDNResNet50, TDNResNet101
from keras_tdn.models.tdn_resnet import TDNResNet

__all__ = ["TDNResNet", "TDNResNet50", "TDNResNet101"]

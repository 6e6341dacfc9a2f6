"""TDN models."""

from keras_tdn.models.tdn_resnet import TDNResNet, TDNResNet50, TDNResNet101

__all__ = ["TDNResNet", "TDNResNet50", "TDNResNet101"]

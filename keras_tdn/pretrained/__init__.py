"""Weights from elsewhere: the authors' checkpoints, ImageNet and presets. Names are lazy."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)

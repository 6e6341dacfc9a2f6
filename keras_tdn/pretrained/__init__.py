"""Weights from elsewhere: the authors' checkpoints, ImageNet and presets.

Names are imported when they are first used: most need Keras.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)

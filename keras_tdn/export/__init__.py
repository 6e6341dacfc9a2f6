"""Exporting a trained model to what other software serves.

Names are imported when they are first used, and TensorFlow when something is written.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)

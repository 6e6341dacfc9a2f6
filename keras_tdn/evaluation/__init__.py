"""Evaluation: one view or thirty of every video, reports, ensembles and comparisons.

Names are imported when they are first used: they need Keras, TensorFlow, or a decoder.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)

"""Temporal Difference Networks (TDN) for video action recognition in Keras 3.

Names are imported when they are first used: most need Keras, which starts its backend.
"""

from lazy_loader import attach_stub

from keras_tdn.saved_classes import make_classes_known

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)

make_classes_known()

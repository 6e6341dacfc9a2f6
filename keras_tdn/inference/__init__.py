"""Models folded for inference: the same scores as the Keras model's, sooner.

Names are imported when they are first used; `can_fold` needs no TensorFlow.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)

"""A data set whose classes differ by motion alone, and the compact model for it.

Names are imported when they are first used: the processes that render videos need no Keras.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)

"""A data set whose classes differ by motion alone, and the compact model for it."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)

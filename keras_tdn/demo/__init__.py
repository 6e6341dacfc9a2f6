"""The whole package on data of its own: rendered, learned, measured, exported, and on one page."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)

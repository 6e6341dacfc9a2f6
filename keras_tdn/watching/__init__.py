"""Long and live video: scores in windows that slide over it, in bounded memory."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)

"""Data sets that the package makes itself, so that anyone can train without downloading."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)

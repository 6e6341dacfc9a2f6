"""A page on this machine to try a model: drop a video, see what happens in it, when, and why."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)

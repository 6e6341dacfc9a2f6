"""Labels, scores and features of many videos, on one machine or as an Apache Beam pipeline.

Names are imported when they are first used, because they need TensorFlow, a decoder, or Beam.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)

"""Video in: records, sampling, decoding, transforms, packing and `tf.data` pipelines.

Names are imported when they are first used: some need TensorFlow, one the video decoder.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)

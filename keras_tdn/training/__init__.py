"""Training with `model.fit`: the published recipes, the authors' optimizer, exact resume.

Names are imported when they are first used: most need Keras, some TensorFlow.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)

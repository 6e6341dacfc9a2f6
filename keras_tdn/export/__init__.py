"""Exporting a trained model to what other software serves.

Names are imported when they are first used, and TensorFlow when something is written.
"""

from typing import TYPE_CHECKING

from keras_tdn.lazy_names import lazy_names

if TYPE_CHECKING:
    from keras_tdn.export.portable import export_portable
    from keras_tdn.export.saved_model import export_saved_model

__all__ = ["export_portable", "export_saved_model"]

__getattr__, __dir__ = lazy_names(
    __name__, {"export_portable": "portable", "export_saved_model": "saved_model"}
)

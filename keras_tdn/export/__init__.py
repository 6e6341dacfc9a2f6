"""Ways out of Keras: a trained model as something that other software serves.

Names are imported when they are first used, and TensorFlow when something is written.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_tdn.export.portable import export_portable
    from keras_tdn.export.saved_model import export_saved_model

__all__ = ["export_portable", "export_saved_model"]

_HOMES = {"export_portable": "portable", "export_saved_model": "saved_model"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: Any = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

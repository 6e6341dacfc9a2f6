"""A page on this machine to try a model: drop a video, see what happens in it, when, and why.

The page is Gradio's, of the extra `keras-tdn[demo]`. What it shows is made by functions that do
without.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_tdn.web.serving import serve
    from keras_tdn.web.showing import Shown, show_video
    from keras_tdn.web.uploads import UploadLimits, check_upload

__all__ = ["Shown", "UploadLimits", "check_upload", "serve", "show_video"]

_HOMES = {
    "Shown": "showing",
    "UploadLimits": "uploads",
    "check_upload": "uploads",
    "serve": "serving",
    "show_video": "showing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: Any = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

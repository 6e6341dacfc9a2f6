"""The whole package on data of its own: rendered, learned, measured, exported, and on one page.

Names are imported when they are first used: what they do needs TensorFlow and a decoder.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_tdn.demo.result import DemoResult
    from keras_tdn.demo.run import run_demo
    from keras_tdn.demo.settings import DemoSettings

__all__ = ["DemoResult", "DemoSettings", "run_demo"]

_HOMES = {"DemoResult": "result", "DemoSettings": "settings", "run_demo": "run"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: Any = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

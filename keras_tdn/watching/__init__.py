"""Long and live video: scores in windows that slide over it, in bounded memory.

Names are imported when they are first used, because most programs do without them.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_tdn.watching.layout import WindowLayout
    from keras_tdn.watching.opening import StreamOptions
    from keras_tdn.watching.report import Loss, WatchReport
    from keras_tdn.watching.windows import Watch, Window, watch

__all__ = [
    "Loss",
    "StreamOptions",
    "Watch",
    "WatchReport",
    "Window",
    "WindowLayout",
    "watch",
]

_HOMES = {
    "Loss": "report",
    "StreamOptions": "opening",
    "Watch": "windows",
    "WatchReport": "report",
    "Window": "windows",
    "WindowLayout": "layout",
    "watch": "windows",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: Any = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

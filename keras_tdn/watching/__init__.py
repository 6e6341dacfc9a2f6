"""Long and live video: scores in windows that slide over it, in bounded memory."""

from typing import TYPE_CHECKING

from keras_tdn.lazy_names import lazy_names

if TYPE_CHECKING:
    from keras_tdn.watching.layout import Window, WindowLayout
    from keras_tdn.watching.opening import StreamOptions
    from keras_tdn.watching.recording import record_timeline
    from keras_tdn.watching.timeline import (
        Loss,
        Span,
        SpanMerger,
        Timeline,
        WatchReport,
        load_timeline,
    )
    from keras_tdn.watching.timeline_page import plot_timeline, write_timeline_page
    from keras_tdn.watching.windows import Watch, watch

__all__ = [
    "Loss",
    "Span",
    "SpanMerger",
    "StreamOptions",
    "Timeline",
    "Watch",
    "WatchReport",
    "Window",
    "WindowLayout",
    "load_timeline",
    "plot_timeline",
    "record_timeline",
    "watch",
    "write_timeline_page",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Loss": "timeline",
        "Span": "timeline",
        "SpanMerger": "timeline",
        "StreamOptions": "opening",
        "Timeline": "timeline",
        "Watch": "windows",
        "WatchReport": "timeline",
        "Window": "layout",
        "WindowLayout": "layout",
        "load_timeline": "timeline",
        "plot_timeline": "timeline_page",
        "record_timeline": "recording",
        "watch": "windows",
        "write_timeline_page": "timeline_page",
    },
)

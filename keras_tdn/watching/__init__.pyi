from .layout import Window as Window, WindowLayout as WindowLayout
from .opening import StreamOptions as StreamOptions
from .recording import record_timeline as record_timeline
from .timeline import (
    Loss as Loss,
    Span as Span,
    SpanMerger as SpanMerger,
    Timeline as Timeline,
    WatchReport as WatchReport,
    load_timeline as load_timeline,
)
from .timeline_page import (
    plot_timeline as plot_timeline,
    write_timeline_page as write_timeline_page,
)
from .windows import Watch as Watch, watch as watch

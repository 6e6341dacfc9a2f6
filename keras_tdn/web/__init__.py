"""A page on this machine to try a model: drop a video, see what happens in it, when, and why."""

from typing import TYPE_CHECKING

from keras_tdn.lazy_names import lazy_names

if TYPE_CHECKING:
    from keras_tdn.web.page import Shown
    from keras_tdn.web.serving import serve
    from keras_tdn.web.showing import show_video
    from keras_tdn.web.uploads import UploadLimits, check_upload

__all__ = ["Shown", "UploadLimits", "check_upload", "serve", "show_video"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Shown": "page",
        "UploadLimits": "uploads",
        "check_upload": "uploads",
        "serve": "serving",
        "show_video": "showing",
    },
)

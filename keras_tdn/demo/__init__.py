"""The whole package on data of its own: rendered, learned, measured, exported, and on one page."""

from typing import TYPE_CHECKING

from keras_tdn.lazy_names import lazy_names

if TYPE_CHECKING:
    from keras_tdn.demo.result import DemoResult, DemoSettings
    from keras_tdn.demo.run import run_demo

__all__ = ["DemoResult", "DemoSettings", "run_demo"]

__getattr__, __dir__ = lazy_names(
    __name__, {"DemoResult": "result", "DemoSettings": "result", "run_demo": "run"}
)

"""The whole package on data of its own: rendered, learned, measured, exported, and on one page.

Names are imported when they are first used: what they do needs TensorFlow and a decoder.
"""

from typing import TYPE_CHECKING

from keras_tdn.lazy_names import lazy_names

if TYPE_CHECKING:
    from keras_tdn.demo.result import DemoResult
    from keras_tdn.demo.run import run_demo
    from keras_tdn.demo.settings import DemoSettings

__all__ = ["DemoResult", "DemoSettings", "run_demo"]

__getattr__, __dir__ = lazy_names(
    __name__, {"DemoResult": "result", "DemoSettings": "settings", "run_demo": "run"}
)

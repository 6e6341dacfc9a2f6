"""What a TDN model sees in a video: differences, gates, and what speaks for a class, and where."""

from keras_tdn.explaining.explain import Explanation, GateMaps, explain
from keras_tdn.explaining.explanation_files import FORMATS, write_explanation

__all__ = ["FORMATS", "Explanation", "GateMaps", "explain", "write_explanation"]

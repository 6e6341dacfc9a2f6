"""Names of `keras_tdn.evaluation` that are written elsewhere: stubs list a package's own files."""

from keras_tdn.explaining import Explanation, explain, write_explanation
from keras_tdn.profiling import ModelProfile, plot_profile, profile_model

__all__ = ["Explanation", "ModelProfile"]
__all__ += ["explain", "plot_profile", "profile_model", "write_explanation"]

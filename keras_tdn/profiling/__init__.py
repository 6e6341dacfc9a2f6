"""What a model costs: multiply-accumulates, parameters, activations, and time on this machine."""

from keras_tdn.profiling.costs import Cost
from keras_tdn.profiling.latency import Latency, measure_latency
from keras_tdn.profiling.profile import ModelProfile, plot_profile, profile_model

__all__ = ["Cost", "Latency", "ModelProfile", "measure_latency", "plot_profile", "profile_model"]

"""What a model costs: multiply-accumulates, parameters, activations, and time on this machine."""

from keras_tdn.profiling.costs import Cost
from keras_tdn.profiling.profile import (
    Latency,
    ModelProfile,
    measure_latency,
    plot_profile,
    profile_model,
)

__all__ = ["Cost", "Latency", "ModelProfile", "measure_latency", "plot_profile", "profile_model"]

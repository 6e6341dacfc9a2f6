"""Metrics that plug into `compile`."""

from keras_tdn.evaluation.metrics.expected_calibration_error import ExpectedCalibrationError
from keras_tdn.evaluation.metrics.mean_class_accuracy import MeanClassAccuracy

__all__ = ["ExpectedCalibrationError", "MeanClassAccuracy"]

"""Evaluation: one view or thirty of every video, reports, ensembles and comparisons.

Names are imported when they are first used: they need Keras, TensorFlow, or a decoder.
"""

from typing import TYPE_CHECKING

from keras_tdn.lazy_names import lazy_names

if TYPE_CHECKING:
    from keras_tdn.evaluation.comparison import Comparison, compare
    from keras_tdn.evaluation.ensembles import ensemble
    from keras_tdn.evaluation.evaluation import MultiViewValidation, evaluate
    from keras_tdn.evaluation.metrics import ExpectedCalibrationError, MeanClassAccuracy
    from keras_tdn.evaluation.report import EvaluationReport, load_report, report_on
    from keras_tdn.evaluation.report_page import plot_calibration, plot_confusion, write_page
    from keras_tdn.evaluation.scores import Scores, load_scores
    from keras_tdn.explaining import Explanation, explain, write_explanation
    from keras_tdn.profiling import ModelProfile, plot_profile, profile_model

__all__ = [
    "Comparison",
    "EvaluationReport",
    "ExpectedCalibrationError",
    "Explanation",
    "MeanClassAccuracy",
    "ModelProfile",
    "MultiViewValidation",
    "Scores",
    "compare",
    "ensemble",
    "evaluate",
    "explain",
    "load_report",
    "load_scores",
    "plot_calibration",
    "plot_confusion",
    "plot_profile",
    "profile_model",
    "report_on",
    "write_explanation",
    "write_page",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Comparison": "comparison",
        "EvaluationReport": "report",
        "ExpectedCalibrationError": "metrics",
        "Explanation": ".explaining",
        "MeanClassAccuracy": "metrics",
        "ModelProfile": ".profiling",
        "MultiViewValidation": "evaluation",
        "Scores": "scores",
        "compare": "comparison",
        "ensemble": "ensembles",
        "evaluate": "evaluation",
        "explain": ".explaining",
        "load_report": "report",
        "load_scores": "scores",
        "plot_calibration": "report_page",
        "plot_confusion": "report_page",
        "plot_profile": ".profiling",
        "profile_model": ".profiling",
        "report_on": "report",
        "write_explanation": ".explaining",
        "write_page": "report_page",
    },
)

from .comparison import Comparison as Comparison, compare as compare
from .ensembles import ensemble as ensemble
from .evaluation import MultiViewValidation as MultiViewValidation, evaluate as evaluate
from .metrics import (
    ExpectedCalibrationError as ExpectedCalibrationError,
    MeanClassAccuracy as MeanClassAccuracy,
)
from .reexports import (
    Explanation as Explanation,
    ModelProfile as ModelProfile,
    explain as explain,
    plot_profile as plot_profile,
    profile_model as profile_model,
    write_explanation as write_explanation,
)
from .report import (
    EvaluationReport as EvaluationReport,
    load_report as load_report,
    report_on as report_on,
)
from .report_page import (
    plot_calibration as plot_calibration,
    plot_confusion as plot_confusion,
    write_page as write_page,
)
from .scores import Scores as Scores, load_scores as load_scores

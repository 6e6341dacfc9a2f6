"""Labels, scores and features of many videos, on one machine or as an Apache Beam pipeline.

Names are imported when they are first used, because they need TensorFlow, a decoder, or Beam.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_tdn.labelling.beam import label_with_beam
    from keras_tdn.labelling.costs import ArchiveCost, archive_cost
    from keras_tdn.labelling.labeller import Labeller
    from keras_tdn.labelling.options import LabelOptions
    from keras_tdn.labelling.results import LabelReport, read_labels
    from keras_tdn.labelling.run import label_videos

__all__ = [
    "ArchiveCost",
    "LabelOptions",
    "LabelReport",
    "Labeller",
    "archive_cost",
    "label_videos",
    "label_with_beam",
    "read_labels",
]

_HOMES = {
    "ArchiveCost": "costs",
    "LabelOptions": "options",
    "LabelReport": "results",
    "Labeller": "labeller",
    "archive_cost": "costs",
    "label_videos": "run",
    "label_with_beam": "beam",
    "read_labels": "results",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: Any = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

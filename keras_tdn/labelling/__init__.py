"""Labels, scores and features of many videos, on one machine or as an Apache Beam pipeline.

Names are imported when they are first used, because they need TensorFlow, a decoder, or Beam.
"""

from typing import TYPE_CHECKING

from keras_tdn.lazy_names import lazy_names

if TYPE_CHECKING:
    from keras_tdn.labelling.beam import label_with_beam
    from keras_tdn.labelling.labeller import Labeller, LabelOptions
    from keras_tdn.labelling.labelling_run import LabelReport, label_videos, read_labels

__all__ = [
    "LabelOptions",
    "LabelReport",
    "Labeller",
    "label_videos",
    "label_with_beam",
    "read_labels",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "LabelOptions": "labeller",
        "LabelReport": "labelling_run",
        "Labeller": "labeller",
        "label_videos": "labelling_run",
        "label_with_beam": "beam",
        "read_labels": "labelling_run",
    },
)

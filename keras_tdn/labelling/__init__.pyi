from .beam import label_with_beam as label_with_beam
from .labeller import Labeller as Labeller, LabelOptions as LabelOptions
from .labelling_run import (
    LabelReport as LabelReport,
    label_videos as label_videos,
    read_labels as read_labels,
)

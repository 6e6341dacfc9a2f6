"""The layers TDN is made of; each can be used alone in a functional model."""

from keras_tdn.layers.center_frame import CenterFrame
from keras_tdn.layers.long_term_tdm import LongTermTDM
from keras_tdn.layers.motion_fusion import MotionFusion
from keras_tdn.layers.segment_consensus import SegmentConsensus
from keras_tdn.layers.short_term_tdm import ShortTermTDM
from keras_tdn.layers.temporal_shift import TemporalShift
from keras_tdn.layers.unfold_segments import UnfoldSegments

__all__ = [
    "CenterFrame",
    "LongTermTDM",
    "MotionFusion",
    "SegmentConsensus",
    "ShortTermTDM",
    "TemporalShift",
    "UnfoldSegments",
]

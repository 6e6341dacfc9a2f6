"""The layers TDN is made of; each can be used alone in a functional model."""

from keras_tdn.layers.long_term_tdm import LongTermTDM
from keras_tdn.layers.segment_layers import CenterFrame, SegmentConsensus, UnfoldSegments
from keras_tdn.layers.short_term_tdm import MotionFusion, ShortTermTDM
from keras_tdn.layers.temporal_shift import TemporalShift

__all__ = [
    "CenterFrame",
    "LongTermTDM",
    "MotionFusion",
    "SegmentConsensus",
    "ShortTermTDM",
    "TemporalShift",
    "UnfoldSegments",
]

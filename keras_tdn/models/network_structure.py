"""The layers of a TDN network by what they do, and the order in which they run.

Names such as `stage3_block2_conv1` are addresses for users; code takes `model.structure`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np

from keras_tdn import layers as tdn
from keras_tdn.layers.batch_norm import batch_norm
from keras_tdn.layers.convolution import DATA_FORMAT, conv2d
from keras_tdn.layers.layer_helpers import at_least_float32
from keras_tdn.models.arguments import EXPANSION
from keras_tdn.specs import Normalization

POOL_SIZE = 3


@dataclasses.dataclass(frozen=True)
class ConvNorm:
    """A bias-free convolution and its batch norm, with the padding before and the ReLU behind.

    A convolution without stride pads itself. There is no ReLU where the block adds something first.
    """

    conv: keras.layers.Layer
    norm: keras.layers.Layer
    pad: keras.layers.Layer | None = None
    relu: keras.layers.Layer | None = None

    def __call__(self, x: Any) -> Any:
        return run_layers(x, self.layers())

    def layers(self) -> tuple[keras.layers.Layer, ...]:
        return _present(self.pad, self.conv, self.norm, self.relu)


@dataclasses.dataclass(frozen=True)
class Bottleneck:
    """A ResNet v1.5 block: 1x1, temporal modules, 3x3 with the stride, 1x1, and the shortcut.

    `stage` counts from 1 and `index` from 0. Stage 1 has no temporal modules, and only the first
    block of a stage has a projection as its shortcut.
    """

    name: str
    stage: int
    index: int
    strides: int
    convs: tuple[ConvNorm, ConvNorm, ConvNorm]
    shortcut: ConvNorm | None
    long_term_tdm: tdn.LongTermTDM | None
    temporal_shift: tdn.TemporalShift | None
    add: keras.layers.Layer
    out: keras.layers.Layer

    def __call__(self, x: Any) -> Any:
        return self.after_segments_meet(*self.before_segments_meet(x))

    def before_segments_meet(self, x: Any) -> tuple[Any, Any]:
        """Runs the part in front of the temporal modules; returns main path and shortcut."""
        shortcut = x if self.shortcut is None else self.shortcut(x)
        return self.convs[0](x), shortcut

    def after_segments_meet(self, x: Any, shortcut: Any) -> Any:
        """Runs the rest of the block, from the temporal modules on."""
        x = run_layers(x, _present(self.long_term_tdm, self.temporal_shift, *self.convs[1:]))
        return self.out(self.add([x, shortcut]))

    def layers(self) -> Iterator[keras.layers.Layer]:
        for conv in (*self.convs, self.shortcut):
            yield from [] if conv is None else conv.layers()
        yield from _present(self.long_term_tdm, self.temporal_shift, self.add, self.out)


@dataclasses.dataclass(frozen=True)
class MotionPath:
    """The short-term path with its own stage 1, and where it meets appearance around stage 1."""

    tdm: tdn.ShortTermTDM
    pool: tuple[keras.layers.Layer, keras.layers.Layer]
    stage: tuple[Bottleneck, ...]
    stem_fusion: tdn.MotionFusion
    stage_fusion: tdn.MotionFusion


@dataclasses.dataclass(frozen=True)
class NetworkStructure:
    """A TDN network; calling it runs its layers, on values as on Keras' symbolic tensors.

    A model that takes normalised pixels has no `normalization`, one without a short-term TDM no
    `motion`. `stem_pool` is the padding and the max pooling, `head` all behind the last block.
    """

    normalization: keras.layers.Layer | None
    center_frame: tdn.CenterFrame
    stem: ConvNorm
    stem_pool: tuple[keras.layers.Layer, keras.layers.Layer]
    motion: MotionPath | None
    stages: tuple[tuple[Bottleneck, ...], ...]
    head: tuple[keras.layers.Layer, ...]

    def __call__(self, clips: Any) -> Any:
        return self.after_segments_meet(*self.before_segments_meet(clips))

    def before_segments_meet(self, clips: Any) -> tuple[Any, Any]:
        """Runs stems, stage 1 and block 0 of stage 2 up to its modules; returns its two paths.

        Nothing in it depends on a neighbouring segment, so clips may have any number of segments.
        """
        if self.normalization is not None:
            clips = self.normalization(clips)
        x = run_layers(self.stem(self.center_frame(clips)), self.stem_pool)
        if self.motion is None:
            x = run_layers(x, self.stages[0])
        else:
            motion = run_layers(self.motion.tdm(clips), self.motion.pool)
            x = run_layers(self.motion.stem_fusion([x, motion]), self.stages[0])
            x = self.motion.stage_fusion([x, run_layers(motion, self.motion.stage)])
        return self.stages[1][0].before_segments_meet(x)

    def after_segments_meet(self, x: Any, shortcut: Any) -> Any:
        """Runs the rest of the network on the maps of all segments of its clips."""
        first, *blocks = self.stages[1]
        x = first.after_segments_meet(x, shortcut)
        return run_layers(x, (*blocks, *self.stages[2], *self.stages[3], *self.head))

    def layers(self) -> Iterator[keras.layers.Layer]:
        yield from _present(self.normalization, self.center_frame)
        yield from (*self.stem.layers(), *self.stem_pool)
        if self.motion is not None:
            yield from (self.motion.tdm, *self.motion.pool)
            yield from (self.motion.stem_fusion, self.motion.stage_fusion)
        for block in self.blocks():
            yield from block.layers()
        yield from self.head

    def blocks(self) -> Iterator[Bottleneck]:
        """Returns all blocks, those of the motion path first."""
        if self.motion is not None:
            yield from self.motion.stage
        for stage in self.stages:
            yield from stage


def make_structure(
    model: Any, policy: Any, normalization: Normalization, fusion_weights: tuple[float, float]
) -> NetworkStructure:
    """Makes all layers of a network for a `TDNResNet` whose arguments are set."""
    # Their order is kept from release to release, since each draws its seed then.
    maker = _LayerMaker(model, policy)
    precise, frames = maker.precise, model.frames_per_segment
    rescaling = None
    if model.include_preprocessing:
        scale, offset = scale_and_offset(normalization)
        rescaling = keras.layers.Rescaling(scale, offset, name="normalization", dtype=precise)
    center_frame = tdn.CenterFrame(frames, name="center_frame", dtype=precise)
    stem = maker.conv("stem", "", model.width, 7, strides=2)
    stem_pool = maker.pool("stem")
    if model.short_term:
        tdm = tdn.ShortTermTDM(model.width, frames, name="short_term_tdm", dtype=policy)
    stages = [maker.stage("stage1", 1)]
    motion = None
    if model.short_term:
        motion_stage = maker.stage("motion_stage1", 1)
        stem_fusion, stage_fusion = (
            tdn.MotionFusion(*fusion_weights, name=f"{name}_fusion", dtype=policy)
            for name in ("stem", "stage1")
        )
        motion = MotionPath(tdm, maker.pool("motion"), motion_stage, stem_fusion, stage_fusion)
    stages += [maker.stage(f"stage{number}", number) for number in (2, 3, 4)]
    head = maker.classifier() if model.include_top else maker.feature_head()
    return NetworkStructure(rescaling, center_frame, stem, stem_pool, motion, tuple(stages), head)


class _LayerMaker:
    """Makes the layers of a model under one dtype policy."""

    def __init__(self, model: Any, policy: Any) -> None:
        self._model, self._policy = model, policy
        self.precise = at_least_float32(policy.compute_dtype)

    def stage(self, name: str, number: int) -> tuple[Bottleneck, ...]:
        """Makes the bottlenecks of a stage; the first one changes size and channels."""
        depth = self._model.stage_depths[number - 1]
        return tuple(self._bottleneck(f"{name}_block{i}", number, i) for i in range(depth))

    def _bottleneck(self, name: str, stage: int, index: int) -> Bottleneck:
        model, policy = self._model, self._policy
        filters, segments = model.width * 2 ** (stage - 1), model.num_segments
        strides = 2 if stage > 1 and index == 0 else 1
        shortcut = long_term_tdm = temporal_shift = None
        if index == 0:
            shortcut = self.conv(f"{name}_shortcut", "", EXPANSION * filters, 1, strides, False)
        first = self.conv(name, "1", filters)
        if stage > 1 and model.long_term:
            long_term_tdm = tdn.LongTermTDM(segments, name=f"{name}_long_term_tdm", dtype=policy)
            # Its convolutions draw their seeds here, between those of the block.
            long_term_tdm.build((None, None, None, filters))
        if stage > 1 and model.temporal_shift:
            shift = f"{name}_temporal_shift"
            temporal_shift = tdn.TemporalShift(segments, name=shift, dtype=policy)
        second = self.conv(name, "2", filters, 3, strides)
        third = self.conv(name, "3", EXPANSION * filters, relu=False)
        add = keras.layers.Add(name=f"{name}_add", dtype=policy)
        out = keras.layers.ReLU(name=f"{name}_out", dtype=policy)
        convs, modules = (first, second, third), (shortcut, long_term_tdm, temporal_shift)
        return Bottleneck(name, stage, index, strides, convs, *modules, add, out)

    def conv(
        self, name: str, part: str, filters: int, size: int = 1, strides: int = 1, relu: bool = True
    ) -> ConvNorm:
        policy = self._policy
        return ConvNorm(
            conv2d(filters, size, strides=strides, name=f"{name}_conv{part}", dtype=policy),
            batch_norm(f"{name}_norm{part}", policy),
            self._pad(size, f"{name}_pad{part}") if strides > 1 < size else None,
            keras.layers.ReLU(name=f"{name}_relu{part}", dtype=policy) if relu else None,
        )

    def pool(self, name: str) -> tuple[keras.layers.Layer, keras.layers.Layer]:
        """Makes max pooling 3x3 with stride 2; padding with zeros is neutral behind a ReLU."""
        pool = keras.layers.MaxPooling2D(
            POOL_SIZE, strides=2, data_format=DATA_FORMAT, name=f"{name}_pool", dtype=self._policy
        )
        return self._pad(POOL_SIZE, f"{name}_pool_pad"), pool

    def _pad(self, kernel_size: int, name: str) -> keras.layers.Layer:
        return keras.layers.ZeroPadding2D(
            kernel_size // 2, data_format=DATA_FORMAT, name=name, dtype=self._policy
        )

    def classifier(self) -> tuple[keras.layers.Layer, ...]:
        """Makes pooling, dropout, scores per segment, their mean, and the activation."""
        model, policy, layers = self._model, self._policy, keras.layers
        return (
            layers.GlobalAveragePooling2D(data_format=DATA_FORMAT, name="pool", dtype=policy),
            layers.Dropout(model.dropout_rate, name="dropout", dtype=policy),
            layers.Dense(
                model.classes,
                kernel_initializer=keras.initializers.RandomNormal(stddev=0.001),
                name="classifier",
                dtype=policy,
            ),
            tdn.SegmentConsensus(model.num_segments, name="consensus", dtype=self.precise),
            layers.Activation(model.classifier_activation, name="predictions", dtype=self.precise),
        )

    def feature_head(self) -> tuple[keras.layers.Layer, ...]:
        """Makes what gives feature maps per segment, or one vector per video."""
        segments, policy = self._model.num_segments, self._policy
        if self._model.pooling is None:
            return (tdn.UnfoldSegments(segments, name="segment_features", dtype=policy),)
        average, largest = keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D
        pool = average if self._model.pooling == "avg" else largest
        return (
            pool(data_format=DATA_FORMAT, name="pool", dtype=policy),
            tdn.SegmentConsensus(segments, name="consensus", dtype=policy),
        )


def run_layers(x: Any, layers: Iterable[Callable[[Any], Any]]) -> Any:
    """Runs layers, or parts of a network, one after the other."""
    for layer in layers:
        x = layer(x)
    return x


def _present(*layers: Any) -> tuple[Any, ...]:
    return tuple(layer for layer in layers if layer is not None)


def scale_and_offset(normalization: Normalization) -> tuple[np.ndarray, np.ndarray]:
    """Returns `(pixel / 255 - mean) / std` as a factor and an offset for each channel."""
    # As arrays of float64: Keras rounds Python's floats to float32, also in a model of float64.
    mean, std = np.asarray(normalization.mean), np.asarray(normalization.std)
    return 1 / (255 * std), -mean / std

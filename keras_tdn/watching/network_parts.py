"""A TDN model in two parts: what each segment has for itself, and what segments share."""

from __future__ import annotations

import weakref
from typing import Any

import keras

from keras_tdn.models import TDNResNet
from keras_tdn.models.clips import check_gives_scores

# The first block whose temporal modules look at neighbouring segments.
FIRST_SHARED = "stage2_block0"


class SegmentPart(keras.Model):
    """From segments to the maps behind which they meet.

    That is all of stem and stage 1, appearance and motion, and of the first block of stage 2 what
    comes before its temporal modules: its first convolution and its shortcut. Nothing in it depends
    on a neighbouring segment, so that it may be computed once for all windows that a segment is in.

    Args:
        layers: The model's layers, which are shared and not copied.
        name: Name of the part.

    Input shape:
        5-D `(batch, frames, height, width, 3)`, any number of whole segments.

    Output shape:
        Two maps `(batch * num_segments, height, width, channels)`.
    """

    def __init__(self, layers: list[keras.layers.Layer], name: str) -> None:
        super().__init__(name=name)
        self.network_layers = layers
        self._chain = _Chain(layers)

    def call(self, clips: Any) -> list[Any]:
        run = self._chain
        clips = run(clips, "normalization")
        x = run(clips, "center_frame", "stem_pad", "stem_conv", "stem_norm", "stem_relu")
        x = run(x, "stem_pool_pad", "stem_pool")
        has_motion = "short_term_tdm" in run.layers
        if has_motion:
            motion = run(clips, "short_term_tdm", "motion_pool_pad", "motion_pool")
            x = run([x, motion], "stem_fusion")
        x = run.stage(x, "stage1")
        if has_motion:
            x = run([x, run.stage(motion, "motion_stage1")], "stage1_fusion")
        return [run.before_temporal(x, FIRST_SHARED), run.shortcut(x, FIRST_SHARED)]


class SharedPart(keras.Model):
    """From the maps of all segments of a window to its scores.

    Args:
        layers: The model's layers, which are shared and not copied.
        name: Name of the part.

    Input shape:
        Two maps, those of `SegmentPart` for all segments of a window, `num_segments` on the batch
        axis.

    Output shape:
        `(1, classes)`.
    """

    def __init__(self, layers: list[keras.layers.Layer], name: str) -> None:
        super().__init__(name=name)
        self.network_layers = layers
        self._chain = _Chain(layers)

    def call(self, maps: list[Any]) -> Any:
        run = self._chain
        x, shortcut = maps
        x = run.from_temporal(x, shortcut, FIRST_SHARED)
        x = run.stage(x, "stage2", first=1)
        for stage in ("stage3", "stage4"):
            x = run.stage(x, stage)
        return run(x, "pool", "dropout", "classifier", "consensus", "predictions")


class _Chain:
    """Runs layers by name.

    Calling layers on values leaves the model as it is, where a `keras.Model` made of its inner
    tensors would add a second output to each of its layers, which other users of them trip over.
    """

    def __init__(self, layers: list[keras.layers.Layer]) -> None:
        self.layers = {layer.name: layer for layer in layers}

    def __call__(self, x: Any, *names: str) -> Any:
        for name in names:
            # Which layers there are depends on the model's arguments.
            if name in self.layers:
                x = self.layers[name](x)
        return x

    def stage(self, x: Any, name: str, first: int = 0) -> Any:
        block = first
        while f"{name}_block{block}_conv1" in self.layers:
            prefix = f"{name}_block{block}"
            x = self.from_temporal(
                self.before_temporal(x, prefix), self.shortcut(x, prefix), prefix
            )
            block += 1
        return x

    def before_temporal(self, x: Any, block: str) -> Any:
        return self(x, f"{block}_conv1", f"{block}_norm1", f"{block}_relu1")

    def shortcut(self, x: Any, block: str) -> Any:
        return self(x, f"{block}_shortcut_conv", f"{block}_shortcut_norm")

    def from_temporal(self, x: Any, shortcut: Any, block: str) -> Any:
        parts = ("long_term_tdm", "temporal_shift", "pad2", "conv2", "norm2", "relu2")
        x = self(x, *(f"{block}_{part}" for part in (*parts, "conv3", "norm3")))
        return self([x, shortcut], f"{block}_add", f"{block}_out")


# Kept as long as the models themselves, because each part is compiled when it is first used. They
# hold a model's layers and not the model, which would keep itself alive.
_PARTS: weakref.WeakKeyDictionary[keras.Model, tuple[SegmentPart, SharedPart]]
_PARTS = weakref.WeakKeyDictionary()


def network_parts(model: TDNResNet) -> tuple[SegmentPart, SharedPart]:
    """Returns the two parts of a model; later changes of its weights are seen.

    `shared(segments(clip))` is `model(clip)` in inference.

    Args:
        model: A `TDNResNet` with its classifier.

    Raises:
        ValueError: if it is something else.
    """
    if not isinstance(model, TDNResNet):
        raise ValueError(
            "Watching reuses what a TDN model computes for each segment, so it takes a TDNResNet, "
            f"such as keras_tdn.TDNResNet50. Received: {type(model).__name__}"
        )
    check_gives_scores(model)
    if model not in _PARTS:
        layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
        _PARTS[model] = (
            SegmentPart(layers, f"{model.name}_segments"),
            SharedPart(layers, f"{model.name}_shared"),
        )
    return _PARTS[model]

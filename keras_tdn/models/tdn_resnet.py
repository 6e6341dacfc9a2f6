"""TDN on ResNet backbones: of any size, and the two that the paper publishes."""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence
from typing import Any

import keras

from keras_tdn.choices import WEIGHTS_SUFFIX
from keras_tdn.layers.layer_helpers import at_least_float32, check_positive_int
from keras_tdn.models import arguments
from keras_tdn.models.network_structure import make_structure, scale_and_offset
from keras_tdn.models.predicting import forget_derived, warn_of_assumed_clips
from keras_tdn.saved_classes import SERIALIZATION_PACKAGE
from keras_tdn.specs import ClipSpec, Normalization

# Arguments that are stored otherwise than as attributes of their names, or not at all.
_NOT_ATTRIBUTES = ("self", "weights", "input_shape", "clip_spec", "dtype", "name", "kwargs")
RESNET50_DEPTHS = (3, 4, 6, 3)
RESNET101_DEPTHS = (3, 4, 23, 3)


@keras.saving.register_keras_serializable(package=SERIALIZATION_PACKAGE)
class TDNResNet(keras.Model):
    """TDN on a ResNet v1.5 of any depth and width, with each temporal module as a switch.

    Use it for compact models and ablations; `TDNResNet50` and `TDNResNet101` are the published
    ones. With all three switches off it is a TSN, the paper's baseline: a 2-D network on the
    centre frames with a mean over the segments.

    Reference: Wang et al., "TDN: Temporal Difference Networks for Efficient Action Recognition",
    CVPR 2021, section 3; arXiv:2012.10071.

    Args:
        stage_depths: Bottlenecks in each of the four stages.
        width: Channels of the stem; stage k has an inner width of `width * 2**(k - 1)`.
        short_term: Whether frame differences enter through a short-term TDM and a motion stage.
        long_term: Whether the blocks of stages 2 to 4 carry a long-term TDM. It needs a `width`
            that is a multiple of 8.
        temporal_shift: Whether those blocks carry a temporal shift convolution.
        include_top: Whether the classifier is part of the model.
        weights: `None` for random values; `"imagenet"` for a stem and stages trained on ImageNet;
            `"kinetics400"`, `"something_something_v1"` or `"something_something_v2"` for the
            published model of this architecture, with as many segments or the nearest number; a
            preset as a folder, as `"hf://organisation/name[@revision]"` or by its name in
            `keras-tdn presets list`; the path of a `.weights.h5` or `.keras` file of this model, or
            of a `.safetensors` or `.h5` file of a ResNet that was trained on ImageNet.
            With other `classes` than the weights' the classifier is new and all else is loaded,
            and a warning says so. `num_segments` and the size of the clips may differ too: the
            factors of the two paths stay those of training unless given.
        input_shape: Shape of one clip, `(num_segments * frames_per_segment, height, width, 3)`.
            Height and width may be `None`, the default: any size from 32 pixels.
        pooling: Only with `include_top=False`. `None` gives feature maps per segment, `"avg"` or
            `"max"` one vector per video: the mean or maximum over positions, then the mean over
            segments.
        classes: Number of classes.
        classifier_activation: Activation of the classifier; `None` gives logits.
        num_segments: Equal spans that a video is divided into.
        frames_per_segment: Neighbouring frames in each segment.
        dropout_rate: Fraction of the pooled features dropped in training.
        include_preprocessing: Whether the model takes pixels in [0, 255], uint8 or float, and
            normalises them itself. Otherwise it takes `(pixel / 255 - mean) / std`.
        appearance_weight: Factor of the appearance path where the paths meet. `None` is the
            published 0.5 with 8 segments and 0.75 otherwise.
        motion_weight: Factor of the motion path. `None` is 0.5 with 8 segments and 0.25 otherwise.
        labels: Class names in the order of the scores, kept with the model.
        clip_spec: How clips are cut out of a video, kept with the model, and the normalization
            that it applies. `None` takes it from the weights, or else it follows from the other
            arguments: crops of 224 pixels where the model takes any size.
        dtype: Dtype or dtype policy of every layer, for example `"mixed_bfloat16"`. Pixels and
            scores are computed in float32 at least.
        name: Name of the model.

    Input shape:
        5-D `(batch, num_segments * frames_per_segment, height, width, 3)`, channels last, segments
        one after the other.

    Output shape:
        `(batch, classes)`; without the classifier `(batch, num_segments, height / 32, width / 32,
        32 * width)`, sizes rounded up, or with `pooling` `(batch, 32 * width)`.

    Raises:
        ValueError: if an argument does not fit; the message says what does.

    Example:

    >>> model = keras_tdn.TDNResNet((1, 1, 1, 1), width=16, classes=10, num_segments=4)
    >>> model(keras.ops.ones((2, 4 * 5, 64, 64, 3))).shape
    (2, 10)
    """

    def __init__(
        self,
        stage_depths: Sequence[int],
        width: int = 64,
        short_term: bool = True,
        long_term: bool = True,
        temporal_shift: bool = True,
        include_top: bool = True,
        weights: str | None = None,
        input_shape: Sequence[int | None] | None = None,
        pooling: str | None = None,
        classes: int = 400,
        classifier_activation: str | None = "softmax",
        num_segments: int = 8,
        frames_per_segment: int = 5,
        dropout_rate: float = 0.5,
        include_preprocessing: bool = True,
        appearance_weight: float | None = None,
        motion_weight: float | None = None,
        labels: Sequence[str] | None = None,
        clip_spec: ClipSpec | None = None,
        dtype: Any = None,
        name: str = "tdn_resnet",
        **kwargs: Any,
    ) -> None:
        # === Arguments ===
        stage_depths = arguments.check_stage_depths(stage_depths)
        check_positive_int("TDNResNet", "width", width)
        check_positive_int("TDNResNet", "num_segments", num_segments)
        least = 2 if short_term else 1
        check_positive_int("TDNResNet", "frames_per_segment", frames_per_segment, least)
        clip_shape = arguments.check_clip_shape(input_shape, num_segments, frames_per_segment)
        labels = arguments.check_head(include_top, pooling, classes, labels)
        arguments.check_size(stage_depths, width, classes if include_top else None)
        dropout_rate = arguments.check_fraction("dropout_rate", dropout_rate)
        if clip_spec is not None:
            arguments.check_clip_spec(clip_spec, num_segments, frames_per_segment, clip_shape)
        normalization = Normalization() if clip_spec is None else clip_spec.normalization
        policy = keras.dtype_policies.get(dtype)

        # === Config ===
        self.stage_depths = stage_depths
        self.width = width
        self.short_term = short_term
        self.long_term = long_term
        self.temporal_shift = temporal_shift
        self.include_top = include_top
        self.pooling = pooling
        self.classes = classes
        self.classifier_activation = classifier_activation
        self.num_segments = num_segments
        self.frames_per_segment = frames_per_segment
        self.dropout_rate = dropout_rate
        self.include_preprocessing = include_preprocessing
        self.appearance_weight = appearance_weight
        self.motion_weight = motion_weight
        self.labels = labels
        self._clip_spec = clip_spec

        # === Functional model ===
        factors = fusion_weights(num_segments, appearance_weight, motion_weight)
        structure = make_structure(self, policy, normalization, factors)
        precise = at_least_float32(policy.compute_dtype)
        inputs = keras.Input(clip_shape, name="clips", dtype=precise)
        outputs = structure(inputs)
        super().__init__(inputs=inputs, outputs=outputs, name=name, **kwargs)
        self.dtype_policy = policy
        # The layers by what they do: stems, blocks, fusions, head.
        self.structure = structure

        if weights is not None:
            # Imported here because `pretrained` knows the models, and because nothing that can
            # reach the network is loaded unless asked for.
            from keras_tdn.pretrained.weights import load_weights

            load_weights(self, weights)

    @property
    def clip_spec(self) -> ClipSpec:
        """How clips for this model are cut out of a video: as given, from weights, or by default.

        Setting it also sets the normalization that the model applies. It is saved with the model.
        """
        if self._clip_spec is not None:
            return self._clip_spec
        return ClipSpec.for_crop(self.num_segments, self.frames_per_segment, *self.input_shape[2:4])

    @clip_spec.setter
    def clip_spec(self, spec: ClipSpec) -> None:
        frames = self.num_segments, self.frames_per_segment
        arguments.check_clip_spec(spec, *frames, self.input_shape[1:])
        if self.include_preprocessing and spec.normalization != self.clip_spec.normalization:
            layer: Any = self.structure.normalization
            layer.scale, layer.offset = scale_and_offset(spec.normalization)
            # What is compiled has the former statistics in it.
            self.train_function = self.test_function = self.predict_function = None
            forget_derived(self)
        self._clip_spec = spec

    def save_weights(self, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
        """Saves all weights, as `keras.Model.save_weights` does.

        A `.weights.h5` file also gets the model's arguments, labels and `clip_spec`, as attributes,
        so that it says what it is for.
        """
        from keras_tdn.pretrained.weights_file import describing

        with describing(self, filepath):
            super().save_weights(filepath, overwrite=overwrite, **kwargs)

    def load_weights(self, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Loads weights, as `keras.Model.load_weights` does.

        Labels and `clip_spec` of a `.weights.h5` file that has them are taken over, unless the
        model has its own. A file that is damaged or leads to other files is a `ValueError`.
        """
        from keras_tdn.pretrained.weights import adopt, origin_of_weights_file

        has_description = str(filepath).endswith(WEIGHTS_SUFFIX) and os.path.isfile(filepath)
        source = origin_of_weights_file(filepath) if has_description else None
        super().load_weights(filepath, skip_mismatch=skip_mismatch, **kwargs)
        if source is not None:
            adopt(self, source)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments without `weights`: a config never loads anything."""
        arguments = inspect.signature(TDNResNet.__init__).parameters
        config = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "input_shape": self.input_shape[1:],
            **{name: getattr(self, name) for name in arguments if name not in _NOT_ATTRIBUTES},
            "clip_spec": None if self._clip_spec is None else self._clip_spec.to_config(),
        }
        # Rebuilding from arguments would thaw what the user froze.
        frozen = [layer.name for layer in self.layers if layer.weights and not layer.trainable]
        if self.trainable and frozen:
            config["frozen_layers"] = frozen
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> TDNResNet:
        config = dict(config)
        frozen = config.pop("frozen_layers", ())
        if isinstance(config.get("dtype"), dict):
            config["dtype"] = keras.dtype_policies.deserialize(config["dtype"])
        if isinstance(config.get("clip_spec"), dict):
            config["clip_spec"] = ClipSpec.from_config(config["clip_spec"])
        model = cls(**config)
        if "clip_spec" not in config:
            warn_of_assumed_clips(model, "The config of this model")
        for name in frozen:
            model.get_layer(name).trainable = False
        return model


def fusion_weights(
    num_segments: int | None,
    appearance_weight: float | None = None,
    motion_weight: float | None = None,
) -> tuple[float, float]:
    """Returns the factors of appearance and motion, with the published ones for `None`."""
    # The published 8-segment models weigh both paths alike, all others favour appearance.
    default = (0.5, 0.5) if num_segments == 8 else (0.75, 0.25)
    return (
        default[0] if appearance_weight is None else appearance_weight,
        default[1] if motion_weight is None else motion_weight,
    )


def TDNResNet50(
    include_top: bool = True,
    weights: str | None = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 400,
    classifier_activation: str | None = "softmax",
    num_segments: int = 8,
    frames_per_segment: int = 5,
    dropout_rate: float = 0.5,
    include_preprocessing: bool = True,
    name: str = "tdn_resnet50",
    **kwargs: Any,
) -> TDNResNet:
    """TDN on ResNet50: 36 GMACs for a clip of 8 segments at 224 pixels.

    Reference: Wang et al., "TDN: Temporal Difference Networks for Efficient Action Recognition",
    CVPR 2021; arXiv:2012.10071.

    Args:
        include_top: Whether the classifier is part of the model.
        weights: See `TDNResNet`.
        input_shape: Shape of one clip; height and width may be `None`, the default.
        pooling: With `include_top=False`: `None`, `"avg"` or `"max"`.
        classes: Number of classes.
        classifier_activation: `"softmax"`, or `None` for logits.
        num_segments: Equal spans that a video is divided into.
        frames_per_segment: Neighbouring frames in each segment.
        dropout_rate: Fraction of the pooled features dropped in training.
        include_preprocessing: Whether the model takes pixels in [0, 255].
        name: Name of the model.
        **kwargs: Any further argument of `TDNResNet`, such as `labels` or `dtype`.

    Returns:
        A `TDNResNet`; its docstring gives shapes, units and errors.

    Example:

    >>> model = keras_tdn.TDNResNet50(classes=174, num_segments=8)
    >>> model.output_shape
    (None, 174)
    """
    return _build(RESNET50_DEPTHS, locals())


def TDNResNet101(
    include_top: bool = True,
    weights: str | None = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 400,
    classifier_activation: str | None = "softmax",
    num_segments: int = 8,
    frames_per_segment: int = 5,
    dropout_rate: float = 0.5,
    include_preprocessing: bool = True,
    name: str = "tdn_resnet101",
    **kwargs: Any,
) -> TDNResNet:
    """TDN on ResNet101: 66 GMACs for a clip of 8 segments at 224 pixels.

    Arguments, input and output are those of `TDNResNet50`.

    Example:

    >>> model = keras_tdn.TDNResNet101(classes=174, num_segments=8)
    >>> model.output_shape
    (None, 174)
    """
    return _build(RESNET101_DEPTHS, locals())


def _build(stage_depths: tuple[int, ...], arguments: dict[str, Any]) -> TDNResNet:
    return TDNResNet(stage_depths, **arguments.pop("kwargs"), **arguments)

"""Any image-augmentation layer of Keras or KerasCV, as a transform of clips."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import itertools
import pickle
import random
import re
import threading
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_tdn.data.transforms.transform import ClipTransform, operations_in, to_pixels

# Operations that draw or keep state on their own.
_IMPURE = re.compile(
    r"Random|Multinomial|TruncatedNormal|Stateful(?!PartitionedCall)|Rng|Assign\w*VariableOp|"
    r"(Eager)?PyFunc"
)


class SeedSequence(keras.random.SeedGenerator):
    """The seeds of one call's draws, in order. Keras checks that it is a `SeedGenerator`."""

    def __init__(self, seed: tf.Tensor) -> None:
        self._seeds = (tf.random.fold_in(seed, position) for position in itertools.count())

    def next(self, ordered: bool = True) -> tf.Tensor:
        return next(self._seeds)


class StatelessGenerator:
    """The part of `tf.random.Generator` that layers use, drawing from a `SeedSequence`."""

    def __init__(self, seeds: SeedSequence) -> None:
        self._seeds = seeds

    def __getattr__(self, name: str) -> Any:
        draw = getattr(tf.random, f"stateless_{name}")
        return lambda shape, *arguments, **options: draw(
            shape, self._seeds.next(), *arguments, **options
        )


class StatelessFactor:
    """A KerasCV factor sampler, uniform or normal, drawing from a `SeedSequence`."""

    def __init__(self, sampler: Any, seeds: SeedSequence) -> None:
        self._sampler = sampler
        self._generator = StatelessGenerator(seeds)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sampler, name)

    def __call__(self, shape: Any = (), dtype: Any = "float32") -> tf.Tensor:
        sampler = self._sampler
        if hasattr(sampler, "lower"):
            return self._generator.uniform(shape, sampler.lower, sampler.upper, dtype)
        drawn = self._generator.normal(shape, sampler.mean, sampler.stddev, dtype)
        return tf.clip_by_value(drawn, sampler.min_value, sampler.max_value)


@contextlib.contextmanager
def drawing_from(layer: keras.Layer, seed: tf.Tensor) -> Iterator[None]:
    """Makes a layer, and the layers in it, draw from a seed within the context."""
    seeds = SeedSequence(seed)
    with contextlib.ExitStack() as restoring:
        for part in layer._flatten_layers():
            # Past `__setattr__`, in which Keras would track the stand-ins as part of the layer.
            attributes = vars(part)
            for name, value in list(attributes.items()):
                if (stand_in := _stand_in(value, seeds)) is not None:
                    restoring.callback(attributes.__setitem__, name, value)
                    attributes[name] = stand_in
            if hasattr(part, "_get_seed_generator"):
                # Off the TensorFlow backend it would make a generator of its own for tf.data.
                restoring.callback(attributes.pop, "_get_seed_generator", None)
                attributes["_get_seed_generator"] = lambda backend=None: seeds
        yield


def _stand_in(value: Any, seeds: SeedSequence) -> Any:
    if isinstance(value, keras.random.SeedGenerator):
        return seeds
    if isinstance(value, tf.random.Generator):
        return StatelessGenerator(seeds)
    # By name, because KerasCV is imported by those who use it.
    names = {base.__name__ for base in type(value).__mro__}
    if "FactorSampler" in names and (hasattr(value, "lower") or hasattr(value, "stddev")):
        return StatelessFactor(value, seeds)
    return None


# Layers that combine images of a batch with each other; frames of one clip are not such a batch.
BATCH_LAYERS = frozenset({"MixUp", "CutMix", "FourierMix", "Mosaic", "RepeatedAugmentation"})

# A trace changes the layer for a moment, and layers may be shared between transforms.
_TRACING = threading.RLock()


@dataclasses.dataclass(frozen=True, eq=False)
class KerasAugmentation(ClipTransform):
    """Applies an image-augmentation layer to a clip, with one draw for all its frames.

    The layer is called frame by frame with the same seed, because frames as a batch would each have
    draws of their own, which destroys motion; its own seed and state count for nothing. What it
    measures on its image, as automatic contrast does, it measures on each frame.

    It takes layers of Keras (`keras.layers.RandomRotation`, `RandAugment`, `Pipeline`) on any
    backend; on the TensorFlow backend also those of KerasCV 0.9, and your own, if they draw from a
    `keras.random.SeedGenerator` or a `tf.random.Generator` that is an attribute. Layers with a
    `value_range` need `(0, 255)`. Some layers need to know the frames' size while the graph is
    built: put them after a crop.

    Args:
        layer: A Keras layer that takes images of shape `(batch, height, width, 3)` with pixels in
            [0, 255] and returns such.

    Returns:
        uint8, the layer's results rounded and clipped to [0, 255].

    Raises:
        ValueError: if `layer` is not such a layer, or, at the first call, if it draws from a
            random state that no seed reaches, as Keras' `AugMix` does, which chooses operations by
            Python's `random`, and KerasCV's `AugMix` and `RandomCutout` with noise.

    Example:

    >>> rotation = KerasAugmentation(keras.layers.RandomRotation(0.1))
    >>> rotation(tf.zeros((40, 112, 112, 3), tf.uint8), seed=(0, 7)).shape
    TensorShape([40, 112, 112, 3])
    """

    layer: Any
    _traced: dict[Any, Any] = dataclasses.field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        name = type(self.layer).__name__
        if not isinstance(self.layer, keras.Layer):
            raise ValueError(
                "KerasAugmentation takes a Keras layer that augments images, for example "
                f"keras.layers.RandomRotation(0.1). Received: {name}"
            )
        if name in BATCH_LAYERS:
            raise ValueError(
                "KerasAugmentation applies a layer to single frames, which cannot be mixed with "
                "each other; keras_tdn.data.transforms has MixUp and CutMix for batches of clips. "
                f"Received: {name}"
            )
        for part in self.layer._flatten_layers():
            value_range = tuple(getattr(part, "value_range", (0, 255)))
            if value_range != (0, 255):
                raise ValueError(
                    "Clips have pixels in [0, 255]; make the layer with `value_range=(0, 255)`. "
                    f"Received: {type(part).__name__} with value_range={value_range}"
                )

    def transform_clip(self, clip: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        key = tuple(clip.shape)
        with _TRACING:
            if key not in self._traced:
                self._traced[key] = self._trace(clip.shape)
        return self._traced[key](clip, seed)

    def _trace(self, shape: tf.TensorShape) -> Any:
        """Returns the layer as a pure function in a graph, where other backends can run too."""
        signature = [tf.TensorSpec(shape, tf.uint8), tf.TensorSpec((2,), tf.int32)]
        # The graph must not become part of the one that is being built, if one is.
        with tf.init_scope():
            if not self.layer.built:
                # Building a layer may call it on symbols, which takes seeds that later traces
                # would not take; so this trace is not the one that is kept.
                self._concrete(signature)
            before = _python_random_states()
            traced = self._concrete(signature)
            drawn_in_python = before != _python_random_states()
        impure = sorted(filter(_IMPURE.match, operations_in(traced.graph.as_graph_def())))
        if drawn_in_python:
            # Drawn once, while the graph is built, and then the same for all clips.
            impure.append("draws by Python's or NumPy's `random`")
        if impure:
            raise ValueError(
                f"KerasAugmentation cannot give {type(self.layer).__name__} one draw per clip and "
                "another for the next: it draws from a random state that no seed reaches, or "
                "keeps state between calls. Use a layer that draws from a "
                "keras.random.SeedGenerator that is its attribute. Received a layer with: "
                f"{', '.join(impure)}"
            )
        return traced

    def _concrete(self, signature: list[tf.TensorSpec]) -> Any:
        function = tf.function(self._apply, signature)
        try:
            return function.get_concrete_function()
        except (TypeError, ValueError) as error:
            if None not in signature[0].shape[1:3]:
                raise
            raise ValueError(
                f"{type(self.layer).__name__} failed on frames whose size is not known while the "
                "graph is built, as many layers do. Put KerasAugmentation after a crop or a resize "
                "to a fixed size, or call `clip.set_shape`. Received: clip with "
                f"shape={signature[0].shape}. The layer said: {error}"
            ) from error

    def _apply(self, clip: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        arguments = inspect.signature(self.layer.call).parameters
        training = {"training": True} if "training" in arguments else {}

        # A batch of one: some layers of KerasCV do not run in graphs on a single image.
        def augment(frame: tf.Tensor) -> tf.Tensor:
            output = self.layer(tf.cast(frame, tf.float32)[tf.newaxis], **training)
            if not isinstance(output, tf.Tensor) or output.shape.rank != 4 or output.shape[-1] != 3:
                raise ValueError(
                    "KerasAugmentation takes a layer from images (batch, height, width, 3) to "
                    f"such images. {type(self.layer).__name__} returned: {output!r}"
                )
            return to_pixels(tf.cast(output[0], tf.float32))

        with drawing_from(self.layer, seed):
            return tf.map_fn(augment, clip, fn_output_signature=tf.uint8)


def _python_random_states() -> tuple[Any, ...]:
    return random.getstate(), pickle.dumps(np.random.get_state())

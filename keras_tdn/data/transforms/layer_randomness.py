"""Where Keras and KerasCV layers take their randomness from, and how to give them ours.

Both draw anew at every call from state they own. For the time of one trace that state is replaced
by draws from a seed tensor: the traced graph is then a pure function of frames and seed.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from keras_tdn.data.transforms.transform import derived_seed

# Operations whose results depend on more than their inputs.
_IMPURE = re.compile(
    r"Random|Multinomial|TruncatedNormal|Stateful(?!PartitionedCall)|Rng|Assign\w*VariableOp|"
    r"(Eager)?PyFunc"
)


class SeedSequence(keras.random.SeedGenerator):
    """The seeds of the draws of one call, in the order of the draws.

    It is a `SeedGenerator` because Keras checks that, but has no state in a variable.
    """

    def __init__(self, seed: tf.Tensor) -> None:
        self._seed = seed
        self._count = 0

    def next(self, ordered: bool = True) -> tf.Tensor:
        self._count += 1
        return derived_seed(self._seed, self._count - 1)


class StatelessGenerator:
    """The part of `tf.random.Generator` that layers use, drawing from a `SeedSequence`."""

    def __init__(self, seeds: SeedSequence) -> None:
        self._seeds = seeds

    def uniform(
        self, shape: Any, minval: Any = 0, maxval: Any = None, dtype: Any = tf.float32, **_: Any
    ) -> tf.Tensor:
        return tf.random.stateless_uniform(
            shape, self._seeds.next(), minval=minval, maxval=maxval, dtype=dtype
        )

    def normal(
        self, shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = tf.float32, **_: Any
    ) -> tf.Tensor:
        return tf.random.stateless_normal(shape, self._seeds.next(), mean, stddev, dtype)

    def truncated_normal(
        self, shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = tf.float32, **_: Any
    ) -> tf.Tensor:
        return tf.random.stateless_truncated_normal(shape, self._seeds.next(), mean, stddev, dtype)


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
    replaced: list[tuple[dict[str, Any], str, Any]] = []
    try:
        for part in layers_in(layer):
            # Past `__setattr__`, in which Keras would track the stand-ins as part of the layer.
            attributes = vars(part)
            for name, value in list(attributes.items()):
                stand_in = _stand_in(value, seeds)
                if stand_in is not None:
                    replaced.append((attributes, name, value))
                    attributes[name] = stand_in
            if hasattr(part, "_get_seed_generator"):
                # Off the TensorFlow backend it would make a generator of its own for tf.data.
                attributes["_get_seed_generator"] = lambda backend=None: seeds
                replaced.append((attributes, "_get_seed_generator", None))
        yield
    finally:
        for attributes, name, value in reversed(replaced):
            if value is None:
                del attributes[name]
            else:
                attributes[name] = value


def impure_operations(graph: tf.Graph) -> list[str]:
    """Names of the operations in a graph that draw or keep state on their own."""
    definition = graph.as_graph_def()
    nodes = list(definition.node)
    for function in definition.library.function:
        nodes.extend(function.node_def)
    return sorted({node.op for node in nodes if _IMPURE.match(node.op)})


def layers_in(value: Any, seen: set[int] | None = None) -> Iterator[keras.Layer]:
    """A layer and all that are in its attributes, or in lists there, each once."""
    seen = set() if seen is None else seen
    if id(value) in seen:
        return
    if isinstance(value, keras.Layer):
        seen.add(id(value))
        yield value
        children = [child for name, child in vars(value).items() if name != "_inbound_nodes"]
    elif isinstance(value, (list, tuple)):
        children = list(value)
    elif isinstance(value, dict):
        children = list(value.values())
    else:
        return
    for child in children:
        if isinstance(child, (keras.Layer, list, tuple, dict)):
            yield from layers_in(child, seen)


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

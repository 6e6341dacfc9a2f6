"""A small network that tests share: to build one takes a quarter of a second, to compile it one.

    network = small_network(classes=5)

gives the same network to all tests of a process that ask with the same arguments. **It is not to be
changed.** A test that assigns weights, trains, compiles, or sets `labels` or `clip_spec` takes
`new_small_network(...)`, or changes weights inside `with restored(network):`.
"""

import contextlib
import functools
import random

import keras
import numpy as np

import keras_tdn

DEFAULTS = {"stage_depths": (1, 1, 1, 1), "width": 8, "classes": 3, "num_segments": 2}


def small_network(*, compiled=False, **arguments):
    """The network of those arguments, which all who ask for it share.

    Args:
        compiled: Whether it is run as a graph, as users' networks are. Layer by layer, its first
            batch takes a tenth of the time, and every further one ten times as long. JAX always
            compiles.
        arguments: Of `TDNResNet`, beside or instead of `DEFAULTS`.
    """
    return _shared(compiled, tuple(sorted(arguments.items())))


def new_small_network(*, compiled=False, **arguments):
    """Such a network of the test's own."""
    # Building draws seeds. What a test draws is not to depend on who has built the network.
    states = random.getstate(), np.random.get_state()
    network = keras_tdn.TDNResNet(**{**DEFAULTS, **arguments})
    draw_weights(network)
    random.setstate(states[0])
    np.random.set_state(states[1])
    network.run_eagerly = not compiled and keras.backend.backend() != "jax"
    return network


@functools.cache
def _shared(compiled, arguments):
    return new_small_network(compiled=compiled, **dict(arguments))


@contextlib.contextmanager
def restored(network):
    """Gives the network its weights back afterwards."""
    weights = network.get_weights()
    try:
        yield network
    finally:
        network.set_weights(weights)


def draw_weights(network, seed=5):
    """Weights with which scores depend on every part of the network, and differ."""
    rng = np.random.default_rng(seed)
    for variable in network.weights:
        if "seed" in variable.path:
            continue
        shape = variable.shape
        if variable.path.endswith(("moving_variance", "gamma")):
            value = rng.uniform(0.8, 1.2, shape)
        elif variable.path.endswith(("beta", "moving_mean", "bias")):
            value = 0.1 * rng.normal(size=shape)
        else:
            fan_in = max(1, int(np.prod(shape[:-1])))
            value = rng.normal(size=shape) * np.sqrt(2 / fan_in)
        variable.assign(value)
    if network.include_top:
        kernel = network.get_layer("classifier").kernel
        values = 0.02 * rng.normal(size=kernel.shape)
        # What all features have in common tells no class from another.
        kernel.assign(values - values.mean(axis=0))

"""A small network whose scores differ from class to class, as a trained one's do."""

import numpy as np

import keras_tdn

# One has a letter outside of ASCII.
LABELS = ("fall", "geton", "roll over", "s\u00e9rie", "still")
SEGMENTS, HEIGHT, WIDTH = 2, 48, 64


def build(**arguments):
    """A new model's scores are all but equal: here norms do something and weights are larger."""
    defaults = {
        "stage_depths": (1, 1, 1, 1),
        "num_segments": SEGMENTS,
        "input_shape": (5 * SEGMENTS, HEIGHT, WIDTH, 3),
        "classes": len(LABELS),
        "labels": LABELS,
    }
    model = keras_tdn.TDNResNet(width=16, **{**defaults, **arguments})
    rng = np.random.default_rng(5)
    for weight in model.weights:
        if "moving_variance" in weight.path or "gamma" in weight.path:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif "beta" in weight.path or "moving_mean" in weight.path or "bias" in weight.path:
            weight.assign(rng.normal(0, 0.2, weight.shape))
        elif "classifier" in weight.path:
            weight.assign(rng.normal(0, 0.05, weight.shape))
    return model

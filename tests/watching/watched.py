"""What tests of watching share."""

import numpy as np
from small_networks import draw_weights

import keras_tdn
from keras_tdn.data.frame_transforms import resize_and_center_crop
from keras_tdn.models.predicting import model_inputs
from keras_tdn.watching.window_scorer import network_parts

NUM_SEGMENTS = 4
LABELS = ("fall", "get on", "roll")


def small_model(**arguments):
    """Drawn weights of a size that lets scores depend on every part of the network."""
    options = {"classes": 3, "num_segments": NUM_SEGMENTS, "labels": LABELS}
    options |= {"input_shape": (options["num_segments"] * 5, 32, 48, 3), **arguments}
    model = keras_tdn.TDNResNet((1, 1, 1, 1), width=16, **options)
    draw_weights(model)
    return model


def uncompiled(model):
    """The same model, whose parts run layer by layer: compiling takes seconds."""
    for part in network_parts(model):
        part.run_eagerly = True
    model.run_eagerly = True
    return model


def recomputed(model, pixels, layout, rate, num_windows):
    """Scores of every window by the whole model, from frames that are counted and not timed."""
    spec = model.clip_spec
    crops = resize_and_center_crop(pixels, spec)
    rows = []
    for window in range(num_windows):
        segments = layout.first_segment(window) + np.arange(spec.num_segments)
        starts = np.floor((segments + 0.5) * layout.spacing * rate + 1e-9).astype(int)
        indices = starts[:, None] + np.arange(spec.frames_per_segment)
        clip = crops[indices.ravel()]
        scores = model.predict_on_batch(model_inputs(model, clip[None], spec))
        rows.append(np.asarray(scores[0], np.float32))
    return np.stack(rows)

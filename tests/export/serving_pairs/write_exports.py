"""Writes exports with this TensorFlow, and questions for them: `write_exports.py FOLDER`."""

import pathlib
import sys

import keras
import numpy as np
import tensorflow as tf
from small_model import build

from keras_tdn.export import export_saved_model
from keras_tdn.export.formats import DESCRIBE, ENCODED_FRAMES, FEATURES, SERVING_DEFAULT
from keras_tdn.pretrained import load_preset


def questions_for(spec):
    """Batches of no, one and three clips for each signature; pictures as PNG and as JPEG files."""
    rng = np.random.default_rng(0)
    clips = rng.integers(0, 256, (3, spec.num_frames, spec.height, spec.width, 3), np.uint8)
    # Larger than the model's frames and smaller, upright and across.
    sizes = [(75, 140), (150, 90), (40, 36)]
    encoders = [tf.io.encode_png, tf.io.encode_jpeg, tf.io.encode_jpeg]
    files = [
        [
            encode(np.resize(rng.integers(0, 256, (height // 5, 3), np.uint8), (height, width, 3)))
            for _ in range(spec.num_frames)
        ]
        for encode, (height, width) in zip(encoders, sizes, strict=True)
    ]
    # No file ends with a zero, which NumPy would strip.
    encoded = np.array([[file.numpy() for file in clip] for clip in files])
    requests = np.array([b"a", b"b", b"c"])
    inputs = {
        SERVING_DEFAULT: clips,
        FEATURES: clips,
        ENCODED_FRAMES: encoded,
        DESCRIBE: requests,
    }
    return {
        f"{signature}/{batch}": values[:batch]
        for signature, values in inputs.items()
        for batch in (0, 1, 3)
    }


def main(folder):
    keras.utils.set_random_seed(0)
    small, motion = build(), load_preset("motion")
    for name, model, dtype in (
        ("small", small, "float32"),
        ("small in bfloat16", small, "bfloat16"),
        ("motion", motion, "float32"),
    ):
        export_saved_model(model, folder / name / "1", dtype=dtype, warm_up=True)
        np.savez(folder / name / "questions.npz", **questions_for(model.clip_spec))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))

"""One model asked by eight threads; run as a script, on the backend that KERAS_BACKEND names."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np

THREADS, CALLS = 8, 8
SIZE = 32


def ask_from_threads():
    """What threads get and what one gets, of a model and of another with the same layers."""
    import keras

    import keras_tdn
    from keras_tdn.scoring.scorer import Scorer
    from keras_tdn.scoring.scoring_options import ScoringOptions

    spec = keras_tdn.ClipSpec.for_crop(2, 5, SIZE, SIZE)
    # On JAX, each initializer of a network of many shapes takes a second.
    clips = keras.Input((spec.num_frames, SIZE, SIZE, 3), name="clips")
    pixels = keras.layers.GlobalAveragePooling3D()(keras.layers.Rescaling(1 / 255)(clips))
    logits = keras.layers.Dense(3)(keras.layers.BatchNormalization()(pixels))
    model = keras.Model(clips, keras.layers.Activation("softmax")(logits))
    scorer = Scorer(model, ScoringOptions(clip_spec=spec))

    def probabilities(clip):
        found = keras_tdn.predict_video(model, clip, top=3, clip_spec=spec)
        return [item.score for item in sorted(found, key=lambda item: item.index)]

    asked = [probabilities, lambda clip: scorer.score(clip[None])[0]]
    shape = (THREADS, spec.num_frames, SIZE, SIZE, 3)
    videos = np.random.default_rng(0).integers(0, 256, shape, np.uint8)

    def ask(number):
        return np.stack([asked[(number + call) % 2](videos[number]) for call in range(CALLS)])

    # Threads first: the first call of all compiles.
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(ask, range(THREADS)))
    assert scorer.kind == "logits"
    return found, [ask(number) for number in range(THREADS)]


def check():
    for found, expected in zip(*ask_from_threads(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


if __name__ == "__main__":
    check()
    sys.stdout.write("equal\n")

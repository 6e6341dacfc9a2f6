"""Clips that a gigabyte holds in training, by XLA's own analysis of the step; needs no GPU.

    KERAS_BACKEND=jax python tests/benchmarks/training_memory.py

Compiles forward and backward of TDNResNet50 for two batch sizes, without running them. What the
larger batch takes more, for each clip that it has more, is the memory of a clip: weights, gradients
and optimizer are in both.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"
sys.path.insert(0, str(Path(__file__).parents[2]))

import jax
import keras
import numpy as np

from keras_tdn.models import TDNResNet

GB = 1e9
BATCHES = (2, 4)


def temporaries(dtype: str, size: int, batch: int) -> int:
    """Bytes that XLA plans for what a step computes on the way."""
    model = TDNResNet((3, 4, 6, 3), input_shape=(40, size, size, 3), dtype=dtype)
    loss_of = keras.losses.SparseCategoricalCrossentropy()

    def loss(trainable, other, clips, labels):
        scores, other = model.stateless_call(trainable, other, clips, training=True)
        return loss_of(labels, scores), other

    variables = (
        [each.value for each in part]
        for part in (model.trainable_variables, model.non_trainable_variables)
    )
    clips = np.zeros((batch, *model.input_shape[1:]), "uint8")
    step = jax.jit(jax.grad(loss, has_aux=True))
    compiled = step.lower(*variables, clips, np.zeros(batch, "int32")).compile()
    return compiled.memory_analysis().temp_size_in_bytes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[112, 224], metavar="PIXELS")
    sizes = parser.parse_args().sizes
    for dtype in ("float32", "mixed_bfloat16"):
        for size in sizes:
            small, large = (temporaries(dtype, size, batch) for batch in BATCHES)
            per_clip = (large - small) / (BATCHES[1] - BATCHES[0])
            sys.stdout.write(
                f"{dtype:15} 8 x {size}: {per_clip / GB:.3f} GB a clip, "
                f"{GB / per_clip:.1f} clips per GB\n"
            )
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())

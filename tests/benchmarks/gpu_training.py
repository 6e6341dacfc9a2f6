"""Training clips per second of TDNResNet50, 8 segments of 224 pixels, in bfloat16, on a GPU.

    KERAS_BACKEND=jax python tests/benchmarks/gpu_training.py        # or tensorflow, or torch

Three rates, measured in one run on one device:

- `model.fit` on clips that are in memory already, at several batch sizes, and which share of the
  device's own rate of matrix products that comes to. A training step counts as three forward
  passes (one, and two for the gradients of inputs and weights) of two operations for each of the
  multiply-accumulates that the model's layers have.
- `make_dataset` from packed records, with training crops, on all processors.
- `model.fit` on those, at the batch size that was fastest: what one gets.

It prints a table and writes all figures as JSON. Without TensorFlow there is no input pipeline, and
the first rate alone. `--allow-cpu` runs a small model on the processor, to see that it works.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import importlib.util
import json
import math
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# The package and the counting of operations, wherever this is started from.
sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]

import keras  # noqa: E402
import numpy as np  # noqa: E402
from macs import count_macs  # noqa: E402

from keras_tdn import ClipSpec, TDNResNet  # noqa: E402
from keras_tdn.training import recipes  # noqa: E402
from keras_tdn.training.distribution import keep_tensorflow_off_gpus  # noqa: E402

BACKEND = keras.backend.backend()
HAS_TENSORFLOW = importlib.util.find_spec("tensorflow") is not None
NO_GPU = (
    f"There is no GPU that Keras' {BACKEND} backend can use, and figures of a processor would say "
    "nothing about one. Install the backend with CUDA, or pass --allow-cpu to see with a small "
    "model that this program works.\n"
)
FORWARD_PASSES_PER_STEP = 3
OPERATIONS_PER_MAC = 2
# What the frameworks' errors say when memory is short.
OUT_OF_MEMORY = ("out of memory", "OUT_OF_MEMORY", "RESOURCE_EXHAUSTED", "OOM")
# Videos of Kinetics; they are 10 seconds long.
VIDEO_HEIGHT, VIDEO_WIDTH = 256, 340


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is measured, and for how long."""

    stage_depths: tuple[int, ...]
    width: int
    segments: int
    size: int
    dtype: str
    batch_sizes: tuple[int, ...]
    steps: int
    repeats: int
    matrix_side: int
    num_videos: int
    video_frames: int
    input_batches: int


ON_GPU = Plan((3, 4, 6, 3), 64, 8, 224, "mixed_bfloat16", (8, 16, 32, 64), 20, 3, 8192, 8, 300, 60)
ON_CPU = Plan((1, 1, 1, 1), 16, 2, 32, "mixed_bfloat16", (2, 4), 2, 2, 512, 2, 20, 6)


def main(argv=None):
    parser = argparse.ArgumentParser(description="Training speed on a GPU.")
    parser.add_argument("--batch-sizes", type=int, nargs="+", metavar="N")
    parser.add_argument("--steps", type=int, metavar="N", help="in each repetition")
    parser.add_argument("--output", default="gpu_training.json", metavar="FILE")
    parser.add_argument("--allow-cpu", action="store_true", help="a small model on the processor")
    args = parser.parse_args(argv)
    if BACKEND != "tensorflow":
        keep_tensorflow_off_gpus()
    device = gpu_name()
    if device is None and not args.allow_cpu:
        sys.stderr.write(NO_GPU)
        return 2
    plan = ON_CPU if device is None else ON_GPU
    if args.batch_sizes:
        plan = dataclasses.replace(plan, batch_sizes=tuple(sorted(args.batch_sizes)))
    if args.steps:
        plan = dataclasses.replace(plan, steps=args.steps)
    figures = {
        "device": device or platform.processor() or "processor",
        "backend": BACKEND,
        "keras": keras.version(),
        "processors": len(os.sched_getaffinity(0)),
        **dataclasses.asdict(plan),
    }
    show(f"{figures['device']}, {BACKEND}, {figures['processors']} processors")
    peak = matrix_rate(plan.matrix_side)
    figures["matrix_operations_per_second"] = peak
    show(f"matrix products {plan.matrix_side} x {plan.matrix_side}: {peak / 1e12:.3g} TFLOP/s\n")
    macs = count_macs(build(plan))
    figures["macs_per_clip"] = macs
    show(f"{macs / 1e9:.2f} GMACs per clip\nbatch  clips/s  ms/step  TFLOP/s  of the product rate")
    figures["training"] = []
    for batch_size in plan.batch_sizes:
        row = training_row(plan, batch_size, macs, peak)
        figures["training"].append(row)
        if "error" in row:
            show(f"{batch_size:5d}  {row['error']}")
            break
        show(
            f"{batch_size:5d}{row['clips_per_second']:9.1f}{1e3 * row['seconds_per_step']:9.1f}"
            f"{row['operations_per_second'] / 1e12:9.3g}{row['utilisation']:10.1%}"
        )
    rows = [row for row in figures["training"] if "error" not in row]
    if HAS_TENSORFLOW and rows:
        best = max(rows, key=lambda row: row["clips_per_second"])
        figures |= input_figures(plan, best)
    elif rows:
        show("\nThe input pipeline needs TensorFlow, which is not installed here.")
    Path(args.output).write_text(json.dumps(figures, indent=1) + "\n")
    show(f"Wrote {args.output}")
    return 0


def show(text):
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def gpu_name():
    """What the backend calls its first GPU, or `None`."""
    if BACKEND == "jax":
        import jax

        device = jax.devices()[0]
        return device.device_kind if device.platform == "gpu" else None
    if BACKEND == "torch":
        import torch

        return torch.cuda.get_device_name() if torch.cuda.is_available() else None
    import tensorflow as tf

    devices = tf.config.list_physical_devices("GPU")
    if not devices:
        return None
    return tf.config.experimental.get_device_details(devices[0]).get("device_name", "GPU")


# === The device ===


def matrix_rate(side, chain=16, repeats=7):
    """Operations per second of bfloat16 products, each of which needs the one before.

    On random numbers: zeros take less power and may run faster.
    """
    rng = np.random.default_rng(0)
    numbers = rng.standard_normal((side, side)).astype("float32") / side**0.5
    left = keras.ops.cast(keras.ops.convert_to_tensor(numbers), "bfloat16")

    def products(x):
        for _ in range(chain):
            x = keras.ops.matmul(left, x)
        return x

    run = compiled(products)
    right = left
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        right = run(right)
        # Reading a number waits for all of it.
        float(keras.ops.convert_to_numpy(keras.ops.cast(right[0, 0], "float32")))
        seconds.append(time.perf_counter() - start)
    return chain * OPERATIONS_PER_MAC * side**3 / statistics.median(seconds[1:])


def compiled(function):
    if BACKEND == "jax":
        import jax

        return jax.jit(function)
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.function(function)
    return function


# === Training ===


def build(plan):
    return TDNResNet(
        plan.stage_depths,
        width=plan.width,
        classes=400,
        num_segments=plan.segments,
        input_shape=(plan.segments * 5, plan.size, plan.size, 3),
        dtype=plan.dtype,
    )


def training_row(plan, batch_size, macs, peak):
    rng = np.random.default_rng(0)
    shape = batch_size, plan.segments * 5, plan.size, plan.size, 3
    clips = rng.integers(0, 256, shape, "uint8")
    labels = rng.integers(0, 400, batch_size, "int32")
    try:
        seconds = seconds_per_step(plan, same_batch(clips, labels))
    except Exception as error:
        # Each framework has a class of its own for it.
        if not any(words in str(error) for words in OUT_OF_MEMORY):
            raise
        return {"batch_size": batch_size, "error": "out of memory"}
    operations = FORWARD_PASSES_PER_STEP * OPERATIONS_PER_MAC * macs * batch_size / seconds
    return {
        "batch_size": batch_size,
        "clips_per_second": batch_size / seconds,
        "seconds_per_step": seconds,
        "operations_per_second": operations,
        "utilisation": operations / peak,
    }


def same_batch(clips, labels):
    """A batch that is there at once, again and again."""
    if HAS_TENSORFLOW:
        import tensorflow as tf

        with tf.device("CPU"):
            return tf.data.Dataset.from_tensors((clips, labels)).repeat().prefetch(2)

    class Same(keras.utils.PyDataset):
        def __len__(self):
            return 1_000_000

        def __getitem__(self, index):
            return clips, labels

    return Same()


class Clock(keras.callbacks.Callback):
    """Seconds of each epoch, once its loss has been read from the device."""

    def __init__(self):
        super().__init__()
        self.seconds = []
        self._start = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        float(logs["loss"])
        self.seconds.append(time.perf_counter() - self._start)


def seconds_per_step(plan, dataset):
    """The median over epochs; the first, which compiles, is not among them."""
    # The one before may have been lost with the device's memory.
    gc.collect()
    model = build(plan)
    recipes.kinetics400.compile(model, plan.steps)
    clock = Clock()
    model.fit(
        dataset,
        epochs=plan.repeats + 1,
        steps_per_epoch=plan.steps,
        shuffle=False,
        verbose=0,
        callbacks=[clock],
    )
    return statistics.median(clock.seconds[1:]) / plan.steps


# === Input ===


def input_figures(plan, best):
    from keras_tdn.data import make_dataset

    with tempfile.TemporaryDirectory() as folder:
        records = packed_records(Path(folder), plan)
        spec = ClipSpec.for_crop(plan.segments, 5, plan.size, plan.size)
        batch_size = best["batch_size"]
        dataset = make_dataset(records, spec, training=True, batch_size=batch_size)
        batches = iter(dataset)
        # Those that are made in advance, and tf.data's choice of how many to make side by side.
        for _ in range(plan.input_batches // 2):
            next(batches)
        start = time.perf_counter()
        for _ in range(plan.input_batches):
            next(batches)
        rate = plan.input_batches * batch_size / (time.perf_counter() - start)
        del batches
        whole = batch_size / seconds_per_step(plan, dataset)
    training = best["clips_per_second"]
    slower = "the input pipeline" if rate < training else "the device"
    per_processor = rate / len(os.sched_getaffinity(0))
    needed = math.ceil(training / per_processor)
    show(
        f"\npacked records: {rate:.1f} clips/s, {per_processor:.1f} for each processor\n"
        f"training from them, batch {batch_size}: {whole:.1f} clips/s; {slower} limits it "
        f"({training:.1f} clips/s alone, which {needed} processors would make)"
    )
    return {
        "input_clips_per_second": rate,
        "processors_needed": needed,
        "training_from_input": {"batch_size": batch_size, "clips_per_second": whole},
        "limited_by": slower,
    }


def packed_records(folder, plan):
    """Packed videos of moving texture. They are few, and so read from memory, not from a disk."""
    import tensorflow as tf

    from keras_tdn.data import load_packed, load_records
    from keras_tdn.data.packing import pack

    rng = np.random.default_rng(0)
    rows = []
    for video in range(plan.num_videos):
        frames = folder / "frames" / str(video)
        frames.mkdir(parents=True)
        coarse = rng.integers(0, 256, (VIDEO_HEIGHT // 8 + 9, VIDEO_WIDTH // 8 + 9, 3), "uint8")
        picture = tf.image.resize(coarse, (VIDEO_HEIGHT + 64, VIDEO_WIDTH + 64)).numpy()
        picture += rng.normal(0, 3, picture.shape)
        picture = np.clip(picture, 0, 255).astype("uint8")
        for frame in range(plan.video_frames):
            top, left = (int(32 + 31 * np.sin(frame / period)) for period in (30, 41))
            window = picture[top : top + VIDEO_HEIGHT, left : left + VIDEO_WIDTH]
            content = tf.io.encode_jpeg(window, quality=90).numpy()
            (frames / f"{frame:05d}.jpg").write_bytes(content)
        rows.append((str(frames), video))
    pack(load_records(rows), folder / "packed", num_processes=1, progress=False)
    return load_packed(folder / "packed")


if __name__ == "__main__":
    sys.exit(main())

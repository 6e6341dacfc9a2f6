"""Trains a small TDN in a process of its own, on devices that a test process cannot have.

    python distributed_run.py OUTPUT RUN...

Each RUN is one training from the same weights on the same clips: a number of devices or `auto`,
with `+sync` for synchronised batch norms and `+eager` without a graph, which saves most of the
time. Writes OUTPUT/RUN.npz: the loss of every step and of a validation, and all variables
afterwards.
"""

import os
import sys
from pathlib import Path

NUM_VIDEOS = 24
NUM_FRAMES = 24
BATCH_SIZE = 8
STEPS = 3
SEGMENTS = 4
SIZE = 32


def main(output, *runs):
    import tensorflow as tf

    # Tests share the machine's processors.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(2)
    if os.environ["KERAS_BACKEND"] == "tensorflow":
        cpu = tf.config.list_physical_devices("CPU")[0]
        two = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(cpu, two)
    videos = Path(output) / "videos"
    render(videos)
    for run in runs:
        write(Path(output) / f"{run}.npz", train(videos, run))


def render(videos):
    """Folders of JPEG frames: blocks of colour that move."""
    import numpy as np
    import tensorflow as tf

    rng = np.random.default_rng(0)
    for video in range(NUM_VIDEOS):
        blocks = rng.integers(0, 256, (6, 8, 3), np.uint8)
        folder = videos / f"{video:02d}"
        folder.mkdir(parents=True)
        for frame in range(NUM_FRAMES):
            picture = np.roll(blocks, frame // 3, axis=1).repeat(8, axis=0).repeat(6, axis=1)
            (folder / f"{frame:03d}.jpg").write_bytes(tf.io.encode_jpeg(picture).numpy())


def train(videos, run):
    import keras

    from keras_tdn import TDNResNet
    from keras_tdn.data import load_records, make_dataset
    from keras_tdn.training import CoupledSGD, synchronize_batch_norms
    from keras_tdn.training.distribution import (
        device_scope,
        devices_of_an_array,
        num_joined_processes,
    )

    # Names of variables count from one again.
    keras.utils.clear_session()
    paths = sorted(videos.iterdir())
    records = load_records([(str(path), at % 3) for at, path in enumerate(paths)])
    number, *how = run.split("+")
    with device_scope(number if number == "auto" else int(number)) as on:
        keras.utils.set_random_seed(0)
        on_jax = keras.backend.backend() == "jax"
        model = TDNResNet(
            (1, 1, 1, 1),
            width=16,
            classes=3,
            num_segments=SEGMENTS,
            input_shape=(SEGMENTS * 5, SIZE, SIZE, 3),
            # It depends on the place in the batch, which is another with several processes.
            dropout_rate=0.0,
            # Keras' JAX backend computes some of it in float32 all the same.
            dtype=None if on_jax else "float64",
        )
        if "sync" in how:
            synchronize_batch_norms(model)
        # The norm of the gradients is clipped at each step, and that of half a batch is another.
        optimizer = CoupledSGD(0.02, global_clipnorm=0.5, use_ema=True, ema_momentum=0.9)
        model.compile(optimizer, "sparse_categorical_crossentropy", run_eagerly="eager" in how)
        clips = {"spec": model.clip_spec, "shard": on.shard, "num_parallel_calls": 2}
        batch_size = on.batch_size(BATCH_SIZE)
        losses = []
        model.fit(
            make_dataset(records, **clips, training=True, batch_size=batch_size),
            steps_per_epoch=STEPS,
            verbose=0,
            callbacks=[
                keras.callbacks.LambdaCallback(
                    # The mean over the epoch so far, whatever the number of devices.
                    on_train_batch_end=lambda batch, logs: losses.append(float(logs["loss"]))
                )
            ],
        )
        variables = [*model.variables, *model.optimizer.variables]
        arrays = {
            f"variable/{index}/{variable.path}": keras.ops.convert_to_numpy(variable)
            for index, variable in enumerate(variables)
        }
        if "eager" not in how or on.num_devices == 1:
            # 11 clips in pairs: of the last pair, one replica gets the only clip, the other none.
            # An array of JAX's cannot be divided like that.
            validation = make_dataset(
                load_records(records[: 10 if on_jax else 11]),
                **clips,
                training=False,
                batch_size=on.batch_size(2),
                drop_remainder=devices_of_an_array() > 1,
            )
            arrays["validation"] = model.evaluate(validation, verbose=0)
        whole = devices_of_an_array() > 1
        seen = {"processes": num_joined_processes(), "whole_batches": whole}
    return {"losses": losses, "devices": on.num_devices, **seen, **arrays}


def write(path, arrays):
    import numpy as np

    # Names of variables hold what names in an archive must not.
    names = sorted(arrays)
    values = {f"array{index}": arrays[name] for index, name in enumerate(names)}
    np.savez(path, names=names, **values)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Questions that may crash or hang a process, each asked in one of its own."""

from __future__ import annotations

import contextlib
import urllib.parse
from collections.abc import Callable
from typing import Any

from keras_tdn.gpus import visible_accelerators
from keras_tdn.processes import ChildProcess, exit_reason

# How long an answer may take on a slow disk.
SECONDS = {"backend": 180.0, "tensorflow": 180.0, "video": 180.0, "hub": 20.0}
HUB_SECONDS = 5.0
# Of the videos that people have, with the decoders for each. FFmpeg's own for AV1 needs a GPU.
CODECS = {
    **{name: (name,) for name in ("h264", "hevc", "vp8", "vp9", "mpeg4", "mjpeg", "prores")},
    "av1": ("libdav1d", "libaom-av1"),
}
SIZE, NUM_FRAMES = (48, 64), 8

Facts = dict[str, Any]


def run_probe(name: str) -> Facts:
    """Returns the facts that a probe finds; what goes wrong is the entry `error`."""
    # A GPU's memory is left to others.
    environment = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    if name != "backend":
        environment["CUDA_VISIBLE_DEVICES"] = "-1"
    try:
        process = ChildProcess(_serve, name, silent=True, environment=environment)
    except OSError as error:
        return {"error": f"no process could be started: {error}"}
    try:
        if process.connection.poll(SECONDS[name]):
            return process.connection.recv()
        return {"error": f"no answer within {SECONDS[name]:g} s"}
    # Of a connection that its other end has left.
    except (EOFError, OSError):
        code = process.end(grace=5.0)
        killed = code is not None and code < 0
        return {"error": f"the process ended with {exit_reason(code)}", "killed": killed}
    finally:
        process.end()


def _serve(name: str, connection: Any) -> None:
    connection.send(ask(name))


def ask(name: str) -> Facts:
    """Runs a probe in this process; see `run_probe`."""
    facts: Facts = {}
    try:
        PROBES[name](facts)
    except Exception as error:
        facts["error"] = f"{type(error).__name__}: {error}"
    return facts


def _probe_backend(facts: Facts) -> None:
    """What Keras runs on, and whether it computes a convolution there."""
    import keras

    facts["backend"] = backend = keras.backend.backend()
    facts["devices"] = visible_accelerators(backend)
    if backend == "tensorflow":
        facts["onednn"] = _has_onednn()
    ones = keras.ops.ones((1, 8, 8, 3), "float32"), keras.ops.ones((3, 3, 3, 4), "float32")
    sums = keras.ops.convert_to_numpy(keras.ops.conv(*ones, padding="valid"))
    if abs(sums - 27.0).max() > 0.1:
        raise ValueError(f"a convolution of ones gave {sums.ravel()[0]} instead of 27")


def _probe_tensorflow(facts: Facts) -> None:
    """TensorFlow, which reads the data whatever Keras runs on."""
    import tensorflow as tf

    facts["onednn"] = _has_onednn()
    numbers = list(tf.data.Dataset.range(3).as_numpy_iterator())
    if numbers != [0, 1, 2]:
        raise ValueError(f"tf.data counted {numbers}")


def _has_onednn() -> bool | None:
    """Whether TensorFlow computes with oneDNN; `None` if this release does not say."""
    with contextlib.suppress(Exception):
        from tensorflow.python.util import _pywrap_util_port

        return bool(_pywrap_util_port.IsMklEnabled())
    return None


def _probe_video(facts: Facts) -> None:
    """PyAV, its codecs, and whether a video that it writes is read by this package."""
    import av
    import numpy as np

    facts["libavcodec"] = ".".join(map(str, av.library_versions["libavcodec"]))
    facts["codecs"] = {name: any(map(_decodes, decoders)) for name, decoders in CODECS.items()}
    from keras_tdn.data.decoding import read_frames
    from keras_tdn.pages.pictures import encode_mp4

    written = [np.full((*SIZE, 3), 20 * number, np.uint8) for number in range(NUM_FRAMES)]
    frames = read_frames(
        encode_mp4(written, 25, "mpeg4", {}), lambda num_frames: [0, num_frames - 1]
    )
    if frames.shape != (2, *SIZE, 3) or not frames[0].max() < 20 < 100 < frames[1].min():
        raise ValueError("the frames of a video that was just written came back changed")


def _decodes(name: str) -> bool:
    import av

    with contextlib.suppress(ValueError, LookupError):
        return bool(av.codec.Codec(name, "r"))
    return False


def _probe_hub(facts: Facts) -> None:
    """Whether the Hugging Face Hub answers, unless the user keeps this machine off it."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    # Without the user and password that an address may contain.
    facts["host"] = urllib.parse.urlsplit(constants.ENDPOINT).hostname
    facts["cache"] = str(constants.HF_HUB_CACHE)
    facts["offline"] = bool(constants.HF_HUB_OFFLINE)
    if not facts["offline"]:
        facts["status"] = get_session().head(constants.ENDPOINT, timeout=HUB_SECONDS).status_code


PROBES: dict[str, Callable[[Facts], None]] = {
    "backend": _probe_backend,
    "tensorflow": _probe_tensorflow,
    "video": _probe_video,
    "hub": _probe_hub,
}

"""Questions about this installation that may crash or hang a process, each asked in one of its own.

`keras_tdn.doctor` starts those processes.
"""

from __future__ import annotations

import contextlib
import io
import urllib.parse
from collections.abc import Callable
from typing import Any

HUB_SECONDS = 5.0
# Of the videos that people have, with the decoders for each. FFmpeg's own for AV1 needs a GPU.
CODECS = {
    **{name: (name,) for name in ("h264", "hevc", "vp8", "vp9", "mpeg4", "mjpeg", "prores")},
    "av1": ("libdav1d", "libaom-av1"),
}
SIZE, NUM_FRAMES = (48, 64), 8

Facts = dict[str, Any]


def probe_backend(facts: Facts) -> None:
    """What Keras runs on, and whether it computes a convolution there."""
    import keras

    from keras_tdn.nvidia_gpus import visible_accelerators

    facts["backend"] = backend = keras.backend.backend()
    facts["devices"] = visible_accelerators(backend)
    if backend == "tensorflow":
        facts["onednn"] = _onednn()
    ones = keras.ops.ones((1, 8, 8, 3), "float32"), keras.ops.ones((3, 3, 3, 4), "float32")
    sums = keras.ops.convert_to_numpy(keras.ops.conv(*ones, padding="valid"))
    if abs(sums - 27.0).max() > 0.1:
        raise ValueError(f"a convolution of ones gave {sums.ravel()[0]} instead of 27")


def probe_tensorflow(facts: Facts) -> None:
    """TensorFlow, which reads the data whatever Keras runs on."""
    import tensorflow as tf

    facts["onednn"] = _onednn()
    numbers = list(tf.data.Dataset.range(3).as_numpy_iterator())
    if numbers != [0, 1, 2]:
        raise ValueError(f"tf.data counted {numbers}")


def probe_video(facts: Facts) -> None:
    """PyAV, its codecs, and whether a video that it writes is read by this package."""
    import av
    import numpy as np

    libraries = {name: ".".join(map(str, v)) for name, v in av.library_versions.items()}
    facts["libraries"] = libraries
    facts["codecs"] = {name: any(map(_decodes, decoders)) for name, decoders in CODECS.items()}
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream = output.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        for number in range(NUM_FRAMES):
            pixels = np.full((*SIZE, 3), 20 * number, np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        output.mux(stream.encode(None))
    from keras_tdn.data.decoding import read_frames

    frames = read_frames(file.getvalue(), lambda num_frames: [0, num_frames - 1])
    if frames.shape != (2, *SIZE, 3) or not frames[0].max() < 20 < 100 < frames[1].min():
        raise ValueError("the frames of a video that was just written came back changed")


def probe_hub(facts: Facts) -> None:
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
    "backend": probe_backend,
    "tensorflow": probe_tensorflow,
    "video": probe_video,
    "hub": probe_hub,
}


def _onednn() -> bool | None:
    """Whether TensorFlow computes with oneDNN; `None` if this release does not say."""
    with contextlib.suppress(Exception):
        from tensorflow.python.util import _pywrap_util_port

        return bool(_pywrap_util_port.IsMklEnabled())
    return None


def _decodes(name: str) -> bool:
    import av

    with contextlib.suppress(ValueError, LookupError):
        return bool(av.codec.Codec(name, "r"))
    return False


def ask(name: str) -> Facts:
    """What one probe finds; what goes wrong on the way is the entry `error`."""
    facts: Facts = {}
    try:
        PROBES[name](facts)
    except Exception as error:
        facts["error"] = f"{type(error).__name__}: {error}"
    return facts


def serve(name: str, connection: Any) -> None:
    """Sends the facts of one probe."""
    connection.send(ask(name))

"""What software a result was computed with."""

from __future__ import annotations

import importlib.metadata

import keras

from keras_tdn.version import __version__

# TensorFlow cuts the clips on every backend, and PyAV decodes videos unless told otherwise.
DISTRIBUTIONS = ("tensorflow", "av")


def versions() -> dict[str, str]:
    """Versions of this library, Keras, the backend and what prepares clips, by name.

    They are for people and are no part of what a run is resumed by: a new version may go on.
    """
    found = {"keras_tdn": __version__, "keras": keras.__version__}
    for name in (keras.backend.backend(), *DISTRIBUTIONS):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            # Some builds have a name of their own, such as tensorflow-cpu.
            found.setdefault(name, "unknown")
    return found

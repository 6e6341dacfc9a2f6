"""The formats and precisions of exports, and the names of a SavedModel's signatures."""

from __future__ import annotations

import dataclasses
import importlib.util

from keras_tdn.choices import FOLDED_DTYPES

SAVED_MODEL = "saved_model"

# The names of the signatures.
SERVING_DEFAULT = "serving_default"
ENCODED_FRAMES = "encoded_frames"
FEATURES = "features"
DESCRIBE = "describe"


def check_dtype(dtype: str) -> None:
    """Raises unless a SavedModel may compute in it."""
    if dtype not in FOLDED_DTYPES:
        raise ValueError(
            f"An exported network computes in one of {list(FOLDED_DTYPES)}. "
            f"Received: dtype={dtype!r}"
        )


@dataclasses.dataclass(frozen=True)
class PortableFormat:
    """A format for runtimes other than TensorFlow.

    Args:
        name: As Keras names it; also the extra that installs what it needs.
        file: Name of the file in the folder that is written.
        dtypes: Precisions of the stored weights; the first is the default.
        modules: Packages that writing it needs.
    """

    name: str
    file: str
    dtypes: tuple[str, ...]
    modules: tuple[str, ...]

    def check(self, dtype: str) -> None:
        """Raises unless the format can be written here with weights of this dtype."""
        if dtype not in self.dtypes:
            raise ValueError(
                f"Weights of the format {self.name!r} are stored as one of {list(self.dtypes)}. "
                f"Received: dtype={dtype!r}"
            )
        missing = [name for name in self.modules if importlib.util.find_spec(name) is None]
        if missing:
            raise ImportError(
                f"Writing the format {self.name!r} needs {', '.join(missing)}: "
                f"pip install 'keras-tdn[{self.name}]'"
            )


PORTABLE_FORMATS = {
    format.name: format
    for format in (
        PortableFormat("onnx", "model.onnx", ("float32",), ("tf2onnx", "onnx")),
        PortableFormat("openvino", "model.xml", ("float32", "float16"), ("openvino", "scipy")),
        # TensorFlow has its converter.
        PortableFormat("litert", "model.tflite", ("float32", "float16", "int8"), ()),
    )
}

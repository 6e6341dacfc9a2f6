"""The formats that a model is exported to, besides a SavedModel."""

from __future__ import annotations

import dataclasses
import importlib.util


@dataclasses.dataclass(frozen=True)
class PortableFormat:
    """What is told apart between the formats.

    Args:
        name: As Keras names it, and the extra that installs what it needs.
        file: In the folder that is written.
        dtypes: Of the stored weights; the first is the default.
        modules: Packages that writing it takes.
    """

    name: str
    file: str
    dtypes: tuple[str, ...]
    modules: tuple[str, ...]

    def check(self, dtype: str) -> None:
        """Raises unless it can be written here with such weights."""
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

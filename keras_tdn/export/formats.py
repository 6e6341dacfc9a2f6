"""The formats of exports, signatures, and what needs the packages of TensorFlow Serving."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from typing import Any

from keras_tdn.specs import ClipSpec

SAVED_MODEL = "saved_model"

# The names of the signatures.
SERVING_DEFAULT = "serving_default"
ENCODED_FRAMES = "encoded_frames"
FEATURES = "features"
DESCRIBE = "describe"
MANIFEST = "manifest"
SINGLE_OUTPUTS = {FEATURES: FEATURES, DESCRIBE: MANIFEST}
GREY = 128
# Those that examples/serving/batching.config pads batches to: a size that was not warmed up would
# make its first callers wait.
BATCH_SIZES = (1, 2, 4)


@dataclasses.dataclass(frozen=True)
class PortableFormat:
    """A format for runtimes other than TensorFlow, by Keras' name, which is the extra's as well.

    `file` is in the folder that is written, `dtypes` are what weights may be stored as, and
    `modules` what writing needs.
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
        if missing := [name for name in self.modules if importlib.util.find_spec(name) is None]:
            needed = f"Writing the format {self.name!r} needs {', '.join(missing)}"
            raise ImportError(f"{needed}: pip install 'keras-tdn[{self.name}]'")


PORTABLE_FORMATS = {
    format.name: format
    for format in (
        PortableFormat("onnx", "model.onnx", ("float32",), ("tf2onnx", "onnx")),
        PortableFormat("openvino", "model.xml", ("float32", "float16"), ("openvino", "scipy")),
        # TensorFlow has its converter.
        PortableFormat("litert", "model.tflite", ("float32", "float16", "int8"), ()),
    )
}


def has_serving_api() -> bool:
    """Whether tensorflow-serving-api is installed."""
    return importlib.util.find_spec("tensorflow_serving") is not None


def import_serving_api(purpose: str) -> Any:
    """Returns the package of messages and services; the purpose begins the `ImportError`."""
    try:
        import tensorflow_serving.apis
        import tensorflow_serving.apis.get_model_metadata_pb2
        import tensorflow_serving.apis.prediction_log_pb2
        import tensorflow_serving.apis.prediction_service_pb2_grpc
    except ImportError as error:
        raise ImportError(
            f"{purpose} needs tensorflow-serving-api: pip install 'keras-tdn[serving]'"
        ) from error
    return tensorflow_serving.apis


def write_warm_up(spec: ClipSpec, model: str, folder: Path) -> None:
    """Writes requests of grey clips, of each size for each signature that runs the network."""
    import tensorflow as tf

    apis = import_serving_api("Writing warm-up requests")
    # As large as frames are after the resize.
    pixels = tf.fill((spec.short_side, spec.short_side * 4 // 3, 3), tf.constant(GREY, tf.uint8))
    frame = tf.io.encode_jpeg(pixels).numpy()
    # Where TensorFlow Serving looks for them.
    path = folder / "assets.extra/tf_serving_warmup_requests"
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for size in BATCH_SIZES:
            # One value stands for all, which keeps a clip of 6 MB to some bytes.
            shape = (size, spec.num_frames, spec.height, spec.width, 3)
            clips = tf.make_tensor_proto(GREY, tf.uint8, shape)
            files = tf.make_tensor_proto([[frame] * spec.num_frames] * size)
            for signature, name, value in (
                (SERVING_DEFAULT, "clips", clips),
                (ENCODED_FRAMES, ENCODED_FRAMES, files),
                (FEATURES, "clips", clips),
            ):
                log = apis.prediction_log_pb2.PredictionLog()
                request = log.predict_log.request
                request.model_spec.name = model
                request.model_spec.signature_name = signature
                request.inputs[name].CopyFrom(value)
                writer.write(log.SerializeToString())

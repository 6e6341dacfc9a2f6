"""Asks exports in plain TensorFlow: `answer.py FOLDER ANSWERS [EXPECTED]`.

Every signature is asked twice, by `tf.saved_model.load` and in a session that feeds and fetches as
the server does, and the warm-up file is replayed. With EXPECTED, which another release has
answered, the exit status is 1 if answers differ.
"""

import pathlib
import sys

# The server has neither. pip brings Keras with TensorFlow, which would import it.
sys.modules.update({"keras": None, "keras_tdn": None})

import numpy as np
import tensorflow as tf
from stand_in import Served
from tensorflow_serving.apis import prediction_log_pb2

WARM_UP = "assets.extra/tf_serving_warmup_requests"
# The bound; float32 sums in another order are off by 1e-6.
BOUNDS = {"float32": 1e-5, "bfloat16": 2e-2}


def answers_of(folder):
    with Served(folder / "1", folder.name) as served:
        return ask(folder, served)


def ask(folder, served):
    version = folder / "1"
    loaded = tf.saved_model.load(str(version)).signatures
    results = {}

    def keep(question, outputs):
        for name, value in outputs.items():
            value = np.asarray(value)
            results[f"{question}/{name}"] = value.astype("S") if value.dtype == object else value

    with np.load(folder / "questions.npz") as questions:
        for question, values in questions.items():
            signature = question.split("/")[0]
            (argument,) = loaded[signature].structured_input_signature[1]
            inputs = values.astype(object) if values.dtype.kind == "S" else values
            keep(f"session/{question}", served.run(signature, {argument: inputs}))
            outputs = loaded[signature](**{argument: tf.constant(values)})
            keep(f"loaded/{question}", {name: value.numpy() for name, value in outputs.items()})
    records = tf.data.TFRecordDataset(str(version / WARM_UP))
    for number, record in enumerate(records.as_numpy_iterator()):
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        inputs = {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}
        signature = request.model_spec.signature_name
        keep(f"warm-up/{number} {signature}", served.run(signature, inputs))
    return results


def difference(actual, expected):
    """The largest, as a share of the largest value where that is more than 1; inf where unlike."""
    if actual.shape != expected.shape or actual.dtype != expected.dtype:
        return np.inf
    if actual.dtype.kind == "S":
        return 0.0 if np.array_equal(actual, expected) else np.inf
    largest = np.abs(actual - expected).max(initial=0)
    return float(largest / np.abs(expected).max(initial=1))


def main(folder, answers, expected=None):
    actual = {}
    for export in sorted(path for path in pathlib.Path(folder).iterdir() if path.is_dir()):
        found = answers_of(export)
        actual.update({f"{export.name}/{name}": value for name, value in found.items()})
    np.savez(answers, **actual)
    if expected is None:
        return
    worst = {}
    with np.load(expected) as reference:
        if set(actual) != set(reference.files):
            sys.exit(f"other answers than expected: {sorted(set(actual) ^ set(reference.files))}")
        for name, value in actual.items():
            key = tuple(name.split("/")[:2])
            worst[key] = max(
                worst.get(key, (0.0, name)), (difference(value, reference[name]), name)
            )
    failed = False
    for (model, way), (error, name) in worst.items():
        bound = BOUNDS["bfloat16" if "bfloat16" in model else "float32"]
        failed |= not error <= bound
        sys.stdout.write(f"TensorFlow {tf.__version__}: {model}, {way}: {error:.1e} ({name})\n")
    if failed:
        sys.exit(
            f"TensorFlow {tf.__version__} answers otherwise than the one that wrote the export."
        )


if __name__ == "__main__":
    main(*sys.argv[1:])

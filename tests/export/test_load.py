"""Many requests at once, good and bad, at mixed batch sizes.

`KERAS_TDN_LOAD_REQUESTS=20000 pytest tests/export/test_load.py` sends more of them.
"""

import base64
import collections
import concurrent.futures
import http.client
import json
import os

import keras
import numpy as np
import pytest

from keras_tdn.export import export_saved_model

tf = pytest.importorskip("tensorflow")
pytest.importorskip("tensorflow_serving", reason="needs keras-tdn[serving]")
grpc = pytest.importorskip("grpc")

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="exports in this process on TensorFlow"
)

REQUESTS = int(os.environ.get("KERAS_TDN_LOAD_REQUESTS", "2000"))
CALLERS = 8
MODEL = "tdn"
FRAMES, SIZE = 10, 32
POOL = 12
BATCHES = (1, 2, 3, 5)
# Float32 sums in another order, by batch size.
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def served(build_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("load") / "1"
    model = build_model(input_shape=(FRAMES, SIZE, SIZE, 3))
    return model, export_saved_model(model, folder, top=2)


@pytest.fixture(scope="module")
def pool(served):
    """Clips and JPEG clips, one by one through the export in this process, and the Keras model."""
    model, folder = served
    rng = np.random.default_rng(7)
    clips = rng.integers(0, 256, (POOL, FRAMES, SIZE, SIZE, 3), np.uint8)
    signatures = tf.saved_model.load(str(folder)).signatures
    files = np.empty((POOL, FRAMES), object)
    for row, clip in zip(files, clips, strict=True):
        height, width = rng.integers(20, 60, 2)
        for number, frame in enumerate(clip):
            picture = np.resize(frame, (height, width, 3))
            row[number] = tf.io.encode_jpeg(picture).numpy()
    raw = model(clips.astype("float32"), training=False).numpy()
    jpeg = np.concatenate(
        [
            signatures["encoded_frames"](encoded_frames=tf.constant(row[None]))["scores"]
            for row in files
        ]
    )
    # Another clip's answer would be noticed.
    for scores in (raw, jpeg):
        distances = np.abs(scores[:, None] - scores).max(axis=-1) + np.eye(POOL)
        assert distances.min() > 20 * TOLERANCE
    return {"clips": (clips, raw), "encoded_frames": (files, jpeg)}


def huge_picture(file):
    """A JPEG header that promises 65000 x 65000 pixels."""
    start = file.index(b"\xff\xc0")
    return file[: start + 5] + b"\xfd\xe8\xfd\xe8" + file[start + 9 :]


def bad_inputs(kind, pool):
    """Signature, inputs and the codes that TensorFlow Serving has for such a request."""
    clip, file = pool["clips"][0][:1], pool["encoded_frames"][0][:1].copy()
    refused = {"INVALID_ARGUMENT"}
    if kind == "other segments":
        # As many pixels as one clip, in another shape.
        return "serving_default", {"clips": clip.reshape(2, FRAMES // 2, SIZE, SIZE, 3)}, refused
    if kind == "other size":
        return "serving_default", {"clips": clip[:, :, 1:]}, refused
    if kind == "one frame short":
        return "serving_default", {"clips": clip[:, 1:]}, refused
    if kind == "rank":
        return "serving_default", {"clips": clip[0]}, refused
    if kind == "scalar":
        return "features", {"clips": np.uint8(1)}, refused
    if kind == "float":
        return "serving_default", {"clips": clip.astype("float32")}, refused
    if kind == "strings":
        return "serving_default", {"clips": file}, refused
    if kind == "truncated":
        file[0, 3] = file[0, 3][: len(file[0, 3]) // 2]
        return "encoded_frames", {"encoded_frames": file}, refused
    if kind == "empty file":
        file[0, 0] = b""
        return "encoded_frames", {"encoded_frames": file}, refused
    if kind == "huge picture":
        file[0, 0] = huge_picture(file[0, 0])
        return "encoded_frames", {"encoded_frames": file}, refused
    if kind == "no pictures":
        return "encoded_frames", {"encoded_frames": np.array([[b"x"] * FRAMES], object)}, refused
    if kind == "no frames":
        return "encoded_frames", {"encoded_frames": np.empty((1, 0), object)}, refused
    if kind == "huge":
        return (
            "serving_default",
            {"clips": np.resize(clip, (300, *clip.shape[1:]))},
            {"RESOURCE_EXHAUSTED"},
        )
    if kind == "other input":
        return "serving_default", {"frames": clip}, refused
    if kind == "no input":
        return "serving_default", {}, refused
    return "classify", {"clips": clip}, refused


BAD = (
    "other segments",
    "other size",
    "one frame short",
    "rank",
    "scalar",
    "float",
    "strings",
    "truncated",
    "empty file",
    "huge picture",
    "no pictures",
    "no frames",
    "huge",
    "other input",
    "no input",
    "signature",
)
BAD_JSON = (
    b"",
    b"{",
    b"[]",
    b'{"inputs": {"clips": "a"}}',
    b'{"inputs": {"clips": [[1, 2], [3]]}}',
    b'{"inputs": {"clips": [[1, 300]]}}',
    b'{"signature_name": "encoded_frames", "inputs": {"encoded_frames": [[{"b64": "?"}]]}}',
    b'{"signature_name": "encoded_frames", "inputs": {"encoded_frames": [["a", 1]]}}',
    b'{"signature_name": "other", "inputs": {"clips": [1]}}',
)


class Caller:
    """Sends request number `n` and checks its answer; which request that is depends on `n` only."""

    def __init__(self, pool, addresses):
        from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

        self.pool = pool
        self.grpc_host, self.rest_host = (url.split("//")[1] for url in addresses)
        # A client's own limit is 4 MB for what it receives only.
        self.channel = grpc.insecure_channel(self.grpc_host)
        self.stub = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.new_request = predict_pb2.PredictRequest

    def __call__(self, number):
        tens, slot = divmod(number, 10)
        if slot == 0:
            return self.bad_json(BAD_JSON[tens % len(BAD_JSON)])
        if slot < 4:
            return self.bad(BAD[(3 * tens + slot) % len(BAD)])
        rng = np.random.default_rng(number)
        rows = rng.integers(0, POOL, rng.choice(BATCHES))
        if slot == 4:
            return self.good_json(rows)
        return self.good(("clips", "encoded_frames")[slot % 2], rows)

    def predict(self, signature, inputs):
        request = self.new_request()
        request.model_spec.name = MODEL
        request.model_spec.signature_name = signature
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        response = self.stub.Predict(request, timeout=300)
        return {name: tf.make_ndarray(proto) for name, proto in response.outputs.items()}

    def good(self, name, rows):
        signature = "serving_default" if name == "clips" else name
        inputs, expected = self.pool[name]
        scores = self.predict(signature, {name: inputs[rows]})["scores"]
        np.testing.assert_allclose(scores, expected[rows], atol=TOLERANCE)
        return "answered"

    def good_json(self, rows):
        files, expected = self.pool["encoded_frames"]
        encoded = [[{"b64": base64.b64encode(f).decode()} for f in row] for row in files[rows]]
        body = {"signature_name": "encoded_frames", "inputs": {"encoded_frames": encoded}}
        status, answer = self.post(json.dumps(body).encode())
        assert status == 200
        np.testing.assert_allclose(answer["outputs"]["scores"], expected[rows], atol=TOLERANCE)
        return "answered"

    def bad(self, kind):
        signature, inputs, codes = bad_inputs(kind, self.pool)
        with pytest.raises(grpc.RpcError) as caught:
            self.predict(signature, inputs)
        assert caught.value.code().name in codes, (kind, caught.value)
        return kind

    def bad_json(self, body):
        status, answer = self.post(body)
        assert status == 400, (body, answer)
        assert answer["error"]
        return "JSON"

    def post(self, body):
        connection = http.client.HTTPConnection(self.rest_host, timeout=300)
        connection.request("POST", f"/v1/models/{MODEL}:predict", body)
        response = connection.getresponse()
        answer = response.status, json.loads(response.read())
        connection.close()
        return answer


@pytest.mark.slow
def test_no_crash_no_wrong_answer(served, pool):
    from stand_in import Served, stand_in

    with Served(served[1], MODEL) as version, stand_in(version) as addresses:
        caller = Caller(pool, addresses)
        with concurrent.futures.ThreadPoolExecutor(CALLERS) as threads:
            outcomes = collections.Counter(threads.map(caller, range(REQUESTS)))
        # All kinds came about, and the server is as it was.
        assert set(BAD) <= set(outcomes)
        for name in ("clips", "encoded_frames"):
            caller.good(name, np.arange(POOL))
        caller.channel.close()
    assert outcomes["answered"] > REQUESTS / 2
    assert outcomes["JSON"] > REQUESTS / 20

"""Servers whose answers are made to take memory or time, or to be believed, and the client."""

import contextlib
import gzip
import http.server
import json
import threading
import tracemalloc
from concurrent import futures

import numpy as np
import pytest

from keras_tdn.export import client as serving
from keras_tdn.specs import ClipSpec

FRAMES = np.zeros((12, 20, 20, 3), np.uint8)
MEGABYTE = 2**20
# What a client and its server take for themselves.
LITTLE = 60 * MEGABYTE


@contextlib.contextmanager
def rest_server(write):
    """A client of a server that answers with what `write(handler)` sends."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            with contextlib.suppress(OSError):
                write(self)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        # It looks that often whether it shall end.
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield serving.connect(f"http://127.0.0.1:{server.server_port}", deadline=60)
        server.shutdown()


def sending(body, status=200, length=None):
    """Writes one answer."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    def write(handler):
        handler.send_response(status)
        handler.send_header("Content-Length", str(length or len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return write


@contextlib.contextmanager
def little_memory():
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < LITTLE


def manifest(**changes):
    config = {**ClipSpec(2).to_config(), **changes}
    return {"outputs": [json.dumps({"clip_spec": config})]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_segments": 10**9}, r"A clip of 5000000000 frames.*more than the 1 GiB"),
        # Whose frames are small, and many all the same.
        ({"num_segments": 10**9, "height": 1, "width": 1}, "more than the 1 GiB.*MAX_CLIP_GIB"),
        ({"frames_per_segment": 10**9}, "more than the 1 GiB"),
        ({"width": 10**9}, "more than the 1 GiB"),
        ({"height": 10**4000, "short_side": 10**4000}, r"more than the 1 GiB"),
        ({"num_segments": 1e9}, "positive integer for `num_segments`"),
        ({"num_segments": True}, "positive integer for `num_segments`"),
        ({"num_segments": -1}, "positive integer for `num_segments`"),
        ({"normalization": {"mean": [10**400, 0, 0], "std": [1, 1, 1]}}, "three finite numbers"),
        ({"normalization": {"mean": None, "std": [1, 1, 1]}}, "no clip specification"),
        ({"labels": ["a"]}, "has the entries"),
    ],
)
def test_clips_that_a_server_asks_for(changes, message):
    with (
        rest_server(sending(manifest(**changes))) as client,
        little_memory(),
        pytest.raises(serving.MalformedAnswerError, match=message),
    ):
        client.label_video(FRAMES)


def test_clips_that_are_asked_for_here():
    """Frames are counted as large as they are, not as the clips that the server cuts of them."""
    with little_memory(), pytest.raises(ValueError, match=r"frames of 20x20 .*MAX_CLIP_GIB"):
        serving.encode_clip(FRAMES, ClipSpec(180_000, 5, 1, 1, 1))


def rows(**outputs):
    fine = {"scores": [[0.25, 0.75]], "labels": [["b"]], "top_scores": [[0.75]]}
    return {"outputs": {**fine, **outputs}}


def nested(depth):
    return b"[" * depth + b"]" * depth


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (rows(scores=[[float("nan"), 0.75]]), "NaN or infinity"),
        (rows(scores=[[1e39, 0.75]]), "NaN or infinity"),
        (rows(scores=[[10**30, 0.75]]), "NaN or infinity|rows of numbers"),
        (rows(scores=[[10**400, 0.75]]), "no array|rows of numbers"),
        (rows(scores=[[True, False]]), "numbers or of strings"),
        (rows(scores=[[0.25, "0.75"]]), "numbers or of strings"),
        (rows(scores=[[None, 0.75]]), "numbers or of strings"),
        (rows(scores=[]), r"instead of 1 rows"),
        (rows(scores=[[]], labels=[[]], top_scores=[[]]), r"instead of 1 rows"),
        (rows(scores=[[0.25, 0.75]] * 2), r"shape \(2, 2\) instead of 1 rows"),
        (rows(labels=[[7]]), "not a name for each"),
        (rows(labels=[["a", "b"]]), "not a name for each"),
        (rows(labels=[["a", "b", "c"]], top_scores=[[0.75, 0.25, 0.1]]), "not the highest"),
        (rows(labels=[[{"b64": 5}]]), "no array"),
        (rows(labels=[[{"b64": "//8="}]]), "no array"),
        (b'{"outputs": {"scores": %b}}' % nested(500), "no array"),
        (b'{"outputs": {"scores": %b}}' % nested(10_000), "no array|nested too deeply"),
        (nested(100_000), "nested too deeply|no JSON object"),
        (b"[" * 10_000_000, "more than the 0.25 GiB"),
        (gzip.compress(bytes(100 * MEGABYTE), mtime=0), "no JSON object"),
    ],
    ids=lambda value: None if isinstance(value, str) else str(value)[:60],
)
def test_answers_that_are_not_believed(answer, message):
    with (
        rest_server(sending(answer)) as client,
        pytest.raises(serving.MalformedAnswerError, match=message),
    ):
        client.label_frames([[b""]])


def test_an_error_that_is_nested_deeply():
    with (
        rest_server(sending(b'{"error": %b}' % nested(10_000), 500)) as client,
        pytest.raises(serving.ServingError, match=r"nested too deeply|HTTP 500"),
    ):
        client.label_frames([[b""]])


def test_a_description_that_is_nested_deeply():
    with (
        rest_server(sending({"outputs": [nested(10_000).decode()]})) as client,
        pytest.raises(serving.MalformedAnswerError, match="cannot be read"),
    ):
        client.label_video(FRAMES)


def test_one_long_name_does_not_make_room_for_as_many():
    """An array of fixed width would take 800 MB for this one of 0.4."""
    labels = [["b", "a" * 200_000, *("c" for _ in range(998))]]
    scores = [[1 - number / 2000 for number in range(1000)]]
    answer = sending(rows(scores=scores, labels=labels, top_scores=scores))
    with rest_server(answer) as client, little_memory():
        (predictions,) = client.label_frames([[b""]])
    assert [len(prediction.label) for prediction in predictions[:3]] == [1, 200_000, 1]


def test_a_long_reason_is_cut():
    with (
        rest_server(sending({"error": "long " * MEGABYTE}, 400)) as client,
        pytest.raises(serving.RequestRefusedError) as caught,
    ):
        client.label_frames([[b""]])
    assert len(str(caught.value)) < 1000


def endless(handler):
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(bytes(MEGABYTE))


@pytest.mark.parametrize(
    "write",
    [
        sending(b"{}", length=10**12),
        endless,
        # As large as allowed, and many times that once it is parsed.
        sending(b'{"outputs": [' + b"[]," * MEGABYTE + b"[]]}"),
        sending('{"outputs": "\U0001f600'.encode() + b"a" * 6 * MEGABYTE + b'"}'),
    ],
    ids=["announced", "endless", "empty lists", "wide characters"],
)
def test_answers_that_are_too_large(monkeypatch, write):
    monkeypatch.setenv("KERAS_TDN_MAX_ANSWER_GIB", "0.02")
    told = r"more than the 0\.\d+ GiB that one answer .*KERAS_TDN_MAX_ANSWER_GIB"
    with (
        rest_server(write) as client,
        little_memory(),
        pytest.raises(serving.MalformedAnswerError, match=told),
    ):
        client.label_frames([[b""]])


@contextlib.contextmanager
def grpc_server(answer, method="Predict", **options):
    """A client of a server that answers each call with those bytes."""
    grpc = pytest.importorskip("grpc")
    pytest.importorskip("tensorflow_serving", reason="needs keras-tdn[serving]")
    server = grpc.server(futures.ThreadPoolExecutor(2), **options)
    handler = grpc.unary_unary_rpc_method_handler(lambda *_: answer)
    service = "tensorflow.serving.PredictionService"
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(service, {method: handler})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with serving.connect(f"grpc://127.0.0.1:{port}", deadline=60) as client:
        yield client
    server.stop(0).wait()


def predict_response(**outputs):
    """Tensors of a shape that one value stands for."""
    pytest.importorskip("tensorflow_serving", reason="needs keras-tdn[serving]")
    from tensorflow_serving.apis import predict_pb2

    response = predict_pb2.PredictResponse()
    for name, (value, shape) in outputs.items():
        tensor = response.outputs[name]
        tensor.dtype = 7 if isinstance(value, bytes) else 1
        (tensor.string_val if isinstance(value, bytes) else tensor.float_val).append(value)
        for size in shape:
            tensor.tensor_shape.dim.add().size = size
    return response.SerializeToString()


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"scores": (1.0, (10**5, 10**5))}, r"more than the 0\.25 GiB that one answer"),
        ({"labels": (b"a", (10**5, 10**5))}, "more than the 0.25 GiB"),
        ({f"output {n}": (1.0, (10**4, 10**4)) for n in range(3)}, "more than the 0.25 GiB"),
        ({"scores": (1.0, (1, -1))}, "cannot be used"),
        ({"scores": (1.0, (1,) * 100)}, "cannot be read"),
        ({"scores": (float("nan"), (1, 2)), "top_scores": (1.0, (1, 1))}, "NaN or infinity"),
        ({"scores": (1.0, (1, 0))}, "cannot be used"),
    ],
)
def test_tensors_of_invented_shapes(outputs, message):
    with (
        grpc_server(predict_response(**outputs)) as client,
        little_memory(),
        pytest.raises(serving.MalformedAnswerError, match=message),
    ):
        client.label_frames([[b""]])


@pytest.mark.parametrize("compressed", [False, True])
def test_messages_that_are_too_large(monkeypatch, compressed):
    grpc = pytest.importorskip("grpc")
    monkeypatch.setenv("KERAS_TDN_MAX_ANSWER_GIB", str(1 / 1024))
    answer = predict_response(labels=(bytes(64 * MEGABYTE), (1, 1)))
    options = {"compression": grpc.Compression.Gzip} if compressed else {}
    with (
        grpc_server(answer, **options) as client,
        pytest.raises(serving.MalformedAnswerError, match="KERAS_TDN_MAX_ANSWER_GIB"),
    ):
        client.label_frames([[b""]])


def test_a_request_that_is_too_large_for_the_server():
    """Asking again does not help, though the server has the code for a busy one."""
    limit = [("grpc.max_receive_message_length", 1000)]
    with (
        grpc_server(predict_response(), options=limit) as client,
        pytest.raises(serving.RequestRefusedError, match="larger than max"),
    ):
        client.label_frames([[bytes(10_000)]])


@pytest.mark.parametrize("answer", [b"\xff" * 100, b""])
def test_bytes_that_are_no_message(answer):
    with (
        grpc_server(answer) as client,
        pytest.raises(serving.MalformedAnswerError, match="cannot be used"),
    ):
        client.label_frames([[b""]])


def test_signatures_that_are_none():
    pytest.importorskip("tensorflow_serving", reason="needs keras-tdn[serving]")
    from google.protobuf import any_pb2
    from tensorflow_serving.apis import get_model_metadata_pb2

    garbage = get_model_metadata_pb2.GetModelMetadataResponse()
    garbage.metadata["signature_def"].CopyFrom(
        any_pb2.Any(
            type_url="type.googleapis.com/tensorflow.serving.SignatureDefMap", value=b"\xff" * 10
        )
    )
    empty = get_model_metadata_pb2.GetModelMetadataResponse()
    for answer, message in ((garbage, "cannot be read"), (empty, "has no signatures")):
        with (
            grpc_server(answer.SerializeToString(), "GetModelMetadata") as client,
            pytest.raises(serving.MalformedAnswerError, match=message),
        ):
            client.signatures()

"""The client against a server that speaks TensorFlow Serving's protocols."""

import http.server
import socket
import threading
import time

import keras
import numpy as np
import pytest
from synthetic_videos import encode_video

from keras_tdn import predict_video
from keras_tdn.export import client as serving
from keras_tdn.specs import ClipSpec

tf = pytest.importorskip("tensorflow")
pytest.importorskip("tensorflow_serving", reason="needs keras-tdn[serving]")

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="exports in this process on TensorFlow"
)

MODEL = "tdn"


@pytest.fixture(scope="module")
def addresses(exported):
    from stand_in import stand_in

    with stand_in(exported[2], MODEL) as (grpc_url, rest_url):
        yield {"grpc": grpc_url, "rest": rest_url}


@pytest.fixture(params=["grpc", "rest"])
def url(request, addresses):
    return addresses[request.param]


@pytest.fixture(scope="module")
def video():
    return encode_video(30, size=(120, 96))


def test_a_video_is_labelled_as_by_predict_video(exported, url, video):
    expected = predict_video(exported[0], video, top=3)
    with serving.connect(url, MODEL) as client:
        predictions = client.label_video(video)
        assert client.clip_spec == exported[0].clip_spec
        assert tuple(client.manifest["labels"]) == exported[0].labels
    assert [(p.index, p.label) for p in predictions] == [(p.index, p.label) for p in expected]
    # JPEG's error: frames are stored with quality 95.
    np.testing.assert_allclose(
        [p.score for p in predictions], [p.score for p in expected], atol=0.02
    )


def test_clips_and_features(exported, url):
    model = exported[0]
    shape = (2, *model.input_shape[1:])
    clips = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    scores = model(clips.astype("float32"), training=False).numpy()
    with serving.connect(url, MODEL, version=1) as client:
        answers = client.label_clips(clips)
        features = client.features(clips)
        assert client.signatures() == ["describe", "encoded_frames", "features", "serving_default"]
    for row, answer in zip(scores, answers, strict=True):
        assert [p.index for p in answer] == np.argsort(-row)[:3].tolist()
        # Float32 sums in another order.
        np.testing.assert_allclose([p.score for p in answer], np.sort(row)[::-1][:3], atol=1e-5)
    assert features.shape == (2, model.get_layer("classifier").kernel.shape[0])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"model": "other"}, serving.ModelNotFoundError, "model 'other'.*Servable not found"),
        ({"version": 7}, serving.ModelNotFoundError, "Servable not found"),
    ],
)
def test_models_that_are_not_there(url, arguments, error, message):
    client = serving.connect(url, **{"model": MODEL, **arguments})
    with pytest.raises(error, match=message):
        client.signatures()
    with pytest.raises(error, match=message):
        client.label_frames([[b""]])


def test_requests_that_are_refused(exported, url):
    client = serving.connect(url, MODEL)
    frames = exported[0].clip_spec.num_frames
    with pytest.raises(serving.RequestRefusedError, match=r"JPEG|image"):
        client.label_frames([[b"no picture"] * frames])
    with pytest.raises(serving.RequestRefusedError, match="shape"):
        client.label_frames([[b""] * 3])
    with pytest.raises(serving.RequestRefusedError, match="not found"):
        client._transport.predict("other", {"clips": np.zeros((1, 1), np.uint8)}, 10.0)


def test_clips_of_unequal_length(url):
    with pytest.raises(ValueError, match=r"clips of \[2, 3\] frames"):
        serving.connect(url, MODEL).label_frames([[b""] * 2, [b""] * 3])


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_no_server(scheme):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    client = serving.connect(f"{scheme}://127.0.0.1:{port}", MODEL, deadline=5)
    with pytest.raises(serving.ServerUnavailableError, match=f"127.0.0.1:{port}"):
        client.label_frames([[b""]])


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_a_server_that_is_silent(scheme):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        client = serving.connect(url, MODEL, deadline=0.5)
        start = time.monotonic()
        with pytest.raises((serving.DeadlineExceededError, serving.ServerUnavailableError)):
            client.label_frames([[b""]])
        assert time.monotonic() - start < 10


def rest_server(status, body, pause=0.0):
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            for byte in body:
                time.sleep(pause)
                self.wfile.write(bytes([byte]))
                self.wfile.flush()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
    # A client that gives up is no news.
    server.handle_error = lambda *_: None
    threading.Thread(target=server.handle_request, daemon=True).start()
    return server


@pytest.mark.parametrize(
    ("status", "body", "error", "message"),
    [
        (200, b"<html>", serving.MalformedAnswerError, "no JSON object"),
        (200, b"[]", serving.MalformedAnswerError, "no JSON object"),
        (200, b"{}", serving.MalformedAnswerError, "no `outputs`"),
        (200, b'{"outputs": {"scores": [[1], [2, 3]]}}', serving.MalformedAnswerError, "no array"),
        (200, b'{"outputs": {"scores": [[1]]}}', serving.MalformedAnswerError, "'top_scores'"),
        (
            200,
            b'{"outputs": {"scores": [[1, 2]], "top_scores": [[1]], "labels": [["a"]]}}',
            serving.MalformedAnswerError,
            "not the highest",
        ),
        (
            200,
            b'{"outputs": {"scores": [[1, 2]], "top_scores": [[2]], "labels": [["a", "b"]]}}',
            serving.MalformedAnswerError,
            "has not a name",
        ),
        (200, b'{"outputs": {"scores": [["a"]]}}', serving.MalformedAnswerError, "rows of numbers"),
        (400, b'{"error": "wrong"}', serving.RequestRefusedError, "HTTP 400: wrong"),
        (503, b"", serving.ServerUnavailableError, "HTTP 503"),
        (500, b"oops", serving.ServingError, "HTTP 500: b'oops'"),
    ],
)
def test_answers_that_are_none(status, body, error, message):
    with rest_server(status, body) as server:
        client = serving.connect(f"http://127.0.0.1:{server.server_port}", MODEL)
        with pytest.raises(error, match=message):
            client.label_frames([[b""]])


def test_a_server_that_answers_bit_by_bit():
    with rest_server(200, b'{"outputs": 1}', pause=0.2) as server:
        client = serving.connect(f"http://127.0.0.1:{server.server_port}", MODEL, deadline=0.7)
        with pytest.raises(serving.DeadlineExceededError, match=r"within 0\.7 s"):
            client.label_frames([[b""]])


@pytest.mark.parametrize("url", ["localhost:8500", "grpc://", "ftp://host", ""])
def test_addresses(url):
    with pytest.raises(ValueError, match="A server's address is grpc://host:8500"):
        serving.connect(url)


@pytest.mark.parametrize("deadline", [0, -1, float("inf"), "soon"])
def test_deadlines(deadline):
    with pytest.raises(ValueError, match="positive number of seconds"):
        serving.connect("http://localhost:8501", deadline=deadline)


def test_without_the_serving_api(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", None)
    with pytest.raises(ImportError, match=r"over gRPC needs .*keras-tdn\[serving\]"):
        serving.connect("grpc://localhost:8500")


@pytest.mark.parametrize(
    ("size", "sent"),
    [((200, 320), (56, 89)), ((48, 400), (48, 400)), ((90, 60), (84, 56)), ((56, 70), (56, 70))],
)
def test_frames_are_sent_no_larger_than_the_server_makes_them(size, sent):
    spec = ClipSpec(num_segments=2, height=48, width=48, short_side=56)
    frames = np.random.default_rng(0).integers(0, 256, (12, *size, 3), np.uint8)
    files = serving.encode_clip(frames, spec)
    assert len(files) == 10
    assert tf.io.decode_jpeg(files[0]).shape == (*sent, 3)


@pytest.mark.parametrize("quality", [0, 101, 9.5, True])
def test_qualities(quality):
    frames = np.zeros((12, 60, 60, 3), np.uint8)
    with pytest.raises(ValueError, match="from 1 to 100"):
        serving.encode_clip(frames, ClipSpec(num_segments=2), quality)

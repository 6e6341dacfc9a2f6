"""The client against a server that speaks TensorFlow Serving's protocols."""

import contextlib
import http.server
import shutil
import socket
import ssl
import subprocess
import threading
import time
from concurrent import futures
from pathlib import Path

import keras
import numpy as np
import pytest
from real_videos import ARID6, BEDFALL, NO_VIDEOS
from synthetic_videos import encode_video

from keras_tdn import predict_video
from keras_tdn.export import client as serving, export_saved_model
from keras_tdn.pretrained import load_preset
from keras_tdn.specs import ClipSpec

tf = pytest.importorskip("tensorflow")
pytest.importorskip("tensorflow_serving", reason="needs keras-tdn[serving]")

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="exports in this process on TensorFlow"
)

MODEL = "tdn"
REPOSITORY = Path(__file__).parents[2]


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
        with_jpeg = client.label_video(video, quality=95)
        assert client.clip_spec == exported[0].clip_spec
        assert tuple(client.manifest["labels"]) == exported[0].labels
    # Frames of these sizes are resized here, so that the pixels are those of `predict_video`.
    assert named(predictions) == named(expected)
    np.testing.assert_allclose(scores_of(predictions), scores_of(expected), atol=1e-5)
    assert named(with_jpeg) == named(expected)
    assert 1e-5 < np.abs(np.subtract(scores_of(with_jpeg), scores_of(expected))).max() < 0.02


@pytest.fixture(scope="module")
def motion(tmp_path_factory):
    """The preset that comes with the package, and its addresses."""
    from stand_in import Served, stand_in

    model = load_preset("motion")
    folder = export_saved_model(model, tmp_path_factory.mktemp("motion") / "1", warm_up=False)
    with Served(folder, MODEL) as served, stand_in(served) as (grpc_url, rest_url):
        yield model, {"grpc": grpc_url, "rest": rest_url}


def real_videos():
    """Every tenth of all there are, in two folders of different sizes and rates."""
    found = [sorted(folder.rglob("*.mp4")) for folder in (BEDFALL, ARID6)]
    return [video for videos in found for video in videos[::10]]


@pytest.mark.parametrize("kind", ["real", "rendered"])
def test_a_trained_model_answers_as_predict_video_does(motion, kind, video):
    """Train/serve parity, by the client and its defaults: same top five, scores within 1e-3."""
    model, addresses = motion
    # Larger than the model's frames, as large, and smaller: the last the server enlarges.
    rendered = [video] + [encode_video(40, size=size, first=9) for size in ((64, 96), (48, 40))]
    videos = real_videos() if kind == "real" else rendered
    if not videos:
        pytest.skip(NO_VIDEOS)
    with (
        serving.connect(addresses["grpc"], MODEL) as grpc_client,
        serving.connect(addresses["rest"], MODEL) as rest_client,
    ):
        for number, one in enumerate(videos):
            expected = predict_video(model, one, top=5)
            for client in (grpc_client,) if number % 3 else (grpc_client, rest_client):
                predictions = client.label_video(one)
                assert named(predictions) == named(expected)
                np.testing.assert_allclose(scores_of(predictions), scores_of(expected), atol=1e-3)


def named(predictions):
    return [(prediction.index, prediction.label) for prediction in predictions]


def scores_of(predictions):
    return [prediction.score for prediction in predictions]


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
    # At once, and not for want of time.
    told = r"(refused to answer|HTTP 400).*(JPEG|image)"
    with pytest.raises(serving.RequestRefusedError, match=told) as error:
        client.label_frames([[b"no picture"] * frames])
    assert "within" not in str(error.value)
    with pytest.raises(serving.RequestRefusedError, match="shape"):
        client.label_frames([[b""] * 3])
    with pytest.raises(serving.RequestRefusedError, match="not found"):
        client._transport.predict("other", {"clips": np.zeros((1, 1), np.uint8)}, 10.0)


def test_clips_of_unequal_length(url):
    with pytest.raises(ValueError, match=r"clips of \[2, 3\] frames"):
        serving.connect(url, MODEL).label_frames([[b""] * 2, [b""] * 3])


def test_a_request_about_nothing(exported, url):
    """Over REST an empty array has lost its sizes; both say so before they ask."""
    client = serving.connect(url, MODEL)
    clips = np.zeros((0, *exported[0].input_shape[1:]), np.uint8)
    for ask, argument in (
        (client.label_clips, clips),
        (client.features, clips),
        (client.label_frames, []),
    ):
        with pytest.raises(ValueError, match="at least one clip"):
            ask(argument)


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


@contextlib.contextmanager
def trickling(content, pause, context=None):
    """A server that answers with those bytes, one at a time."""

    def serve():
        with contextlib.suppress(OSError), listener.accept()[0] as plain:
            secure = context and context.wrap_socket(plain, server_side=True)
            connection = secure or plain
            connection.recv(1 << 16)
            for byte in content:
                connection.sendall(bytes([byte]))
                time.sleep(pause)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


HEADERS = b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 100 + b"\r\nContent-Length: 2\r\n\r\n{}"


def test_headers_that_come_bit_by_bit():
    """Each read is answered in time, and all of them together are not."""
    with trickling(HEADERS, 0.1) as port:
        client = serving.connect(f"http://127.0.0.1:{port}", MODEL, deadline=0.7)
        start = time.monotonic()
        with pytest.raises(serving.DeadlineExceededError, match=r"within 0\.7 s"):
            client.signatures()
        assert time.monotonic() - start < 2


def test_a_server_that_does_not_read():
    """The request is larger than what the system holds for a server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        client = serving.connect(url, MODEL, deadline=0.7)
        start = time.monotonic()
        with pytest.raises(serving.DeadlineExceededError, match=r"within 0\.7 s"):
            client.label_frames([[bytes(20_000_000)]])
        # Of which writing twenty megabytes as JSON takes a part.
        assert time.monotonic() - start < 10


@contextlib.contextmanager
def keeping_server(answers_of_a_connection=10**9):
    """A server that keeps connections for so many answers; gives what it was asked, and its port.

    Each request is noted with the number of its connection.
    """
    asked = []

    def serve():
        for number in range(10):
            with contextlib.suppress(OSError), listener.accept()[0] as connection:
                for _ in range(answers_of_a_connection):
                    request = connection.recv(1 << 16).decode()
                    if not request:
                        break
                    asked.append((number, request))
                    content = b'{"metadata": {"signature_def": {"signature_def": {"a": 1}}}}'
                    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\n\r\n"
                    connection.sendall(head.encode() + content)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield asked, listener.getsockname()[1]


def test_connections_are_kept():
    with (
        keeping_server() as (asked, port),
        serving.connect(f"http://127.0.0.1:{port}", MODEL) as client,
    ):
        assert [client.signatures() for _ in range(3)] == [["a"]] * 3
    assert [number for number, _ in asked] == [0, 0, 0]


def test_a_connection_that_the_server_has_closed_meanwhile():
    with (
        keeping_server(answers_of_a_connection=1) as (asked, port),
        serving.connect(f"http://127.0.0.1:{port}", MODEL) as client,
    ):
        for _ in range(5):
            assert client.signatures() == ["a"]
    assert [number for number, _ in asked] == [0, 1, 2, 3, 4]


def test_headers(tmp_path, monkeypatch):
    # Which requests would send instead.
    (tmp_path / "netrc").write_text("machine 127.0.0.1\nlogin me\npassword secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with keeping_server() as (asked, port):
        headers = {"Authorization": "Bearer 123", "X-Team": "a"}
        client = serving.connect(f"http://127.0.0.1:{port}", MODEL, headers=headers)
        client.signatures()
    [(_, request)] = asked
    assert "Authorization: Bearer 123\r\nX-Team: a\r\n" in request
    assert request.startswith("GET /v1/models/tdn/metadata HTTP/1.1\r\n")


def test_headers_over_grpc():
    import grpc

    seen = []

    def answer(_, context):
        seen.append(dict(context.invocation_metadata()))
        context.abort(grpc.StatusCode.NOT_FOUND, "none")

    server = grpc.server(futures.ThreadPoolExecutor(1))
    handlers = {"GetModelMetadata": grpc.unary_unary_rpc_method_handler(answer)}
    service = "tensorflow.serving.PredictionService"
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, handlers)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    headers = {"Authorization": "Bearer 123"}
    with (
        serving.connect(f"grpc://127.0.0.1:{port}", MODEL, headers=headers) as client,
        pytest.raises(serving.ModelNotFoundError),
    ):
        client.signatures()
    server.stop(0).wait()
    assert seen[0]["authorization"] == "Bearer 123"


def test_a_proxy(monkeypatch):
    with keeping_server() as (asked, port):
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.setenv("no_proxy", "")
        assert serving.connect("http://tdn.example:8501", MODEL).signatures() == ["a"]
    assert asked[0][1].startswith("GET http://tdn.example:8501/v1/models/tdn/metadata HTTP/1.1")


def test_a_proxy_that_answers_bit_by_bit(monkeypatch):
    """Before there is a tunnel, the deadline is the proxy's."""
    with trickling(HEADERS, 0.1) as port:
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, "")
        client = serving.connect("https://tdn.example:8501", MODEL, deadline=0.7)
        start = time.monotonic()
        with pytest.raises(serving.DeadlineExceededError, match=r"within 0\.7 s"):
            client.signatures()
        assert time.monotonic() - start < 5


def test_threads_share_a_client():
    with rest_threads() as port:
        client = serving.connect(f"http://127.0.0.1:{port}", MODEL, deadline=10)
        with futures.ThreadPoolExecutor(4) as pool:
            assert list(pool.map(lambda _: client.signatures(), range(20))) == [["a"]] * 20
        # One that is late ends its own exchange alone.
        impatient = serving.ServingClient(client._transport, deadline=0.05)
        with futures.ThreadPoolExecutor(2) as pool:
            late = pool.submit(impatient.label_frames, [[b""]])
            fine = pool.submit(client.signatures)
            with pytest.raises(serving.DeadlineExceededError):
                late.result()
            assert fine.result() == ["a"]


@contextlib.contextmanager
def rest_threads():
    """A server that answers what can be asked, and thinks long about everything else."""

    class Answer(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            content = b'{"metadata": {"signature_def": {"signature_def": {"a": 1}}}}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self):
            time.sleep(1)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        server.handle_error = lambda *_: None
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """One that this machine has signed itself, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    files = folder / "certificate.pem", folder / "key.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    places = ["-out", str(files[0]), "-keyout", str(files[1])]
    subprocess.run([*command, *names, *places], check=True, capture_output=True)
    return files


def test_over_tls(served_version, certificate, monkeypatch):
    import grpc
    from stand_in import Services
    from tensorflow_serving.apis import prediction_service_pb2_grpc

    server = grpc.server(futures.ThreadPoolExecutor(1))
    services = Services(served_version)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(services, server)
    pair = certificate[1].read_bytes(), certificate[0].read_bytes()
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    server.start()
    # Where both look for certificates that are not the system's.
    monkeypatch.setenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", str(certificate[0]))
    with serving.connect(f"grpcs://127.0.0.1:{port}", MODEL) as client:
        assert "describe" in client.signatures()
    with (
        serving.connect(f"grpc://127.0.0.1:{port}", MODEL, deadline=5) as client,
        pytest.raises(serving.ServingError),
    ):
        client.signatures()
    server.stop(0).wait()


def test_headers_that_come_bit_by_bit_over_tls(certificate, monkeypatch):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with trickling(HEADERS, 0.1, context) as port:
        client = serving.connect(f"https://localhost:{port}", MODEL, deadline=0.7)
        with pytest.raises(serving.DeadlineExceededError, match=r"within 0\.7 s"):
            client.signatures()
    with trickling(HEADERS, 0.0, context) as port:
        client = serving.connect(f"https://localhost:{port}", MODEL, deadline=10)
        with pytest.raises(serving.MalformedAnswerError, match="no signatures"):
            client.signatures()


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8500",
        "grpc://",
        "ftp://host",
        "",
        "http://localhost:port",
        "grpc://localhost:port",
        "http://localhost:99999",
        "http://[::1",
        "http://:8501",
        "http://user:secret@localhost:8501",
        "http://local host:8501",
        "http://localhost:8501\n",
        b"http://localhost:8501",
        object(),
        None,
    ],
)
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
    for quality, start in ((None, b"\x89PNG"), (90, b"\xff\xd8")):
        files = serving.encode_clip(frames, spec, quality)
        assert len(files) == 10
        assert all(file.startswith(start) for file in files)
        assert tf.io.decode_image(files[0]).shape == (*sent, 3)


@pytest.mark.parametrize("quality", [0, 101, 9.5, True])
def test_qualities(quality):
    frames = np.zeros((12, 60, 60, 3), np.uint8)
    with pytest.raises(ValueError, match="from 1 to 100 for JPEG files, or None for PNG"):
        serving.encode_clip(frames, ClipSpec(num_segments=2), quality)

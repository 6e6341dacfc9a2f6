"""The page as an attacker has it: nothing of this machine comes back but what it sent itself."""

import importlib.util
import os
import re
import socket
import threading
import urllib.parse

import pytest
from running_page import Visitor, file_data
from synthetic_videos import encode_video

from keras_tdn.web.protection import OPEN, OPEN_BELOW

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("gradio") is None, reason="needs keras-tdn[web]: gradio"
)

SECRET = b"a line that only this user may read"
# Every route of Gradio 6.17 to 6.31. Whoever adds one has looked at what it does with what it is
# sent: those that the page does not need are closed, whatever they do.
ROUTES = {
    "/", "/assets/{path:path}", "/config", "/favicon.ico", "/login", "/logout", "/manifest.json",
    "/monitoring", "/monitoring/summary", "/monitoring/{key}", "/openapi.json", "/pwa_icon",
    "/pwa_icon/{size}", "/robots.txt", "/static/{path:path}", "/svelte/{path:path}", "/theme.css",
    "/gradio_api/api/{api_name}", "/gradio_api/app_id", "/gradio_api/call/v2/{api_name}",
    "/gradio_api/call/v2/{api_name}/{event_id}", "/gradio_api/call/{api_name}",
    "/gradio_api/call/{api_name}/{event_id}", "/gradio_api/cancel", "/gradio_api/component_server",
    "/gradio_api/custom_component/{id}/{environment}/{type}/{file_name}", "/gradio_api/deep_link",
    "/gradio_api/dev/reload", "/gradio_api/file/{path:path}", "/gradio_api/file={path_or_url:path}",
    "/gradio_api/heartbeat/{session_hash}", "/gradio_api/info", "/gradio_api/login_check",
    "/gradio_api/openapi.json", "/gradio_api/process_recording",
    "/gradio_api/proxy={url_path:path}", "/gradio_api/queue/data", "/gradio_api/queue/join",
    "/gradio_api/queue/status", "/gradio_api/reset", "/gradio_api/run/{api_name}",
    "/gradio_api/runs", "/gradio_api/startup-events", "/gradio_api/stream/{event_id}",
    "/gradio_api/stream/{event_id}/close",
    "/gradio_api/stream/{session_hash}/{run}/{component_id}/playlist-file",
    "/gradio_api/stream/{session_hash}/{run}/{component_id}/playlist.m3u8",
    "/gradio_api/stream/{session_hash}/{run}/{component_id}/{segment_id}.{ext}",
    "/gradio_api/theme.css", "/gradio_api/token", "/gradio_api/undo-vibe-edit",
    "/gradio_api/upload", "/gradio_api/upload_progress", "/gradio_api/user",
    "/gradio_api/vibe-code", "/gradio_api/vibe-edit", "/gradio_api/vibe-starter-queries",
}  # fmt: skip


def routes(parent):
    for route in parent.routes:
        inner = getattr(route, "original_router", None) or getattr(route, "app", None)
        if hasattr(inner, "routes"):
            yield from routes(inner)
        else:
            yield route.path


@pytest.fixture(scope="module")
def gradio_page():
    """The page without its protection, what it was asked to show, and Gradio."""
    from keras_tdn.web import UploadLimits
    from keras_tdn.web.page import Shown, build_page, import_gradio
    from keras_tdn.web.serving import _application

    shown = []

    def show(path):
        shown.append(path)
        yield Shown("shown", "", "", "")

    page = build_page(import_gradio(), show, about="")
    return _application(import_gradio(), page, UploadLimits()), shown


def test_no_route_is_new(gradio_page):
    found = {path.rstrip("/") or "/" for path in routes(gradio_page[0])}
    assert found - ROUTES == set(), "look at what these do, and add them to ROUTES"
    opened = {path for _, path in OPEN}
    assert opened <= found | {"/gradio_api/run/predict"}
    assert all(any(path.startswith(below) for path in found) for below in OPEN_BELOW)


@pytest.fixture(scope="module")
def private(tmp_path_factory):
    """A folder for its owner alone: a video, a text, and what hangs whoever opens it."""
    folder = tmp_path_factory.mktemp("private")
    folder.chmod(0o700)
    (folder / "video.mp4").write_bytes(encode_video(30))
    (folder / "text.mp4").write_bytes(SECRET)
    (folder / "picture.svg").write_bytes(b"<svg>" + SECRET + b"</svg>")
    os.mkfifo(folder / "pipe.mp4")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket.mp4"))
    return folder


def test_gradio_itself_refuses_files_that_were_not_uploaded(gradio_page, private):
    from starlette.testclient import TestClient

    app, shown = gradio_page
    with TestClient(app) as client:
        sent = {"data": [file_data(str(private / "video.mp4"))], "fn_index": 1, "session_hash": "s"}
        assert client.post("/gradio_api/queue/join", json=sent).status_code == 200
        answer = client.get("/gradio_api/queue/data?session_hash=s").text
    assert '"success":false' in answer
    assert shown == []


@pytest.fixture(scope="module")
def listening():
    """An address of this machine, and how often it was asked."""
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept():
            while True:
                try:
                    listener.accept()[0].close()
                except OSError:
                    return
                asked.append(1)

        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}", asked


@pytest.fixture(scope="module")
def paths(server, private, listening):
    """What is not to be opened. Some exist and some do not."""
    visitor, other = Visitor(server.address), Visitor(server.address)
    (own,) = visitor.upload(encode_video(5), "own.mp4")[2].decode()[2:-2].split('","')
    (others,) = other.upload(encode_video(6), "others.mp4")[2].decode()[2:-2].split('","')
    folder = os.path.dirname(os.path.dirname(own))
    os.symlink(private / "video.mp4", f"{folder}/link.mp4")
    os.symlink(private, f"{folder}/folder")
    os.mkfifo(f"{folder}/pipe.mp4")
    (listener, _) = listening
    up = "/".join([".."] * 30)
    secret = f"{private}/video.mp4"
    values = [
        *(str(private / name) for name in (*sorted(os.listdir(private)), "none.mp4", "")),
        "/etc/passwd", "/etc/shadow", "/etc/hostname", "/proc/self/environ", "/proc/self/cmdline",
        "/proc/self/fd/0", "/dev/zero", "/dev/stdin", "/dev/random", "/dev/tty", "/", ".", "..",
        "", " ", "none.mp4", "~/.bashrc", "pyproject.toml", "README.md", ".gradio/flagged",
        f"{folder}/link.mp4", f"{folder}/folder/video.mp4", f"{folder}/pipe.mp4", folder, others,
        f"{folder}/{up}{secret}", f"{own}/{up}{secret}", f"{own}/..{secret}", f"{own}/", f"{own}\0",
        f"{own}%00.mp4", os.path.relpath(secret), f"/{secret}", f"//{secret}", f"/.{secret}",
        f"{secret}\0", f" {secret}", secret.upper(), urllib.parse.quote(secret, safe=""),
        f"..%2f..%2f..%2f..%2f..%2f..{secret}", f"..\\..\\..{secret}", "C:\\Windows\\win.ini",
        f"\\\\{listener}\\share\\a.mp4", f"//{listener}/a.mp4", f"file://{secret}",
        f"file:{secret}",
        f"http://{listener}/a.mp4", f"HTTP://{listener}/a.mp4", f"https://{listener}/a.mp4",
        f"http://[::ffff:127.0.0.1]:{listener.split(':')[1]}/", f"ftp://{listener}/a.mp4",
        f"tcp://{listener}", f"rtsp://{listener}/a", f"hls+http://{listener}/a.m3u8",
        f"concat:{secret}", f"subfile,,start,0,end,0,,:{secret}", f"crypto:{secret}",
        f"async:cache:{secret}", "pipe:0", "fd:0", "data:video/mp4;base64,AAAA",
        f"hf://spaces/{listener}", f"/gradio_api/file={secret}", "x" * 10_000,
    ]  # fmt: skip
    yield visitor, own, values
    os.unlink(f"{folder}/link.mp4")
    os.unlink(f"{folder}/folder")
    os.unlink(f"{folder}/pipe.mp4")


def bodies(path, own):
    """What a request may hold a path in."""
    yield [file_data(path)]
    yield [file_data(path, url=own)]
    yield [file_data(path, is_stream=True)]
    yield [path]
    yield [[file_data(path)]]
    yield [{"video": file_data(path), "subtitles": file_data(path)}]
    yield [file_data(own), file_data(path)]


def senders(visitor, path, own):
    """Every route that takes a path, and how it is asked for this one."""
    quoted = urllib.parse.quote(path, safe="/:=", errors="surrogateescape")
    for name in ("file=", "file/", "proxy=", "custom_component/a/client/component/"):
        yield name, ("GET", f"/gradio_api/{name}{quoted}")
    for name in ("assets", "static", "svelte", "monitoring", "pwa_icon"):
        yield name, ("GET", f"/{name}/{quoted}")
        yield name, ("GET", f"/{name}/{urllib.parse.quote(path, safe='')}")
    for name in ("/", "/config", "/gradio_api/info", "/gradio_api/runs"):
        query = urllib.parse.urlencode({key: path for key in ("deep_link", "page", "path", "file")})
        yield name, ("GET", f"{name}?{query}")
    for name in ("deep_link", "queue/data", "upload_progress", "heartbeat/", "call/predict/"):
        escaped = urllib.parse.quote(path, safe="")
        yield name, ("GET", f"/gradio_api/{name}?session_hash={escaped}" if name[-1] != "/"
                     else f"/gradio_api/{name}{escaped}")  # fmt: skip
    yield "stream", ("GET", f"/gradio_api/stream/s/1/1/{quoted}")
    for data in bodies(path, own):
        sent = {"data": data, "fn_index": 1, "session_hash": "s", "event_data": data}
        for name in ("queue/join", "run/predict"):
            yield name, ("POST", f"/gradio_api/{name}", sent)
    for name in ("api/predict", "call/predict", "call/v2/predict", "stream/s"):
        yield name, ("POST", f"/gradio_api/{name}", sent)
    sent = {"component_id": 1, "session_hash": "s", "fn_name": "stream", "data": path}
    yield "component_server", ("POST", "/gradio_api/component_server", sent)
    for name in ("vibe-code", "vibe-edit", "undo-vibe-edit", "run-history/connect", "mcp/", "mcp"):
        yield name, ("POST", f"/gradio_api/{name}", {"code": path, "prompt": path, "hash": path})


def test_no_path_leads_anywhere(server, paths, private, listening):
    visitor, own, values = paths
    assert len(values) >= 60
    secrets = (SECRET, b"root:", b"PATH=", encode_video(30)[:200], b"[project]")
    answers = {}
    for path in values:
        for name, request in senders(visitor, path, own):
            status, _, body = visitor.ask(*request)
            # The page itself, which ignores what it does not know.
            if name in ("/", "/config", "/gradio_api/info") and status == 200:
                body = body.replace(path.encode("utf-8", "surrogateescape"), b"") if path else body
            else:
                assert 400 <= status < 500, (request, status, body)
            answers.setdefault((name, path), []).append((status, body))
            assert not any(secret in body for secret in secrets), request
    # Whether there is such a file makes no difference.
    there, missing = str(private / "text.mp4"), str(private / "none.mp4")
    for name in {name for name, _ in answers}:
        assert answers[name, there] == answers[name, missing], name
    assert len({str(answers["file=", path]) for path in values}) == 1
    assert listening[1] == []
    for folder in (private, os.path.dirname(os.path.dirname(own))):
        # Whoever waits for a writer would get this one.
        with pytest.raises(OSError, match="No such device"):
            os.open(f"{folder}/pipe.mp4", os.O_WRONLY | os.O_NONBLOCK)
    contents = [path.read_bytes() for path in server.uploads() if not path.is_fifo()]
    assert not [content for content in contents if SECRET in content or b"root:" in content]


def test_an_address_beside_an_upload_is_not_asked(server, paths, listening):
    visitor, own, _ = paths
    for more in ({"url": f"http://{listening[0]}/a.mp4"}, {"is_stream": True}):
        assert visitor.join(file_data(own, **more), "address")[0] == 200
        assert "predicted" in visitor.follow("address")
    assert listening[1] == []


def test_names_of_uploads_stay_below(server, paths):
    visitor, own, values = paths
    folder = os.path.dirname(os.path.dirname(own))
    for number, name in enumerate(values):
        name = re.sub(r'[\r\n"]', "", name)
        status, _, body = visitor.upload(b"%d" % number, name)
        assert status in (200, 400, 413, 422, 500), (name, body)
        if status == 200:
            (path,) = body.decode()[2:-2].split('","')
            assert os.path.realpath(path).startswith(folder + os.sep)


def test_one_visitor_does_not_see_another_nor_follow(server, paths):
    visitor, own, _ = paths
    assert visitor.ask("GET", f"/gradio_api/file={own}")[0] == 200
    other = Visitor(server.address)
    assert other.ask("GET", f"/gradio_api/file={own}")[0] == 403
    assert other.join(file_data(own), "t")[0] == 403
    assert visitor.join(file_data(own), "mine")[0] == 200
    assert other.ask("GET", "/gradio_api/queue/data?session_hash=mine")[0] == 403
    assert other.ask("GET", "/gradio_api/heartbeat/mine")[0] == 403
    sent = {"session_hash": "mine", "fn_index": 1, "event_id": "e"}
    assert other.ask("POST", "/gradio_api/cancel", sent)[0] == 403
    # And after all that the page works as before.
    answer = visitor.follow("mine")
    assert "predicted" in answer
    assert "process_completed" in answer
    assert "Traceback" not in server.log()


HOSTS = [
    "", " ", "evil.example", "evil.example:{port}", "127.0.0.1.evil.example:{port}",
    "localhost.evil",
    "evil.example:80@127.0.0.1", "127.0.0.1:{port}@evil.example", "localhost:{port}.evil.example",
    "127.0.0.1:evil", "127.0.0.1:{port}:1", "127.0.0.1 evil.example", "127.0.0.1/evil.example",
    "127.0.0.1,evil.example", "evil.example,127.0.0.1", "127.0.0.1#evil", "127.0.0.1?evil",
    "http://127.0.0.1:{port}", "//127.0.0.1", "192.168.0.1", "10.0.0.1:{port}", "0.0.0.0:{port}",
    "169.254.169.254", "8.8.8.8", "[::]", "[fe80::1]", "[::1", "::1]", "[::1]evil",
    "[evil.example]",
    "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "127.0.0.1.", "localhost..",
    "l\u043ecalhost",
    "xn--localhost", "localhost\\evil", "localhost%00.evil.example", "localhost%2eevil.example",
    "*", "null", "undefined", "local host", "localhost;evil", "'localhost'", '"localhost"',
    "127.0.0.1\tevil", "loopback", "ip6-localhost", "localtest.me", "127.0.0.1.nip.io",
    "kubernetes",
    "{}", "[[::1]]", "127.0.0.256", "[::ffff:8.8.8.8]:{port}", "1.0.0.127", "localhost:{port}x",
    "a" * 4000,
]  # fmt: skip
ORIGINS = [
    "null", "", "*", "http://evil.example", "https://evil.example", "http://evil.example:{port}",
    "http://127.0.0.1", "http://127.0.0.1:1", "http://127.0.0.1:{port}1", "http://127.0.0.1:{port}x",
    "http://localhost:{port}", "http://localhost", "http://[::1]:{port}", "http://127.0.0.2:{port}",
    "http://127.0.0.1:{port}.evil.example", "http://127.0.0.1:{port}@evil.example",
    "http://evil.example@127.0.0.1:{port}", "http://evil.example#127.0.0.1:{port}",
    "http://evil.example/127.0.0.1:{port}", "http://127.0.0.1:{port}/", "http://127.0.0.1:{port}/a",
    "http://127.0.0.1:{port}?", "http://127.0.0.1:{port},http://evil.example", "127.0.0.1:{port}",
    "http://evil.example http://127.0.0.1:{port}", "//127.0.0.1:{port}", "http:127.0.0.1:{port}",
    "file://", "file://127.0.0.1:{port}", "data:", "about:blank", "blob:http://127.0.0.1:{port}",
    "ftp://127.0.0.1:{port}", "ws://127.0.0.1:{port}", "chrome-extension://abcdef", "javascript:",
    "http://2130706433:{port}", "http://0x7f.1:{port}", "http://127.1:{port}", "http://0:{port}",
    "http://0.0.0.0:{port}", "http://127.0.0.1.nip.io:{port}", "http://localtest.me:{port}",
    "http://local%68ost:{port}", "http://192.168.0.1:{port}", "http://169.254.169.254",
    "http:// 127.0.0.1:{port}", "http://127.0.0.1 :{port}", "http://127.0.0.1:{port}\\evil",
    "http://127.0.0.1:{port}%00", "http://127.0.0.1:{port};", "'http://127.0.0.1:{port}'", "http://",
    "http", "://", "http://:{port}", "http://[", "http://[127.0.0.1]x:{port}", "undefined",
    "http://www.127.0.0.1:{port}", "http://127.0.0.1:{port}.", "x" * 4000,
]  # fmt: skip
ASKED = [
    ("GET", "/"), ("GET", "/config"), ("GET", "/theme.css"),
    ("GET", "/gradio_api/file=/etc/passwd"),
    ("GET", "/gradio_api/queue/data?session_hash=s"), ("POST", "/gradio_api/queue/join"),
    ("POST", "/gradio_api/run/predict"), ("POST", "/gradio_api/upload"),
    ("POST", "/gradio_api/cancel"), ("OPTIONS", "/gradio_api/upload"),
]  # fmt: skip


@pytest.mark.parametrize("header", ["Host", "X-Forwarded-Host"])
def test_other_names_are_not_answered(server, header):
    assert len(HOSTS) >= 60
    visitor = Visitor(server.address)
    for host in HOSTS:
        host = host.replace("{port}", str(visitor.place.port))
        for method, path in ASKED:
            given = {"host": host} if header == "Host" else {"headers": {header: host}}
            body = None if method == "GET" else b"{}"
            status, _, answer = visitor.ask(method, path, body, **given)
            # What is not a header at all, the server itself refuses.
            assert status in (400, 421), (host, path, status, answer)


@pytest.mark.parametrize("header", ["Origin", "Sec-Fetch-Site"])
def test_other_sites_pages_are_not_answered(server, header):
    assert len(ORIGINS) >= 60
    visitor = Visitor(server.address)
    values = ORIGINS if header == "Origin" else ["cross-site", "same-site", "evil"]
    for value in values:
        value = value.replace("{port}", str(visitor.place.port))
        for method, path in ASKED:
            if header != "Origin" and path == "/":
                # A link to the page is none to what is in it.
                continue
            body = None if method == "GET" else b"{}"
            status, headers, answer = visitor.ask(method, path, body, {header: value})
            assert status == 403, (value, path, answer)
            assert "access-control-allow-origin" not in headers
    before = server.uploads()
    for value in values:
        assert visitor.upload(b"content", headers={header: value})[0] == 403
    assert server.uploads() == before
    # The page's own are.
    own = {"Origin": server.address.rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    assert visitor.upload(b"content", headers=own)[0] == 200

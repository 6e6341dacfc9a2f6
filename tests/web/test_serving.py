"""All of the server that does without Gradio."""

import asyncio
import json
import os
import signal
import socket
import sys
import tempfile
import time
from types import SimpleNamespace

import pytest

from keras_tdn import cli
from keras_tdn.pages.rendering import render_part
from keras_tdn.web.hosts import Hosts, is_loopback
from keras_tdn.web.protection import STORED_UPLOADS, UPLOADS_AT_ONCE, Protection
from keras_tdn.web.serving import _address, _listening
from keras_tdn.web.uploads import FOLDER_VARIABLE, MEGABYTE, Visitors, upload_folder


def test_without_gradio_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert cli.main(["web"]) == 2
    error = capsys.readouterr().err
    assert "pip install 'keras-tdn[web]'" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--max-megabytes", "0"], "`megabytes` is a positive integer"),
        (["--weights", "nowhere"], "nowhere"),
        (["--segments", "4"], "--segments is for a .weights.h5 file"),
    ],
)
def test_errors_are_one_line(monkeypatch, capsys, options, message):
    monkeypatch.setattr("keras_tdn.web.page.import_gradio", lambda: None)
    assert cli.main(["web", *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_port_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = f"Cannot listen on '127.0.0.1', port {port}"
        with pytest.raises(ValueError, match=message), _listening("127.0.0.1", port):
            pass
    with pytest.raises(ValueError, match="Pass another `port`"), _listening("127.0.0.1", 70000):
        pass


def test_uploads_are_removed_when_old_and_at_the_end(monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, "before")
    monkeypatch.setattr("keras_tdn.web.uploads.KEEP_SECONDS", 0.5)
    monkeypatch.setattr("keras_tdn.web.uploads.SWEEP_SECONDS", 0.05)
    place = tempfile.tempdir
    with upload_folder() as folder:
        assert os.environ[FOLDER_VARIABLE] == folder
        assert os.stat(folder).st_mode & 0o077 == 0
        os.mkdir(os.path.join(folder, "hash"))
        path = os.path.join(folder, "hash", "video.mp4")
        with tempfile.NamedTemporaryFile(delete=False) as partial:
            assert os.path.dirname(partial.name) == folder
        open(path, "wb").close()
        time.sleep(0.1)
        assert os.path.exists(path)
        deadline = time.monotonic() + 20
        while os.path.exists(path) or os.path.exists(partial.name):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        open(path, "wb").close()
    assert not os.path.exists(folder)
    assert os.environ[FOLDER_VARIABLE] == "before"
    assert tempfile.tempdir == place


def allowed(host, listens_on="127.0.0.1", more=()):
    return Hosts(listens_on, more).are_allowed([(b"host", host.encode())])


@pytest.mark.parametrize(
    ("host", "local", "anywhere"),
    [
        ("127.0.0.1:7860", True, True),
        ("localhost", True, True),
        ("LOCALHOST:1", True, True),
        ("[::1]:7860", True, True),
        ("127.0.0.2:80", True, True),
        ("192.168.0.7", False, True),
        ("[2001:db8::1]:7860", False, True),
        (f"{socket.gethostname()}:7860", False, True),
        ("rebound.example:7860", False, False),
        ("", False, False),
    ],
)
def test_names_by_which_the_page_may_be_called(host, local, anywhere):
    assert allowed(host) is local
    assert allowed(host, "0.0.0.0") is anywhere
    assert allowed("demo.example", more=["Demo.example"])


def test_a_request_has_one_host():
    hosts = Hosts("127.0.0.1")
    local = (b"host", b"localhost")
    assert not hosts.are_allowed([])
    assert not hosts.are_allowed([local, local])
    assert not hosts.are_allowed([local, (b"x-forwarded-host", b"localhost, rebound.example")])
    assert hosts.are_allowed([local, (b"x-forwarded-host", b"127.0.0.1:80")])


@pytest.mark.parametrize(
    ("headers", "own"),
    [
        ({}, True),
        ({"origin": "http://localhost:7860"}, True),
        # Behind a proxy that speaks TLS.
        ({"origin": "https://localhost:7860"}, True),
        ({"origin": "https://demo.example", "x-forwarded-host": "demo.example"}, True),
        ({"origin": "https://demo.example"}, False),
        ({"origin": "http://localhost:7861"}, False),
        ({"origin": "http://127.0.0.1:7860"}, False),
        ({"origin": "null"}, False),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
    ],
)
def test_pages_of_other_sites(headers, own):
    hosts = Hosts("127.0.0.1", ["demo.example"])
    given = [(b"host", b"localhost:7860")]
    given += [(name.encode(), value.encode()) for name, value in headers.items()]
    assert hosts.are_allowed(given)
    assert hosts.is_own_page(given, is_visit=False) is own
    # A link may lead to the page.
    assert hosts.is_own_page(given, is_visit=True) is (own or "sec-fetch-site" in headers)


class Gradio:
    """In its place: stores what is uploaded, and remembers what reaches it."""

    def __init__(self, folder, pause=0.0):
        self.folder, self.pause = folder, pause
        self.scopes, self.bodies = [], []
        self.together = self.most_together = 0

    async def __call__(self, scope, receive, send):
        self.scopes.append(scope)
        self.together += 1
        self.most_together = max(self.most_together, self.together)
        await asyncio.sleep(self.pause)
        body, more = b"", scope["method"] == "POST"
        while more:
            message = await receive()
            body, more = body + message["body"], message.get("more_body", False)
        self.together -= 1
        self.bodies.append(body)
        answer = b"answered"
        if scope["path"].endswith("/upload"):
            path = self.folder / f"{len(self.bodies)}.mp4"
            path.write_bytes(body)
            answer = json.dumps([str(path)]).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})
        await send({"type": "http.response.body", "body": answer})


async def ask(page, method, target, body=b"", headers=(), pieces=1):
    """Status, headers and body of an answer."""
    path, _, query = target.partition("?")
    given = {"host": "localhost", **dict(headers)}
    step = max(1, -(-len(body) // (pieces or 1)))
    parts = [body[at : at + step] for at in range(0, len(body), step)] or [b""]
    answers = []

    async def receive():
        if not parts:
            await asyncio.sleep(60)
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts) or pieces == 0}

    async def send(message):
        answers.append(message)

    scope = {
        "type": "http", "method": method, "path": path, "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }  # fmt: skip
    await page(scope, receive, send)
    content = b"".join(message.get("body", b"") for message in answers[1:])
    return answers[0]["status"], dict(answers[0]["headers"]), content


def protected(folder, max_megabytes=1, **options):
    app = Gradio(folder, **options)
    return app, Protection(app, Hosts("127.0.0.1"), Visitors(str(folder)), max_megabytes)


def uploaded(page, content=b"content", headers=()):
    """Path of an upload, and the header by which its visitor is known."""

    async def both():
        _, given, _ = await ask(page, "GET", "/")
        cookie = {"cookie": given[b"set-cookie"].decode().partition(";")[0], **dict(headers)}
        status, _, body = await ask(page, "POST", "/gradio_api/upload", content, cookie)
        assert status == 200, body
        return json.loads(body)[0], cookie

    return asyncio.run(both())


def test_browsers_are_told_to_load_nothing_from_elsewhere(tmp_path):
    status, headers, _ = asyncio.run(ask(protected(tmp_path)[1], "GET", "/"))
    assert status == 200
    assert headers[b"a"] == b"b"
    policy = headers[b"content-security-policy"].decode()
    assert policy.startswith("default-src 'self' data: blob:; ")
    assert "http" not in policy
    assert "*" not in policy
    assert headers[b"referrer-policy"] == b"no-referrer"
    assert b"HttpOnly; SameSite=Lax" in headers[b"set-cookie"]


@pytest.mark.parametrize(
    "target",
    ["/docs", "/gradio_api/proxy=http://a", "/gradio_api/deep_link", "/assets/../../a", "//",
     "/assets/a\\b", "/monitoring/a", "/gradio_api/stream/a", "/gradio_api/vibe-code", "/queue"],
)  # fmt: skip
def test_what_the_page_does_not_need_is_closed(tmp_path, target):
    app, page = protected(tmp_path)
    for method in ("GET", "HEAD", "POST", "PUT", "OPTIONS"):
        assert asyncio.run(ask(page, method, target))[0] == 404
    assert asyncio.run(ask(page, "POST", "/"))[0] == 404
    assert not app.scopes


def test_websockets_are_closed(tmp_path):
    app, page = protected(tmp_path)
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(page({"type": "websocket", "path": "/", "headers": []}, None, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]
    assert not app.scopes


def test_what_is_passed_on_is_what_was_looked_at(tmp_path):
    app, page = protected(tmp_path)
    path, cookie = uploaded(page)
    sent = {
        "data": [{"path": path, "url": "http://a", "is_stream": True, "meta": {}}],
        "fn_index": 1, "trigger_id": 2, "session_hash": "abc", "event_data": {"path": "/a"},
        "simple_format": True, "batched": True, "oauth_token": "a",
    }  # fmt: skip
    asked = {**cookie, "x-gradio-server": "http://a", "content-type": "text/plain"}
    answer = ask(page, "POST", "/gradio_api/queue/join?a=b", json.dumps(sent).encode(), asked)
    assert asyncio.run(answer)[0] == 200
    assert json.loads(app.bodies[-1]) == {
        "data": [{"path": path, "meta": {"_type": "gradio.FileData"}}],
        "fn_index": 1, "trigger_id": 2, "session_hash": "abc",
    }  # fmt: skip
    headers = dict(app.scopes[-1]["headers"])
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"content-length"] == str(len(app.bodies[-1])).encode()
    assert b"x-gradio-server" not in headers
    assert app.scopes[-1]["query_string"] == b""


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"{", 400, "not JSON"),
        (b"[" * 60_000, 400, "not JSON"),
        (b"[]", 422, "JSON object"),
        (b"{}", 422, "One video"),
        (b'{"data": [null, null]}', 422, "One video"),
        (b'{"data": ["a"]}', 403, "not among your uploads"),
        (b'{"data": [{"path": ["a"]}]}', 403, "not among your uploads"),
        (b'{"data": [{"path": "/etc/passwd"}]}', 403, "not among your uploads"),
        (b'{"data": [], "session_hash": "a b"}', 422, "session has no name"),
        (b'{"data": [], "session_hash": {}}', 422, "session has no name"),
        (bytes(70_000), 413, "larger than this page takes"),
    ],
)
def test_bad_requests(tmp_path, body, status, message):
    app, page = protected(tmp_path)
    answer = asyncio.run(ask(page, "POST", "/gradio_api/queue/join", body))
    assert answer[0] == status
    assert message in json.loads(answer[2])["detail"]
    assert not app.scopes


def test_too_many_parameters(tmp_path):
    target = "/gradio_api/queue/data?" + "&".join(["session_hash=a"] * 101)
    assert asyncio.run(ask(protected(tmp_path)[1], "GET", target))[0] == 400


def test_an_upload_is_its_visitors_and_is_used_while_it_is_there(tmp_path):
    page = protected(tmp_path)[1]
    path, cookie = uploaded(page)
    _, other = uploaded(page, b"other")
    target = f"/gradio_api/file={path}"
    assert asyncio.run(ask(page, "GET", target, headers=cookie))[0] == 200
    for headers in (other, {}, {"cookie": "a=b; \x00"}):
        assert asyncio.run(ask(page, "GET", target, headers=headers))[0] == 403
    os.unlink(path)
    assert asyncio.run(ask(page, "GET", target, headers=cookie))[0] == 403
    # Not even a link that somebody put in its place.
    os.symlink(__file__, path)
    assert asyncio.run(ask(page, "GET", target, headers=cookie))[0] == 403


def test_a_session_is_its_visitors(tmp_path):
    page = protected(tmp_path)[1]
    (_, one), (_, other) = uploaded(page), uploaded(page)
    target = "/gradio_api/heartbeat/abc"
    assert asyncio.run(ask(page, "GET", target, headers=one))[0] == 200
    assert asyncio.run(ask(page, "GET", target, headers=other))[0] == 403
    assert asyncio.run(ask(page, "GET", target, headers=one))[0] == 200


def test_visitors_remember_no_more_than_they_need(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_tdn.web.uploads.MAX_REMEMBERED", 2)
    visitors = Visitors(str(tmp_path))
    paths = [str(tmp_path / name) for name in "abc"]
    for name, path in zip("abc", paths, strict=True):
        (tmp_path / name).touch()
        visitors.add_files(name, [path])
        assert visitors.may_follow(name, name)
    assert [visitors.may_use(*each) for each in zip("abc", paths, strict=True)] == [
        False,
        True,
        True,
    ]
    assert visitors.may_follow("b", "a")
    visitors.share(paths[0])
    assert visitors.may_use("anybody", paths[0])


@pytest.mark.parametrize("name", ["../outside.mp4", "link.mp4", "folder", "none.mp4"])
def test_only_files_in_the_folder_are_uploads(tmp_path, name):
    folder = tmp_path / "folder"
    (folder / "folder").mkdir(parents=True)
    (tmp_path / "outside.mp4").touch()
    (folder / "link.mp4").symlink_to(tmp_path / "outside.mp4")
    with pytest.raises(ValueError, match="is not a file in the folder of uploads"):
        Visitors(str(folder)).add_files("visitor", [str(folder / name)])


def test_large_uploads_at_once_wait_for_their_turn(tmp_path):
    app, page = protected(tmp_path, pause=0.02)
    body = bytes(MEGABYTE)

    async def many():
        asked = [ask(page, "POST", "/gradio_api/upload", body, pieces=4) for _ in range(12)]
        return [answer[0] for answer in await asyncio.gather(*asked)]

    statuses = asyncio.run(many())
    assert app.most_together == UPLOADS_AT_ONCE
    # Room for six, and for those that were on their way then.
    assert statuses.count(200) in range(7, STORED_UPLOADS + 1)
    assert set(statuses) == {200, 503}
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= STORED_UPLOADS * MEGABYTE
    # Until some are removed.
    for path in tmp_path.iterdir():
        path.unlink()
    assert asyncio.run(ask(page, "POST", "/gradio_api/upload", body))[0] == 200


def test_small_uploads_count_too(tmp_path):
    _, page = protected(tmp_path)
    statuses = [asyncio.run(ask(page, "POST", "/gradio_api/upload", b"a"))[0] for _ in range(120)]
    assert 90 < statuses.index(503) < 110


def test_an_upload_that_does_not_end(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_tdn.web.protection.PATIENCE_SECONDS", 0.05)
    app, page = protected(tmp_path)
    status, _, body = asyncio.run(ask(page, "POST", "/gradio_api/upload", b"a", pieces=0))
    assert status == 408
    assert b"The upload has stopped." in body
    # As large as it likes.
    body = bytes(3 * MEGABYTE)
    assert asyncio.run(ask(page, "POST", "/gradio_api/upload", body, pieces=30))[0] == 413
    assert not app.bodies


def test_termination_while_the_model_is_prepared(tmp_path, monkeypatch):
    import keras_tdn.web.serving as serving

    folders = []

    def prepare(show, folder, tell):
        folders.append(folder)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)

    monkeypatch.setattr(serving, "import_gradio", lambda: None)
    monkeypatch.setattr(serving, "make_layout", lambda *arguments, **options: None)
    monkeypatch.setattr(serving, "class_names", lambda *arguments: ())
    monkeypatch.setattr(serving, "about_text", lambda *arguments: "")
    monkeypatch.setattr(serving, "_warm_up", prepare)
    model = SimpleNamespace(name="name", labels=None)
    started = time.monotonic()
    serving.serve(model, port=0)
    assert time.monotonic() - started < 2
    assert not os.path.exists(folders[0])


@pytest.mark.parametrize(
    ("host", "loopback", "address"),
    [
        ("127.0.0.1", True, "http://127.0.0.1:80/"),
        ("localhost", True, "http://localhost:80/"),
        ("::1", True, "http://[::1]:80/"),
        ("0.0.0.0", False, "http://127.0.0.1:80/"),
        ("::", False, "http://[::1]:80/"),
        ("192.168.0.7", False, "http://192.168.0.7:80/"),
        ("machine.example", False, "http://machine.example:80/"),
    ],
)
def test_addresses(host, loopback, address):
    assert is_loopback(host) is loopback
    assert _address(host, 80) == address


def test_style_stays_inside():
    sheet = render_part("web.html", "head")
    assert sheet.startswith("<style>\n.tdn {")
    assert sheet.count("{") == sheet.count("}")
    assert "http" not in sheet
    assert "@import" not in sheet

"""All of the server that does without Gradio."""

import asyncio
import os
import socket
import sys
import tempfile
import time

import pytest

from keras_tdn import cli
from keras_tdn.web.folder import FOLDER_VARIABLE, upload_folder
from keras_tdn.web.protection import Protection, is_loopback
from keras_tdn.web.serving import _address, _listening
from keras_tdn.web.style import head


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
    monkeypatch.setattr("keras_tdn.web.gradio_import.import_gradio", lambda: None)
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
    place = tempfile.tempdir
    with upload_folder(keep_seconds=0.5, sweep_seconds=0.05) as folder:
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


def ask(only_local, host):
    """Status and headers of the answer to a request for a host."""

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})
        await send({"type": "http.response.body", "body": b""})

    answers = []

    async def send(message):
        answers.append(message)

    scope = {"type": "http", "headers": [(b"host", host.encode())]}
    asyncio.run(Protection(app, only_local)(scope, None, send))
    return answers[0]["status"], dict(answers[0]["headers"])


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:7860", 200),
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("[::1]:7860", 200),
        ("127.0.0.2:80", 200),
        ("rebound.example:7860", 421),
        ("192.168.0.7", 421),
        ("", 421),
    ],
)
def test_other_names_of_this_machine_are_refused(host, status):
    assert ask(True, host)[0] == status
    assert ask(False, host)[0] == 200


def test_browsers_are_told_to_load_nothing_from_elsewhere():
    status, headers = ask(True, "localhost")
    assert status == 200
    assert headers[b"a"] == b"b"
    policy = headers[b"content-security-policy"].decode()
    assert policy.startswith("default-src 'self' data: blob:; ")
    assert "http" not in policy
    assert "*" not in policy
    assert headers[b"referrer-policy"] == b"no-referrer"


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
    sheet = head()
    assert sheet.startswith("<style>.tdn {")
    assert sheet.count("{") == sheet.count("}")
    assert "http" not in sheet
    assert "@import" not in sheet

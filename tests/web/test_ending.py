"""The server ends at once, whatever it is at."""

import importlib.util
import os
import signal
import socket
import time
from pathlib import Path

import pytest
from running_page import Server, Visitor, file_data, form

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("gradio") is None, reason="needs keras-tdn[web]: gradio"
)


def start(visitor, method, path, headers, content=b""):
    """A request whose answer is not waited for; what is read of it is what has come by then."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {visitor.place.netloc}"]
    lines += [f"{name}: {value}" for name, value in (visitor.headers | headers).items()]
    connection = socket.create_connection((visitor.place.hostname, visitor.place.port))
    connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
    return connection


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_model_that_never_ends_does_not_hold_it_up(tmp_path, number):
    os.mkfifo(tmp_path / "pipe")
    program = (str(Path(__file__).with_name("stuck_page.py")), str(tmp_path / "pipe"))
    server = Server(tmp_path, program)
    visitor = Visitor(server.address)
    body, kind = form(bytes(1000), "half.mp4")
    headers = {"Content-Type": kind, "Content-Length": str(len(body))}
    with (
        start(visitor, "GET", "/gradio_api/heartbeat/s", {}),
        start(visitor, "POST", "/gradio_api/upload", headers, body[:500]),
    ):
        (path,) = visitor.upload(b"content")[2].decode()[2:-2].split('","')
        assert visitor.join(file_data(path))[0] == 200
        with start(visitor, "GET", "/gradio_api/queue/data?session_hash=s", {}) as following:
            seen = b""
            while b"stuck" not in seen:
                seen += following.recv(1 << 16)
            started = time.monotonic()
            assert server.stop(number) == 0
    assert time.monotonic() - started < 2
    assert not list(server.folder.glob("keras_tdn_web_*"))
    assert "Fatal" not in server.log()
    server.errors.close()

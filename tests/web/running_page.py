"""`keras-tdn web` in a process of its own, and what a program may ask it over HTTP."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import threading
import urllib.parse
from pathlib import Path

ROOT = Path(__file__).parents[2]
MEGABYTES = 3
START_SECONDS = 300
# Runs at the start of the server's process; writes down every name and address that it asks for.
WITNESS = """
import os, socket, sys

def hook(event, arguments):
    if event in ("socket.connect", "socket.sendto"):
        asked = arguments[1]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        asked = arguments[0]
    else:
        return
    with open(os.environ["WITNESS"], "a") as file:
        file.write(f"{asked}\\n")

sys.addaudithook(hook)
with socket.socket() as proof:
    proof.connect_ex(("127.0.0.1", 9))
"""


class Server:
    """`keras-tdn web` in a process of its own, with temporary files in a folder of its own."""

    def __init__(self, folder, program=()):
        self.folder = folder / "temporary"
        self.witness = folder / "witness.txt"
        self.folder.mkdir()
        (folder / "sitecustomize.py").write_text(WITNESS)
        self.witness.touch()
        command = [sys.executable, *(program or ("-m", "keras_tdn", "web")), "--port", "0"]
        paths = [str(folder), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(paths), "WITNESS": str(self.witness),
            "TMPDIR": str(self.folder), "TF_CPP_MIN_LOG_LEVEL": "3",
        }  # fmt: skip
        self.errors = (folder / "errors.txt").open("w+")
        self.process = subprocess.Popen(
            [*command, "--max-megabytes", str(MEGABYTES)], stdout=subprocess.PIPE,
            stderr=self.errors, text=True, env=environment,
        )  # fmt: skip
        # What never says where it is, would be waited for for ever.
        patience = threading.Timer(START_SECONDS, self.process.kill)
        patience.start()
        for line in self.process.stdout:
            if found := re.search(r"http://\S+/", line):
                self.address = found[0]
                patience.cancel()
                return
        patience.cancel()
        raise RuntimeError(self.log())

    def log(self):
        self.errors.seek(0)
        return self.errors.read()

    def uploads(self):
        return [path for path in self.folder.glob("keras_tdn_web_*/**/*") if path.is_file()]

    def stop(self, number):
        self.process.send_signal(number)
        code = self.process.wait(30)
        self.process.stdout.close()
        return code


class Visitor:
    """One who asks by hand, with the cookie that the page gives."""

    def __init__(self, address):
        self.place = urllib.parse.urlsplit(address)
        self.headers = {}
        cookie = self.ask("GET", "/")[1]["set-cookie"]
        self.headers = {"Cookie": cookie.partition(";")[0]}

    def connect(self, timeout=30):
        return http.client.HTTPConnection(self.place.hostname, self.place.port, timeout=timeout)

    def ask(self, method, path, body=None, headers=(), host=None):
        """Status, headers and body of an answer, whatever is in the question."""
        connection = self.connect()
        sent = self.headers | dict(headers)
        if isinstance(body, (dict, list)):
            body, sent = json.dumps(body).encode(), {"Content-Type": "application/json"} | sent
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in {
                "Host": self.place.netloc if host is None else host,
                **sent,
            }.items():
                connection.putheader(name, value.encode("latin-1", "replace"))
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def upload(self, content, name="video.mp4", headers=()):
        body, kind = form(content, name)
        return self.ask("POST", "/gradio_api/upload", body, {"Content-Type": kind, **dict(headers)})

    def join(self, value, session="s", index=1):
        body = {"data": [value], "fn_index": index, "session_hash": session}
        return self.ask("POST", "/gradio_api/queue/join", body)

    def follow(self, session="s"):
        """All that the page sends about a session, to its end."""
        return self.ask("GET", f"/gradio_api/queue/data?session_hash={session}")[2].decode()


def form(content, name):
    """A form with a file in it, and its content type."""
    head = (
        f'--limit\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n'
        "Content-Type: video/mp4\r\n\r\n"
    )
    body = head.encode("utf-8", "surrogateescape") + content + b"\r\n--limit--\r\n"
    return body, "multipart/form-data; boundary=limit"


def file_data(path, **more):
    return {"path": path, "meta": {"_type": "gradio.FileData"}, **more}

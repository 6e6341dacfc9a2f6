"""A Hugging Face Hub on 127.0.0.1: enough of it for the real client to download files from."""

import contextlib
import hashlib
import http.server
import os
import pathlib
import subprocess
import sys
import threading

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NEWER_COMMIT = COMMIT[::-1]


class LoopbackHub:
    """Serves `files`, a dict from `"org/name/filename"` to bytes, and lists every request.

    `commit` is what `main` stands at; change it together with a file.

    `tamper` names files whose contents arrive altered, at their length; `truncate` files whose
    transfer breaks off; `small` files that the hub keeps in Git itself, with a Git digest.
    """

    def __init__(self, files, tamper=(), truncate=(), small=()):
        self.files = dict(files)
        self.tamper, self.truncate, self.small = set(tamper), set(truncate), set(small)
        self.commit = COMMIT
        self.requests = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self):
                hub.answer(self, body=False)

            def do_GET(self):
                hub.answer(self, body=True)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def answer(self, handler, body):
        self.requests.append(f"{handler.command} {handler.path}")
        parts = handler.path.strip("/").split("/")
        repo, filename = "/".join(parts[:2]), "/".join(parts[4:])
        if parts[2:3] != ["resolve"] or not any(name.startswith(repo + "/") for name in self.files):
            return self._refuse(handler, "RepoNotFound")
        if parts[3] not in ("main", self.commit):
            return self._refuse(handler, "RevisionNotFound")
        name = f"{repo}/{filename}"
        if name not in self.files:
            return self._refuse(handler, "EntryNotFound")
        data = self.files[name]
        handler.send_response(200)
        handler.send_header("X-Repo-Commit", self.commit)
        handler.send_header("ETag", f'"{self.digest(name)}"')
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        if body:
            if name in self.tamper:
                data = data[:-1] + bytes([data[-1] ^ 1])
            if name in self.truncate:
                data = data[: len(data) // 2]
            with contextlib.suppress(ConnectionError):
                handler.wfile.write(data)

    def digest(self, name):
        data = self.files[name]
        if name in self.small:
            return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        return hashlib.sha256(data).hexdigest()

    @staticmethod
    def _refuse(handler, code):
        handler.send_response(404)
        handler.send_header("X-Error-Code", code)
        handler.send_header("Content-Length", "0")
        handler.end_headers()


def run_client(code, endpoint, cache, offline=False, backend="torch"):
    """Runs Python code in a fresh process, because the client reads its environment once."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("HF_") and not name.lower().endswith("_proxy")
    }
    environment.update(
        HF_HOME=str(cache),
        HF_ENDPOINT=endpoint,
        HF_HUB_OFFLINE=str(int(offline)),
        HF_HUB_DISABLE_TELEMETRY="1",
        KERAS_BACKEND=backend,
        PYTHONPATH=str(pathlib.Path(__file__).parents[1]),
    )
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300
    )

"""A Hugging Face Hub on 127.0.0.1: enough of it for the real client to load and push files."""

import base64
import contextlib
import hashlib
import http.server
import json
import os
import pathlib
import re
import threading

from forked_python import run_python

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NEWER_COMMIT = COMMIT[::-1]


class LoopbackHub:
    """Serves `files`, a dict from `"org/name/filename"` to bytes, and lists every request.

    `commit` is what `main` stands at; change it together with a file, or call `move`, which keeps
    the old commit's files.

    `tamper` names files whose contents arrive altered, at their length; `truncate` files whose
    transfer breaks off each time; `break_once` those that break off at the first time only; `small`
    files that the hub keeps in Git itself, with a Git digest. `failures` maps a method to a list of
    statuses that its next requests are answered with. With a `token`, requests without it get 401.
    """

    def __init__(
        self, files=(), tamper=(), truncate=(), small=(), break_once=(), failures=None, token=None
    ):
        self.files = dict(files)
        self.tamper, self.truncate, self.small = set(tamper), set(truncate), set(small)
        self.break_once = set(break_once)
        self.failures = {"HEAD": [], "GET": [], **(failures or {})}
        self.token = token
        self.commit = COMMIT
        self.history = {}
        self.requests = []
        self.ranges = []
        self.lock = threading.Lock()

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

            def do_POST(self):
                hub.take(self)

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

    def move(self, files, commit=NEWER_COMMIT):
        """Puts other files on `main`; the old commit stays where it is."""
        self.history[self.commit] = self.files
        self.files, self.commit = dict(files), commit

    def count(self, method):
        return len([line for line in self.requests if line.startswith(method)])

    def answer(self, handler, body):
        with self.lock:
            self.requests.append(f"{handler.command} {handler.path}")
            failure = self.failures[handler.command][:1]
            del self.failures[handler.command][:1]
        if failure:
            return self._refuse(handler, failure[0])
        if self._is_stranger(handler):
            return
        parts = handler.path.strip("/").split("/")
        repo, filename = "/".join(parts[:2]), "/".join(parts[4:])
        if parts[2:3] != ["resolve"] or not any(name.startswith(repo + "/") for name in self.files):
            return self._refuse(handler, 404, "RepoNotFound")
        commit = self.commit if parts[3] == "main" else parts[3]
        files = self.files if commit == self.commit else self.history.get(commit)
        if files is None:
            return self._refuse(handler, 404, "RevisionNotFound")
        name = f"{repo}/{filename}"
        if name not in files:
            return self._refuse(handler, 404, "EntryNotFound")
        self._send(handler, name, files[name], commit, body)

    def _send(self, handler, name, data, commit, body):
        digest = self.digest(name, data)
        start = 0
        if given := re.match(r"bytes=(\d+)-", handler.headers.get("Range", "")):
            start = int(given[1])
            self.ranges.append(start)
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        handler.send_header("X-Repo-Commit", commit)
        handler.send_header("ETag", f'"{digest}"')
        handler.send_header("Content-Length", str(len(data) - start))
        handler.end_headers()
        if body:
            if name in self.tamper:
                data = data[:-1] + bytes([data[-1] ^ 1])
            data = data[start:]
            if name in self.truncate | self.break_once:
                self.break_once.discard(name)
                data = data[: len(data) // 2]
            with contextlib.suppress(ConnectionError):
                handler.wfile.write(data)

    def take(self, handler):
        """The questions of a push whose files all go into Git itself."""
        self.requests.append(f"POST {handler.path}")
        content = handler.rfile.read(int(handler.headers["Content-Length"]))
        if self._is_stranger(handler):
            return
        if handler.path == "/api/repos/create":
            name = json.loads(content)
            repo = f"{name.get('organization')}/{name['name']}"
            return self._reply(handler, {"url": f"{self.url}/{repo}", "name": repo})
        if handler.path == "/api/validate-yaml":
            return self._reply(handler, {"errors": [], "warnings": []})
        path = handler.path.split("?")[0]
        repo, _, action = path.removeprefix("/api/models/").rpartition("/main")[0].rpartition("/")
        if action == "preupload":
            names = [file["path"] for file in json.loads(content)["files"]]
            modes = [{"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in names]
            return self._reply(handler, {"files": modes})
        lines = [json.loads(line) for line in content.splitlines()]
        pushed = {
            f"{repo}/{line['value']['path']}": base64.b64decode(line["value"]["content"])
            for line in lines
            if line["key"] == "file"
        }
        self.move({**self.files, **pushed})
        url = f"{self.url}/{repo}/commit/{self.commit}"
        self._reply(handler, {"commitUrl": url, "commitOid": self.commit, "success": True})

    def digest(self, name, data=None):
        data = self.files[name] if data is None else data
        if name in self.small:
            return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        return hashlib.sha256(data).hexdigest()

    def _is_stranger(self, handler):
        given = handler.headers.get("Authorization")
        if self.token is None or given == f"Bearer {self.token}":
            return False
        if given is None:
            self._refuse(handler, 401, "RepoNotFound")
        else:
            self._refuse(handler, 401, message="Invalid credentials in Authorization header")
        return True

    @staticmethod
    def _reply(handler, content):
        data = json.dumps(content).encode()
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    @staticmethod
    def _refuse(handler, status, code=None, message=None):
        handler.send_response(status)
        if code:
            handler.send_header("X-Error-Code", code)
        if message:
            handler.send_header("X-Error-Message", message)
        handler.send_header("Content-Length", "0")
        handler.end_headers()


def client_environment(endpoint, cache, offline=False, **variables):
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HF_", "KERAS_TDN_")) and not name.lower().endswith("_proxy")
    }
    return {
        **environment,
        "HF_HOME": str(cache),
        "HF_ENDPOINT": endpoint,
        "HF_HUB_OFFLINE": str(int(offline)),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        # Xet is another protocol, to other servers.
        "HF_HUB_DISABLE_XET": "1",
        "KERAS_BACKEND": "tensorflow",
        "KERAS_TDN_PRESETS": str(pathlib.Path(cache) / "presets"),
        "PYTHONPATH": str(pathlib.Path(__file__).parents[1]),
        **variables,
    }


def run_client(code, endpoint, cache, offline=False, **variables):
    """Runs Python code in a process of its own, because the client reads its environment once."""
    return run_python(code, environment=client_environment(endpoint, cache, offline, **variables))

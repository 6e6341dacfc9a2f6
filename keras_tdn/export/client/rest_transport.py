"""Requests over REST. Each ends at its deadline, however slowly a server sends."""

from __future__ import annotations

import base64
import contextlib
import contextvars
import http.client
import json
import socket
import ssl
import threading
import urllib.parse
from collections.abc import Mapping
from typing import Any

import numpy as np
import requests
import requests.adapters
import urllib3

from keras_tdn.export.client import transport
from keras_tdn.export.formats import SINGLE_OUTPUTS
from keras_tdn.limits import check_bytes

_KINDS = {
    400: transport.RequestRefusedError,
    404: transport.ModelNotFoundError,
    413: transport.RequestRefusedError,
    429: transport.ServerUnavailableError,
    503: transport.ServerUnavailableError,
    504: transport.DeadlineExceededError,
}
CHUNK = 1 << 16
# Answers are counted as they come; nothing unpacks them.
HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
# What bytes look like in JSON, in both directions.
BASE64 = "b64"
# Of a server's own words in an error.
REASON_LENGTH = 500
# Bytes that Python takes, at most, for what each of these characters in JSON comes to.
_PARSED_BYTES = {b"[": 72, b"{": 72, b",": 40, b":": 40, b'"': 32}
_EXCHANGE: contextvars.ContextVar[_Exchange] = contextvars.ContextVar("exchange")


class RestTransport:
    """Requests to the REST port of a server, 8501 by default, over connections that are kept.

    Proxies and certificates are those of requests' and Python's environment variables.
    """

    def __init__(
        self, url: str, model: str, version: int | None, headers: Mapping[str, str] | None = None
    ) -> None:
        parts = urllib.parse.urlsplit(url)
        self._url, self._model = url, model
        version_path = "" if version is None else f"/versions/{version}"
        name = urllib.parse.quote(model, safe="")
        base = urllib.parse.quote(parts.path.rstrip("/"), safe="/%")
        self._model_url = f"{parts.scheme}://{parts.netloc}{base}/v1/models/{name}{version_path}"
        self._session = requests.Session()
        self._session.headers.update({**HEADERS, **(headers or {})})
        # Otherwise an entry in ~/.netrc would replace the header `Authorization`.
        self._session.auth = lambda request: request
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter())

    def predict(
        self, signature: str, inputs: Mapping[str, np.ndarray], deadline: float
    ) -> dict[str, np.ndarray]:
        """See `Transport`."""
        named = {name: _to_json(value.tolist()) for name, value in inputs.items()}
        body = json.dumps({"signature_name": signature, "inputs": named})
        answer = self._ask("POST", ":predict", body.encode(), deadline)
        outputs = answer.get("outputs")
        if outputs is None:
            raise self._malformed("it has no `outputs`")
        if not isinstance(outputs, dict):
            # The server leaves the name of a single output out.
            outputs = {SINGLE_OUTPUTS.get(signature, ""): outputs}
        return {name: self._to_array(value) for name, value in outputs.items()}

    def signatures(self, deadline: float) -> dict[str, Any]:
        """See `Transport`."""
        answer = self._ask("GET", "/metadata", None, deadline)
        try:
            return dict(answer["metadata"]["signature_def"]["signature_def"])
        except (KeyError, TypeError, ValueError) as error:
            raise self._malformed("its metadata has no signatures") from error

    def close(self) -> None:
        """See `Transport`."""
        self._session.close()

    def _ask(self, method: str, path: str, body: bytes | None, deadline: float) -> dict[str, Any]:
        with _Exchange(deadline) as exchange:
            try:
                try:
                    status, content = self._send(method, path, body, deadline)
                except requests.ConnectionError:
                    # A server may close a connection that it has kept while it is being used again.
                    if exchange.expired or not exchange.reused:
                        raise
                    status, content = self._send(method, path, body, deadline)
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                raise self._failure(error, exchange, deadline) from error
        if exchange.expired:
            # What was cut off may look like an answer that ends.
            raise self._too_late(deadline)
        return self._read(status, content)

    def _send(
        self, method: str, path: str, body: bytes | None, deadline: float
    ) -> tuple[int, bytes]:
        response = self._session.request(
            method,
            self._model_url + path,
            data=body,
            timeout=deadline,
            stream=True,
            allow_redirects=False,
        )
        with response:
            return response.status_code, self._content(response.raw)

    def _content(self, response: urllib3.HTTPResponse) -> bytes:
        """Returns all that is sent, unless it is more than an answer may be."""
        self._check_size(response.length_remaining or 0)
        chunks, size = [], 0
        for chunk in response.stream(CHUNK, decode_content=False):
            size += len(chunk)
            self._check_size(size)
            chunks.append(chunk)
        return b"".join(chunks)

    def _failure(
        self, error: Exception, exchange: _Exchange, deadline: float
    ) -> transport.ServingError:
        timeouts = (requests.Timeout, urllib3.exceptions.TimeoutError)
        told = [error, *error.args, *(part for arg in error.args for part in _parts(arg))]
        # While sending, the socket's own timeout may come before the timer.
        is_late = isinstance(error, timeouts) or any(
            isinstance(part, TimeoutError) for part in told
        )
        if exchange.expired or is_late:
            return self._too_late(deadline)
        kinds = (http.client.HTTPException, requests.exceptions.InvalidHeader)
        for part in told:
            if isinstance(part, kinds):
                return self._malformed(f"it is no HTTP answer ({type(part).__name__})")
        return transport.ServerUnavailableError(
            f"No server answers at {self._url}: {error}. Is it running, and is this its REST port, "
            "8501 by default?"
        )

    def _too_late(self, deadline: float) -> transport.DeadlineExceededError:
        return transport.DeadlineExceededError(
            f"The server at {self._url} did not answer within {deadline:g} s."
        )

    def _check_size(self, num_bytes: int) -> None:
        try:
            check_bytes(num_bytes, "answer", "it")
        except ValueError as error:
            raise self._malformed(str(error).rstrip(".")) from error

    def _read(self, status: int, content: bytes) -> dict[str, Any]:
        self._check_size(_parsed_bytes(content))
        try:
            answer = json.loads(content)
        except ValueError:
            answer = None
        except RecursionError as error:
            raise self._malformed("its JSON is nested too deeply") from error
        if status != http.client.OK:
            reason = answer.get("error") if isinstance(answer, dict) else None
            kind = _KINDS.get(status, transport.ServingError)
            told = str(reason)[:REASON_LENGTH] if reason else repr(content[:REASON_LENGTH])
            raise kind(
                f"The server at {self._url} refused to answer for model {self._model!r}: HTTP "
                f"{status}: {told}"
            )
        if not isinstance(answer, dict):
            raise self._malformed("it is no JSON object")
        return answer

    def _to_array(self, value: Any) -> np.ndarray:
        try:
            # As objects: an array of strings has room for the longest at each place.
            array = np.array(_from_json(value), object)
            kinds = {type(item) for item in array.ravel()}
            if kinds <= {str}:
                return array
            if kinds <= {int, float}:
                return np.array(array.tolist())
        except (TypeError, ValueError, RecursionError) as error:
            raise self._malformed("an output is no array") from error
        raise self._malformed("an output is no array of numbers or of strings")

    def _malformed(self, reason: str) -> transport.MalformedAnswerError:
        return transport.MalformedAnswerError(
            f"The answer of the server at {self._url} cannot be used: {reason}. Is this the REST "
            "port of TensorFlow Serving?"
        )


class _Exchange:
    """A request and its answer, whose connection is shut down at the deadline, in seconds from now.

    The timeouts of requests hold for each read, and for none of the loops around them.
    """

    def __init__(self, seconds: float) -> None:
        self.expired = self.reused = False
        self._connections: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True

    def __enter__(self) -> _Exchange:
        self._timer.start()
        self._token = _EXCHANGE.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _EXCHANGE.reset(self._token)
        self._timer.cancel()

    def add(self, connection: socket.socket, reused: bool = False) -> None:
        """Registers a connection to be shut down at the deadline."""
        with self._lock:
            self.reused = reused
            self._connections.append(connection)
            if self.expired:
                _shut_down(connection)

    def _expire(self) -> None:
        with self._lock:
            self.expired = True
            for connection in self._connections:
                _shut_down(connection)


def _shut_down(connection: socket.socket) -> None:
    # It may be gone. Not the method of TLS connections, which another thread is using.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


class _Ending:
    """Has a connection of urllib3 shut down with its `_Exchange`."""

    sock: socket.socket | None = None
    _was_used = False

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        if self.sock is not None:
            _EXCHANGE.get().add(self.sock)

    def putrequest(self, *arguments: Any, **options: Any) -> None:
        if self.sock is not None and self._was_used:
            _EXCHANGE.get().add(self.sock, reused=True)
        self._was_used = True
        super().putrequest(*arguments, **options)  # type: ignore[misc]

    def close(self) -> None:
        self._was_used = False
        super().close()  # type: ignore[misc]


def _ending(pool: Any) -> Any:
    """Returns a kind of pool with such connections."""
    connection = type("_Connection", (_Ending, pool.ConnectionCls), {})
    return type("_Pool", (pool,), {"ConnectionCls": connection})


_POOLS = {
    "http": _ending(urllib3.HTTPConnectionPool),
    "https": _ending(urllib3.HTTPSConnectionPool),
}


class _Adapter(requests.adapters.HTTPAdapter):
    """Makes such connections; they also trust the system's certificates."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, ssl_context=ssl.create_default_context(), **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        context = ssl.create_default_context()
        manager = super().proxy_manager_for(proxy, ssl_context=context, **options)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = _POOLS
        return manager


def _parts(error: Any) -> tuple[Any, ...]:
    return error.args if isinstance(error, Exception) else ()


def _to_json(value: Any) -> Any:
    if isinstance(value, bytes):
        return {BASE64: base64.b64encode(value).decode()}
    return [_to_json(part) for part in value] if isinstance(value, list) else value


def _from_json(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {BASE64}:
        return base64.b64decode(value[BASE64]).decode("utf-8")
    return [_from_json(part) for part in value] if isinstance(value, list) else value


def _parsed_bytes(content: bytes) -> int:
    """Returns the most that parsed JSON takes: many times its size if it is full of empty lists."""
    # One character outside of ASCII can make all of them take four bytes.
    size = len(content) * (1 if content.isascii() else 4)
    return size + sum(content.count(part) * cost for part, cost in _PARSED_BYTES.items())

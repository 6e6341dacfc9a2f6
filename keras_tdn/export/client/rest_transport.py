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
from collections.abc import Iterator
from typing import Any

import numpy as np
import requests
import requests.adapters
import urllib3

from keras_tdn.export.client import transport
from keras_tdn.export.formats import SINGLE_OUTPUTS
from keras_tdn.limits import check_bytes

_TIMEOUTS = (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
_NOT_HTTP = (http.client.HTTPException, requests.exceptions.InvalidHeader)
# Answers are counted as they come; nothing unpacks them.
HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
# What bytes look like in JSON, in both directions.
BASE64 = "b64"
# Bytes that Python takes, at most, for what each of these characters in JSON comes to.
_PARSED_BYTES = {b"[": 72, b"{": 72, b",": 40, b":": 40, b'"': 32}


class RestTransport(transport.Transport):
    """Requests to the REST port of a server, 8501 by default, over connections that are kept."""

    # Proxies and certificates are those of requests' and Python's environment variables.
    def __post_init__(self) -> None:
        base = urllib.parse.quote(self.server.path.rstrip("/"), safe="/%")
        name = urllib.parse.quote(self.model, safe="")
        version = "" if self.version is None else f"/versions/{self.version}"
        host = f"{self.server.scheme}://{self.server.netloc}"
        self._model_url = f"{host}{base}/v1/models/{name}{version}"
        self._session = requests.Session()
        self._session.headers.update({**HEADERS, **self.headers})
        # Otherwise an entry in ~/.netrc would replace the header `Authorization`.
        self._session.auth = lambda request: request
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter())

    def predict(self, signature: str, inputs: transport.Named, deadline: float) -> transport.Named:
        named = {name: value.tolist() for name, value in inputs.items()}
        request = {"signature_name": signature, "inputs": named}
        body = json.dumps(request, default=lambda value: {BASE64: base64.b64encode(value).decode()})
        outputs = self._ask("POST", ":predict", body.encode(), deadline).get("outputs")
        if outputs is None:
            raise self.malformed("it has no `outputs`")
        if not isinstance(outputs, dict):
            # The server leaves the name of a single output out.
            outputs = {SINGLE_OUTPUTS.get(signature, ""): outputs}
        return {name: self._to_array(value) for name, value in outputs.items()}

    def signatures(self, deadline: float) -> dict[str, Any]:
        answer = self._ask("GET", "/metadata", None, deadline)
        try:
            return dict(answer["metadata"]["signature_def"]["signature_def"])
        except (KeyError, TypeError, ValueError) as error:
            raise self.malformed("its metadata has no signatures") from error

    def close(self) -> None:
        self._session.close()

    def _ask(self, method: str, path: str, body: bytes | None, deadline: float) -> dict[str, Any]:
        with _Exchange(deadline) as exchange:
            try:
                status, content = self._send(exchange, method, path, body, deadline)
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                if exchange.expired:
                    raise self._too_late(deadline) from error
                raise self._failure(error, deadline) from error
        if exchange.expired:
            # What was cut off may look like an answer that ends.
            raise self._too_late(deadline)
        return self._read(status, content)

    def _send(self, exchange: _Exchange, *request: Any) -> tuple[int, bytes]:
        try:
            return self._send_once(*request)
        except requests.ConnectionError:
            # A server may close a connection that it has kept while it is being used again.
            if exchange.expired or not exchange.reuses:
                raise
        return self._send_once(*request)

    def _send_once(self, method: str, path: str, body: Any, deadline: float) -> tuple[int, bytes]:
        """Returns the status and all that is sent, unless it is more than an answer may be."""
        options: dict[str, Any] = {"timeout": deadline, "stream": True, "allow_redirects": False}
        url = self._model_url + path
        with self._session.request(method, url, data=body, **options) as response:
            self._check_size(response.raw.length_remaining or 0)
            content = bytearray()
            for chunk in response.raw.stream(1 << 16, decode_content=False):
                content += chunk
                self._check_size(len(content))
            return response.status_code, bytes(content)

    def _failure(self, error: Exception, deadline: float) -> transport.ServingError:
        for cause in _causes(error):
            # While sending, the socket's own timeout may come before the timer.
            if isinstance(cause, _TIMEOUTS):
                return self._too_late(deadline)
            if isinstance(cause, _NOT_HTTP):
                return self.malformed(f"it is no HTTP answer ({type(cause).__name__})")
        return transport.ServerUnavailableError(
            f"{self} does not answer: {error}. Is it running, and is this its REST port, 8501 by "
            "default?"
        )

    def _too_late(self, deadline: float) -> transport.DeadlineExceededError:
        return transport.DeadlineExceededError(f"{self} did not answer within {deadline:g} s.")

    def _check_size(self, num_bytes: int) -> None:
        try:
            check_bytes(num_bytes, "answer", "it")
        except ValueError as error:
            raise self.malformed(str(error).rstrip(".")) from error

    def _read(self, status: int, content: bytes) -> dict[str, Any]:
        self._check_size(_parsed_bytes(content))
        try:
            answer = json.loads(content)
        except ValueError:
            answer = None
        except RecursionError as error:
            raise self.malformed("its JSON is nested too deeply") from error
        if status != http.client.OK:
            reason = answer.get("error") if isinstance(answer, dict) else None
            length = transport.REASON_LENGTH
            told = (str(reason) if reason else repr(content[:length]))[:length]
            raise transport.kind_of(status)(
                f"{self} refused to answer for model {self.model!r}: HTTP {status}: {told}"
            )
        if not isinstance(answer, dict):
            raise self.malformed("it is no JSON object")
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
            raise self.malformed("an output is no array") from error
        raise self.malformed("an output is no array of numbers or of strings")


class _Exchange(threading.Timer):
    """A request and its answer, whose connection is shut down when they take too long.

    The timeouts of requests hold for each read, and for none of the loops around them.
    """

    expired = False
    # Whether its connection was there before.
    reuses = True
    _socket: socket.socket | None = None

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds, self.expire)
        self.daemon = True

    def __enter__(self) -> _Exchange:
        self._token = _EXCHANGE.set(self)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()
        _EXCHANGE.reset(self._token)

    def use(self, connection: socket.socket) -> None:
        """Names the connection to shut down; does so at once if it is too late already."""
        self._socket = connection
        if self.expired:
            self.expire()

    def expire(self) -> None:
        self.expired = True
        if self._socket is not None:
            # It may be gone. Not the method of TLS connections, which another thread is using.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


_EXCHANGE: contextvars.ContextVar[_Exchange] = contextvars.ContextVar("exchange")


class _EndingConnection:
    """What a connection of urllib3 needs to end with the exchange that it is used in."""

    sock: socket.socket | None

    def connect(self) -> None:
        _EXCHANGE.get().reuses = False
        super().connect()  # type: ignore[misc]

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        _EXCHANGE.get().use(self.sock)  # type: ignore[arg-type]
        super().send(data)  # type: ignore[misc]


class _Adapter(requests.adapters.HTTPAdapter):
    """Makes such connections, also to proxies."""

    def get_connection_with_tls_context(self, *arguments: Any, **options: Any) -> Any:
        pool = super().get_connection_with_tls_context(*arguments, **options)
        kind = pool.ConnectionCls
        if not issubclass(kind, _EndingConnection):
            if pool.scheme == "https":
                # With the system's certificates beside those that requests adds.
                pool.conn_kw["ssl_context"] = ssl.create_default_context()
            pool.ConnectionCls = type("_Connection", (_EndingConnection, kind), {})
        return pool


def _causes(error: Any) -> Iterator[Exception]:
    """Yields an error of requests and those that it stands for, which are among its arguments."""
    if isinstance(error, Exception):
        yield error
        for part in error.args:
            yield from _causes(part)


def _from_json(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {BASE64}:
        return base64.b64decode(value[BASE64]).decode("utf-8")
    return [_from_json(part) for part in value] if isinstance(value, list) else value


def _parsed_bytes(content: bytes) -> int:
    """Returns the most that parsed JSON takes: many times its size if it is full of empty lists."""
    # One character outside of ASCII can make all of them take four bytes.
    size = len(content) * (1 if content.isascii() else 4)
    return size + sum(content.count(part) * cost for part, cost in _PARSED_BYTES.items())

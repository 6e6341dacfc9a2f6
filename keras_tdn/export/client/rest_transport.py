"""Asking over REST, with Python's own library."""

from __future__ import annotations

import base64
import http.client
import json
import urllib.parse
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_tdn.export.client import errors
from keras_tdn.export.client.deadline_http import CHUNK, Deadline, open_http
from keras_tdn.limits import check_bytes

_KINDS = {
    400: errors.RequestRefusedError,
    404: errors.ModelNotFoundError,
    413: errors.RequestRefusedError,
    429: errors.ServerUnavailableError,
    503: errors.ServerUnavailableError,
    504: errors.DeadlineExceededError,
}
# What bytes look like in JSON, in both directions.
BASE64 = "b64"
# Of a server's own words in an error.
REASON_LENGTH = 500
# Bytes that Python takes, at most, for what each of these characters in JSON comes to.
_PARSED_BYTES = {b"[": 72, b"{": 72, b",": 40, b":": 40, b'"': 32}


class RestTransport:
    """Requests to the REST port of a server, 8501 by default; one connection for each.

    Args:
        url: `http://host:port` or `https://host:port`, with a path in front of the API if need be.
        model: Name of the model on the server.
        version: Of the model; `None` takes the newest.
    """

    def __init__(self, url: str, model: str, version: int | None) -> None:
        parts = urllib.parse.urlsplit(url)
        self._url, self._model = url, model
        self._server = parts.hostname or "", parts.port, parts.scheme == "https"
        version_path = "" if version is None else f"/versions/{version}"
        name = urllib.parse.quote(model, safe="")
        base = urllib.parse.quote(parts.path.rstrip("/"), safe="/%")
        self._path = f"{base}/v1/models/{name}{version_path}"

    def predict(
        self, signature: str, inputs: Mapping[str, np.ndarray], deadline: float
    ) -> dict[str, np.ndarray]:
        """See `Transport`."""
        named = {name: _to_json(value.tolist()) for name, value in inputs.items()}
        body = json.dumps({"signature_name": signature, "inputs": named})
        answer = self._ask("POST", f"{self._path}:predict", body.encode(), deadline)
        outputs = answer.get("outputs")
        if outputs is None:
            raise self._malformed("it has no `outputs`")
        if not isinstance(outputs, dict):
            # The server leaves the name of a single output out.
            outputs = {"": outputs}
        return {name: self._to_array(value) for name, value in outputs.items()}

    def signatures(self, deadline: float) -> dict[str, Any]:
        """See `Transport`."""
        answer = self._ask("GET", f"{self._path}/metadata", None, deadline)
        try:
            return dict(answer["metadata"]["signature_def"]["signature_def"])
        except (KeyError, TypeError, ValueError) as error:
            raise self._malformed("its metadata has no signatures") from error

    def close(self) -> None:
        """See `Transport`."""

    def _ask(self, method: str, path: str, body: bytes | None, deadline: float) -> dict[str, Any]:
        connection = open_http(*self._server, Deadline(deadline))
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            content = self._content(response)
        except TimeoutError as error:
            raise errors.DeadlineExceededError(
                f"The server at {self._url} did not answer within {deadline:g} s."
            ) from error
        except http.client.HTTPException as error:
            raise self._malformed(f"it is no HTTP answer ({type(error).__name__})") from error
        except OSError as error:
            raise errors.ServerUnavailableError(
                f"No server answers at {self._url}: {error}. Is it running, and is this its REST "
                "port, 8501 by default?"
            ) from error
        finally:
            connection.close()
        return self._read(response.status, content)

    def _content(self, response: http.client.HTTPResponse) -> bytes:
        """All that is sent, unless it is more than an answer may be."""
        self._check_size(response.length or 0)
        chunks, size = [], 0
        while chunk := response.read1(CHUNK):
            size += len(chunk)
            self._check_size(size)
            chunks.append(chunk)
        return b"".join(chunks)

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
            kind = _KINDS.get(status, errors.ServingError)
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

    def _malformed(self, reason: str) -> errors.MalformedAnswerError:
        return errors.MalformedAnswerError(
            f"The answer of the server at {self._url} cannot be used: {reason}. Is this the REST "
            "port of TensorFlow Serving?"
        )


def _to_json(value: Any) -> Any:
    if isinstance(value, bytes):
        return {BASE64: base64.b64encode(value).decode()}
    return [_to_json(part) for part in value] if isinstance(value, list) else value


def _from_json(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {BASE64}:
        return base64.b64decode(value[BASE64]).decode("utf-8")
    return [_from_json(part) for part in value] if isinstance(value, list) else value


def _parsed_bytes(content: bytes) -> int:
    """What parsing JSON takes, at most: many times its size if it is full of empty lists."""
    # One character outside of ASCII can make all of them take four bytes.
    size = len(content) * (1 if content.isascii() else 4)
    return size + sum(content.count(part) * cost for part, cost in _PARSED_BYTES.items())

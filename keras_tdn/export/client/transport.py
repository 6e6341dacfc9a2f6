"""What a client needs of a connection, and what can go wrong between it and a server."""

from __future__ import annotations

import abc
import dataclasses
import urllib.parse
from collections.abc import Mapping
from typing import Any

import numpy as np

Named = dict[str, np.ndarray]
# What an error repeats of a server's own words.
REASON_LENGTH = 500


class ServingError(RuntimeError):
    """A request that got no usable answer. Its subclasses say what to do."""


class ServerUnavailableError(ServingError):
    """No server listens there, or it takes no requests now: wait and try again."""


class DeadlineExceededError(ServingError):
    """The answer did not arrive before the deadline."""


class ModelNotFoundError(ServingError):
    """The server does not have that model or version, or has not loaded it yet."""


class RequestRefusedError(ServingError):
    """The server cannot take such a request.

    Trying again does not help, with one exception: a server that batches requests of several
    callers returns the error of one to all of them. With batching on, try once more.
    """


class MalformedAnswerError(ServingError):
    """The answer is not one of an export of this package."""


# By HTTP status and by gRPC code. FAILED_PRECONDITION is what some versions of the server say of a
# signature that is not there.
_KINDS: dict[type[ServingError], tuple[int | str, ...]] = {
    RequestRefusedError: (400, 413, "INVALID_ARGUMENT", "FAILED_PRECONDITION", "OUT_OF_RANGE"),
    ModelNotFoundError: (404, "NOT_FOUND"),
    ServerUnavailableError: (429, 503, "UNAVAILABLE", "RESOURCE_EXHAUSTED"),
    DeadlineExceededError: (504, "DEADLINE_EXCEEDED"),
}


def kind_of(code: int | str) -> type[ServingError]:
    """Returns the error to raise for a code that a server answers with."""
    return next((kind for kind, codes in _KINDS.items() if code in codes), ServingError)


# Headers may hold a secret.
@dataclasses.dataclass(eq=False, repr=False)
class Transport(abc.ABC):
    """A connection to one model of a server; see `connect`."""

    server: urllib.parse.SplitResult
    model: str
    version: int | None
    headers: Mapping[str, str]

    @abc.abstractmethod
    def __post_init__(self) -> None:
        """Prepares the connection; nothing is sent yet."""

    def __str__(self) -> str:
        return f"The server at {self.server.geturl()}"

    @abc.abstractmethod
    def predict(self, signature: str, inputs: Named, deadline: float) -> Named:
        """Calls one signature within `deadline` seconds; returns an array for each of its outputs.

        Inputs are uint8 pixels, or bytes in arrays of objects. Raises a `ServingError` if there is
        no usable answer.
        """

    @abc.abstractmethod
    def signatures(self, deadline: float) -> dict[str, Any]:
        """Returns the model's signatures by name."""

    @abc.abstractmethod
    def close(self) -> None:
        """Closes the connection."""

    def malformed(self, reason: str) -> MalformedAnswerError:
        """Returns the error to raise for an answer that no export gives."""
        return MalformedAnswerError(
            f"{self} gave an answer that cannot be used: {reason}. Is this TensorFlow Serving's "
            "port for this protocol, and does it serve what keras_tdn.export wrote?"
        )

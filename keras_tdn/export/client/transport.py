"""What a client needs of a connection, and what can go wrong between it and a server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np


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


class Transport(Protocol):
    """A connection to a server."""

    def predict(
        self, signature: str, inputs: Mapping[str, np.ndarray], deadline: float
    ) -> dict[str, np.ndarray]:
        """Calls one signature within `deadline` seconds; returns an array for each of its outputs.

        Inputs are uint8 pixels, or bytes in arrays of objects.

        Raises:
            ServingError: if there is no usable answer.
        """

    def signatures(self, deadline: float) -> dict[str, Any]:
        """Returns the model's signatures by name."""

    def close(self) -> None:
        """Closes the connection."""

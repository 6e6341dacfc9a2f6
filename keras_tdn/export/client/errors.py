"""What can go wrong between a client and a server, each with what to do about it."""

from __future__ import annotations


class ServingError(RuntimeError):
    """A request that got no answer to use. Its subclasses say whose turn it is."""


class ServerUnavailableError(ServingError):
    """No server listens there, or it takes no requests now: wait and ask again."""


class DeadlineExceededError(ServingError):
    """The answer did not come in time."""


class ModelNotFoundError(ServingError):
    """The server does not have that model or version, or has not loaded it yet."""


class RequestRefusedError(ServingError):
    """The server cannot take such a request: asking again does not help."""


class MalformedAnswerError(ServingError):
    """What came back is not what an export of this package answers."""

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
    """The server cannot take such a request.

    Asking again does not help, but for one case: a server that puts requests of several callers
    into one batch gives all of them the error that one has made. With batching on, ask once more.
    """


class MalformedAnswerError(ServingError):
    """What came back is not what an export of this package answers."""

"""HTTP exchanges that end at a given time, however the other side trickles."""

from __future__ import annotations

import functools
import http.client
import io
import socket
import time
from typing import Any

CHUNK = 1 << 16


class Deadline:
    """A time by which something has to be done.

    Args:
        seconds: From now.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds that are left.

        Raises:
            TimeoutError: if there are none.
        """
        seconds = self._end - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        return seconds


def open_http(host: str, port: int | None, secure: bool, deadline: Deadline) -> Any:
    """A connection of `http.client` whose exchanges raise `TimeoutError` at the deadline.

    A socket's own timeout is for each call, and so holds for none of the loops that `http.client`
    reads headers and bodies in.

    Args:
        host: Name or address.
        port: `None` for the usual one.
        secure: Whether over TLS.
        deadline: Of all that is done with the connection.
    """
    kind = _SecureConnection if secure else _Connection
    connection = kind(host, port)
    connection.deadline = deadline
    connection.response_class = functools.partial(_Response, deadline=deadline)  # type: ignore[assignment]
    return connection


class _Ending(http.client.HTTPConnection):
    deadline: Deadline

    def connect(self) -> None:
        self.timeout = self.deadline.remaining()
        super().connect()

    def send(self, data: Any) -> None:
        for start in range(0, len(data), CHUNK):
            if self.sock is not None:
                self.sock.settimeout(self.deadline.remaining())
            super().send(data[start : start + CHUNK])


class _Connection(_Ending):
    pass


class _SecureConnection(_Ending, http.client.HTTPSConnection):
    pass


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, deadline: Deadline, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_EndingReader(sock, deadline))


class _EndingReader(io.RawIOBase):
    """A socket's bytes, with what is left of the time as the timeout of each read."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock, self._deadline = sock, deadline
        self._file = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._deadline.remaining())
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()

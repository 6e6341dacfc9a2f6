"""By which names the page may be called, and from which pages."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Sequence

Headers = Sequence[tuple[bytes, bytes]]

LOCAL_NAME = "localhost"
DEFAULT_PORTS = {"http": "80", "https": "443"}


class Hosts:
    """Decides by the headers of a request whether it was made for this page, and by it.

    A page of another site can have its name lead to this machine, and then asks in the browser of
    whoever looks at it. So names count, not where the connection came from. A server that listens
    on an address that only this machine reaches is called by this machine's addresses alone, and
    by `more`, such as a reverse proxy's name.
    """

    def __init__(self, listens_on: str, more: Iterable[str] = ()) -> None:
        self._names = {LOCAL_NAME, *(name.lower() for name in more)}
        self._any_address = not is_loopback(listens_on)
        if self._any_address:
            own = socket.gethostname().lower()
            self._names |= {own, f"{own.partition('.')[0]}.local", listens_on.lower()}

    def are_allowed(self, headers: Headers) -> bool:
        """Whether a request calls the page by a name of its own, once."""
        one_host = len(header_values(headers, b"host")) == 1
        return one_host and all(map(self._is_allowed, _hosts(headers)))

    def is_own_page(self, headers: Headers, *, is_visit: bool) -> bool:
        """Whether the page itself made a request, or a program, but not another site's page.

        The request's hosts are allowed. A visit asks for the page, to which others may link.
        """
        own = set(map(_bare, _hosts(headers)))
        for origin in header_values(headers, b"origin"):
            scheme, _, host = origin.partition("://")
            if scheme.lower() not in DEFAULT_PORTS or _bare(host) not in own:
                return False
        sites = header_values(headers, b"sec-fetch-site")
        return is_visit or all(site in ("same-origin", "none") for site in sites)

    def _is_allowed(self, host: str) -> bool:
        name = _split(host)[0]
        if name is None:
            return False
        is_address = self._any_address and _address(name) is not None
        return name in self._names or is_loopback(name) or is_address


def is_loopback(host: str) -> bool:
    """Whether that address is reached from this machine alone."""
    address = _address(host)
    return host == LOCAL_NAME or (address is not None and address.is_loopback)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def header_values(headers: Headers, name: bytes) -> list[str]:
    """Returns all values of a header, whose name is in lower case."""
    return [value.decode("latin-1") for key, value in headers if key == name]


def _hosts(headers: Headers) -> list[str]:
    """Returns the hosts that were asked for, of this server and of proxies before it."""
    forwarded = header_values(headers, b"x-forwarded-host")
    others = [host.strip() for value in forwarded for host in value.split(",")]
    return header_values(headers, b"host") + others


def _bare(host: str) -> tuple[str | None, str]:
    """Name and port. A proxy may take requests in another scheme than it makes them."""
    name, port = _split(host)
    return name, "" if port in DEFAULT_PORTS.values() else port


def _split(host: str) -> tuple[str | None, str]:
    name, colon, port = host.lower().rpartition(":")
    if not colon or port.endswith("]"):
        name, port = host.lower(), ""
    elif not (port.isascii() and port.isdecimal()):
        return None, ""
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    elif ":" in name:
        return None, ""
    return name or None, port

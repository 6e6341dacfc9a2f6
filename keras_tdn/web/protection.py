"""What of Gradio's server is open to visitors, to which of them, and how much they may send."""

from __future__ import annotations

import asyncio
import contextlib
import http
import http.cookies
import json
import logging
import re
import secrets
import urllib.parse
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from keras_tdn.web.hosts import Headers, Hosts, header_values
from keras_tdn.web.uploads import MEGABYTE, Visitors

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# Browsers load nothing from elsewhere and send nothing there, whatever Gradio's scripts try. These
# are inline in part, and compile templates.
POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; connect-src 'self' data: blob:; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
)

API = "/gradio_api"
FILE = f"{API}/file="
UPLOAD = f"{API}/upload"
JOIN = f"{API}/queue/join"
FOLLOW = f"{API}/queue/data"
HEARTBEAT = f"{API}/heartbeat/"
# Of what takes no time and so is not queued.
RUN = f"{API}/run/predict"
SESSION = re.compile(r"[A-Za-z0-9_-]{1,64}")
# What else a request may hold.
NAMES, NUMBERS = ("session_hash", "event_id"), ("fn_index", "trigger_id")
# What the page asks for, and parameters that mean something there. Gradio has many routes beside
# these: some fetch addresses, read files or run functions, and each release may bring more.
OPEN: dict[tuple[str, str], tuple[str, ...]] = {
    **dict.fromkeys((("GET", path) for path in (
        "/", "/config", "/favicon.ico", "/manifest.json", "/robots.txt", "/theme.css",
        f"{API}/app_id", f"{API}/info", f"{API}/startup-events", f"{API}/theme.css",
    )), ()),
    **dict.fromkeys((("POST", path) for path in (f"{API}/cancel", JOIN, f"{API}/reset", RUN)), ()),
    ("GET", FOLLOW): ("session_hash",),
    ("GET", f"{API}/upload_progress"): ("upload_id",),
    ("POST", UPLOAD): ("upload_id",),
}  # fmt: skip
OPEN_BELOW = ("/assets/", "/static/", HEARTBEAT)
# Visits and uploads give a browser the cookie that identifies its files.
GIVES_COOKIE = frozenset({"/", UPLOAD})

# Names and boundaries that come with a file.
FORM_BYTES = MEGABYTE
MAX_JSON_BYTES = 2**16
MAX_PARAMETERS = 100
# No system takes a longer name of a file.
MAX_NAME = 250
UPLOADS_AT_ONCE = 4
# Uploads are removed when they are old. Until then there are so many of the largest size, or more
# smaller ones.
STORED_UPLOADS = 10
# How long the next piece of an upload is waited for.
PATIENCE_SECONDS = 30

logger = logging.getLogger(__name__)


class Protection:
    """Wraps Gradio's ASGI application: answers the page's own requests and no others."""

    def __init__(self, app: Any, hosts: Hosts, visitors: Visitors, max_megabytes: int) -> None:
        self._app = app
        self._hosts = hosts
        self._visitors = visitors
        self._max_bytes = max_megabytes * MEGABYTE
        self._uploading = asyncio.Semaphore(UPLOADS_AT_ONCE)
        self._cookie = f"keras_tdn_{secrets.token_hex(4)}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            try:
                await self._answer(scope, receive, send)
            except _RefusedError as refusal:
                await refusal.send(send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        # HEAD is GET without what is asked for.
        method = "GET" if method == "HEAD" else method
        if not self._hosts.are_allowed(scope["headers"]):
            raise _RefusedError(
                421,
                "This page is for the machine that it runs on, or it is not called by a name that "
                "it knows. If the name is right, pass it with --allow-host (`allowed_hosts`).",
            )
        is_visit = (method, path) == ("GET", "/")
        if not self._hosts.is_own_page(scope["headers"], is_visit=is_visit):
            raise _RefusedError(403, "This page takes no requests from pages of other sites.")
        query = _open_query(method, path, scope["query_string"])
        known = _read_cookie(scope["headers"], self._cookie)
        visitor = known or secrets.token_urlsafe(16)
        added = [*HEADERS]
        if known is None and path in GIVES_COOKIE:
            value = f"{self._cookie}={visitor}; Path=/; HttpOnly; SameSite=Lax"
            added.append((b"set-cookie", value.encode()))

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        # By which a client would have Gradio believe in another address of its own.
        kept = _without(scope["headers"], b"x-gradio-server")
        query_string = urllib.parse.urlencode(query).encode()
        scope = {**scope, "query_string": query_string, "headers": kept}
        if path.startswith(FILE):
            self._check_file(visitor, path.removeprefix(FILE))
        if path.startswith(HEARTBEAT):
            self._check_session(visitor, path.removeprefix(HEARTBEAT))
        if path == FOLLOW:
            self._check_session(visitor, query.get("session_hash"))
        if (method, path) == ("POST", UPLOAD):
            await self._upload(visitor, scope, receive, with_headers)
            return
        if method == "POST":
            body = json.dumps(self._checked(visitor, path, await _read_json(receive))).encode()
            scope["headers"] = [
                *_without(kept, b"content-length", b"content-type", b"transfer-encoding"),
                (b"content-length", str(len(body)).encode()),
                (b"content-type", b"application/json"),
            ]
            receive = _replay(body, receive)
        await self._app(scope, receive, with_headers)

    def _check_session(self, visitor: str, session: Any) -> None:
        if not isinstance(session, str) or not SESSION.fullmatch(session):
            raise _RefusedError(422, "The session has no name.")
        if not self._visitors.may_follow(visitor, session):
            raise _RefusedError(403, "This session is not yours. Load the page again.")

    def _check_file(self, visitor: str, path: Any) -> None:
        if not isinstance(path, str) or not self._visitors.may_use(visitor, path):
            raise _RefusedError(
                403, "This video is not among your uploads, or not any more. Drop it again."
            )

    def _checked(self, visitor: str, path: str, body: Any) -> dict[str, Any]:
        """A request's body, of nothing but what has been looked at."""
        if not isinstance(body, dict):
            raise _RefusedError(422, "A JSON object was expected.")
        if body.get("session_hash") is not None:
            self._check_session(visitor, body["session_hash"])
        clean: dict[str, Any] = {
            name: value
            for name, value in body.items()
            if (name in NAMES and isinstance(value, str) and SESSION.fullmatch(value))
            or (name in NUMBERS and type(value) is int)
        }
        if path not in (JOIN, RUN):
            return clean
        data = body.get("data")
        if not isinstance(data, list) or len(data) > (path == JOIN):
            raise _RefusedError(422, "One video was expected, in the queue.")
        clean["data"] = data
        if data and data[0] is not None:
            file = data[0].get("path") if isinstance(data[0], dict) else None
            self._check_file(visitor, file)
            clean["data"] = [{"path": file, "meta": {"_type": "gradio.FileData"}}]
        return clean

    async def _upload(self, visitor: str, scope: Scope, receive: Receive, send: Send) -> None:
        # Browsers that wait for their turn are not read from.
        async with self._uploading:
            reading = _LimitedBody(receive, self._max_bytes + FORM_BYTES)
            room = (STORED_UPLOADS - UPLOADS_AT_ONCE) * self._max_bytes
            if await asyncio.to_thread(self._visitors.stored_bytes) > room:
                # An answer that comes before the file is at its end would not be seen.
                while (await reading()).get("more_body", False):
                    pass
                raise _RefusedError(
                    503, "As many videos are stored as there is room for. Try again in a while."
                )
            # Kept until it is known whether it is to be sent, and as it is, to be read here.
            answer: list[Message] = []
            scope["headers"] = _without(scope["headers"], b"accept-encoding")

            async def keep(message: Message) -> None:
                answer.append(message)

            try:
                await self._app(scope, reading, keep)
            except Exception as error:
                if reading.refusal is None:
                    logger.warning("An upload failed: %s: %s", type(error).__name__, error)
                    reason = "The video could not be stored. The terminal tells why."
                    reading.refusal = _RefusedError(500, reason)
            if reading.refusal is not None:
                raise reading.refusal
        if answer and answer[0]["status"] == http.HTTPStatus.OK:
            self._remember(visitor, b"".join(message.get("body", b"") for message in answer))
        for message in answer:
            await send(message)

    def _remember(self, visitor: str, body: bytes) -> None:
        paths = json.loads(body)
        if len(paths) != 1:
            raise _RefusedError(422, "One video at a time was expected.")
        try:
            self._visitors.add_files(visitor, paths)
        except ValueError as error:
            logger.warning("An upload was not stored: %s", error)
            raise _RefusedError(422, "The video was not stored. Give it a shorter name.") from error


class _RefusedError(Exception):
    """A request that is not let through, and why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self._status = status

    async def send(self, send: Send) -> None:
        body = json.dumps({"detail": str(self)}).encode()
        length = str(len(body)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", length), *HEADERS]
        await send({"type": "http.response.start", "status": self._status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class _LimitedBody:
    """A request's body, which neither goes on for ever nor stops without an end."""

    def __init__(self, receive: Receive, max_bytes: int) -> None:
        self._receive = receive
        self._left = max_bytes
        self.refusal: _RefusedError | None = None

    async def __call__(self) -> Message:
        try:
            message = await asyncio.wait_for(self._receive(), PATIENCE_SECONDS)
            self._left -= len(message.get("body", b""))
            if self._left >= 0:
                return message
            self.refusal = _RefusedError(413, "The request is larger than this page takes.")
        except TimeoutError:
            self.refusal = _RefusedError(408, "The upload has stopped. Drop the video again.")
        raise self.refusal


def _open_query(method: str, path: str, query: bytes) -> dict[str, str]:
    """Returns what is left of a request's parameters; refuses what the page does not ask for."""
    names = OPEN.get((method, path), ())
    leads_away = len(path) > MAX_NAME or ".." in path.split("/") or "\\" in path or "\0" in path
    is_below = path.startswith(OPEN_BELOW) and not leads_away
    if (method, path) not in OPEN and not (method == "GET" and (is_below or path.startswith(FILE))):
        raise _RefusedError(404, "There is no such page here.")
    try:
        pairs = urllib.parse.parse_qsl(query.decode("latin-1"), max_num_fields=MAX_PARAMETERS)
    except ValueError as error:
        raise _RefusedError(400, "The request has too many parameters.") from error
    return {name: value for name, value in pairs if name in names}


def _read_cookie(headers: Headers, name: str) -> str | None:
    for value in header_values(headers, b"cookie"):
        with contextlib.suppress(http.cookies.CookieError):
            cookie = http.cookies.SimpleCookie(value).get(name)
            if cookie is not None and SESSION.fullmatch(cookie.value):
                return cookie.value
    return None


def _without(headers: Headers, *names: bytes) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers if name not in names]


async def _read_json(receive: Receive) -> Any:
    limited = _LimitedBody(receive, MAX_JSON_BYTES)
    body, more = b"", True
    while more:
        message = await limited()
        if message["type"] == "http.disconnect":
            raise _RefusedError(400, "The request has no end.")
        body += message.get("body", b"")
        more = message.get("more_body", False)
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _RefusedError(400, "The request is not JSON.") from error


def _replay(body: bytes, receive: Receive) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay

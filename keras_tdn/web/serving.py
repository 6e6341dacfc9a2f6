"""Serving the page from this machine, to this machine."""

from __future__ import annotations

import contextlib
import functools
import os
import random
import signal
import socket
import tempfile
import threading
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from keras_tdn.datasets.motion import MOTION_LABELS, MotionConfig, render_motion
from keras_tdn.datasets.motion.make import encode_mp4
from keras_tdn.models import TDNResNet
from keras_tdn.pages.rendering import render_part
from keras_tdn.prediction import class_names
from keras_tdn.watching.layout import make_layout
from keras_tdn.web.hosts import Hosts, is_loopback
from keras_tdn.web.page import build_page, import_gradio
from keras_tdn.web.protection import Protection
from keras_tdn.web.showing import about_text, show_video
from keras_tdn.web.uploads import UploadLimits, Visitors, upload_folder

# How long the end waits for browsers that are still connected, and for all that is left.
GRACE_SECONDS = 0.3
END_SECONDS = 0.7
# What is rendered for the page is drawn from other seeds than any data set.
EXAMPLE_PART = 7
# The first classes go on as long as one likes.
NUM_SIMPLE_CLASSES = 8


def serve(
    model: TDNResNet,
    *,
    name: str = "",
    host: str = "127.0.0.1",
    port: int = 7860,
    allowed_hosts: Sequence[str] = (),
    limits: UploadLimits | None = None,
    labels: Sequence[str] | None = None,
    window_seconds: float | None = None,
    open_browser: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> None:
    """Serves a page on which a model can be tried, until it is interrupted.

    Use it to show a model to somebody. Videos stay on this machine: the page loads nothing from
    elsewhere, is not shared, and reports nothing; uploads are kept in a folder that only this user
    can read, for a quarter of an hour, and are gone when this returns.

    Args:
        model: A `TDNResNet` with its classifier.
        name: What the page calls it.
        host: The address to listen on. Others than this machine's own let the network in, without
            a password.
        port: The port; 0 takes a free one.
        allowed_hosts: Names by which the page may be called beside this machine's own, such as that
            of a reverse proxy. Requests by other names are refused.
        limits: How much of a video is taken. `None` takes `UploadLimits()`.
        labels: Class names. `None` takes the model's own.
        window_seconds: Length of the timeline's windows; see `keras_tdn.watching.watch`.
        open_browser: Whether to open the page.
        tell: Takes lines of progress, the page's address among them.

    Raises:
        ImportError: without the extra `keras-tdn[web]`.
        ValueError: if the model or an argument does not fit, or the port is taken.

    Example:

    >>> keras_tdn.web.serve(keras_tdn.pretrained.load_preset("motion"), tell=print)
    """
    gradio = import_gradio()
    limits = UploadLimits() if limits is None else limits
    layout = make_layout(model, window_seconds, stride=1)
    show = functools.partial(
        show_video, model, limits=limits, labels=labels, window_seconds=window_seconds
    )
    about = about_text(name or model.name, class_names(model, labels), limits, layout)
    with (
        _listening(host, port) as listener,
        _termination_as_interruption(),
        contextlib.suppress(KeyboardInterrupt),
        upload_folder() as folder,
    ):
        visitors = Visitors(folder)
        _warm_up(show, folder, tell)
        example = example_maker(labels or model.labels, visitors)
        page = build_page(gradio, show, about=about, example=example)
        app = _application(gradio, page, limits)
        address = _address(host, listener.getsockname()[1])
        if not is_loopback(host):
            tell("Whoever reaches this machine can use the page; nothing asks for a password.")
        tell(f"Page    {address}")
        tell("Ctrl-C stops it.")
        if open_browser:
            webbrowser.open(address)
        _run(Protection(app, Hosts(host, allowed_hosts), visitors, limits.megabytes), listener)


def _application(gradio: Any, page: Any, limits: UploadLimits) -> Any:
    import fastapi

    # Without the pages that describe a programming interface.
    app = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    gradio.mount_gradio_app(
        app,
        page,
        path="/",
        max_file_size=f"{limits.megabytes}mb",
        show_error=False,
        ssr_mode=False,
        footer_links=[],
        head=render_part("web.html", "head"),
        theme=gradio.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
    )
    # Otherwise Gradio does not look at where the files are that it is given: only its own `launch`
    # says so.
    page.has_launched = True
    return app


def _run(app: Any, listener: socket.socket) -> None:
    """Serves until it is interrupted, and then waits for nothing that takes long.

    Not in the main thread, so that neither a video that is being looked at nor a server that
    hangs keeps an interruption waiting. Its threads do not keep the process either.
    """
    import uvicorn

    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=GRACE_SECONDS
    )
    server = uvicorn.Server(config)
    # An interrupted `Thread.join` takes the thread for ended.
    ended = threading.Event()

    def run() -> None:
        try:
            server.run([listener])
        finally:
            ended.set()

    threading.Thread(target=run, name="keras_tdn server", daemon=True).start()
    try:
        # In turns, for systems that do not interrupt a wait.
        while not ended.wait(0.5):
            pass
    finally:
        server.should_exit = True
        ended.wait(END_SECONDS)


def example_maker(labels: Sequence[str] | None, visitors: Visitors) -> Callable[[], str] | None:
    """Returns a function that renders a video that all visitors may use, and gives its path.

    It has two movements, others with every call. `None` if the model knows other classes.
    """
    if tuple(labels or ()) != MOTION_LABELS:
        return None

    def make() -> str:
        path = write_example(visitors.folder, random.SystemRandom().randrange(2**32))
        visitors.share(path)
        return path

    return make


def write_example(folder: str, seed: int) -> str:
    """Renders the example of a seed into a folder and returns its path."""
    config = MotionConfig(num_frames=50, size=128)
    draws = np.random.default_rng([seed, EXAMPLE_PART])
    # One movement after the other shows what a timeline is for.
    parts = [
        render_motion(int(label), config, (seed, EXAMPLE_PART, number))
        for number, label in enumerate(draws.permutation(NUM_SIMPLE_CLASSES)[:2])
    ]
    handle, path = tempfile.mkstemp(suffix=".mp4", prefix="example_", dir=folder)
    with os.fdopen(handle, "wb") as file:
        file.write(encode_mp4(np.concatenate(parts), config))
    return path


def _warm_up(show: Callable[..., Any], folder: str, tell: Callable[[str], None]) -> None:
    """Compiles what the first visitor would wait for."""
    tell("Preparing the model.")
    path = write_example(folder, seed=0)
    for _ in show(path):
        pass
    os.remove(path)


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise ValueError(
            f"Cannot listen on {host!r}, port {port} ({error}). Pass another `port`, 0 for a free "
            "one (on the command line --port), or a `host` that is an address of this machine."
        ) from error


@contextlib.contextmanager
def _termination_as_interruption() -> Iterator[None]:
    """Lets a server that gets SIGTERM remove its uploads, as Ctrl-C does."""
    with contextlib.ExitStack() as stack:
        # Other threads get no signals.
        if threading.current_thread() is threading.main_thread():
            before = signal.signal(signal.SIGTERM, signal.default_int_handler)
            stack.callback(signal.signal, signal.SIGTERM, before)
        yield


def _address(host: str, port: int) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}/"

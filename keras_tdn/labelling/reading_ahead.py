"""The next items made while the last one is used."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Generator, Iterator
from typing import TypeVar

T = TypeVar("T")
# How long a thread that has nowhere to put its item takes to notice that nobody wants it.
PATIENCE_SECONDS = 0.1


def read_ahead(items: Generator[T, None, None], depth: int = 1) -> Generator[T, None, None]:
    """The same items, made by a thread so many ahead.

    Use it between what prepares batches and a model: putting a batch together takes as long as a
    fast accelerator takes for it.

    Args:
        items: Makes the items; closed, in that thread, when the result ends or is closed.
        depth: Items that may wait.

    Yields:
        Each item once, in order. What `items` raises is raised here, in its turn.

    Example:

    >>> list(read_ahead(number**2 for number in range(4)))
    [0, 1, 4, 9]
    """
    ready: queue.Queue[tuple[str, T | BaseException | None]] = queue.Queue(depth)
    unwanted = threading.Event()

    def put(kind: str, content: T | BaseException | None) -> bool:
        while not unwanted.is_set():
            with contextlib.suppress(queue.Full):
                ready.put((kind, content), timeout=PATIENCE_SECONDS)
                return True
        return False

    def make() -> None:
        try:
            with contextlib.closing(items):
                for item in items:
                    if not put("item", item):
                        return
        except BaseException as error:
            put("error", error)
        else:
            put("end", None)

    thread = threading.Thread(target=make, name="keras_tdn_read_ahead", daemon=True)
    thread.start()
    try:
        yield from _taken(ready)
    finally:
        unwanted.set()
        thread.join()


def _taken(ready: queue.Queue[tuple[str, T | BaseException | None]]) -> Iterator[T]:
    while True:
        kind, content = ready.get()
        if kind == "end":
            return
        if isinstance(content, BaseException):
            raise content
        yield content  # type: ignore[misc]

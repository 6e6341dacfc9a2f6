"""Text and JSON that somebody else wrote: read as it is, or refused with the reason."""

from __future__ import annotations

import codecs
import json
import os
import reprlib
import stat
from collections import Counter
from pathlib import Path
from typing import Any

_KINDS = {stat.S_IFDIR: "a directory", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}
# The longer mark first: that of UTF-32 starts like that of UTF-16.
OTHER_ENCODINGS = {
    (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE): "UTF-32",
    (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE): "UTF-16",
}
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 200
# Enough to distinguish a video from a list without reading all of it.
HEAD_BYTES = 8192


def read_text(path: Path, what: str, *, any_bytes: bool = False) -> str:
    """Reads a UTF-8 text file, without its byte-order mark; errors call it `what` ("Lists").

    With `any_bytes`, those that are not UTF-8 are kept (`surrogateescape`).
    """
    kind = stat.S_IFMT(os.stat(path).st_mode)
    if kind != stat.S_IFREG:
        # Reading a pipe or a device may never end.
        raise ValueError(
            f"{what} are read from regular files, but {str(path)!r} is "
            f"{_KINDS.get(kind, 'a device')}. Pass the path of a file."
        )
    refused = f"{what} are read as UTF-8 text, but {str(path)!r}"
    with open(path, "rb") as file:
        head = file.read(HEAD_BYTES)
        names = (name for marks, name in OTHER_ENCODINGS.items() if head.startswith(marks))
        if encoding := next(names, None):
            raise ValueError(f"{refused} is {encoding}. Save it as UTF-8.")
        if b"\0" in head:
            raise ValueError(f"{refused} is not text: it has null characters. Check the path.")
        content = head + file.read()
    try:
        return content.decode("utf-8-sig", "surrogateescape" if any_bytes else "strict")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{refused} has other bytes in line {line}. Save it as UTF-8.") from error


def split_lines(text: str) -> list[str]:
    """Lines of text from any system; not `str.splitlines`, whose separators a name may contain."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def is_text(name: str) -> bool:
    """Returns whether a name is text, and not also bytes that are none (`surrogateescape`)."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(value: Any) -> str:
    """A value for an error, in 200 characters at most, however long or deeply nested it is."""
    try:
        return f"{_SHORT.repr(value):.200}"
    except ValueError:
        # Python does not write out integers of thousands of digits.
        return f"a number of {value.bit_length()} bits" if isinstance(value, int) else "a value"


def parse_json(text: str, origin: str) -> Any:
    """Parses JSON in which no object has a key twice; errors call it `origin`."""
    try:
        return json.loads(text, object_pairs_hook=_without_repeated_keys)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{origin} is not JSON: line {error.lineno}, column {error.colno}: {error.msg}."
        ) from error
    except RecursionError:
        raise ValueError(f"{origin} is not read: its JSON is nested too deep.") from None
    except ValueError as error:
        raise ValueError(f"{origin} is not read: {error}.") from error


def _without_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        repeated, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise ValueError(f"an object has the key {repeated!r:.200} twice")
    return content

"""How much memory one input may take, whatever its file or server says.

A file of a few kilobytes can ask for gigabytes: huge frames, compressed tensors, invented shapes.
What exceeds a limit is refused before it is allocated.
"""

from __future__ import annotations

import contextlib
import math
import os

GIB = 2**30
# Bytes, and who may take them.
_LIMITS = {
    # 40 frames of 4K video take 0.93 GiB.
    "clip": (GIB, "one clip"),
    # The largest published model takes 0.17 GiB; a training keeps a few copies of that.
    "model": (2 * GIB, "one model"),
    # The scores of 10,000 videos in 400 classes take 0.08 GiB as JSON.
    "answer": (GIB // 4, "one answer of a server"),
}


def max_bytes(kind: str) -> int:
    """Returns how many bytes a `"clip"`, a `"model"` or an `"answer"` of a server may take.

    The environment variable `KERAS_TDN_MAX_CLIP_GIB` (or `_MODEL_`, `_ANSWER_`) replaces the
    default, in units of 2**30 bytes. It is read at each call, and raises a `ValueError` if it is
    no positive number. A clip is its decoded frames, a model all tensors of a file.
    """
    name, gib = variable(kind), math.nan
    if not (text := os.environ.get(name, "").strip()):
        return _LIMITS[kind][0]
    with contextlib.suppress(ValueError):
        gib = float(text)
    if not 0 < gib * GIB < math.inf:
        raise ValueError(
            f"The environment variable {name} is a positive number, in GiB. Received: {text!r}"
        )
    return int(gib * GIB)


def check_bytes(num_bytes: int, kind: str, what: str) -> None:
    """Raises a `ValueError` for more than `max_bytes`; to be called before they are allocated.

    `what` would take them, and begins the message: "40 frames of 8192x8192".
    """
    limit = max_bytes(kind)
    if num_bytes <= limit:
        return
    raise ValueError(
        f"{what} would take {_in_gib(num_bytes)} GiB, more than the {_in_gib(limit)} GiB that "
        f"{_LIMITS[kind][1]} may take. To allow it, set the environment variable "
        f"{variable(kind)}={-(-num_bytes // GIB)}."
    )


def variable(kind: str) -> str:
    """Returns the name of the environment variable that replaces a limit."""
    return f"KERAS_TDN_MAX_{kind.upper()}_GIB"


def _in_gib(num_bytes: int) -> str:
    # Invented shapes can be larger than a float. A limit of megabytes is not 0 GiB.
    if num_bytes >= 2**100:
        return "over 2**70"
    return f"{num_bytes * 100 // GIB / 100:.6g}" if num_bytes >= GIB else f"{num_bytes / GIB:.2g}"

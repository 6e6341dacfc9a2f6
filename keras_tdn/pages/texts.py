"""Numbers and labels as people read them."""

from __future__ import annotations

import re

# Controls and halves of surrogate pairs, which file names may hold and pages may not.
UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def printable(text: object) -> str:
    """Returns the `str` of anything, with all replaced that neither HTML nor a font can show."""
    return UNPRINTABLE.sub("\ufffd", str(text))


def percent(share: float | None, digits: int = 1) -> str:
    """Returns a share from 0 to 1 in percent, such as `12.5 %`; a dash for `None`."""
    return "\u2013" if share is None else f"{100 * share:.{digits}f}\u00a0%"


def clock_text(seconds: float) -> str:
    """Returns seconds, rounded to tenths, as on a clock: `3.5 s`, `1:03.5`, `1:00:05`."""
    minutes, rest = divmod(round(seconds, 1), 60)
    if not minutes:
        return f"{rest:g} s"
    hours, minutes = divmod(int(minutes), 60)
    start = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{start}:{rest:04.1f}".removesuffix(".0")

"""Texts as HTML takes them."""

from __future__ import annotations

import html
import re

# Controls and halves of surrogate pairs, which file names may hold and HTML may not.
UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
REPLACEMENT = "\ufffd"


def escape(text: object) -> str:
    """The text with everything replaced that HTML would take for markup, or cannot hold.

    Args:
        text: Anything; its `str` is taken.

    Returns:
        Text for the inside of an element or of an attribute in double quotes.

    Example:

    >>> escape("a < b")
    'a &lt; b'
    """
    return html.escape(UNPRINTABLE.sub(REPLACEMENT, str(text)))


def percent(share: float | None, digits: int = 1) -> str:
    """A share from 0 to 1 in percent, or a dash for `None`.

    Args:
        share: The share.
        digits: Decimal places.

    Example:

    >>> percent(0.125)
    '12.5 %'
    """
    return "\u2013" if share is None else f"{100 * share:.{digits}f}\u00a0%"


def clock_text(seconds: float) -> str:
    """Seconds as people write them on a clock: `3.5 s`, `1:03.5`, `1:00:05`.

    Args:
        seconds: Seconds, not negative. They are rounded to tenths.

    Example:

    >>> clock_text(63.46)
    '1:03.5'
    """
    minutes, rest = divmod(round(seconds, 1), 60)
    if not minutes:
        return f"{rest:g} s"
    hours, minutes = divmod(int(minutes), 60)
    start = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{start}:{rest:04.1f}".removesuffix(".0")

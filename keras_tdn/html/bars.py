"""Bars with names, as many as there are classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from keras_tdn.html.text import escape, percent

STYLE = """
.bars { columns: auto; column-gap: 2.6rem; max-width: 100%; }
.bars > div { display: grid; grid-template-columns: minmax(5rem, 15rem) minmax(4rem, 24rem) 5.2rem;
              gap: 0 .7rem; align-items: center; break-inside: avoid; padding: .1rem 0; }
.bars.narrow > div { grid-template-columns: minmax(5rem, 1fr) 4.2rem 5rem; font-size: .86rem; }
.bars .name { overflow-wrap: anywhere; line-height: 1.3; }
.bars .track { background: #edf0f3; border-radius: 3px; height: .8em; overflow: hidden; }
.bars .track i { display: block; height: 100%; background: var(--bar); }
.bars .marked .track i { background: var(--other); }
.bars .value { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.bars .note { grid-column: 1 / -1; font-size: .84rem; margin-top: -.1rem; overflow: hidden;
              text-overflow: ellipsis; white-space: nowrap; }
"""


@dataclasses.dataclass(frozen=True)
class Bar:
    """One bar.

    Args:
        name: What it is of.
        value: Its length, from 0 to the chart's `maximum`; `None` draws none.
        text: What is written at its end; by default the value in percent.
        note: A line in small type below it.
        marked: Whether it has the second colour.
    """

    name: str
    value: float | None
    text: str | None = None
    note: str = ""
    marked: bool = False


def bar_chart(bars: Iterable[Bar], *, maximum: float = 1.0, columns: int = 1) -> str:
    """Horizontal bars in the order given, with names and values as text that can be searched.

    Use it for scores and shares of classes. Many go into several columns.

    Args:
        bars: The bars.
        maximum: Value of a bar as long as its track.
        columns: Columns to divide them into, read downwards.

    Returns:
        HTML, for a page of `document`, or one with `STYLE` in it.

    Raises:
        ValueError: if `maximum` is not positive, or `columns` not at least 1.

    Example:

    >>> html = bar_chart([Bar("jump", 0.7), Bar("run", 0.2, note="most often taken for jump")])
    """
    if not maximum > 0 or columns < 1:
        raise ValueError(
            "A bar chart has a positive `maximum` and at least one column. "
            f"Received: maximum={maximum!r}, columns={columns!r}"
        )
    parts = []
    for bar in bars:
        length = 100 * min(max((bar.value or 0.0) / maximum, 0.0), 1.0)
        text = percent(bar.value) if bar.text is None else bar.text
        note = (
            f'<span class="note" title="{escape(bar.note)}">{escape(bar.note)}</span>'
            if bar.note
            else ""
        )
        parts.append(
            f"<div{' class=marked' if bar.marked else ''}>"
            f'<span class="name">{escape(bar.name)}</span>'
            f'<span class="track"><i style="width:{length:.1f}%"></i></span>'
            f'<span class="value">{escape(text)}</span>{note}</div>'
        )
    kind = "bars narrow" if columns > 1 else "bars"
    return f'<div class="{kind}" style="column-count:{columns}">{"".join(parts)}</div>\n'

"""A page and the plain parts of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from keras_tdn.html import bars, heat, pictures
from keras_tdn.html.text import escape

# Colours are named once, here.
COMMON = """
:root { color-scheme: light; --ink: #1f2328; --muted: #59636e; --line: #d5dbe1; --panel: #f6f8fa;
        --bar: #3b6fb6; --other: #c4651a; --good: #1a7f37; --bad: #b42318; }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif;
       color: var(--ink); background: #fff; max-width: 1180px; margin: 2rem auto 4rem;
       padding: 0 1.2rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.15rem; margin: 0 0 .2rem; }
h3 { font-size: 1rem; margin: 1rem 0 .3rem; }
p { margin: .2rem 0 .7rem; max-width: 78ch; }
.note, .muted { color: var(--muted); }
.wraps { overflow-wrap: anywhere; }
.warning { border-left: 3px solid var(--other); background: #fdf4ec; padding: .5rem .8rem;
           max-width: none; }
section { border-top: 1px solid var(--line); padding: 1.3rem 0 1.1rem; margin-top: 1.2rem; }
.tiles { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1rem 0 .4rem; }
.tile { background: var(--panel); border: 1px solid var(--line); border-radius: 8px;
        padding: .6rem .95rem .65rem; min-width: 9.5rem; }
.tile b { display: block; font-size: 1.55rem; line-height: 1.25; font-weight: 600;
          font-variant-numeric: tabular-nums; }
.tile span { color: var(--muted); font-size: .86rem; display: block; }
dl.facts { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.2rem;
           margin: .6rem 0; }
dl.facts dt { color: var(--muted); } dl.facts dd { margin: 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
table.rows th { text-align: left; color: var(--muted); font-weight: 500; }
table.rows th, table.rows td { padding: .22rem 1.4rem .22rem 0; border-bottom: 1px solid #e9edf0;
                               vertical-align: top; overflow-wrap: anywhere; }
table.rows .number { text-align: right; white-space: nowrap; }
.scrolls { overflow-x: auto; max-width: 100%; }
.beside { display: flex; flex-wrap: wrap; gap: 1.2rem 3rem; align-items: flex-start; }
.beside > * { min-width: 0; }
img, svg { max-width: 100%; }
"""

# One sheet for all pages, so that they look alike.
STYLE = COMMON + bars.STYLE + heat.STYLE + pictures.STYLE


@dataclasses.dataclass(frozen=True)
class Tile:
    """A number that stands for itself, in large type.

    Args:
        value: What is shown large, for example `"52.3 %"`.
        name: What it is.
        note: A few words more.
    """

    value: str
    name: str
    note: str = ""


def document(title: str, body: str, *, lead: str = "", style: str = "") -> str:
    """A whole page, which needs no other file.

    Use it last, around the parts. Encode it as UTF-8.

    Args:
        title: Heading, and the name of the window.
        body: HTML.
        lead: A sentence or two below the heading.
        style: CSS after the common one.

    Returns:
        A text that begins with `<!DOCTYPE html>`.

    Example:

    >>> page = document("Scores", section("By class", bar_chart([Bar("jump", 0.5)])))
    """
    lead = f'<p class="note wraps">{escape(lead)}</p>' if lead else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}{style}</style>\n</head>\n<body>\n"
        f'<header><h1 class="wraps">{escape(title)}</h1>{lead}</header>\n{body}\n</body>\n</html>\n'
    )


def section(heading: str, body: str, note: str = "") -> str:
    """A part of the page, with a line above it.

    Args:
        heading: Its heading.
        body: HTML.
        note: What to know to read it, in muted type.

    Returns:
        HTML.
    """
    note = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"<section><h2>{escape(heading)}</h2>{note}\n{body}</section>\n"


def tiles(items: Iterable[Tile]) -> str:
    """Numbers side by side.

    Args:
        items: The numbers.

    Returns:
        HTML.
    """
    parts = []
    for item in items:
        note = f"<span>{escape(item.note)}</span>" if item.note else ""
        parts.append(
            f'<div class="tile"><span>{escape(item.name)}</span><b>{escape(item.value)}</b>'
            f"{note}</div>"
        )
    return f'<div class="tiles">{"".join(parts)}</div>\n'


def facts(rows: Iterable[tuple[str, object]]) -> str:
    """Names and what they stand for, one below the other.

    Args:
        rows: Pairs of texts.

    Returns:
        HTML.
    """
    parts = (f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows)
    return f'<dl class="facts">{"".join(parts)}</dl>\n'


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table. Numbers, and texts that look like one, stand to the right.

    Args:
        header: Names of the columns.
        rows: As many texts or numbers in each as there are columns.

    Returns:
        HTML.
    """
    texts = [[str(cell) for cell in row] for row in rows]
    right = [
        bool(texts) and all(row[column][:1].isdigit() for row in texts)
        for column in range(len(header))
    ]

    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{' class=number' if is_number else ''}>{escape(text)}</{tag}>"
            for text, is_number in zip(row, right, strict=True)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in texts)
    return (
        f'<div class="scrolls"><table class="rows"><tr>{cells("th", header)}</tr>{body}'
        "</table></div>\n"
    )

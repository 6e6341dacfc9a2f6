"""Pages and parts of them, from the templates in this package."""

from __future__ import annotations

import dataclasses
import functools

import jinja2
from markupsafe import Markup

from keras_tdn.pages.plots import COLORS
from keras_tdn.pages.texts import clock_text, percent, printable


@dataclasses.dataclass(frozen=True)
class Bar:
    """A bar with a name, as `parts.bars` of the templates takes it."""

    name: str
    # Its length, from 0 to 1; `None` draws none.
    share: float | None
    # What is written at its end; by default the share in percent.
    text: str | None = None
    # A line in small type below it.
    note: str = ""
    # Whether it has the second colour.
    is_marked: bool = False

    @property
    def length(self) -> float:
        """Its length in percent of the track."""
        return 100 * min(max(self.share or 0.0, 0.0), 1.0)


def render(template: str, **values: object) -> str:
    """Fills in a template, a file in `templates/`, and returns HTML to be written as UTF-8.

    Every value is escaped, unless it is `Markup`, which is HTML: plots and what macros make.
    """
    return _environment().get_template(template).render(**values)


def render_part(template: str, macro: str, *values: object) -> str:
    """Fills in one of the macros of a template, for a part of somebody else's page."""
    return str(getattr(_environment().get_template(template).module, macro)(*values)).strip()


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("keras_tdn.pages"),
        autoescape=True,
        # A misspelt name is an error, and not an empty place on the page.
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: value if isinstance(value, Markup) else printable(value),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "clock": clock_text}
    environment.globals["curve_colors"] = COLORS
    return environment

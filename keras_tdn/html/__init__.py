"""Pages that need no other file: text, tables, bars, curves, heat maps and pictures as HTML.

Functions return HTML and escape every text that they are given; what they call `body` is HTML.
"""

from keras_tdn.html.bars import Bar, bar_chart
from keras_tdn.html.document import STYLE, Tile, document, facts, section, table, tiles
from keras_tdn.html.heat import heat_color, heat_picture, heat_table
from keras_tdn.html.pictures import encode_png, picture, picture_strip, shrink
from keras_tdn.html.plot import Line, Plot, line_chart
from keras_tdn.html.text import clock_text, escape, percent

__all__ = [
    "STYLE",
    "Bar",
    "Line",
    "Plot",
    "Tile",
    "bar_chart",
    "clock_text",
    "document",
    "encode_png",
    "escape",
    "facts",
    "heat_color",
    "heat_picture",
    "heat_table",
    "line_chart",
    "percent",
    "picture",
    "picture_strip",
    "section",
    "shrink",
    "table",
    "tiles",
]

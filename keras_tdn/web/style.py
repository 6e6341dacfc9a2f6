"""How the parts of the page look: the style of the package's other pages, inside Gradio's."""

from __future__ import annotations

from keras_tdn.evaluation.explaining.page import STYLE as EXPLAINING
from keras_tdn.html import STYLE as PAGES

# Gradio's own colours stand in for the pages', so that light and dark both work.
COLORS = """
--ink: var(--body-text-color);
--muted: color-mix(in srgb, var(--body-text-color) 68%, transparent);
--line: var(--border-color-primary); --panel: var(--background-fill-secondary);
--bar: #3b6fb6; --other: #c4651a; --good: #1a7f37; --bad: #b42318;
color: var(--ink); font-size: 15px; line-height: 1.5; overflow: hidden;
"""
DARK = "--bar: #78a8e8; --other: #e8955a; --good: #56c271; --bad: #f08a80;"
PARTS = """
.html-container { padding: 0 !important; }
h2 { font-size: 1.05rem; font-weight: 600; }
section:first-child { border-top: 0; margin-top: 0; padding-top: 0; }
.warning { background: var(--panel); color: var(--ink); }
.bars .track { background: var(--line); }
.bars > div { grid-template-columns: minmax(5rem, 14rem) minmax(3rem, 1fr) 4.4rem; }
.tiles { margin-top: 0; } .tile b { overflow-wrap: anywhere; }
.names span { margin-right: 1.4rem; white-space: nowrap; } .names { margin-bottom: .3rem; }
.wide svg { width: 100%; max-width: 980px; } .narrow { display: none; }
@media (max-width: 640px) { .wide { display: none; } .narrow { display: block; }
    .bars > div { grid-template-columns: minmax(5rem, 8.5rem) minmax(3rem, 1fr) 4.2rem; }
    .narrow svg { width: 100%; } table.rows th, table.rows td { padding-right: .7rem; } }
table.rows, table.rows tr, table.rows th, table.rows td { border-left: 0; border-right: 0;
    border-top: 0; background: none; }
table.rows th, table.rows td { border-bottom-color: var(--line); }
summary { cursor: pointer; color: var(--muted); padding: .4rem 0; }
video { height: auto; }
.working { animation: tdn-working 1.6s ease-in-out infinite; }
"""
OWN = """
/* A cut would not be seen by the model. */
#video button[title^="Trim"], #video button[title^="Reset"] { display: none; }
@keyframes tdn-working { 50% { opacity: .45; } }
@media (prefers-reduced-motion: reduce) { .tdn .working { animation: none; } }
"""


def head() -> str:
    """A style sheet whose rules hold inside elements of the class `tdn`, and nowhere else."""
    rules = f".tdn {{ {COLORS} {PAGES} {EXPLAINING} {PARTS} }}\n.dark .tdn {{ {DARK} }}\n{OWN}"
    return f"<style>{rules}</style>"

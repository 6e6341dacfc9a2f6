"""The table of published models in Markdown, from the catalog."""

from __future__ import annotations

from keras_tdn.pretrained.catalog import CATALOG, DATASET_TITLES, CatalogEntry

BEGIN = "<!-- models: written by weights/write_models_table.py -->"
END = "<!-- /models -->"

HEADER = (
    "| Model | Data set | Segments x crops x clips | Top-1 / top-5, published | Measured here "
    "| `weights=` | Converted copy | Authors' checkpoint |"
)


def format_models_table() -> str:
    """One row for each published model and way to test it."""
    rows = [_row(entry, index) for entry in CATALOG for index in range(len(entry.published))]
    return "\n".join([HEADER, "|" + "---|" * (HEADER.count("|") - 1), *rows]) + "\n"


def replace_table(text: str) -> str:
    """`text` with the table between its markers written anew.

    Raises:
        ValueError: if the markers are not there, once each and in order.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(
            f"The table of models is written between one {BEGIN!r} and one {END!r} after it. "
            f"Received a text with {text.count(BEGIN)} and {text.count(END)} of them."
        )
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{format_models_table()}{END}{rest.partition(END)[2]}"


def _row(entry: CatalogEntry, index: int) -> str:
    published = entry.published[index]
    measured = next((item for item in entry.measured if item.views == published.views), None)
    copy = "none yet"
    if entry.hub is not None:
        copy = f"[{entry.hub.repo}](https://huggingface.co/{entry.hub.repo})"
    cells = (
        f"`{entry.constructor}`",
        DATASET_TITLES[entry.dataset],
        published.views,
        f"{published.top1:.1f} / {published.top5:.1f}",
        f"{measured.top1:.1f} / {measured.top5:.1f}" if measured else "not yet",
        f'`"{entry.dataset}", num_segments={entry.num_segments}`',
        copy,
        f"[link]({entry.checkpoint})",
    )
    return "| " + " | ".join(cells) + " |"

"""Writes the table of published models, from the catalog, between its markers in Markdown files.

python weights/write_models_table.py weights/models.md README.md
"""

import argparse
import pathlib
import sys

from keras_tdn.pretrained.catalog import CATALOG, CatalogEntry

DATASET_TITLES = {
    "something_something_v1": "Something-Something V1",
    "something_something_v2": "Something-Something V2",
    "kinetics400": "Kinetics-400",
}
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


def main() -> int:
    """Rewrites the files; with `--check` only tells whether they are current."""
    parser = argparse.ArgumentParser(description="Writes the table of published models.")
    parser.add_argument("files", nargs="+", type=pathlib.Path, help="files with the markers")
    parser.add_argument("--check", action="store_true", help="fail if a file is not current")
    args = parser.parse_args()
    stale = []
    for path in args.files:
        text = path.read_text(encoding="utf-8")
        current = replace_table(text)
        if text != current:
            stale.append(str(path))
            if not args.check:
                path.write_text(current, encoding="utf-8")
    if args.check and stale:
        sys.stderr.write(
            f"Not current: {', '.join(stale)}. Run: python weights/write_models_table.py "
            f"{' '.join(stale)}\n"
        )
        return 1
    return 0


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


if __name__ == "__main__":
    sys.exit(main())

"""Writes the table of published models, from the catalog, between its markers in Markdown files.

python weights/write_models_table.py weights/models.md README.md
"""

import argparse
import pathlib
import sys

from keras_tdn.pretrained.models_table import replace_table


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


if __name__ == "__main__":
    sys.exit(main())

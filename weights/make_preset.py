"""Makes the preset of a published model from the authors' checkpoint, and checks it.

python weights/make_preset.py best.pth.tar tdn_resnet50_8_kinetics400 --into presets
"""

import argparse
import filecmp
import pathlib
import sys
import tempfile

from keras_tdn.pretrained import (
    convert_official_checkpoint,
    load_preset,
    save_preset,
    verify_preset,
)
from keras_tdn.pretrained.catalog import CATALOG, CatalogEntry, entry_by_name
from keras_tdn.pretrained.conversion import format_taps


def main() -> int:
    """Converts, verifies, and saves again to compare."""
    parser = argparse.ArgumentParser(description="Makes the preset of a published model.")
    parser.add_argument("checkpoint", help="the authors' file, such as best.pth.tar")
    parser.add_argument("name", choices=[entry.name for entry in CATALOG], metavar="NAME")
    parser.add_argument("--into", type=pathlib.Path, default=pathlib.Path("presets"))
    parser.add_argument("--overwrite", action="store_true", help="replace the preset")
    args = parser.parse_args()
    entry = entry_by_name(args.name)
    if entry is None:
        parser.error(f"no entry called {args.name}")
    folder = make(args.checkpoint, entry, args.into, args.overwrite)
    report = verify_preset(folder)
    sys.stdout.write(f"{report}\n")
    differing = saved_again(folder)
    if differing:
        sys.stdout.write(f"Saved again, these files differ: {', '.join(differing)}\n")
    return 0 if report.passed and not differing else 1


def make(checkpoint: str, entry: CatalogEntry, into: pathlib.Path, overwrite: bool) -> pathlib.Path:
    """Converts a checkpoint to the preset of an entry."""
    folder = into / entry.name
    report = convert_official_checkpoint(
        checkpoint,
        folder,
        num_segments=entry.num_segments,
        labels=entry.dataset,
        overwrite=overwrite,
    )
    sys.stdout.write("\n".join(format_taps(report.taps)) + "\n")
    return folder


def saved_again(folder: pathlib.Path) -> list[str]:
    """Files that differ when the preset is loaded and saved."""
    with tempfile.TemporaryDirectory() as other:
        again = save_preset(load_preset(folder), pathlib.Path(other) / "again")
        names = sorted(path.name for path in folder.iterdir())
        return [n for n in names if not filecmp.cmp(folder / n, again / n, shallow=False)]


if __name__ == "__main__":
    sys.exit(main())

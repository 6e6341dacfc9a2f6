"""Links the FFmpeg 4 libraries in decord's wheel under their plain names.

Usage: link_ffmpeg4.py FOLDER; prints what the loader's path needs.
"""

import re
import sys
import sysconfig
from pathlib import Path

MANGLED = re.compile(r"(?P<name>.+)-[0-9a-f]{8}\.so\.(?P<major>\d+)")


def main(folder: Path) -> str:
    wheel = Path(sysconfig.get_paths()["platlib"]) / "decord.libs"
    folder.mkdir(parents=True, exist_ok=True)
    linked = []
    for library in sorted(wheel.iterdir()):
        match = MANGLED.match(library.name)
        if match:
            link = folder / f"{match['name']}.so.{match['major']}"
            link.unlink(missing_ok=True)
            link.symlink_to(library)
            linked.append(link.name)
    if "libavcodec.so.58" not in linked:
        raise SystemExit(f"{wheel} has no FFmpeg 4 among {linked}: install decord==0.6.0")
    # The libraries ask for each other by their mangled names.
    return f"{folder.resolve()}:{wheel}"


if __name__ == "__main__":
    sys.stdout.write(main(Path(sys.argv[1])) + "\n")

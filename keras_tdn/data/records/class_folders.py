"""A folder per class, which holds videos or folders of frames."""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from keras_tdn.data.jpeg_frames import JPEG_SUFFIXES
from keras_tdn.data.records.rows import VIDEO_SUFFIXES, Listing, Row
from keras_tdn.data.records.tables import normal_split
from keras_tdn.labels import not_a_name

logger = logging.getLogger("keras_tdn")

SPLIT_FOLDERS = frozenset({"train", "val", "test"})
# What systems and network drives put beside files, in lower case. Other such folders are hidden.
SYSTEM_FOLDERS = frozenset({
    "#recycle", "#snapshot", "$recycle.bin", "@eadir", "@recently-snapshot", "@recycle", "@tmp",
    "__macosx", "__pycache__", "lost+found", "system volume information",
})  # fmt: skip
MAX_NAMES_SHOWN = 3


# What a folder holds that is neither a class nor a video: paths by kind, in the plural.
Skipped = defaultdict[str, list[str]]


def warn_of_skipped(folder: Path, skipped: Skipped) -> None:
    """Logs what was skipped of each kind, if anything was."""
    parts = []
    for kind, paths in skipped.items():
        shown = ", ".join(map(repr, sorted(paths)[:MAX_NAMES_SHOWN]))
        left = len(paths) - MAX_NAMES_SHOWN
        parts.append(f"{kind} {shown}" + (f" and {left} more" if left > 0 else ""))
    if parts:
        logger.warning("Skipped in %r: %s", str(folder), "; ".join(parts))


def read_class_folders(path: Path, split: str | None) -> Listing:
    """Reads folders: each is a class, and each video or folder of images below it a record.

    `split` chooses among folders one level further up. What is skipped is logged: folders of the
    system, hidden ones, and folders without a video, which are no classes.
    """
    if split is not None:
        path = path / _split_folder(path, split)
    skipped = Skipped(list)
    folders = _folders(path, skipped)
    if not folders:
        raise ValueError(
            f"A folder of videos has a folder per class, but {str(path)!r} has none. Sort the "
            "videos into folders called like their classes, or pass a list."
        )
    videos = {name: videos_below(path, name, skipped) for name in folders}
    found = {name: below for name, below in videos.items() if below}
    if len(found) < len(videos):
        skipped["folders without a video"] += videos.keys() - found.keys()
    if not found:
        raise ValueError(
            f"{str(path)!r} has no records: there is neither a video nor a folder of JPEG frames "
            f"in its folders, {folders[:10]}."
        )
    if split is None and {normal_split(name) for name in found} <= SPLIT_FOLDERS:
        raise ValueError(
            f"{str(path)!r} has a folder per split, {list(found)}, in place of a folder per class. "
            f"Pass one of those folders, or split={next(iter(found))!r}."
        )
    warn_of_skipped(path, skipped)
    classes = _classes(path, list(found))
    rows = [
        # Not "~name/video.mp4", which would be somebody's home.
        Row(repr(video), (os.path.join(os.curdir, video),), name)
        for name, folder in classes.items()
        for video in found[folder]
    ]
    return Listing(rows, tuple(classes), path, named=True)


def _split_folder(path: Path, split: str) -> str:
    folders = _folders(path, Skipped(list))
    wanted = [name for name in folders if normal_split(name) == normal_split(split)]
    if len(wanted) != 1:
        found = f"no folder for that split, only {folders[:10]}"
        if wanted:
            found = f"several folders for that split, {wanted}. Pass one of them, or merge them"
        raise ValueError(f"{str(path)!r} has {found}. Received: split={split!r}")
    return wanted[0]


def _classes(path: Path, folders: list[str]) -> dict[str, str]:
    """Returns the folder of each class by its name on one line, in the order of the names."""
    classes: dict[str, str] = {}
    for folder in folders:
        text = os.fsencode(folder).decode("utf-8", "backslashreplace")
        name = " ".join(text.splitlines()).strip()
        reason = not_a_name(name)
        if reason:
            raise ValueError(
                f"The folder {folder!r} in {str(path)!r} gives no class name: {reason}. Rename it."
            )
        other = classes.setdefault(name, folder)
        if other != folder:
            raise ValueError(
                f"The folders {other!r} and {folder!r} in {str(path)!r} give the same class name, "
                f"{name!r}. Rename or merge them."
            )
    return dict(sorted(classes.items()))


def _folders(path: Path, skipped: Skipped) -> list[str]:
    """Returns the folders in a folder that may be classes or splits."""
    found = []
    for name, inner, is_folder in _entries(path, "", skipped):
        if is_folder:
            found.append(inner)
        elif name.endswith(VIDEO_SUFFIXES):
            skipped["videos in no class folder"].append(inner)
    return sorted(found)


def videos_below(root: Path, folder: str, skipped: Skipped) -> list[str]:
    """Returns videos and folders of images below a folder, by name; paths start at `root`."""
    found = []
    # Each with the folders that it lies in: a link may lead back to one of them.
    waiting: list[tuple[str, frozenset[tuple[int, int]]]] = [(folder, frozenset())]
    while waiting:
        path, above = waiting.pop()
        status = os.stat(root / path)
        this = (status.st_dev, status.st_ino)
        if this in above:
            skipped["links to a folder that they lie in"].append(path)
            continue
        videos, folders, has_images = [], [], False
        for name, inner, is_folder in _entries(root, path, skipped):
            if is_folder:
                folders.append(inner)
            elif name.startswith("."):
                if name.endswith(VIDEO_SUFFIXES):
                    skipped["hidden videos"].append(inner)
            elif name.endswith(VIDEO_SUFFIXES):
                videos.append(inner)
            else:
                has_images |= name.endswith(JPEG_SUFFIXES)
        if has_images and not videos and path != folder:
            found.append(path)
            if folders:
                skipped["folders in folders of frames"] += folders
            continue
        if has_images:
            skipped["folders with pictures that are no video's frames"].append(path)
        found += videos
        waiting += [(inner, above | {this}) for inner in folders]
    return sorted(found, key=lambda path: path.split("/"))


def _entries(root: Path, folder: str, skipped: Skipped) -> Iterator[tuple[str, str, bool]]:
    """Yields name in lower case, path from `root` and whether it is a folder, if not skipped."""
    with os.scandir(root / folder) as entries:
        for entry in entries:
            name = entry.name.lower()
            path = f"{folder}/{entry.name}" if folder else entry.name
            is_folder = entry.is_dir()
            if is_folder and name.startswith("."):
                skipped["hidden folders"].append(path)
            elif is_folder and name in SYSTEM_FOLDERS:
                skipped["system folders"].append(path)
            else:
                yield name, path, is_folder

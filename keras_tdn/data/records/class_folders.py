"""A folder per class, which holds videos or folders of frames."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from keras_tdn.data.records.rows import IMAGE_SUFFIXES, VIDEO_SUFFIXES, Listing, Row
from keras_tdn.data.records.tables import normal_split

SPLIT_FOLDERS = frozenset({"train", "val", "test"})


def read_class_folders(path: Path, split: str | None) -> Listing:
    """Every folder is a class, and every video or folder of images below it a record of that class.

    A data set that has its splits in folders of their own is one folder further up, and `split`
    chooses among them. Hidden files and those that are neither video nor image are passed over.
    """
    folders = _folders(path)
    split_folders = {normal_split(name): name for name in folders}
    if split is not None:
        if normal_split(split) not in split_folders:
            raise ValueError(
                f"{str(path)!r} has no folder for that split, only {folders[:10]}. "
                f"Received: split={split!r}"
            )
        path = path / split_folders[normal_split(split)]
        folders = _folders(path)
    elif folders and set(split_folders) <= SPLIT_FOLDERS:
        raise ValueError(
            f"{str(path)!r} has a folder per split, {folders}, in place of a folder per class. "
            f"Pass one of those folders, or split={folders[0]!r}."
        )
    if not folders:
        raise ValueError(
            f"A folder of videos has a folder per class, but {str(path)!r} has none. Sort the "
            "videos into folders called like their classes, or pass a list."
        )
    rows = [
        Row(repr(video), (video,), name) for name in folders for video in videos_below(path, name)
    ]
    return Listing(rows, tuple(folders), path)


def _folders(path: Path) -> list[str]:
    with os.scandir(path) as entries:
        return sorted(
            entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")
        )


def videos_below(root: Path, folder: str) -> Iterator[str]:
    """Videos and folders of images in a folder and those in it, by name; paths start at `root`."""
    with os.scandir(root / folder) as entries:
        found = sorted(
            (entry.name, entry.is_dir()) for entry in entries if not entry.name.startswith(".")
        )
    for name, is_folder in found:
        path = f"{folder}/{name}"
        if not is_folder:
            if name.lower().endswith(VIDEO_SUFFIXES):
                yield path
        elif _has_images(root / path):
            yield path
        else:
            yield from videos_below(root, path)


def _has_images(path: Path) -> bool:
    with os.scandir(path) as entries:
        return any(entry.name.lower().endswith(IMAGE_SUFFIXES) for entry in entries)

"""Something-Something V2's annotations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from keras_tdn.data.records.label_names import ClassNames, read_names
from keras_tdn.data.records.rows import Listing, Problems, Row, with_suffixes
from keras_tdn.files.text import parse_json, shown

BUILT_IN = "something_something_v2"


def read_something_v2(path: Path, text: str, problems: Problems) -> Listing:
    """A list of objects with an `id` and a `template`; the test list has the `id` alone.

    The class is the template without the brackets around what is acted on; `label`, which is the
    sentence that the actor wrote, is the class only where there is no template. Class names come
    from the file of labels beside the list, else from the package.
    """
    items = parse_json(text, repr(str(path)))
    if not isinstance(items, list):
        raise ValueError(
            "Something-Something's annotations are a JSON list of objects with `id` and "
            f"`template`, but {str(path)!r} holds a {type(items).__name__}."
        )
    rows = []
    for number, item in enumerate(items, 1):
        row = _row(number, item, problems)
        if row is not None:
            rows.append(row)
    return Listing(rows, _names(path, rows), path.parent)


def _row(number: int, item: Any, problems: Problems) -> Row | None:
    video = item.get("id") if isinstance(item, dict) else None
    if isinstance(video, bool) or not isinstance(video, (str, int)) or not str(video).strip():
        problems.add(f"item {number}", f"expected an object with an `id`, but it is {shown(item)}")
        return None
    place = f"item {number} (id {video!s:.200})"
    label = item.get("template", item.get("label"))
    if not isinstance(label, (str, int, type(None))) or isinstance(label, bool):
        problems.add(place, f"`template` must be a string, but it is {shown(label)}")
        return None
    if isinstance(label, str):
        label = label.replace("[", "").replace("]", "").strip()
    return Row(place, with_suffixes(str(video).strip(), ".webm"), None if label == "" else label)


def _names(path: Path, rows: list[Row]) -> tuple[str, ...] | None:
    beside = sorted(
        file
        for file in path.parent.glob("*labels.json")
        if "test" not in file.stem and file != path
    )
    if len(beside) == 1:
        return read_names(beside[0])
    names = read_names(BUILT_IN)
    known = ClassNames(names)
    texts = {row.label for row in rows if isinstance(row.label, str)}
    return names if texts and all(known.index(text) is not None for text in texts) else None

"""From labels as they stand in a source to class indices."""

from __future__ import annotations

import difflib

from keras_tdn.data.records.label_names import ClassNames
from keras_tdn.data.records.rows import MAX_PROBLEMS_SHOWN, Problems, Row


def class_indices(
    rows: list[Row], names: tuple[str, ...] | None, num_classes: int | None, problems: Problems
) -> tuple[list[int | None], tuple[str, ...] | None]:
    """Every row's class, and the names of the classes if there are any.

    Labels without a number among them are names, and if none are known, they are all there are.
    """
    given = dict.fromkeys(row.label for row in rows if row.label is not None)
    if given and names is None and not any(_number(label) is not None for label in given):
        names = tuple(sorted({str(label).strip() for label in given}))
    count = len(names) if names is not None else num_classes
    known = ClassNames(names) if names is not None else None
    # Classes may be called by numbers, and then these come first.
    called = known is not None and {str(label) for label in given} <= set(known.names)

    meanings: dict[str | int, int | str] = {}
    unknown = 0
    for label in given:
        number = _number(label)
        index = known.index(str(label)) if known and (called or number is None) else number
        if index is None:
            unknown += 1
            # Looking for a close name takes long, and more are not shown.
            meanings[label] = _unknown(str(label), known, unknown <= MAX_PROBLEMS_SHOWN)
        elif count is not None and not 0 <= index < count:
            meanings[label] = (
                f"the label {index} is not a class: they are numbered 0 to {count - 1}"
            )
            if index == count and 0 not in given and "0" not in given:
                meanings[label] = f"{meanings[label]}, and this list seems to count from 1"
        elif index < 0:
            meanings[label] = f"the label {index} is not a class: they are numbered from 0"
        else:
            meanings[label] = index

    indices: list[int | None] = []
    for row in rows:
        meaning = None if row.label is None else meanings[row.label]
        if isinstance(meaning, str):
            problems.add(row.place, meaning)
            meaning = None
        elif meaning is None and given:
            problems.add(row.place, "there is no label, unlike in other lines")
        indices.append(meaning)
    return indices, names


def _number(label: str | int) -> int | None:
    if isinstance(label, int):
        return label
    try:
        return int(label) if label.lstrip("+-").isdigit() else None
    except ValueError:
        return None


def _unknown(label: str, known: ClassNames | None, suggest: bool) -> str:
    if known is None:
        return (
            f"the label {label!r} is not a number, as others in this list are; pass `labels` if "
            "classes are called by numbers"
        )
    close = difflib.get_close_matches(label, known.names, 1) if suggest else []
    suggestion = f"; did you mean {close[0]!r}?" if close else ""
    return f"there is no class {label!r} among the {len(known.names)} labels{suggestion}"

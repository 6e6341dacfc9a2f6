"""From labels as they stand in a source to class indices."""

from __future__ import annotations

import difflib

from keras_tdn.data.records.label_names import ClassNames
from keras_tdn.data.records.record import believable_classes
from keras_tdn.data.records.rows import MAX_PROBLEMS_SHOWN, Problems, Row, whole_number
from keras_tdn.files.text import shown
from keras_tdn.labels import not_a_name

# Nobody mistypes a longer one, and comparing it takes long.
MAX_SUGGESTED_LENGTH = 200


def class_indices(
    rows: list[Row],
    names: tuple[str, ...] | None,
    num_classes: int | None,
    problems: Problems,
    named: bool = False,
    believe: bool = False,
) -> tuple[list[int | None], tuple[str, ...] | None]:
    """Every row's class, and the names of the classes if there are any.

    Labels without a number among them are names, and if none are known, they are all there are.

    Args:
        rows: What a source lists.
        names: Class names, if they are known.
        num_classes: Number of classes, if it is known.
        problems: Takes labels that are no class.
        named: Whether text is a name even if it looks like a number.
        believe: Whether a label may be out of proportion to the list.
    """
    given = dict.fromkeys(label for row in rows if (label := _label(row)) is not None)
    numbers = {label: label if isinstance(label, int) else whole_number(label) for label in given}
    texts = [label for label in given if isinstance(label, str)]
    if named or (names is not None and set(texts) <= set(names)):
        # Classes may be called by numbers, and then these come first.
        numbers.update(dict.fromkeys(texts))
    known = None if names is None else ClassNames(names)
    if given and known is None and not any(number is not None for number in numbers.values()):
        known = ClassNames(tuple(sorted(text for text in texts if not not_a_name(text))))
    count = num_classes if known is None else len(known.names)
    believable = believable_classes(len(set(numbers.values())))

    meanings: dict[str | int, int | str] = {}
    unknown = 0
    for label, number in numbers.items():
        index = known.index(str(label)) if known and number is None else number
        if index is None:
            unknown += 1
            # Looking for a close name takes long, and more are not shown.
            meanings[label] = _unknown(str(label), known, unknown <= MAX_PROBLEMS_SHOWN)
        elif count is not None and not 0 <= index < count:
            meanings[label] = (
                f"the label {shown(index)} is not a class: they are numbered 0 to {count - 1}"
            )
            if index == count and 0 not in given and "0" not in given:
                meanings[label] = f"{meanings[label]}, and this list seems to count from 1"
        elif index < 0:
            meanings[label] = f"the label {shown(index)} is not a class: they are numbered from 0"
        elif count is None and not believe and index >= believable:
            meanings[label] = (
                f"with the label {shown(index)} there would be {shown(index + 1)} classes, out of "
                f"proportion to the {len(given)} labels that occur; pass `num_classes` (on the "
                "command line --classes) if there are so many"
            )
        else:
            meanings[label] = index

    indices: list[int | None] = []
    for row in rows:
        label = _label(row)
        meaning = None if label is None else meanings[label]
        if row.doubt and (names is None or label not in names):
            meaning = row.doubt
        if isinstance(meaning, str):
            problems.add(row.place, meaning)
            meaning = None
        elif meaning is None and given:
            problems.add(row.place, "there is no label, unlike in other lines")
        indices.append(meaning)
    return indices, None if known is None else known.names or None


def _label(row: Row) -> str | int | None:
    return row.label.strip() if isinstance(row.label, str) else row.label


def _unknown(label: str, known: ClassNames | None, suggest: bool) -> str:
    reason = not_a_name(label)
    if reason:
        return f"the label is no class name: {reason}"
    if known is None:
        return (
            f"the label {label!r:.200} is not a number, as others in this list are; pass `labels` "
            "if classes are called by numbers"
        )
    suggest = suggest and len(label) <= MAX_SUGGESTED_LENGTH
    close = difflib.get_close_matches(label, known.names, 1) if suggest else []
    suggestion = f"; did you mean {close[0]!r}?" if close else ""
    return f"there is no class {label!r:.200} among the {len(known.names)} labels{suggestion}"

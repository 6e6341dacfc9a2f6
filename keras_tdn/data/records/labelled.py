"""What data sets, training and evaluation ask of records: labels, and names of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_tdn.data.records.record import RecordList

MAX_SHOWN = 3


def check_labelled(
    owner: str, records: Any, num_classes: int | None = None, *, optional: bool = False
) -> None:
    """Raises a `ValueError` unless it is a list of records with labels, below `num_classes`.

    `owner` is who takes it, at the start of a sentence; `optional` says that `None` is taken too.
    """
    if not isinstance(records, RecordList) or not records:
        raise ValueError(
            f"{owner} takes a RecordList with at least one record"
            f"{', or None to go without' if optional else ''}; load_records makes one of lists, "
            f"folders and tuples. Received: {records!r:.200}"
        )
    unlabelled = [repr(record.path) for record in records if record.label is None]
    if unlabelled:
        raise ValueError(
            f"{owner} needs a label for each record, and {len(unlabelled)} of {len(records)} have "
            f"none, among them {', '.join(unlabelled[:MAX_SHOWN])}. Leave them out, or label them "
            "(in a list, in the last column). Where only predictions are wanted, any label will "
            "do, and predict_video needs none."
        )
    if num_classes is None:
        return
    beyond = [record for record in records if (record.label or 0) >= num_classes]
    if beyond:
        largest, path = max((record.label or 0, record.path) for record in beyond)
        named = [f"{record.path!r} has {record.label}" for record in beyond[:MAX_SHOWN]]
        raise ValueError(
            f"{num_classes} classes have no place for label {largest}, which {path!r} has. "
            f"{owner} takes labels from 0 to {num_classes - 1}, and {len(beyond)} of "
            f"{len(records)} records have others: {', '.join(named)}. Correct the list, or have "
            f"{largest + 1} classes or more: `classes` of a model, `num_classes` of make_dataset."
        )


def check_class_names(
    what: str, names: Sequence[str] | None, other: str, others: Sequence[str] | None
) -> None:
    """Raises a `ValueError` if class names of one thing and another are known and differ."""
    if names is None or others is None or tuple(names) == tuple(others):
        return
    differ = [
        f"class {index} is {ours!r} and {theirs!r}"
        for index, (ours, theirs) in enumerate(zip(names, others, strict=False))
        if ours != theirs
    ]
    raise ValueError(
        f"The class names of {what} are not those of {other}: there are "
        f"{'; '.join([f'{len(names)} and {len(others)}', *differ[:MAX_SHOWN]])}. Pass the same "
        "`labels` to load_records for all lists, and to the model."
    )

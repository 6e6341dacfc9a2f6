"""One labelled video, and a list of them."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

from keras_tdn.files.text import shown
from keras_tdn.labels import load_labels

# Labels and counts are int32 in batches, and indices int64.
MAX_INT32 = 2**31 - 1
MAX_INT64 = 2**63 - 1
# Field, smallest and largest value, and whether it may be None.
LIMITS = (
    ("label", 0, MAX_INT32, True),
    ("num_frames", 1, MAX_INT32, True),
    ("index", 0, MAX_INT64, False),
)
# A list whose labels are numbers says how many classes there are by the largest. So many are
# believed of any list, and so many for each label that occurs.
CLASSES_OF_ANY_LIST = 1000
CLASSES_PER_LABEL = 10


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """One labelled video.

    Args:
        path: Absolute path of a video file, or of a directory of frames.
        label: Class index, or `None` where the list gives none (the test part of a benchmark).
        num_frames: Frames that the list states, if it does. What decodes may differ.
        index: Position in the list. It stays with the record when the list is filtered, sharded or
            shuffled, so that what is drawn from it does not depend on any of these.
    """

    path: str
    label: int | None
    num_frames: int | None = None
    index: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.path, str) or not self.path:
            raise ValueError(f"A record's `path` is a string. Received: path={self.path!r}")
        for field, least, most, optional in LIMITS:
            value = getattr(self, field)
            if value is None and optional:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                kind = "an integer or None" if optional else "an integer"
                raise ValueError(
                    f"A record's `{field}` is {kind}, from {least} to {most}. "
                    f"Received: {field}={shown(value)} for {self.path!r}"
                )


def believable_classes(num_labels: int) -> int:
    """Returns how many classes a list without names may have, by how many labels occur."""
    return max(CLASSES_OF_ANY_LIST, CLASSES_PER_LABEL * num_labels)


@dataclasses.dataclass(frozen=True, init=False, repr=False)
class RecordList(Sequence[Record]):
    """An immutable list of records, with the names of their classes.

    Slices are record lists as well, and keep each record's `index`. Two lists of one
    kind are equal if their records and classes are.

    Args:
        records: The records.
        labels: Class names in the order of the records' labels, or `None` if the source has none.
        num_classes: Classes there are; by default as many as `labels`, or the largest label plus
            one; 0 without labels.
        missing: Paths that the source lists but that were left out because nothing is there.

    Raises:
        ValueError: if a record's label is not one of the classes, if the number of classes that
            the records show is out of proportion, or if `labels` are no class names.

    Example:

    >>> records = RecordList([Record("/videos/a.mp4", 1), Record("/videos/b.mp4", 0)])
    >>> len(records), records.num_classes, records[0].path
    (2, 2, '/videos/a.mp4')
    """

    _records: tuple[Record, ...]
    labels: tuple[str, ...] | None
    num_classes: int
    missing: tuple[str, ...] = dataclasses.field(compare=False)

    def __init__(
        self,
        records: Iterable[Record],
        labels: Sequence[str] | None = None,
        num_classes: int | None = None,
        missing: Iterable[str] = (),
    ) -> None:
        names = None if labels is None else load_labels(tuple(labels))
        if num_classes is None and names is not None:
            num_classes = len(names)
        set_field = functools.partial(object.__setattr__, self)
        set_field("_records", tuple(records))
        set_field("labels", names)
        set_field("num_classes", self._count_classes(num_classes))
        set_field("missing", tuple(missing))

    def _count_classes(self, stated: int | None) -> int:
        seen = {record.label for record in self._records if record.label is not None}
        largest = max(seen, default=-1)
        count = largest + 1 if stated is None else stated
        most = believable_classes(len(seen)) if stated is None else stated
        if largest < count <= most:
            return count
        reason = f"there are {count} classes, numbered from 0"
        if stated is None:
            reason = (
                f"{count} classes are out of proportion to the {len(seen)} labels that occur. Pass "
                "`num_classes` if there are so many"
            )
        path = next(record.path for record in self._records if record.label == largest)
        raise ValueError(f"The record {path!r} has the label {largest}, but {reason}.")

    def missing_records(self) -> list[Record]:
        """Returns a record without a label for each path of `missing`, with its index."""
        # They have the numbers that are not there, in the same order.
        there = {record.index for record in self._records}
        indices = (index for index in itertools.count() if index not in there)
        return [Record(path, None, None, next(indices)) for path in self.missing]

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, position: int) -> Record: ...
    @overload
    def __getitem__(self, position: slice) -> RecordList: ...
    def __getitem__(self, position: int | slice) -> Record | RecordList:
        if isinstance(position, slice):
            # A part of a data set has the classes of the whole.
            return RecordList(self._records[position], self.labels, self.num_classes)
        return self._records[position]

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records)

    def __repr__(self) -> str:
        left_out = f", {len(self.missing)} missing" if self.missing else ""
        return f"<RecordList of {len(self)} records, {self.num_classes} classes{left_out}>"


def check_indices(records: RecordList) -> None:
    """Raises a `ValueError` if two of the records have the same `index`; takes no empty list."""
    index, times = Counter(record.index for record in records).most_common(1)[0]
    if times > 1:
        raise ValueError(
            "Each record needs an `index` of its own, because random draws and results go by it. "
            f"Received {times} records with index {index}. `load_records(records)` numbers them "
            "afresh."
        )

"""Whether records can be told apart by number."""

from __future__ import annotations

from collections import Counter

from keras_tdn.data.records.record import RecordList


def check_indices(records: RecordList) -> None:
    """Checks that no two records have the same `index`.

    Args:
        records: At least one record.

    Raises:
        ValueError: if two have.
    """
    index, times = Counter(record.index for record in records).most_common(1)[0]
    if times > 1:
        raise ValueError(
            "Each record needs an `index` of its own, because random draws and results go by it. "
            f"Received {times} records with index {index}. `load_records(records)` numbers them "
            "afresh."
        )

"""Rows as files: JSON lines, or Parquet through the extra `keras-tdn[parquet]`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_tdn.labelling.labeller import JSON_LINES, LabelOptions, Row

NEEDS_EXTRA = (
    'Parquet needs its package: pip install "keras-tdn[parquet]". Without it, format="jsonl" (on '
    "the command line --output-format jsonl) writes the same rows as JSON lines."
)


def check_format(format: str) -> None:
    """Raises an `ImportError` that names the extra, if the format's package is not installed."""
    if format != JSON_LINES:
        _pyarrow()


def write_rows(path: Path, rows: Sequence[Row], options: LabelOptions) -> None:
    """Writes rows as the options' format."""
    if options.format == JSON_LINES:
        path.write_bytes(b"".join(_json_line(row, options) for row in rows))
    else:
        _write_parquet(path, rows, options)


def read_rows(path: str | os.PathLike[str]) -> Iterator[Row]:
    """The rows of one file, in order; vectors are float32 arrays."""
    again = "Label the list again; complete files are kept."
    if os.fspath(path).endswith(f".{JSON_LINES}"):
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                try:
                    row = json.loads(line)
                    yield {**row, **_arrays(row)}
                except (ValueError, TypeError, RecursionError) as error:
                    raise ValueError(
                        f"Line {number} of {os.fspath(path)!r} is not a row of labels: {error}. "
                        f"{again}"
                    ) from error
        return
    _pyarrow()
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(path)
        for batch in table.iter_batches():
            yield from ({**row, **_arrays(row)} for row in batch.to_pylist())
    except pyarrow.ArrowException as error:
        raise ValueError(
            f"{os.fspath(path)!r} is not a Parquet file of labels: {error}. {again}"
        ) from error


def _arrays(row: Row) -> Row:
    names = [name for name in ("scores", "features") if row.get(name) is not None]
    return {name: np.asarray(row[name], np.float32) for name in names}


def _json_line(row: Row, options: LabelOptions) -> bytes:
    row = _with_features(row, options)
    for name, vector in _arrays(row).items():
        # The shortest decimals that are this float32 and no other.
        row[name] = [float(str(value)) for value in vector]
    text = json.dumps(row, ensure_ascii=False, allow_nan=False)
    # File names may have bytes that are no text. What stands for one becomes an escape of JSON.
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _write_parquet(path: Path, rows: Sequence[Row], options: LabelOptions) -> None:
    _pyarrow()
    import pyarrow
    import pyarrow.parquet

    vector = pyarrow.list_(pyarrow.float32())
    fields = [
        ("index", pyarrow.int64()),
        ("path", pyarrow.string()),
        ("labels", pyarrow.list_(pyarrow.string())),
        ("label_indices", pyarrow.list_(pyarrow.int32())),
        ("scores", vector),
        *([("features", vector)] if options.features else []),
        ("error", pyarrow.string()),
    ]
    complete = [_with_features(row, options) for row in rows]
    columns = [
        pyarrow.array([_plain(row[name]) for row in complete], kind) for name, kind in fields
    ]
    table = pyarrow.Table.from_arrays(columns, schema=pyarrow.schema(fields))
    pyarrow.parquet.write_table(table, path)


def _plain(value: Any) -> Any:
    # Parquet's text has no place for bytes that are none.
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return value


def _with_features(row: Row, options: LabelOptions) -> Row:
    """All rows of a file have the same columns, in the same order."""
    features = {"features": row.get("features")} if options.features else {}
    rest = {name: value for name, value in row.items() if name not in ("features", "error")}
    return {**rest, **features, "error": row["error"]}


def _pyarrow() -> None:
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise ImportError(NEEDS_EXTRA) from error

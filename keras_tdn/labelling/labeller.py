"""What a row of labels says, from the values of a video to its row, and rows as files."""

from __future__ import annotations

import dataclasses
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack, get_args

import keras
import numpy as np

from keras_tdn.data.records import Record
from keras_tdn.prediction import Labels, decode_predictions, labels_of
from keras_tdn.scoring.scorer import Average, Scorer, average_views
from keras_tdn.scoring.scoring_options import ReadingKeywords, ScoringOptions, check_positive
from keras_tdn.scoring.scoring_run import score_videos, scoring_identity
from keras_tdn.scoring.views import VideoViews
from keras_tdn.specs import ViewSpec, check_field

Row = dict[str, Any]

# By their endings.
JSON_LINES, PARQUET = "jsonl", "parquet"
FORMATS = (JSON_LINES, PARQUET)
# Large enough that files are few and reading ahead seldom ends, small enough to keep in memory.
VIDEOS_PER_SHARD = 1000
NEEDS_EXTRA = (
    'Parquet needs its package: pip install "keras-tdn[parquet]". Without it, format="jsonl" (on '
    "the command line --output-format jsonl) writes the same rows as JSON lines."
)


@dataclasses.dataclass(frozen=True)
class LabelOptions:
    """What a row says, and in what files rows are.

    Args:
        top: Classes to name for each video; with fewer classes than that, all.
        features: Whether rows have the pooled features too: the mean over positions, segments and
            views of what the classifier is given.
        views: Which views are scored and averaged; by default the one of `predict_video`.
        average: How views are averaged, `"softmax"` or `"logits"`; see `evaluate`.
        format: `"jsonl"`, JSON lines, or `"parquet"`, which needs the extra `keras-tdn[parquet]`.
        videos_per_shard: Videos in each file; the last has the rest.
        seed: What random clips are drawn from, together with a record's `index`.
        graph_dtype: As in `ScoringOptions`; on processors the inference graph is faster.

    Raises:
        ValueError: if an argument is not as described.

    Example:

    >>> LabelOptions(format="parquet").shard_name(3, 10)
    'labels-000003-of-000010.parquet'
    """

    top: int = 5
    features: bool = False
    views: ViewSpec = ViewSpec()  # noqa: RUF009
    average: Average = "softmax"
    format: str = JSON_LINES
    videos_per_shard: int = VIDEOS_PER_SHARD
    seed: int = 0
    graph_dtype: str | None = None

    def __post_init__(self) -> None:
        check_positive("top", self.top)
        check_positive("videos_per_shard", self.videos_per_shard)
        for field, known in (("average", get_args(Average)), ("format", FORMATS)):
            check_field(self, field, getattr(self, field) in known, f"one of {list(known)}")
        # The others are checked there.
        self.scoring()

    def scoring(self, **reading: Unpack[ReadingKeywords]) -> ScoringOptions:
        """How views are scored for such rows, of videos that are read in this way."""
        own: Any = {"features": self.features, "graph_dtype": self.graph_dtype, "seed": self.seed}
        # A bad video has a row like any other.
        return ScoringOptions(self.views, max_failure_share=None, **own, **reading)

    def shard_name(self, shard: int, num_shards: int) -> str:
        return f"labels-{shard:06d}-of-{num_shards:06d}.{self.format}"

    def to_config(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


class Labeller:
    """Gives the values of views, and makes rows of them; may be called from several threads.

    Use it where videos come from elsewhere than a list. For the arguments see `label_videos`.

    Attributes:
        scorer: Gives the values: scores, and features behind them if they are asked for.
        scoring: The `ScoringOptions`.

    Raises:
        ValueError: if the model takes other clips or gives something else, or names do not fit it.
    """

    def __init__(
        self,
        model: keras.Model,
        options: LabelOptions = LabelOptions(),
        *,
        labels: Labels | None = None,
        **reading: Unpack[ReadingKeywords],
    ) -> None:
        self.options = options
        self.scoring = options.scoring(**reading)
        self.scorer = Scorer(model, self.scoring)
        self.names = labels_of(model, labels)
        self._lock = threading.Lock()
        # What does not fit is reported before a video is read.
        self.prediction(np.zeros((1, self.scorer.num_values), np.float32))

    def values(self, clips: np.ndarray) -> np.ndarray:
        """Scores, and features if they are asked for, of a batch of views; see `Scorer.score`."""
        with self._lock:
            return self.scorer.score(clips)

    def values_of_videos(self, videos: Sequence[VideoViews], batch_size: int) -> list[np.ndarray]:
        """Values of all views of videos; see `keras_tdn.scoring.scoring_run.score_videos`."""
        with self._lock:
            return score_videos(self.scorer, videos, batch_size)

    def prediction(self, values: np.ndarray) -> Row:
        """What the values of a video's views say, as the columns of a row that follow from them."""
        options = self.options
        scores = values[np.newaxis, :, : self.scorer.classes]
        (averaged,) = average_views(scores, self.scorer.kind, options.average)
        (best,) = decode_predictions(averaged, options.top, self.names)
        row: Row = {"labels": [item.label for item in best]}
        row["label_indices"] = [item.index for item in best]
        row["scores"] = np.asarray([item.score for item in best], np.float32)
        if options.features:
            features = values[:, self.scorer.classes :].mean(axis=0, dtype=np.float64)
            row["features"] = features.astype(np.float32)
        return row

    def row(self, record: Record, values: np.ndarray, reason: str | None = None) -> Row:
        """The row of a video, from the values of its views or why it cannot be read."""
        return complete_row(record, self.prediction(values) if reason is None else None, reason)

    @property
    def identity(self) -> Mapping[str, Any]:
        """What rows follow from besides the list and the options."""
        return {**scoring_identity(self.scorer, self.scoring.decoder_name), "labels": self.names}


def complete_row(record: Record, prediction: Row | None, reason: str | None = None) -> Row:
    """A row with all its columns; `prediction` is `None` for a video that cannot be read."""
    empty = {"labels": None, "label_indices": None, "scores": None}
    return {"index": record.index, "path": record.path, **(prediction or empty), "error": reason}


def check_format(format: str) -> None:
    """Raises an `ImportError` that names the extra, if the format's package is not installed."""
    if format != JSON_LINES:
        _pyarrow()


def write_rows(path: Path, rows: Sequence[Row], options: LabelOptions) -> None:
    """Writes rows as the options' format."""
    if options.format == JSON_LINES:
        path.write_bytes(b"".join(_json_line(row, options) for row in rows))
        return
    pyarrow = _pyarrow()
    string, list_of = pyarrow.string(), pyarrow.list_
    kinds = {"index": pyarrow.int64(), "path": string, "labels": list_of(string), "error": string}
    kinds["label_indices"] = list_of(pyarrow.int32())
    kinds["scores"] = kinds["features"] = list_of(pyarrow.float32())
    schema = pyarrow.schema([(name, kinds[name]) for name in _columns(options)])
    columns = {name: [row.get(name) for row in rows] for name in schema.names}
    # Parquet's text has no place for bytes that are none.
    for name in ("path", "error"):
        texts = [text and text.encode("utf-8", "backslashreplace") for text in columns[name]]
        columns[name] = [text and text.decode() for text in texts]
    pyarrow.parquet.write_table(pyarrow.Table.from_pydict(columns, schema), path)


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
                    text = f"Line {number} of {os.fspath(path)!r} is not a row of labels: {error}."
                    raise ValueError(f"{text} {again}") from error
        return
    pyarrow = _pyarrow()
    try:
        for batch in pyarrow.parquet.ParquetFile(path).iter_batches():
            yield from ({**row, **_arrays(row)} for row in batch.to_pylist())
    except pyarrow.ArrowException as error:
        text = f"{os.fspath(path)!r} is not a Parquet file of labels: {error}. {again}"
        raise ValueError(text) from error


def _arrays(row: Row) -> Row:
    names = [name for name in ("scores", "features") if row.get(name) is not None]
    return {name: np.asarray(row[name], np.float32) for name in names}


def _json_line(row: Row, options: LabelOptions) -> bytes:
    row = {name: row.get(name) for name in _columns(options)}
    for name, vector in _arrays(row).items():
        # The shortest decimals that are this float32 and no other.
        row[name] = [float(str(value)) for value in vector]
    text = json.dumps(row, ensure_ascii=False, allow_nan=False)
    # File names may have bytes that are no text. What stands for one becomes an escape of JSON.
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _columns(options: LabelOptions) -> list[str]:
    features = ["features"] if options.features else []
    return ["index", "path", "labels", "label_indices", "scores", *features, "error"]


def _pyarrow() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(NEEDS_EXTRA) from error
    return pyarrow

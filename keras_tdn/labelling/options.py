"""What decides the rows of a labelling, besides the model and the list of videos."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args

from keras_tdn.evaluation.averaging import Average
from keras_tdn.specs import ViewSpec

# By their endings.
JSON_LINES, PARQUET = "jsonl", "parquet"
FORMATS = (JSON_LINES, PARQUET)
GRAPH_DTYPES = ("float32", "bfloat16")
# Large enough that files are few and reading ahead seldom ends, small enough to keep in memory.
VIDEOS_PER_SHARD = 1000


@dataclasses.dataclass(frozen=True)
class LabelOptions:
    """What a row says, and in what files rows are.

    Args:
        top: Classes to name for each video; with fewer classes than that, all.
        features: Whether rows have the pooled features too: the mean over positions, segments and
            views of what the classifier is given.
        views: Which views of each video are scored and averaged. The default is that of
            `predict_video`: one centre clip, one centre crop.
        average: `"softmax"`: the mean of the views' probabilities; `"logits"`: the softmax of the
            mean of their logits.
        format: `"jsonl"`, JSON lines, or `"parquet"`, which needs the extra `keras-tdn[parquet]`.
        videos_per_shard: Videos in each file; the last has the rest.
        seed: What random clips are drawn from, together with a record's `index`.
        graph_dtype: `None`: the Keras model as it is. `"float32"` or `"bfloat16"`: the inference
            graph of `export_saved_model` in that precision, which is faster on processors, on the
            TensorFlow backend and with crops of the model's own size.

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
        for field in ("top", "videos_per_shard"):
            check_positive(field, getattr(self, field))
        if not isinstance(self.features, bool):
            raise ValueError(
                "Labelling needs True or False for `features`. "
                f"Received: features={self.features!r}"
            )
        if not isinstance(self.views, ViewSpec):
            raise ValueError(
                "The views are a ViewSpec, for example ViewSpec(num_clips=10, num_crops=3). "
                f"Received: views={self.views!r}"
            )
        known_values = (
            ("average", get_args(Average)),
            ("format", FORMATS),
            ("graph_dtype", (None, *GRAPH_DTYPES)),
        )
        for field, known in known_values:
            if getattr(self, field) not in known:
                raise ValueError(
                    f"Labelling needs one of {list(known)} for `{field}`. "
                    f"Received: {field}={getattr(self, field)!r}"
                )
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise ValueError(f"Labelling's `seed` is an integer. Received: seed={self.seed!r}")

    def shard_name(self, shard: int, num_shards: int) -> str:
        """File name of the shard with that number."""
        return f"labels-{shard:06d}-of-{num_shards:06d}.{self.format}"

    def to_config(self) -> dict[str, Any]:
        """A dict that JSON can hold."""
        return dataclasses.asdict(self)


def check_positive(name: str, value: Any) -> None:
    """Raises a `ValueError` unless it is a positive integer."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(
            f"Labelling needs a positive integer for `{name}`. Received: {name}={value!r}"
        )

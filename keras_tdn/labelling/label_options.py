"""What decides the rows of a labelling, besides the model and the list of videos."""

from __future__ import annotations

import dataclasses
from typing import Any, Unpack, get_args

from keras_tdn.scoring.scorer import Average
from keras_tdn.scoring.scoring_options import ReadingKeywords, ScoringOptions, check_positive
from keras_tdn.specs import ViewSpec

# By their endings.
JSON_LINES, PARQUET = "jsonl", "parquet"
FORMATS = (JSON_LINES, PARQUET)
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
        for field, known in (("average", get_args(Average)), ("format", FORMATS)):
            if getattr(self, field) not in known:
                raise ValueError(
                    f"Labelling needs one of {list(known)} for `{field}`. "
                    f"Received: {field}={getattr(self, field)!r}"
                )
        # The others are checked there.
        self.scoring()

    def scoring(self, **reading: Unpack[ReadingKeywords]) -> ScoringOptions:
        """How views are scored for such rows.

        Args:
            **reading: How videos are read.
        """
        return ScoringOptions(
            self.views,
            features=self.features,
            graph_dtype=self.graph_dtype,
            seed=self.seed,
            # A bad video has a row like any other.
            max_failure_share=None,
            **reading,
        )

    def shard_name(self, shard: int, num_shards: int) -> str:
        """File name of the shard with that number."""
        return f"labels-{shard:06d}-of-{num_shards:06d}.{self.format}"

    def to_config(self) -> dict[str, Any]:
        """A dict that JSON can hold."""
        return dataclasses.asdict(self)

"""How views of videos are read and scored: one frozen description for every front end."""

from __future__ import annotations

import dataclasses
import math
import os
from typing import Any, TypedDict

from keras_tdn.choices import FOLDED_DTYPES
from keras_tdn.data.decoding import Decoder
from keras_tdn.specs import ClipSpec, ViewSpec, check_field, checked_integer

DEFAULT_BATCH_SIZE = 8
# Each holds the frames of a video; more than this rarely helps, and can be asked for.
MAX_DEFAULT_WORKERS = 8
# Seconds that one video may take in a process of its own.
TIME_LIMIT = 300.0


@dataclasses.dataclass(frozen=True)
class ScoringOptions:
    """How views of videos are read and scored.

    `evaluate`, `MultiViewValidation`, `label_videos` and `label_with_beam` take them as keywords.

    Args:
        views: Which views of each video.
        clip_spec: How clips are cut. `None` takes the model's own.
        from_logits: Whether the model's scores are logits; by default its last layer decides.
        features: Whether pooled features are computed beside the scores.
        graph_dtype: `"float32"` or `"bfloat16"`: the inference graph of `export_saved_model` in
            that precision, on TensorFlow and with crops of the model's own size. `None`: the Keras
            model, or for many views on a processor that graph, where both agree to 1e-5.
        seed: What random clips are drawn from, together with a record's `index`.
        batch_size: Views scored at once. The last digits of scores may follow from it.
        num_workers: Videos read side by side; by default one per processor, at most 8. With thirty
            views each takes up to 0.4 GB, of videos of 340 x 256 pixels.
        in_processes: Whether processes, not threads, read them; a bad file may crash or hang one.
        time_limit: Seconds that one video may take in such a process.
        decoder: Name of the decoder of video files, or the decoder itself (not in processes).
        max_failure_share: Share of bad videos that is an error, from 0 to 1, of 100 videos at
            least. `None`: none is, unless nothing can be read.
    """

    views: ViewSpec = ViewSpec()  # noqa: RUF009
    clip_spec: ClipSpec | None = None
    from_logits: bool | None = None
    features: bool = False
    graph_dtype: str | None = None
    seed: int = 0
    batch_size: int = DEFAULT_BATCH_SIZE
    num_workers: int | None = None
    in_processes: bool = False
    time_limit: float = TIME_LIMIT
    decoder: str | Decoder = "pyav"
    max_failure_share: float | None = 0.1

    def __post_init__(self) -> None:
        if not isinstance(self.views, ViewSpec):
            raise ValueError(
                "The views are a ViewSpec, for example ViewSpec(num_clips=10, num_crops=3). "
                f"Received: views={self.views!r}"
            )
        check_field(self, "features", isinstance(self.features, bool), "True or False")
        dtypes = [None, *FOLDED_DTYPES]
        check_field(self, "graph_dtype", self.graph_dtype in dtypes, f"one of {dtypes}")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise ValueError(f"The `seed` is an integer. Received: seed={self.seed!r}")
        check_positive("batch_size", self.batch_size)
        if self.num_workers is not None:
            check_positive("num_workers", self.num_workers)
        limit = self.time_limit
        is_number = isinstance(limit, int | float) and not isinstance(limit, bool)
        if not is_number or not 0 < limit < math.inf:
            raise ValueError(f"`time_limit` is in seconds, above 0. Received: time_limit={limit!r}")
        if self.in_processes and not isinstance(self.decoder, str):
            raise ValueError(
                "Processes make decoders of their own. Pass the name of a decoder, such as "
                f"'pyav', or leave out `in_processes`. Received: decoder={self.decoder!r}"
            )

    @property
    def workers(self) -> int:
        """Videos that are read side by side."""
        return self.num_workers or min(os.cpu_count() or 1, MAX_DEFAULT_WORKERS)

    @property
    def decoder_name(self) -> str:
        return self.decoder if isinstance(self.decoder, str) else type(self.decoder).__name__


class ReadingKeywords(TypedDict, total=False):
    """The fields of `ScoringOptions` that every front end takes as keywords."""

    clip_spec: ClipSpec | None
    from_logits: bool | None
    batch_size: int
    num_workers: int | None
    in_processes: bool
    time_limit: float
    decoder: str | Decoder


class ScoringKeywords(ReadingKeywords, total=False):
    """Those that evaluation takes as well."""

    seed: int
    max_failure_share: float | None


def check_positive(name: str, value: Any, owner: str = "Scoring") -> None:
    """Raises a `ValueError` unless it is a positive integer."""
    checked_integer(name, value, f"{owner} needs a positive integer for `{name}`")


DEFAULT_OPTIONS = ScoringOptions()

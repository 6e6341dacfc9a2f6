"""From videos to rows in Apache Beam, as a transform for any pipeline.

This module needs the extra `keras-tdn[beam]`; nothing else in the package imports it at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.ml.inference.base import KeyedModelHandler, RunInference

from keras_tdn.data.records import Record
from keras_tdn.evaluation.batching import reason_of
from keras_tdn.labelling.beam_handler import ModelSource, TDNModelHandler, loader_of
from keras_tdn.labelling.labeller import Labeller, Row, complete_row
from keras_tdn.labelling.options import LabelOptions
from keras_tdn.labelling.record_reading import RecordReader
from keras_tdn.prediction import Labels
from keras_tdn.specs import ClipSpec, ViewSpec

BAD = "bad"


class LabelVideos(beam.PTransform):
    """From records, each with a key of any kind, to rows with the same keys.

    Use it in a pipeline of your own, which reads its list from wherever it lies and writes rows to
    wherever they belong; `label_with_beam` is the whole of it for folders. Rows have the columns
    that `label_videos` writes, with vectors as float32 arrays. A video that cannot be read has a
    row with an `error`.

    Args:
        model: A preset (a folder, a name or `hf://organisation/name`) or a `.keras` file that all
            workers can load, or a function without arguments that gives the model there. It is
            loaded once here, too, to see how its clips are cut.
        options: What rows say; `format` and `videos_per_shard` are of no concern.
        labels: As `label_videos` takes it, like all that follow.
        clip_spec: How clips are cut.
        from_logits: Whether the model's scores are logits.
        batch_size: Views scored at once.
        decoder: Name of the decoder.
        **kwargs: Other arguments of Beam's `ModelHandler`.

    Example:

    >>> with beam.Pipeline() as pipeline:
    ...     rows = (
    ...         pipeline
    ...         | beam.io.ReadFromText("paths/*.txt")
    ...         | beam.Map(lambda path: (path, Record(path, None)))
    ...         | LabelVideos("my_preset", LabelOptions(top=3))
    ...         | beam.Values()
    ...     )
    """

    def __init__(
        self,
        model: ModelSource,
        options: LabelOptions = LabelOptions(),  # noqa: B008
        *,
        labels: Labels | None = None,
        clip_spec: ClipSpec | None = None,
        from_logits: bool | None = None,
        batch_size: int = 8,
        decoder: str = "pyav",
        **kwargs: Any,
    ) -> None:
        super().__init__()
        load = loader_of(model)
        how: dict[str, Any] = {
            "labels": labels,
            "clip_spec": clip_spec,
            "from_logits": from_logits,
        }
        labeller = Labeller(load(), options, **how)
        self.identity = labeller.identity
        self._handler = TDNModelHandler(
            load,
            options,
            batch_size=batch_size,
            weights_sha256=self.identity["weights"],
            **how,
            **kwargs,
        )
        self._read = _ReadViews(options.views, labeller.spec, options.seed, decoder)

    def expand(self, records: Any) -> Any:
        read = records | "Read views" >> beam.ParDo(self._read).with_outputs(BAD, main="views")
        good = (
            read.views
            | "Label" >> RunInference(KeyedModelHandler(self._handler))
            | "Rows" >> beam.MapTuple(_labelled_row)
        )
        return (good, read[BAD]) | "With bad ones" >> beam.Flatten()


class _ReadViews(beam.DoFn):
    def __init__(self, views: ViewSpec, clip_spec: ClipSpec, seed: int, decoder: str) -> None:
        self._arguments = views, clip_spec, seed, decoder

    def setup(self) -> None:
        self._read = RecordReader(*self._arguments)

    def process(self, element: tuple[Any, Record]) -> Iterator[Any]:
        key, record = element
        try:
            video = self._read(record)
        except Exception as error:
            # One bad video must not end a pipeline, whatever it is.
            row = complete_row(record, None, reason_of(error))
            yield beam.pvalue.TaggedOutput(BAD, (key, row))
        else:
            yield element, video


def _labelled_row(element: tuple[Any, Record], prediction: Row) -> tuple[Any, Row]:
    key, record = element
    return key, complete_row(record, prediction)

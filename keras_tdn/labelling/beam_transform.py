"""From videos to rows in Apache Beam, as a transform for any pipeline.

This module needs the extra `keras-tdn[beam]`; nothing else in the package imports it at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.ml.inference.base import KeyedModelHandler, RunInference

from keras_tdn.data.records import Record
from keras_tdn.evaluation.batching import reason_of
from keras_tdn.labelling.beam_handler import ModelSource, TDNModelHandler, loader_of
from keras_tdn.labelling.labeller import Labeller, Row, complete_row
from keras_tdn.labelling.options import LabelOptions
from keras_tdn.labelling.reading_processes import (
    TIME_LIMIT,
    ReadingOptions,
    ReadingProcesses,
    check_time_limit,
)
from keras_tdn.labelling.record_reading import RecordReader
from keras_tdn.prediction import Labels
from keras_tdn.specs import ClipSpec

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
        in_processes: Whether each worker reads in a process of its own. A file that crashes the
            decoder otherwise takes the worker with it, and once the runner has tried that often
            enough, the pipeline.
        time_limit: Seconds that one video may take there.
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
        in_processes: bool = False,
        time_limit: float = TIME_LIMIT,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        check_time_limit(time_limit)
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
        reading = ReadingOptions(options.views, labeller.spec, options.seed, decoder)
        self._read = _ReadViews(reading, time_limit if in_processes else None)

    def expand(self, records: Any) -> Any:
        read = records | "Read views" >> beam.ParDo(self._read).with_outputs(BAD, main="views")
        good = (
            read.views
            | "Label" >> RunInference(KeyedModelHandler(self._handler))
            | "Rows" >> beam.MapTuple(_labelled_row)
        )
        return (good, read[BAD]) | "With bad ones" >> beam.Flatten()


class _ReadViews(beam.DoFn):
    """Reads records one by one, in a process of its own where that may take a limited time."""

    def __init__(self, options: ReadingOptions, time_limit: float | None) -> None:
        self._options, self._time_limit = options, time_limit
        self._processes: ReadingProcesses | None = None

    def setup(self) -> None:
        how = self._options
        if self._time_limit is None:
            self._read: Callable[[Record], Any] = RecordReader(
                how.views, how.clip_spec, how.seed, how.decoder
            )
        else:
            self._processes = ReadingProcesses(how, 1, self._time_limit)
            self._read = self._processes

    def teardown(self) -> None:
        if self._processes is not None:
            self._processes.close()

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

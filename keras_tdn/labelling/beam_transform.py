"""From videos to rows in Apache Beam, as a transform for any pipeline; needs the extra `beam`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.ml.inference.base import KeyedModelHandler, RunInference

from keras_tdn.data.records import Record
from keras_tdn.labelling.beam_handler import ModelSource, TDNModelHandler, loader_of
from keras_tdn.labelling.labeller import Labeller, LabelOptions, Row, complete_row
from keras_tdn.prediction import Labels
from keras_tdn.scoring.scoring_options import ReadingKeywords, ScoringOptions
from keras_tdn.scoring.views import ViewProcesses, ViewReader, reason_of
from keras_tdn.specs import ClipSpec

BAD = "bad"


class LabelVideos(beam.PTransform):
    """From records, each with a key of any kind, to rows with the same keys.

    Use it in a pipeline of your own; `label_with_beam` is the whole of it for folders. Rows have
    the columns that `label_videos` writes, with vectors as float32 arrays. A video that cannot be
    read has a row with an `error`. Example: `docs/labelling.md`.

    Args:
        model: As `label_with_beam` takes it; loaded here too, to see how its clips are cut.
        options: What rows say; `format` and `videos_per_shard` are ignored.
        labels: As `label_videos` takes it.
        **kwargs: As `label_with_beam` takes it, and other arguments of Beam's `ModelHandler`.
    """

    def __init__(
        self,
        model: ModelSource,
        options: LabelOptions = LabelOptions(),  # noqa: B008
        *,
        labels: Labels | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        names = ReadingKeywords.__annotations__
        reading = {name: kwargs.pop(name) for name in names if name in kwargs}
        if reading.pop("num_workers", None) is not None:
            raise ValueError("Leave out `num_workers`: Beam's own options say how many work.")
        load = loader_of(model)
        labeller = Labeller(load(), options, labels=labels, **reading)
        scoring = dataclasses.replace(labeller.scoring, num_workers=1)
        self.identity = labeller.identity
        how: dict[str, Any] = {"clip_spec": scoring.clip_spec, "from_logits": scoring.from_logits}
        how |= {"batch_size": scoring.batch_size, "weights_sha256": self.identity["weights"]}
        self._handler = TDNModelHandler(load, options, labels=labels, **how, **kwargs)
        self._read = _ReadViews(scoring, labeller.scorer.spec)

    def expand(self, records: Any) -> Any:
        read = records | "Read views" >> beam.ParDo(self._read).with_outputs(BAD, main="views")
        labelled = read.views | "Label" >> RunInference(KeyedModelHandler(self._handler))
        good = labelled | "Rows" >> beam.MapTuple(_labelled_row)
        return (good, read[BAD]) | "With bad ones" >> beam.Flatten()


class _ReadViews(beam.DoFn):
    """Reads records one by one."""

    def __init__(self, options: ScoringOptions, clip_spec: ClipSpec) -> None:
        self._options, self._clip_spec = options, clip_spec
        self._processes: ViewProcesses | None = None

    def setup(self) -> None:
        if self._options.in_processes:
            self._processes = ViewProcesses(self._options, self._clip_spec)
            self._read: Callable[[Record], Any] = self._processes
        else:
            self._read = ViewReader(self._options, self._clip_spec).read

    def teardown(self) -> None:
        if self._processes is not None:
            self._processes.close()

    def process(self, element: tuple[Any, Record]) -> Iterator[Any]:
        key, record = element
        try:
            video = self._read(record)
        except Exception as error:
            # One bad video must not end a pipeline, whatever it is.
            yield beam.pvalue.TaggedOutput(BAD, (key, complete_row(record, None, reason_of(error))))
        else:
            yield element, video


def _labelled_row(element: tuple[Any, Record], prediction: Row) -> tuple[Any, Row]:
    key, record = element
    return key, complete_row(record, prediction)

"""What `make_dataset` is given, checked at once, and what it takes where nothing is given."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from keras_tdn.data.flip_maps import flip_map
from keras_tdn.data.records import RecordList
from keras_tdn.data.records.indices import check_indices
from keras_tdn.data.segment_sampling import SamplingMode, SegmentSampler
from keras_tdn.data.transforms.pipelines import test_transforms, train_transforms
from keras_tdn.specs import ClipSpec


@dataclasses.dataclass(frozen=True)
class DatasetArguments:
    """The arguments of `make_dataset` that something follows from; it documents them."""

    records: RecordList
    spec: ClipSpec
    training: bool
    batch_size: int
    seed: int
    epoch: int
    shard: tuple[int, int]
    num_parallel_calls: int | None
    one_hot: bool
    num_classes: int | None = None
    start: int | None = None

    def __post_init__(self) -> None:
        self._check_records()
        if not isinstance(self.spec, ClipSpec):
            raise ValueError(
                "make_dataset takes a ClipSpec as `spec`, for example ClipSpec(num_segments=8). "
                f"Received: spec={self.spec!r}"
            )
        for field, least in (("batch_size", 1), ("epoch", 0), ("seed", -(2**63))):
            self._check_integer(field, least)
        if self.start is not None:
            self._check_integer("start", 0)
            if self.epoch:
                raise ValueError(
                    "`start` says where to begin, and so does `epoch`. Pass one of them. Received: "
                    f"start={self.start}, epoch={self.epoch}"
                )
        if self.num_parallel_calls is not None:
            self._check_integer("num_parallel_calls", 1)
        shard = self.shard
        if (
            not isinstance(shard, tuple | list)
            or len(shard) != 2
            or not all(isinstance(number, int) for number in shard)
            or not 0 <= shard[0] < shard[1] <= len(self.records)
        ):
            raise ValueError(
                "make_dataset's `shard` is (index, count): which part of how many, with at least "
                f"a record in each of the {len(self.records)}. Received: shard={shard!r}"
            )
        if self.num_classes is not None:
            self._check_integer("num_classes", 1)
        if self.num_classes is not None:
            largest, path = max((record.label or 0, record.path) for record in self.records)
            if largest >= self.num_classes:
                raise ValueError(
                    f"{self.num_classes} classes have no place for label {largest}, which {path!r} "
                    f"has. Pass `num_classes` of at least {largest + 1}, or correct the list. "
                    f"Received: num_classes={self.num_classes}"
                )

    @property
    def width(self) -> int:
        """Classes of one-hot labels."""
        return self.records.num_classes if self.num_classes is None else self.num_classes

    @property
    def sampler(self) -> SegmentSampler:
        """The sampler of the paper."""
        mode: SamplingMode = "random" if self.training else "center"
        return SegmentSampler(self.spec.num_segments, self.spec.frames_per_segment, mode)

    @property
    def transforms(self) -> Any:
        """The transforms of the paper."""
        if not self.training:
            return test_transforms(self.spec)
        classes = None if self.records.labels is None else flip_map(self.records.labels)
        if classes is not None and np.array_equal(classes, np.arange(len(classes))):
            classes = None
        return train_transforms(self.spec, None if classes is None else classes.tolist())

    def checked_sampler(self, sampler: Any) -> Any:
        """The sampler, if its clips are those of the spec as far as it tells."""
        for field in ("num_segments", "frames_per_segment"):
            wanted, given = getattr(self.spec, field), getattr(sampler, field, None)
            if given is not None and given != wanted:
                raise ValueError(
                    f"The sampler's clips are not those of the spec: it has {field}={given}, and "
                    f"the spec has {wanted}. Make both alike."
                )
        return sampler

    def _check_integer(self, field: str, least: int) -> None:
        value = getattr(self, field)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(
                f"make_dataset's `{field}` is an integer of at least {least}. "
                f"Received: {field}={value!r}"
            )

    def _check_records(self) -> None:
        records = self.records
        if not isinstance(records, RecordList) or not records:
            raise ValueError(
                "make_dataset takes a RecordList with at least one record; load_records makes one "
                f"of lists, folders and tuples. Received: {records!r:.200}"
            )
        unlabelled = [record.path for record in records if record.label is None]
        if unlabelled:
            raise ValueError(
                f"make_dataset needs a label for each record, and {len(unlabelled)} of "
                f"{len(records)} have none, among them {unlabelled[0]!r}. Leave them out, or give "
                "them any label where only predictions are wanted."
            )
        check_indices(records)

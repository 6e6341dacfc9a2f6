"""Whether records fit a model, and the views in words."""

from __future__ import annotations

import keras

from keras_tdn.data.records import RecordList
from keras_tdn.data.records.record import check_indices
from keras_tdn.specs import ClipSpec, ViewSpec


def describe_views(views: ViewSpec, spec: ClipSpec) -> str:
    """The views in words, and which three crops were taken."""
    height, width = views.crop_size_of(spec)
    clips = "1 clip" if views.num_clips == 1 else f"{views.num_clips} clips"
    crops = "1 crop" if views.num_crops == 1 else f"{views.num_crops} crops"
    modes = {
        "uniform": "centre" if views.num_clips == 1 else "at equal steps",
        "random": "at random",
        "dense": "dense",
    }
    text = (
        f"{clips} ({modes[views.clip_mode]}) x {crops} of {width}x{height} pixels, "
        f"{spec.num_segments} segments of {spec.frames_per_segment} frames"
    )
    if views.num_crops != 3:
        return text
    if views.always_across:
        return (
            f"{text}; crops side by side, as the authors take them: of portrait videos all three "
            "are the centre"
        )
    return (
        f"{text}; crops along the long side, so that those of portrait videos differ (the "
        "authors' coincide there)"
    )


def check_records(records: RecordList, classes: int, model: keras.Model) -> tuple[str, ...] | None:
    """The names of the classes, if the records are such that a model can be evaluated on them."""
    if not isinstance(records, RecordList) or not records:
        raise ValueError(
            "Evaluation takes a RecordList with at least one record; load_records makes one of "
            f"lists, folders and tuples. Received: {records!r:.200}"
        )
    unlabelled = [record.path for record in records if record.label is None]
    if unlabelled:
        raise ValueError(
            f"Evaluation needs a label for each record, and {len(unlabelled)} of {len(records)} "
            f"have none, among them {unlabelled[0]!r}. Leave them out; predict_video names what "
            "happens in a video without a label."
        )
    check_indices(records)
    own = getattr(model, "labels", None)
    own = None if own is None else tuple(own)
    if records.labels is not None and len(records.labels) != classes:
        raise ValueError(
            f"The records have {len(records.labels)} classes and the model {classes}. A list that "
            "names its classes has to name all of the model's, in its order: pass `labels=model."
            "labels` to load_records, or use a model for these classes."
        )
    if own is not None and records.labels is not None and own != records.labels:
        place = next(
            i for i, pair in enumerate(zip(own, records.labels, strict=True)) if pair[0] != pair[1]
        )
        raise ValueError(
            "The records and the model do not have the same classes in the same order: class "
            f"{place} is {records.labels[place]!r} in the list and {own[place]!r} in the model. "
            "Pass `labels=model.labels` to load_records."
        )
    largest, path = max((record.label or 0, record.path) for record in records)
    if largest >= classes:
        raise ValueError(
            f"The records have labels up to {largest}, that of {path!r}, and the model has "
            f"{classes} classes, from 0 to {classes - 1}. Correct the list, or use a model for "
            "these classes."
        )
    return records.labels or own

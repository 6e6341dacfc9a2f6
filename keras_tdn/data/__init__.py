"""Video in: records, sampling, decoding, transforms, packing and `tf.data` pipelines.

Names are imported when they are first used: some need TensorFlow, one the video decoder.
"""

from typing import TYPE_CHECKING

from keras_tdn.lazy_names import lazy_names

if TYPE_CHECKING:
    from keras_tdn.data import decoding, packing, transforms
    from keras_tdn.data.dataset import make_dataset
    from keras_tdn.data.dataset.order import BatchPositions
    from keras_tdn.data.decoding import VideoDecodeError, read_frames
    from keras_tdn.data.flip_maps import flip_map
    from keras_tdn.data.packed_records import load_packed
    from keras_tdn.data.records import Record, RecordList, load_records
    from keras_tdn.data.segment_sampling import SegmentSampler
    from keras_tdn.data.service import from_service

__all__ = [
    "BatchPositions",
    "Record",
    "RecordList",
    "SegmentSampler",
    "VideoDecodeError",
    "decoding",
    "flip_map",
    "from_service",
    "load_packed",
    "load_records",
    "make_dataset",
    "packing",
    "read_frames",
    "transforms",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "BatchPositions": "dataset.order",
        "Record": "records",
        "RecordList": "records",
        "SegmentSampler": "segment_sampling",
        "VideoDecodeError": "decoding",
        "flip_map": "flip_maps",
        "from_service": "service",
        "load_packed": "packed_records",
        "load_records": "records",
        "make_dataset": "dataset",
        "read_frames": "decoding",
    },
)

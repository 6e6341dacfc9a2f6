"""Videos as sharded TFRecords of JPEG frames, which `keras_tdn.data.packed_records` reads."""

from keras_tdn.data.failures import Failure
from keras_tdn.data.packing.index import (
    PackedIndex,
    PackedRecord,
    PackedShard,
    PackOptions,
    load_packed_index,
)
from keras_tdn.data.packing.pack import PackReport, pack, pack_with_beam

__all__ = [
    "Failure",
    "PackOptions",
    "PackReport",
    "PackedIndex",
    "PackedRecord",
    "PackedShard",
    "load_packed_index",
    "pack",
    "pack_with_beam",
]

"""Videos as sharded TFRecords of JPEG frames: written once, read fast and in any order.

`keras_tdn.data.packed_records` reads what is written here.
"""

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

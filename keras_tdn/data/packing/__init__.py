"""Videos as sharded TFRecords of JPEG frames: written once, read fast and in any order.

`keras_tdn.data.packed_records` reads what is written here.
"""

from keras_tdn.data.packing.index import (
    FailedRecord,
    PackedIndex,
    PackedRecord,
    PackedShard,
    load_packed_index,
)
from keras_tdn.data.packing.pack import PackReport, pack
from keras_tdn.data.packing.packing_plan import PackOptions

__all__ = [
    "FailedRecord",
    "PackOptions",
    "PackReport",
    "PackedIndex",
    "PackedRecord",
    "PackedShard",
    "load_packed_index",
    "pack",
]

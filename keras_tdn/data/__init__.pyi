from . import decoding as decoding, packing as packing, transforms as transforms
from .dataset import make_dataset as make_dataset
from .dataset.order import BatchPositions as BatchPositions
from .decoding import VideoDecodeError as VideoDecodeError, read_frames as read_frames
from .flip_maps import flip_map as flip_map
from .packed_records import load_packed as load_packed
from .records import Record as Record, RecordList as RecordList, load_records as load_records
from .segment_sampling import SegmentSampler as SegmentSampler
from .service import from_service as from_service

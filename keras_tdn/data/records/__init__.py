"""Records: which videos there are and what they show."""

from keras_tdn.data.records.load import FORMATS, load_records
from keras_tdn.data.records.record import Record, RecordList

__all__ = ["FORMATS", "Record", "RecordList", "load_records"]

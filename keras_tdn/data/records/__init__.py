"""Records: which videos there are and what they show."""

from keras_tdn.data.records.formats import FORMATS
from keras_tdn.data.records.load import load_records
from keras_tdn.data.records.record import Record, RecordList

__all__ = ["FORMATS", "Record", "RecordList", "load_records"]

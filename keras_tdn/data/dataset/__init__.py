"""Batches of clips and labels out of records."""

from keras_tdn.data.dataset.make import make_dataset

__all__ = ["make_dataset"]

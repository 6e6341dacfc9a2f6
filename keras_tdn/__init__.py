"""Temporal Difference Networks (TDN) for video action recognition in Keras 3."""

__version__ = "0.1.0.dev0"

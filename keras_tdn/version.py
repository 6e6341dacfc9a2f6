"""The package's version, for whoever needs no more of it."""

__version__ = "0.1.0"

"""Video in: sampling and decoding."""

"""The precisions that an exported network may have."""

from __future__ import annotations

FLOAT32 = "float32"
BFLOAT16 = "bfloat16"
DTYPES = (FLOAT32, BFLOAT16)


def check_dtype(dtype: str) -> None:
    """Raises unless it is one of `DTYPES`."""
    if dtype not in DTYPES:
        raise ValueError(
            f"An exported network computes in one of {list(DTYPES)}. Received: dtype={dtype!r}"
        )

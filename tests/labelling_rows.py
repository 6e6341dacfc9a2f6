"""How tests of labelling compare what was written."""

import importlib.util

import numpy as np
import pytest


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def same_rows(one, other):
    """Whether rows are equal to the bit, whatever holds their vectors."""
    one, other = list(one), list(other)
    return len(one) == len(other) and all(
        set(a) == set(b) and all(np.array_equal(a[key], b[key]) for key in a)
        for a, b in zip(one, other, strict=True)
    )


needs_pyarrow = pytest.mark.skipif(
    importlib.util.find_spec("pyarrow") is None, reason="needs the extra keras-tdn[parquet]"
)

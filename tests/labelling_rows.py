"""How tests of labelling compare what was written."""

import importlib.util

import numpy as np
import pytest

from keras_tdn.labelling import read_labels


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


def assert_like(folder, other):
    """Files of the same names with the same rows, whose numbers may differ in their last digits.

    Which videos share a batch depends on its size and on the pipeline, and on some processors
    libraries round by a row's place in its batch.
    """
    names = [sorted(path.name for path in place.iterdir()) for place in (folder, other)]
    assert names[0] == names[1]
    assert (folder / "failures.jsonl").read_bytes() == (other / "failures.jsonl").read_bytes()
    for one, two in zip(read_labels(folder), read_labels(other), strict=True):
        assert set(one) == set(two)
        for key in one:
            if key in ("scores", "features") and one[key] is not None:
                np.testing.assert_allclose(one[key], two[key], rtol=1e-4, atol=1e-6)
            else:
                assert np.array_equal(one[key], two[key]), key


needs_pyarrow = pytest.mark.skipif(
    importlib.util.find_spec("pyarrow") is None, reason="needs the extra keras-tdn[parquet]"
)

"""What every test starts from."""

import zlib

import keras
import pytest


@pytest.fixture(autouse=True)
def _seeded(request):
    """Weights that a test draws are the same in each run, so that what fails can be repeated."""
    keras.utils.set_random_seed(zlib.crc32(request.node.nodeid.encode()))

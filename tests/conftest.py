"""What every test starts from, and which tests wait to be asked for."""

import os
import zlib

import keras
import pytest

SLOW_TOO = bool(os.environ.get("KERAS_TDN_SLOW"))


def pytest_collection_modifyitems(items):
    if not SLOW_TOO:
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="takes long: set KERAS_TDN_SLOW=1"))


@pytest.fixture(autouse=True)
def _seeded(request):
    """Weights that a test draws are the same in each run, so that what fails can be repeated."""
    keras.utils.set_random_seed(zlib.crc32(request.node.nodeid.encode()))

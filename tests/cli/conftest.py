"""Commands run layer by layer what they load: each test loads its models anew."""

import pytest


@pytest.fixture(autouse=True, scope="module")
def _eager(eager_models):
    """What a command does with a compiled model: tests/cli/test_predict.py, in fresh processes."""

"""What every test starts from, what all of them share, and which wait to be asked for."""

import functools
import os
import random
import sys
import zlib

import pytest

# A backend takes seconds to import: the process that hands out the tests does without one.
SLOW_TOO = bool(os.environ.get("KERAS_TDN_SLOW"))


def pytest_configure(config):
    if path := os.environ.get("KERAS_TDN_TIMES"):
        from cpu_times import CpuTimes

        config.pluginmanager.register(CpuTimes(path))


def pytest_collection_modifyitems(items):
    if not SLOW_TOO:
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="takes long: set KERAS_TDN_SLOW=1"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Each worker starts with its own part of the list, so that few fixtures are made twice."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log) if config.getvalue("dist") == "load" else None


@pytest.fixture(autouse=True)
def _seeded(request):
    """Weights that a test draws are the same in each run, so that what fails can be repeated."""
    seed = zlib.crc32(request.node.nodeid.encode())
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(seed)
    else:
        random.seed(seed)


@pytest.fixture(scope="module")
def eager_models():
    """Every model of the module is run layer by layer: to compile one takes a second.

    For modules, by `pytestmark = pytest.mark.usefixtures("eager_models")`, whose tests do not ask
    whether a compiled model gives the same. JAX compiles all the same.
    """
    import keras

    with pytest.MonkeyPatch.context() as patch:
        if keras.backend.backend() != "jax":
            patch.setattr(keras.Model, "run_eagerly", property(lambda _: True, lambda *_: None))
        yield


@pytest.fixture
def command(capsys):
    """Runs `keras-tdn` with arguments in this process: its status, what it wrote and its errors."""
    from commands import run_here

    return functools.partial(run_here, capsys)


@pytest.fixture(scope="session")
def forked_runs():
    """Runs in processes of their own, for kills and crashes: see forked_runs.py."""
    from forked_runs import ForkedRuns

    runs = ForkedRuns()
    yield runs
    runs.close()

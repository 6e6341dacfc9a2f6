"""What every test starts from, what all of them share, and which wait to be asked for."""

import functools
import gc
import os
import random
import sys
import zlib
from pathlib import Path
from unittest import mock

import pytest

# A backend takes seconds to import: the process that hands out the tests does without one.
SLOW_TOO = bool(os.environ.get("KERAS_TDN_SLOW"))


def pytest_configure(config):
    # What tests write need not survive a power cut, and waiting for the disk took a tenth of the
    # time. Tests of the order of writes put their own function here.
    os.fsync = lambda _: None
    # Python looks for circles in all that TensorFlow has imported, again and again: an eighth.
    gc.set_threshold(100_000, 50, 100)
    if path := os.environ.get("KERAS_TDN_TIMES"):
        from cpu_times import CpuTimes

        config.pluginmanager.register(CpuTimes(path))
    if path := os.environ.get("KERAS_TDN_PASSED"):
        config.pluginmanager.register(PassedTests(Path(path), config))


class PassedTests:
    """Leaves out what has passed before, so that a further run adds what the first one skipped.

    Tests are skipped that take long, and where something is not installed: .ci/run installs it,
    sets what is needed, and runs the rest. The file has one test a line.
    """

    def __init__(self, path, config):
        self._path = path
        self._passed = set(path.read_text().splitlines()) if path.exists() else set()
        self._is_worker = hasattr(config, "workerinput")

    def pytest_collection_modifyitems(self, config, items):
        passed = [item for item in items if item.nodeid in self._passed]
        config.hook.pytest_deselected(items=passed)
        items[:] = [item for item in items if item.nodeid not in self._passed]

    def pytest_runtest_logreport(self, report):
        # Those of the workers come to the process that started them, too.
        if report.when == "call" and report.passed and not self._is_worker:
            with self._path.open("a") as file:
                file.write(f"{report.nodeid}\n")


def pytest_collection_modifyitems(items):
    if not SLOW_TOO:
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="takes long: set KERAS_TDN_SLOW=1"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """Workers send reports as UTF-8, and logs name files that are not."""
    report = yield
    report.sections = [
        (title, text.encode("utf-8", "backslashreplace").decode())
        for title, text in report.sections
    ]
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Each worker starts with its own part of the list, so that few fixtures are made twice."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log) if config.getvalue("dist") == "load" else None


@pytest.fixture(autouse=True)
def _seeded(request):
    """Weights that a test draws are the same in each run, so that what fails can be repeated."""
    seed = zlib.crc32(request.node.nodeid.encode())
    if "keras" not in sys.modules:
        random.seed(seed)
        return
    # TensorFlow would forget the kernels of all its operations, and the next model would take half
    # as long again. Its own generators, which this seeds, draw nothing here: Keras passes seeds on.
    with mock.patch("tensorflow.random.set_seed"):
        sys.modules["keras"].utils.set_random_seed(seed)


@pytest.fixture(autouse=True)
def _no_progress_lines(monkeypatch):
    """How long a test takes decides nothing that it finds in standard error."""
    monkeypatch.setattr("keras_tdn.progress.FIRST_LINE_SECONDS", 3600.0)


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

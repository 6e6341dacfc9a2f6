"""What each test costs, appended to the file that `KERAS_TDN_TIMES` names, a JSON object a line.

Seconds of processor time, of this process and of children that it waited for, do not depend on
what else runs; nor do the counts of what is expensive. `python tests/cpu_times.py FILE [DEPTH]`
prints sums by file, or by folder with a smaller depth.
"""

import collections
import functools
import inspect
import json
import operator
import os
import pathlib
import sys
import time

import pytest

COUNTED_EVENTS = {"subprocess.Popen": "processes", "os.fork": "forks"}
# Module, attribute of it, function, and what its calls are counted as.
COUNTED_CALLS = (
    ("keras_tdn.models.tdn_resnet", "TDNResNet", "__init__", "networks"),
    ("tensorflow.python.framework", "func_graph", "func_graph_from_py_func", "traces"),
)


class CpuTimes:
    """A pytest plugin; each worker of pytest-xdist appends to the same file."""

    def __init__(self, path):
        self._path = path
        self._counts = collections.Counter()
        self._inside = False
        self._patched = set()
        sys.addaudithook(self._count_event)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        self._patch()
        counts, before = self._counts.copy(), os.times()
        try:
            return (yield)
        finally:
            now = os.times()
            self._write(
                test=item.nodeid,
                wall=now.elapsed - before.elapsed,
                own=now.user + now.system - before.user - before.system,
                children=now.children_user
                + now.children_system
                - before.children_user
                - before.children_system,
                **{name: value - counts[name] for name, value in self._counts.items()},
            )

    def pytest_sessionfinish(self):
        times = os.times()
        self._write(
            session=os.environ.get("PYTEST_XDIST_WORKER", "main"),
            own=times.user + times.system,
            children=times.children_user + times.children_system,
        )

    def _write(self, **line):
        with open(self._path, "a") as file:
            file.write(json.dumps(line) + "\n")

    def _count_event(self, event, _):
        if event in COUNTED_EVENTS:
            self._counts[COUNTED_EVENTS[event]] += 1

    def _patch(self):
        """Counts calls of what has been imported by now."""
        for module, owner, name, counted in COUNTED_CALLS:
            if module in sys.modules and counted not in self._patched:
                self._patched.add(counted)
                owner = operator.attrgetter(owner)(sys.modules[module])
                setattr(owner, name, self._counted(getattr(owner, name), counted))

    def _counted(self, function, name):
        # Keras looks at the signature of what builds a model.
        @functools.wraps(function)
        def call(*arguments, **options):
            self._counts[name] += 1
            if self._inside:
                return function(*arguments, **options)
            self._inside, before = True, time.process_time()
            try:
                return function(*arguments, **options)
            finally:
                self._inside = False
                self._counts[f"{name}_s"] += time.process_time() - before

        call.__signature__ = inspect.signature(function)
        return call


def _print_sums(path, depth=9):
    sums = collections.defaultdict(collections.Counter)
    for line in map(json.loads, pathlib.Path(path).read_text().splitlines()):
        where = line.pop("test", None)
        if where is None:
            where = f"process {line.pop('session')}"
        else:
            where = "/".join(where.split("::")[0].split("/")[: int(depth)])
            sums["all tests"].update(line | {"tests": 1})
        sums[where].update(line | {"tests": 1})
    for where, sum_ in sorted(sums.items(), key=lambda item: -_cpu(item[1])):
        rest = {key: round(value, 1) for key, value in sum_.items() if key not in ("own",)}
        sys.stdout.write(f"{_cpu(sum_):8.1f} s  {where}  {rest}\n")


def _cpu(line):
    return line["own"] + line["children"]


if __name__ == "__main__":
    _print_sums(*sys.argv[1:])

"""Tasks that crash or hang their process are lost, and nothing else is."""

import os
import signal
import threading
import time

import numpy as np
import pool_tasks
import pytest

from keras_tdn import worker_pool
from keras_tdn.worker_pool import LostTaskError, WorkerPool


@pytest.fixture(scope="module")
def pool():
    with WorkerPool(pool_tasks.obey, 10, num_processes=2, time_limit=5.0, silent=True) as pool:
        yield pool


def test_results_come_in_order_or_as_they_are_ready(pool):
    tasks = [("slow", 3), ("add", 1), ("add", 2), ("add", 3)]
    assert list(pool.map(pool.run, tasks))[1:] == [11, 12, 13]
    assert list(pool.map(pool.run, tasks, ordered=False))[:3] == [11, 12, 13]


def test_arrays_come_as_they_are(pool):
    answer = pool.run(("array", (2, 300, 3)))
    assert np.array_equal(answer["frames"], np.full((2, 300, 3), 7, np.uint8))
    assert answer["empty"].shape == (0, 3)


def test_a_crash_costs_its_task(pool):
    before = {pool.run(("pid", None)) for _ in range(4)}
    with pytest.raises(LostTaskError, match=r"^crashes the decoder \(signal SIGSEGV\)$") as lost:
        pool.run(("crash", None))
    assert lost.value.exitcode == -signal.SIGSEGV
    assert pool.run(("add", 1)) == 11
    assert {pool.run(("pid", None)) for _ in range(4)} != before


def test_a_task_that_takes_too_long_is_lost(monkeypatch, pool):
    monkeypatch.setattr(pool, "time_limit", 1.0)
    with pytest.raises(LostTaskError, match=r"^takes longer than 1 sec.*ends$") as lost:
        pool.run(("hang", None))
    assert lost.value.exitcode is None
    # Each message is a sign of life.
    messages = []
    pool.run(("slow", 6), messages.append)
    assert messages == list(range(6))


def test_exceptions_come_back_and_cost_no_process(pool):
    before = pool.run(("pid", None))
    with pytest.raises(ValueError, match="no video"):
        pool.run(("fail", "no video"))
    with pytest.raises(RuntimeError, match="OddError: one"):
        pool.run(("fail oddly", None))
    assert pool.run(("pid", None)) == before


def test_a_process_that_was_killed_while_it_had_nothing_to_do_is_replaced(pool):
    idle = pool.run(("pid", None))
    os.kill(idle, signal.SIGKILL)
    time.sleep(0.2)
    assert pool.run(("add", 5)) == 15


def test_an_error_in_the_caller_leaves_no_answer_for_the_next(pool):
    def fail(message):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        pool.run(("slow", 2), fail)
    assert pool.run(("add", 5)) == 15


def test_one_death_may_be_the_systems_doing(tmp_path):
    with WorkerPool(pool_tasks.obey, 10, num_processes=1, deaths_per_task=2, silent=True) as pool:
        assert pool.run(("crash once", str(tmp_path / "crashed"))) > 0
        with pytest.raises(LostTaskError):
            pool.run(("crash", None))


def test_processes_that_do_not_start(monkeypatch):
    with WorkerPool(pool_tasks.never_start, num_processes=1, silent=True) as pool:
        for _ in range(2):
            with pytest.raises(OSError, match=r"does not start \(exit status 3\)"):
                pool.run(("add", 1))
    monkeypatch.setattr(worker_pool, "START_SECONDS", 0.0)
    with (
        WorkerPool(pool_tasks.obey, 1, num_processes=1) as pool,
        pytest.raises(OSError, match="does not start"),
    ):
        pool.run(("add", 1))


def test_closing_ends_what_is_at_work():
    pool = WorkerPool(pool_tasks.obey, 10, num_processes=1)
    told = []

    def run():
        try:
            pool.run(("hang", None))
        except (LostTaskError, OSError) as error:
            told.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    started = time.monotonic()
    pool.close()
    for thread in threads:
        thread.join()
    assert len(told) == 3
    assert time.monotonic() - started < 10


def test_leaving_early_starts_no_other_task(pool):
    for result in pool.map(pool.run, [("add", 1), *[("slow", 1)] * 50]):
        assert result == 11
        break
    started = time.monotonic()
    assert pool.run(("add", 1)) == 11
    assert time.monotonic() - started < 10

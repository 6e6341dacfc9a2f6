"""A bar on a terminal; elsewhere a line within ten seconds, and then one each minute."""

import gc
import io
import re
import sys
import threading
import time

from keras_tdn import progress as progress_module
from keras_tdn.progress import (
    FIRST_LINE_SECONDS,
    LINE_SECONDS,
    Progress,
    duration,
    hidden_progress,
)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def write_to_terminal(monkeypatch):
    # Not in a fixture: pytest sets its own standard error after these.
    monkeypatch.setattr(sys, "stderr", Terminal())
    return sys.stderr


def write_to_log(monkeypatch):
    """Standard error that is no terminal, and lines without waiting for them."""
    monkeypatch.setattr(progress_module, "FIRST_LINE_SECONDS", 0.05)
    monkeypatch.setattr(progress_module, "LINE_SECONDS", 0.05)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    return sys.stderr


def lines_of(log, number):
    deadline = time.monotonic() + 20
    while log.getvalue().count("\n") < number:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return log.getvalue().splitlines()


def test_a_bar_on_a_terminal(monkeypatch):
    terminal = write_to_terminal(monkeypatch)
    with Progress("keras-tdn label", 40, done=10) as progress:
        progress.describe("epoch 1/2")
        progress.update(20, bad=3)
        progress.advance(bad=4)
        progress.write("a line that stays")
    shown = terminal.getvalue()
    assert re.search(r"epoch 1/2:? +52%\|.*\| 21/40 \[00:00<.*video/s, bad 4\]", shown)
    assert "a line that stays\n" in shown


def test_seconds_of_video_have_an_end_or_none(monkeypatch):
    terminal = write_to_terminal(monkeypatch)
    with Progress("keras-tdn watch", None, unit="s") as progress:
        progress.update(2.2, speed="5.0x")
    with Progress("keras-tdn watch", None, unit="s") as progress:
        progress.update(2, 4.0)
    shown = terminal.getvalue()
    assert re.search(r"\r2 s \[00:00, speed 5.0x\]", shown)
    assert re.search(r"50%\|.*\| 2 of 4 s \[00:00\]", shown)


def test_lines_elsewhere_also_while_nothing_is_done(monkeypatch):
    log = write_to_log(monkeypatch)
    with Progress("keras-tdn label", 40, done=10) as progress:
        first = lines_of(log, 1)[0]
        progress.update(20, bad=3)
        last = lines_of(log, len(lines_of(log, 1)) + 2)[-1]
        progress.write("a line that stays")
    assert first == "keras-tdn label: 10 of 40 videos (25.0%), no video yet"
    assert re.fullmatch(
        r"keras-tdn label: 20 of 40 videos \(50.0%\), [\d.e+]+ videos/s, \d+ s left, bad 3", last
    )
    assert "a line that stays" in log.getvalue()
    # It ends with the run.
    written = log.getvalue()
    time.sleep(0.2)
    assert log.getvalue() == written


def test_what_nobody_has_any_more_writes_nothing(monkeypatch):
    log = write_to_log(monkeypatch)
    progress = Progress("keras-tdn label", 40)
    progress.__enter__()
    lines_of(log, 1)
    del progress
    gc.collect()
    written = log.getvalue()
    time.sleep(0.1)
    assert log.getvalue() == written


def test_when_lines_come():
    assert FIRST_LINE_SECONDS < 10
    assert LINE_SECONDS == 60


def test_the_line():
    progress = Progress("keras-tdn pack", 100, done=20)
    progress.update(30)
    assert progress.line(4.0) == (
        "keras-tdn pack: 30 of 100 videos (30.0%), 2.5 videos/s, 28 s left"
    )
    progress = Progress("keras-tdn watch", None, unit="s")
    assert progress.line(4.0) == "keras-tdn watch: 0 s, starting"
    progress.update(100.4, 300.0, speed="5.0x")
    assert progress.line(20.0) == "keras-tdn watch: 100 of 300 s (33.5%), 40 s left, speed 5.0x"


def test_nothing_if_it_is_not_shown(monkeypatch):
    log = write_to_log(monkeypatch)
    with Progress("keras-tdn label", 40, shown=False) as progress:
        progress.update(3)
        progress.describe("x")
        progress.write("x")
        time.sleep(0.2)
    with hidden_progress(), Progress("keras-tdn label", 40) as progress:
        progress.write("x")
    assert log.getvalue() == ""


def test_a_reader_that_has_left_ends_nothing(monkeypatch):
    log = write_to_log(monkeypatch)
    with Progress("keras-tdn label", 40) as progress:
        log.close()
        time.sleep(0.2)
        progress.update(2)


def test_threads_share_it():
    with Progress("keras-tdn pack", 400) as progress:
        threads = [
            threading.Thread(target=lambda: [progress.advance() for _ in range(100)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert progress.done == 400


def test_durations():
    texts = [duration(seconds) for seconds in (4.4, 61, 3600 * 26 + 61)]
    assert texts == ["4 s", "1 min 01 s", "26 h 01 min"]

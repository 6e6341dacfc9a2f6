"""A command ends within two seconds of being told, whatever its threads are at."""

import os
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")

LIMIT = 2.0
START = """
import hashlib, os, sys, threading, time
from keras_tdn.ending import finishing, run_until_told

def say(text):
    sys.stdout.write(text + "\\n")
    sys.stdout.flush()

def blocked():
    # Foreign code, which no signal interrupts.
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)

def run():
    {}
    return 3

sys.exit(run_until_told(run))
"""
# What a command is at: how it ends after SIGTERM, and what it writes.
STATES = {
    "waiting": ("say('ready'); time.sleep(60)", 143, ""),
    "foreign code": ("say('ready'); blocked()", 143, ""),
    "a thread": ("threading.Thread(target=blocked).start(); say('ready'); time.sleep(60)", 143, ""),
    "blocked while closing": (
        "try: say('ready'); time.sleep(60)\n    finally: say('closing'); blocked()",
        143, "closing",
    ),
    "closing": ("try: say('ready'); time.sleep(60)\n    finally: say('closed')", 143, "closed"),
    "taken for the end": (
        "try: say('ready'); time.sleep(60)\n    except KeyboardInterrupt: return 5", 5, "",
    ),
}  # fmt: skip


def start(code):
    return subprocess.Popen(
        [sys.executable, "-c", START.format(code)], stdout=subprocess.PIPE, text=True
    )


@pytest.fixture(scope="module")
def children():
    """All at once: what each waits for is time."""
    started = {name: start(state[0]) for name, state in STATES.items()}
    for process in started.values():
        assert process.stdout.readline() == "ready\n"
    for process in started.values():
        process.send_signal(signal.SIGTERM)
    told = time.monotonic()
    ended = {}
    for name, process in started.items():
        text = process.communicate(timeout=60)[0]
        ended[name] = (process.returncode, text.strip())
    return ended, time.monotonic() - told


@pytest.mark.parametrize("name", STATES)
def test_told_to_end(children, name):
    ended, seconds = children
    assert ended[name] == STATES[name][1:3]
    assert seconds < LIMIT


@pytest.fixture(scope="module")
def finishing():
    """At work for longer than the end may take, told once and told twice."""
    code = """
    until = time.monotonic() + 2.5
    with finishing(lambda: time.monotonic() < until):
        try: say('ready'); time.sleep(60)
        except KeyboardInterrupt: pass
        while time.monotonic() < until: time.sleep(0.1)
        say('saved')"""
    once, twice = start(code), start(code)
    for process in (once, twice):
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    twice.send_signal(signal.SIGTERM)
    return [(process.communicate(timeout=60)[0].strip(), process.returncode) for process in
            (once, twice)]  # fmt: skip


def test_work_that_heeds_the_signal_is_let_finish(finishing):
    assert finishing[0] == ("saved", 3)


def test_a_second_signal_does_not_wait(finishing):
    assert finishing[1] == ("", 130)


def test_commands_are_run_so():
    code = """
import sys, threading, time
import keras_tdn.cli as cli

def run(args):
    sys.stdout.write("ready\\n")
    sys.stdout.flush()
    threading.Thread(target=time.sleep, args=(60,)).start()
    time.sleep(60)

cli.check.run = run
sys.argv = ["keras-tdn", "check", "list.txt"]
sys.exit(cli.main())
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    told = time.monotonic()
    process.communicate(timeout=60)
    assert time.monotonic() - told < LIMIT
    assert process.returncode == 130

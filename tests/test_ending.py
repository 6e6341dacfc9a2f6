"""A command ends within two seconds of being told, whatever its threads are at."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest
from synthetic_videos import encode_video

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

cli.lists._run_check = run
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


# Run by every process at its start, child processes too: no video ever opens.
BLOCKED = """
import os, threading
import av

def blocked(*arguments, **options):
    with open(os.environ["OPENED"], "a") as file:
        file.write(f"{os.getpid()}\\n")
    threading.Event().wait()

av.open = blocked
"""
COMMANDS = {
    "predict": ["predict", "a.mp4", "--weights", "motion"],
    "watch": ["watch", "a.mp4", "--weights", "motion"],
    "evaluate": ["evaluate", "list.txt", "--weights", "motion"],
    "label": ["label", "list.txt", "labels", "--weights", "motion"],
    "label in processes": ["label", "list.txt", "rows", "--weights", "motion", "--in-processes"],
    "check": ["check", "list.txt"],
    "pack": ["pack", "list.txt", "packed"],
    "train": [
        *("train", "--train-list", "list.txt", "--val-list", "list.txt", "--output", "run"),
        *("--stage-depths", "1,1,1,1", "--width", "8", "--batch-size", "2"),
    ],
}


def is_alive(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as file:
        return file.read().split()[2] != "Z"
    return False


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="processes are looked up in /proc")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_whose_reader_is_blocked(tmp_path, command):
    (tmp_path / "sitecustomize.py").write_text(BLOCKED)
    for name in ("a", "b", "c", "d"):
        (tmp_path / f"{name}.mp4").write_bytes(encode_video(12, size=(32, 48)))
    (tmp_path / "list.txt").write_text("a.mp4 0\nb.mp4 1\nc.mp4 0\nd.mp4 1\n")
    opened = tmp_path / "opened"
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        [sys.executable, "-m", "keras_tdn", *COMMANDS[command]],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path, "OPENED": str(opened)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    limit = time.monotonic() + 120
    while not opened.exists() and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    told = time.monotonic()
    error = process.communicate(timeout=60)[1]
    assert time.monotonic() - told < LIMIT
    assert opened.exists(), error
    assert process.returncode == 143, error
    assert not any(is_alive(pid) for pid in opened.read_text().split())

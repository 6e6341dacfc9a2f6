"""The package runs on Windows: what only POSIX systems have is not used, in no module.

What could not run where these tests do is found in the syntax trees.
"""

import ast
import ntpath
import types
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "keras_tdn"
SOURCES = sorted(PACKAGE.rglob("*.py"))
# Modules, or functions of theirs, that Windows does not have, or that work otherwise there.
MISSING_MODULES = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "posix", "syslog"}
MISSING = {
    # select works on sockets alone.
    "select": {"select", "poll", "epoll", "kqueue"},
    "signal": {"SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGPIPE", "SIGSTOP", "alarm"}
    | {"setitimer", "pause", "pthread_sigmask", "sigwait", "siginterrupt"},
    "os": {"fork", "forkpty", "kill", "killpg", "setsid", "getuid", "geteuid", "getgid", "getpgid"}
    | {"mkfifo", "mknod", "chown", "fchmod", "fchown", "statvfs", "sched_getaffinity", "nice"}
    | {"wait", "wait3", "wait4", "waitid", "uname", "getloadavg", "sysconf", "pread", "preadv"}
    | {"pwrite", "set_blocking", "O_DIRECTORY", "O_NONBLOCK", "O_CLOEXEC", "setpriority"}
    # Fails on Windows where there is something already; os.replace does not.
    | {"rename", "renames"},
}
TEXT_METHODS = {"read_text": 0, "write_text": 1}


def uses(tree):
    """Each import and each `module.name` of a tree."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.split(".")[0], None, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield node.module.split(".")[0], alias.name, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield node.value.id, node.attr, node.lineno


def is_posix(module, name):
    # A local variable may be called `resource`.
    return (module in MISSING_MODULES and name is None) or name in MISSING.get(module, ())


def owner_of(function):
    """The first name of `h5py.h5g.open`; `None` of a plain function or of a method of a result."""
    while isinstance(function, ast.Attribute):
        function = function.value
        if isinstance(function, ast.Name):
            return function.id
    return None


def without_encoding(tree):
    """Lines that read or write text in whatever encoding the system prefers."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        given = {keyword.arg for keyword in node.keywords}
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        if name in TEXT_METHODS:
            if "encoding" not in given and len(node.args) <= TEXT_METHODS[name]:
                yield node.lineno
        # Temporary files are binary unless they are told otherwise, and `open` is text.
        elif name in ("open", "fdopen") or (name.endswith("TemporaryFile") and "mode" in given):
            owner = owner_of(function)
            if owner in ("av", "h5py", "os", "webbrowser", "Image", "zipfile") and name == "open":
                continue
            # Of a path, the mode is the first argument.
            is_method = isinstance(function, ast.Attribute) and owner not in ("os", "io", "gzip")
            modes = node.args[0 if is_method else 1 :][:1]
            modes += [keyword.value for keyword in node.keywords if keyword.arg == "mode"]
            mode = modes[0].value if modes and isinstance(modes[0], ast.Constant) else ""
            if "b" not in str(mode) and "encoding" not in given:
                yield node.lineno


def name_of(source):
    return source.relative_to(PACKAGE).as_posix()


@pytest.fixture(scope="module")
def trees():
    return {name_of(source): ast.parse(source.read_text("utf-8")) for source in SOURCES}


def test_nothing_that_windows_lacks(trees):
    found = [
        f"{file}:{line}: {module}.{name}"
        for file, tree in trees.items()
        for module, name, line in uses(tree)
        if is_posix(module, name)
    ]
    assert found == []


def test_text_is_read_and_written_as_utf8(trees):
    found = [f"{file}:{line}" for file, tree in trees.items() for line in without_encoding(tree)]
    assert found == []


def test_videos_on_two_drives_can_be_trained_on(monkeypatch):
    from keras_tdn.data.records import Record, RecordList
    from keras_tdn.training import run_folder

    monkeypatch.setattr(run_folder, "os", types.SimpleNamespace(path=ntpath))
    records = [Record(f"{drive}:\\videos\\a.mp4", 0) for drive in "CD"]
    described = run_folder._describe_records(RecordList(records))
    assert described["videos"] == 2
    # On one drive, the folder may be moved.
    moved = [
        run_folder._describe_records(RecordList([Record(f"{root}\\a.mp4", 0)]))["sha256"]
        for root in ("C:\\videos", "E:\\elsewhere")
    ]
    assert moved[0] == moved[1]

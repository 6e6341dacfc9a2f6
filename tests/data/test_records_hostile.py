"""Lists and label files that are long, deep, or no such thing: read in time, or refused."""

import contextlib
import csv
import os
import socket
import time

import pytest

from keras_tdn import cli
from keras_tdn.data.failures import read_failures
from keras_tdn.data.records import load_records
from keras_tdn.labels import load_labels

# Name of the list, and a line of it with something long in its middle.
LONG_LINES = {
    "blanks in a list": ("list.txt", "a.mp4{} run"),
    "blanks before a label": ("list.txt", "a.mp4 10{}run"),
    "blanks in a folder's line": ("list.txt", "folder{}10 0"),
    "blanks between folders": ("list.txt", "folder{}x y"),
    "blanks and no label": ("list.txt", "folder{}x"),
    "tabs": ("list.txt", "a\t{}\tb"),
    "commas": ("list.csv", "a.mp4,{}"),
    "blanks in a table": ("list.csv", "path,label\na.mp4,{}x"),
    "columns in a table": ("list.csv", "path,label{}\na.mp4,x"),
    "quotation marks in a table": ("list.csv", 'path,label\n"a.mp4{}",x'),
    "blanks in a path": ("list.csv", 'path,label\n"{}a.mp4",x'),
    "UCF101": ("trainlist01.txt", "Archery/v.avi{} 3"),
    "UCF101's path": ("trainlist01.txt", "Archery/{}v.avi 3"),
    "HMDB51": ("x_test_split1.txt", "v.avi{} 1"),
    "Something-Something V1": ("list.csv", "12{};x"),
    "Kinetics": ("list.csv", "youtube_id,time_start,time_end\na{},1,2"),
    "a header": ("list.csv", "{}path,label\na.mp4,x"),
}
FILLINGS = {"blanks": " ", "digits": "7", "suffixes": ".mp4", "quotes": '"', "commas": ",x"}


def read(path, **arguments):
    """Seconds that it takes to read a list, whether or not it is one."""
    start = time.process_time()
    with contextlib.suppress(ValueError):
        load_records(path, check_files=False, **arguments)
    return time.process_time() - start


@pytest.mark.parametrize("filling", FILLINGS)
@pytest.mark.parametrize("kind", LONG_LINES)
def test_time_grows_with_the_length_of_a_line(tmp_path, kind, filling):
    name, line = LONG_LINES[kind]
    split = "train" if name.startswith("x_") else None
    seconds = []
    for count in (20_000, 80_000):
        (tmp_path / name).write_text(line.format(FILLINGS[filling] * count) + "\n")
        seconds.append(read(tmp_path / name, split=split))
    # Four times the length takes sixteen times as long where time grows with its square: seconds
    # to minutes with 80,000 blanks. A list of any length that people have takes milliseconds.
    assert seconds[1] < 8 * seconds[0] + 0.2


@pytest.mark.parametrize("kind", ["labels.txt", "labels.json"])
def test_time_grows_with_the_length_of_labels(tmp_path, kind):
    texts = {"labels.txt": "1{}run\n2 jump\n", "labels.json": '{{"run{}": 0, "jump": 1}}'}
    (tmp_path / "list.txt").write_text("a.mp4 ru" + "n" * 80_000 + "\n")
    seconds = []
    for count in (20_000, 80_000):
        (tmp_path / kind).write_text(texts[kind].format(" " * count))
        seconds.append(read(tmp_path / "list.txt", labels=tmp_path / kind))
    assert seconds[1] < 8 * seconds[0] + 0.2


def test_time_grows_with_the_number_of_lines(tmp_path):
    seconds = []
    for count in (5_000, 20_000):
        lines = [f"{number}.mp4{' ' * 40}{number % 5} {number}\n" for number in range(count)]
        (tmp_path / "list.txt").write_text("".join(lines))
        seconds.append(read(tmp_path / "list.txt"))
    assert seconds[1] < 8 * seconds[0] + 0.5


# === JSON ===

DEEP = 10_000
TOO_DEEP = "is not read: its JSON is nested too deep"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[" * DEEP, TOO_DEEP),
        ("[" * DEEP + "]" * DEEP, TOO_DEEP),
        ('{"a":' * DEEP + "1" + "}" * DEEP, TOO_DEEP),
        # Deep, but not for the parser: what is said of it must not be either.
        ("[" * 700 + "]" * 700, "a JSON list of objects|expected an object with an `id`"),
        ('[{"id": "1", "template": ' + "[" * 600 + "]" * 600 + "}]", "`template` must be a string"),
        (f'[{{"id": {"9" * 5000}}}]', r"is not read: Exceeds the limit"),
        (f'[{{"id": "{"9" * 5000}", "template": 1e999}}]', "`template` must be a string.*inf"),
        ('[{"id": "1", "template": NaN}]', "`template` must be a string, but it is nan"),
        ('[{"id": "1", "template": -1}]', "the label -1 is not a class"),
        (f'[{{"id": "1", "template": {10**20}}}]', "out of proportion"),
        ('[{"id": "1", "id": "2"}]', "an object has the key 'id' twice"),
        ('[{"id": "\\ud800", "template": "x"}]', "no file can be called"),
        ('[{"id": "\\u0000", "template": "x"}]', "no file can be called"),
        ('[{"id": "1", "template": "\\ud800"}]', "is no class name: .* is not UTF-8 text"),
        ('[{"id": true}]', "expected an object with an `id`"),
        ("[", "is not JSON: line 1, column 2"),
        ("[]", "has no records"),
    ],
)
def test_json_lists(tmp_path, content, message):
    (tmp_path / "list.json").write_text(content)
    with pytest.raises(ValueError, match=message) as caught:
        load_records(tmp_path / "list.json", check_files=False)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[" * DEEP, TOO_DEEP),
        ('{"a":' * DEEP, TOO_DEEP),
        ("[" * 700 + "]" * 700, "Labels are strings. Received: list as item 0"),
        ('{"run": 1e999}', "are not the numbers 0 to 0"),
        ('{"run": NaN}', "are not the numbers 0 to 0"),
        ('{"run": 0.5}', "are not the numbers 0 to 0"),
        ('{"run": false}', "are not the numbers 0 to 0"),
        ('{"run": null}', "are not the numbers 0 to 0"),
        ('{"run": [0]}', "are not the numbers 0 to 0"),
        (f'{{"run": {10**400}}}', "are not the numbers 0 to 0"),
        (f'{{"run": "{"9" * 5000}"}}', "are not the numbers 0 to 0"),
        ('{"run": 0, "run": 1}', "an object has the key 'run' twice"),
        ('{"run": 0, "jump": 0}', "are not the numbers 0 to 1"),
        ('["run", "run"]', "'run' is both item 0 and item 1"),
        ('["\\ud800"]', r"item 0 of the labels is no class name: .* is not UTF-8 text"),
        ('["a\\nb"]', "is more than one line"),
        ("{}", "at least one label"),
        ("", "is not JSON: line 1"),
    ],
)
def test_json_labels(tmp_path, content, message):
    (tmp_path / "labels.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        load_records([("a.mp4", 0)], labels=tmp_path / "labels.json", check_files=False)


def test_the_command_says_it_in_a_line(tmp_path, capsys):
    (tmp_path / "list.json").write_text("[" * DEEP)
    assert cli.main(["check", str(tmp_path / "list.json")]) == 2
    error = capsys.readouterr().err
    assert TOO_DEEP in error
    assert len(error.splitlines()) == 1


def test_deep_lines_of_reports_are_passed_over(tmp_path):
    line = '{"path": "/a.mp4", "index": 0, "reason": "x"}\n'
    (tmp_path / "failures.jsonl").write_text("[" * DEEP + "\n" + line)
    assert [failure.path for failure in read_failures(tmp_path / "failures.jsonl")] == ["/a.mp4"]


# === What is no text file ===


@pytest.fixture(params=["pipe", "socket", "device"])
def no_file(request, tmp_path):
    if request.param == "pipe":
        os.mkfifo(tmp_path / "list.txt")
        yield tmp_path / "list.txt", "a named pipe"
    elif request.param == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            # Its path may have a hundred bytes.
            os.chdir(tmp_path)
            server.bind("list.txt")
            yield tmp_path / "list.txt", "a socket"
    else:
        yield "/dev/zero", "a device"


def test_what_never_ends(no_file, monkeypatch):
    monkeypatch.chdir(".")
    path, kind = no_file
    with pytest.raises(ValueError, match=f"Lists are read from regular files, but .* is {kind}"):
        load_records(path)
    with pytest.raises(ValueError, match=f"Labels are read from regular files, but .* is {kind}"):
        load_labels(path)
    with pytest.raises(ValueError, match=f"Labels are read from regular files, but .* is {kind}"):
        load_records([("a.mp4", 0)], labels=path, check_files=False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x00\x00\x00\x20ftypisom" * 99, "is not text: it has null characters"),
        ("a.mp4 0\n".encode("utf-16"), "is UTF-16. Save it as UTF-8"),
        ("a.mp4 0\n".encode("utf-16-be"), "is not text: it has null characters"),
        ("a.mp4 0\n".encode("utf-32"), "is UTF-32. Save it as UTF-8"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(255, 0, -1)), "has .* problems?:"),
    ],
)
def test_what_is_no_text(tmp_path, content, message):
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load_records(tmp_path / "list.txt")
    with pytest.raises(ValueError, match="Labels are read as UTF-8 text, but"):
        load_labels(tmp_path / "list.txt")


def test_json_that_is_not_utf8_says_in_which_line(tmp_path):
    (tmp_path / "list.json").write_bytes(b'[\n{"id": "1", "template": "caf\xe9"}]')
    with pytest.raises(ValueError, match=r"has other bytes in line 2\. Save it as UTF-8"):
        load_records(tmp_path / "list.json")


def test_class_names_that_are_not_utf8(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"a.mp4 caf\xe9\nb.mp4 run\n")
    with pytest.raises(ValueError, match=r"line 1: the label is no class name: .* is not UTF-8"):
        load_records(tmp_path / "list.txt", check_files=False)


def test_files_that_are_listed_by_bytes_are_found(tmp_path):
    name = os.fsdecode(b"caf\xe9.mp4")
    (tmp_path / name).touch()
    (tmp_path / "list.txt").write_bytes(b"caf\xe9.mp4 0\n")
    assert load_records(tmp_path / "list.txt")[0].path == str(tmp_path / name)


# === Tables ===


def test_a_field_longer_than_csv_reads(tmp_path):
    field = "x" * (csv.field_size_limit() + 1)
    (tmp_path / "list.csv").write_text(f"path,label\na.mp4,0\n{field}.mp4,0\n")
    with pytest.raises(ValueError, match=r"line 3: not a line of a CSV file \(field larger"):
        load_records(tmp_path / "list.csv", check_files=False)


@pytest.mark.parametrize(
    ("name", "text"), [("l.txt", "{}a\0b.mp4 0\n"), ("l.csv", "path,label\n{}a\0b.mp4,0\n")]
)
def test_null_characters(tmp_path, name, text):
    # Behind what is looked at to tell text from videos.
    lines = "x.mp4,0\n" if name == "l.csv" else "x.mp4 0\n"
    (tmp_path / name).write_text(text.format(lines * 2000))
    (tmp_path / "x.mp4").touch()
    for check_files in (True, False):
        with pytest.raises(ValueError, match=r"line 200[12]: no file can be called 'a.x00b.mp4'"):
            load_records(tmp_path / name, check_files=check_files, root=tmp_path)


def test_old_line_ends_in_labels(tmp_path):
    (tmp_path / "labels.txt").write_bytes(b"run\rjump\rsit\r")
    assert load_labels(tmp_path / "labels.txt") == ("run", "jump", "sit")


@pytest.mark.parametrize(
    "item",
    [("a.mp4", True), ("", 0), (b"a.mp4", 0), ("a.mp4", 0, 2**31), ("a.mp4", 0, 10**5000), ()],
    ids=["a truth", "no path", "bytes", "too many frames", "far too many", "nothing"],
)
def test_items_that_are_no_records(item):
    with pytest.raises(ValueError, match="item 0: expected a record or"):
        load_records([item], check_files=False)

"""Lists that are written are read back equal, whatever files and classes are called."""

import os

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from keras_tdn.data.checking import CheckReport, FileCheck
from keras_tdn.data.failures import Failure, FailureLog, read_failures
from keras_tdn.data.records import Record, RecordList, load_records

# File names as bytes: all but "/" and the null character.
AWKWARD = [
    b"a b.mp4",
    b" leading.mp4",
    b"trailing.mp4 ",
    b"\ttab.mp4\t",
    b"a\rb.mp4",
    b"a\nb.mp4",
    b"a\r\nb.mp4",
    b"\n.mp4",
    b'quo"ted.mp4',
    b'"quoted".mp4',
    b'"',
    b"com,ma;semi.mp4",
    b"caf\xe9.mp4",
    b"\xff\xfe\x80.mp4",
    "ü\u2028\x85\x0b.mp4".encode(),
    "\ufeff.mp4".encode(),
    b"10 90 0.mp4",
    b"~root.mp4",
    b"-.mp4",
    b"path,num_frames",
    b"#.mp4",
    b"no suffix",
]


def good_list(records, folder, bad=()):
    files = [
        FileCheck(record.path, record.index, record.label, "bad" * (record.path in bad), 7)
        for record in records
    ]
    report = CheckReport(tuple(files), records.labels, records.num_classes)
    report.write_good_list(folder / "good.csv")
    return folder / "good.csv"


def facts(records):
    return [(record.path, record.label) for record in records]


def class_folder(root, name, files=(b"a.mp4",)):
    folder = os.path.join(os.fsencode(root), name)
    os.makedirs(folder)
    for file in files:
        with open(os.path.join(folder, file), "wb"):
            pass


def test_every_name_that_a_file_system_has(tmp_path):
    files = [name if name.endswith(b".mp4") else name + b".mp4" for name in AWKWARD]
    for name in (b"1", b"2", b"10", b" run ", b'com,ma "quoted"', b"caf\xe9", b"two\nlines"):
        class_folder(tmp_path / "videos", name, files)
    records = load_records(tmp_path / "videos")
    assert len(records) == 7 * len(files)
    assert records.labels == ("1", "10", "2", "caf\\xe9", 'com,ma "quoted"', "run", "two lines")
    again = load_records(good_list(records, tmp_path))
    assert facts(again) == facts(records)
    assert (again.labels, again.num_classes) == (records.labels, 7)
    # With the same labels, as for a validation list, and with fewer classes among the good files.
    assert load_records(tmp_path / "good.csv", labels=records.labels) == again
    bad = {record.path for record in records if record.label in (1, 6)}
    some = load_records(good_list(records, tmp_path, bad))
    assert facts(some) == [pair for pair in facts(records) if pair[0] not in bad]
    assert some.labels == records.labels


@pytest.mark.parametrize("labels", [None, ("0", "7", "3", " x ", "run")])
def test_numbers_and_names_that_look_like_them(tmp_path, labels):
    items = [Record(str(tmp_path / f"{label}.mp4"), label, index=label) for label in (0, 1, 3)]
    for record in items:
        open(record.path, "wb").close()
    records = RecordList(items, labels, 5)
    again = load_records(good_list(records, tmp_path))
    assert facts(again) == facts(records)
    assert (again.labels, again.num_classes) == (records.labels, 5)
    without = RecordList([Record(record.path, None) for record in items])
    assert facts(load_records(good_list(without, tmp_path))) == facts(without)


NAMES = st.lists(
    st.one_of(
        st.sampled_from(AWKWARD),
        st.text(alphabet=st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1),
        st.text(alphabet=" \t\r\n\",;'.~0a", min_size=1, max_size=6),
        st.binary(min_size=1, max_size=12),
    ).map(lambda name: (name if isinstance(name, bytes) else name.encode())[:100]),
    min_size=1,
    max_size=4,
    unique=True,
)
LABELS = st.one_of(
    st.none(),
    st.lists(
        st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=8).map(str.strip),
        min_size=4,
        max_size=4,
        unique=True,
    ).filter(lambda names: all(names) and not any(set(name) & set("\r\n\0") for name in names)),
)


@given(NAMES, LABELS, st.lists(st.integers(0, 3), min_size=4, max_size=4))
@example([b" "], [",", '"', "1", "0"], [3, 0, 1, 2])
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_names(tmp_path, names, labels, indices):
    paths = []
    for name in names:
        name = name.replace(b"/", b"_").replace(b"\0", b"_")
        if name in (b".", b".."):
            continue
        path = os.path.join(os.fsencode(tmp_path), b"videos", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb"):
            pass
        paths.append(os.fsdecode(path))
    if not paths:
        return
    records = RecordList(
        [
            Record(path, label, index=index)
            for index, (path, label) in enumerate(zip(paths, indices, strict=False))
        ],
        labels,
        4,
    )
    again = load_records(good_list(records, tmp_path))
    assert facts(again) == facts(records)
    assert (again.labels, again.num_classes) == (records.labels, 4)
    # Without looking at files as well.
    assert load_records(tmp_path / "good.csv", check_files=False) == again


def test_reports_of_failures(tmp_path):
    paths = [f"/{os.fsdecode(name)}" for name in AWKWARD]
    failures = [Failure(path, index, f"in {path!r}: {path}") for index, path in enumerate(paths)]
    log = FailureLog(1000, 1.0, tmp_path / "log.jsonl")
    for failure in failures:
        log.add(failure, 1000)
    assert read_failures(tmp_path / "log.jsonl") == failures
    # Another run does not list them again.
    for failure in failures:
        FailureLog(1000, 1.0, tmp_path / "log.jsonl").add(failure, 1000)
    assert read_failures(tmp_path / "log.jsonl") == failures
    files = [FileCheck(each.path, each.index, None, each.reason) for each in failures]
    CheckReport(tuple(files)).write_report(tmp_path / "report.jsonl")
    assert read_failures(tmp_path / "report.jsonl") == failures


def test_lists_replace_others_whole(tmp_path):
    report = CheckReport((FileCheck("/a.mp4", 0, 0, "", 3),))
    (tmp_path / "good.csv").write_text("old")
    report.write_good_list(tmp_path / "good.csv")
    assert (tmp_path / "good.csv").read_text() == 'path,num_frames,class_index\n"/a.mp4",3,0\n'
    assert [path.name for path in tmp_path.iterdir()] == ["good.csv"]
    for write in (report.write_good_list, report.write_report):
        with pytest.raises(ValueError, match="is a folder, and a file was to be written"):
            write(tmp_path)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a.mp4,x,0\nb.mp4,y,0\n", "line 3: class 0 is 'y' here and 'x' at line 2"),
        ("a.mp4,x,0\nb.mp4,x,1\n", "line 3: 'x' is class 1 here and 0 at line 2"),
        ("a.mp4,x,one\n", "line 2: `class_index` is an integer from 0, but it is 'one'"),
        ("a.mp4,x,0\n,x,0\n", "line 3: `path` is empty"),
    ],
)
def test_tables_that_contradict_themselves(tmp_path, rows, message):
    (tmp_path / "t.csv").write_text(f"path,class_name,class_index\n{rows}")
    with pytest.raises(ValueError, match=message):
        load_records(tmp_path / "t.csv", check_files=False)


def test_names_are_sorted_where_a_table_does_not_number_all(tmp_path):
    (tmp_path / "t.csv").write_text("path,class_name,class_index\na.mp4,x,2\nb.mp4,w,\n")
    records = load_records(tmp_path / "t.csv", check_files=False)
    assert (records.labels, [record.label for record in records]) == (("w", "x"), [1, 0])

"""Records, and what load_records does with every format."""

import contextlib
import copy
import pickle
import time

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import keras_tdn
from keras_tdn.data.records import FORMATS, Record, RecordList, load_records


def touch(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def listed(tmp_path, text, name="train.txt", *, videos=(), **arguments):
    touch(tmp_path, *videos)
    file = tmp_path / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_records(file, **arguments)


def problems(tmp_path, text, name="train.txt", **arguments):
    with pytest.raises(ValueError, match=r"problems?:|None of the") as caught:
        listed(tmp_path, text, name, **arguments)
    return str(caught.value).split("\n")


# === Record and RecordList ===


def test_record_is_a_value():
    record = Record("/a.mp4", 3, 40, 7)
    assert record == Record(path="/a.mp4", label=3, num_frames=40, index=7)
    assert len({record, Record("/a.mp4", 3, 40, 7)}) == 1
    assert Record("/a.mp4", None) == Record("/a.mp4", None, None, 0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("path", ""),
        ("path", 5),
        ("label", -1),
        ("label", "run"),
        ("label", True),
        ("num_frames", 0),
        ("num_frames", 2.0),
        ("index", -1),
        ("index", None),
    ],
)
def test_record_errors(field, value):
    with pytest.raises(ValueError, match=f"A record's `{field}` is .*Received: {field}={value!r}"):
        Record(**{"path": "/a.mp4", "label": 0, field: value})


def test_record_list():
    records = RecordList([Record(f"/{i}.mp4", i % 2, index=i) for i in range(5)], ["a", "b"])
    assert len(records) == 5
    assert records.labels == ("a", "b")
    assert records.num_classes == 2
    assert [record.index for record in records] == list(range(5))
    part = records[1:2]
    assert isinstance(part, RecordList)
    assert part[0] == records[1]
    assert part.num_classes == 2
    assert part.labels == ("a", "b")
    assert records[-1].index == 4
    assert records == RecordList(list(records), ("a", "b"))
    assert hash(records) == hash(RecordList(list(records), ("a", "b")))
    assert records != part
    assert records != list(records)
    assert repr(records) == "<RecordList of 5 records, 2 classes>"
    assert records[0] in records
    for copied in (pickle.loads(pickle.dumps(records)), copy.deepcopy(records)):
        assert copied == records
    with pytest.raises(AttributeError):
        records.labels = ("c", "d")
    with pytest.raises(TypeError):
        records[0] = records[1]


def test_number_of_classes():
    assert RecordList([Record("/a.mp4", 4)]).num_classes == 5
    assert RecordList([Record("/a.mp4", None)]).num_classes == 0
    assert RecordList([]).num_classes == 0


# === The authors' lists ===


def test_folders_with_frame_counts(tmp_path):
    records = listed(tmp_path, "one 30 1\ntwo 41 0\n", videos=["one/00001.jpg", "two/00001.jpg"])
    assert list(records) == [
        Record(str(tmp_path / "one"), 1, 30, 0),
        Record(str(tmp_path / "two"), 0, 41, 1),
    ]
    assert records.labels is None
    assert records.num_classes == 2


def test_videos_with_and_without_their_suffix(tmp_path):
    text = "a.mp4 0\nb 1\nc 2\n"
    records = listed(tmp_path, text, videos=["a.mp4", "b.mp4", "c.webm"])
    assert [record.path for record in records] == [
        str(tmp_path / name) for name in ("a.mp4", "b.mp4", "c.webm")
    ]
    assert [record.label for record in records] == [0, 1, 2]
    assert {record.num_frames for record in records} == {None}


def test_videos_with_frame_counts(tmp_path):
    records = listed(tmp_path, "v/a.mp4 97 0\nv/b.AVI 30 1\n", videos=["v/a.mp4", "v/b.AVI"])
    assert [record.num_frames for record in records] == [97, 30]


@pytest.mark.parametrize(
    ("line", "path", "num_frames", "label"),
    [
        ("my clips/a b.mp4 30 riding a bike", "my clips/a b.mp4", 30, "riding a bike"),
        ("my clips/a b.mp4 riding a bike", "my clips/a b.mp4", None, "riding a bike"),
        ("a 1.mp4 0", "a 1.mp4", None, None),
        ("a.mp4 b.mp4 5 run", "a.mp4 b.mp4", 5, "run"),
        ("a b\t30\triding a bike", "a b", 30, "riding a bike"),
        ("a b\triding a bike", "a b", None, "riding a bike"),
        ("a b 30 run", "a b", 30, "run"),
        ("a b run", "a b", None, "run"),
        ("  a.mp4   12   run  \r", "a.mp4", 12, "run"),
        ("ä ö.mp4 0", "ä ö.mp4", None, None),
        ("a\x0bb\x85c.mp4 0", "a\x0bb\x85c.mp4", None, None),
    ],
)
def test_spaces_and_separators(tmp_path, line, path, num_frames, label):
    record = listed(tmp_path, f"{line}\n", videos=[path])[0]
    assert record == Record(str(tmp_path / path), 0, num_frames, 0)
    assert listed(tmp_path, line).labels == (None if label is None else (label,))


def test_a_list_in_commas(tmp_path):
    text = '"a, b",12,x\nc,13,y\n'
    records = listed(tmp_path, text, "train.csv", videos=["a, b/1.jpg", "c/1.jpg"])
    assert [record.num_frames for record in records] == [12, 13]
    assert records.labels == ("x", "y")


def test_the_authors_kinetics_list_is_a_csv_with_blanks(tmp_path):
    records = listed(tmp_path, "a 0\nb 1\n", "train.csv", videos=["a.mp4", "b.mp4"])
    assert [record.label for record in records] == [0, 1]


def test_byte_order_mark_line_ends_and_blank_lines(tmp_path):
    text = b"\xef\xbb\xbfa.mp4 1\r\n\r\n  \r\nb.mp4 0"
    records = listed(tmp_path, text, videos=["a.mp4", "b.mp4"])
    assert [record.label for record in records] == [1, 0]


def test_old_line_ends(tmp_path):
    assert len(listed(tmp_path, "a.mp4 1\rb.mp4 0\r", videos=["a.mp4", "b.mp4"])) == 2


def test_unlabelled_list(tmp_path):
    records = listed(tmp_path, "a.mp4\nb c.mp4\n", videos=["a.mp4", "b c.mp4"])
    assert [record.label for record in records] == [None, None]
    assert records.labels is None
    assert records.num_classes == 0


def test_roots(tmp_path, monkeypatch):
    touch(tmp_path, "videos/a.mp4", "elsewhere/b.mp4")
    absolute = tmp_path / "elsewhere" / "b.mp4"
    (tmp_path / "lists").mkdir()
    list_file = tmp_path / "lists" / "train.txt"
    list_file.write_text(f"a.mp4 0\n{absolute} 1\n")
    expected = [str(tmp_path / "videos" / "a.mp4"), str(absolute)]
    for root in (tmp_path / "videos", str(tmp_path / "lists" / ".." / "videos")):
        assert [record.path for record in load_records(list_file, root=root)] == expected
    monkeypatch.chdir(tmp_path)
    records = load_records("lists/train.txt", root="videos")
    assert [record.path for record in records] == expected
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_records("~/lists/train.txt", root="~/videos") == records


def test_links(tmp_path):
    touch(tmp_path, "real/a.mp4")
    (tmp_path / "b.mp4").symlink_to(tmp_path / "real" / "a.mp4")
    (tmp_path / "dangling.mp4").symlink_to(tmp_path / "gone.mp4")
    (tmp_path / "folder").symlink_to(tmp_path / "real", target_is_directory=True)
    assert len(listed(tmp_path, "b.mp4 0\nfolder/a.mp4 0\n")) == 2
    lines = problems(tmp_path, "b.mp4 0\ndangling.mp4 0\n")
    assert "line 2: there is no file" in lines[1]


# === Labels ===

VIDEOS = ["a.mp4", "b.mp4"]


def test_names_are_sorted_by_default(tmp_path):
    records = listed(tmp_path, "a.mp4 run\nb.mp4 jump\n", videos=VIDEOS)
    assert records.labels == ("jump", "run")
    assert [record.label for record in records] == [1, 0]


def test_validation_takes_the_labels_of_training(tmp_path):
    train = listed(tmp_path, "a.mp4 run\nb.mp4 jump\n", videos=VIDEOS)
    validation = listed(tmp_path, "a.mp4 run\n", labels=train.labels)
    assert validation[0].label == 1
    assert validation.labels == train.labels
    assert validation.num_classes == 2


@pytest.mark.parametrize(
    "content",
    ["jump\nrun\n", "1 jump\n2 run\n", "0 jump\r\n1 run\r\n", '{"run": "1", "jump": 0}'],
)
def test_label_files(tmp_path, content):
    labels = tmp_path / ("labels.json" if content.startswith("{") else "labels.txt")
    labels.write_text(content)
    records = listed(tmp_path, "a.mp4 run\nb.mp4 jump\n", videos=VIDEOS, labels=labels)
    assert records.labels == ("jump", "run")
    assert [record.label for record in records] == [1, 0]
    numbers = listed(tmp_path, "a.mp4 1\nb.mp4 0\n", labels=str(labels))
    assert numbers == records


def test_a_list_of_names_in_json(tmp_path):
    (tmp_path / "labels.json").write_text('["run", "jump"]')
    records = listed(tmp_path, "a.mp4 run\n", videos=VIDEOS, labels=tmp_path / "labels.json")
    assert records.labels == ("run", "jump")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"run": 1, "jump": 2}', "are not the numbers 0 to 1"),
        ('{"run": "x"}', "are not the numbers 0 to 0"),
        ("5", "holds a int"),
        ("{", "is not JSON: line 1"),
    ],
)
def test_label_file_errors(tmp_path, content, message):
    (tmp_path / "labels.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        listed(tmp_path, "a.mp4 run\n", labels=tmp_path / "labels.json")


def test_a_data_sets_labels(tmp_path):
    text = "a.mp4 riding_a_bike\nb.mp4 Hurling_Sport\n"
    records = listed(tmp_path, text, videos=VIDEOS, labels="kinetics400", check_files=False)
    names = keras_tdn.labels.load_labels("kinetics400")
    assert records.labels == names
    assert names[records[1].label] == "hurling (sport)"
    assert names[records[0].label] == "riding a bike"


def test_ambiguous_spellings_need_the_exact_name(tmp_path):
    labels = ["(run)", "run", "Jump"]
    records = listed(tmp_path, "a.mp4 run\nb.mp4 jump\n", videos=VIDEOS, labels=labels)
    assert [record.label for record in records] == [1, 2]
    assert "no class 'RUN'" in problems(tmp_path, "a.mp4 RUN\n", labels=labels)[1]


def test_classes_called_by_numbers(tmp_path):
    records = listed(tmp_path, "a.mp4 7\nb.mp4 3\n", videos=VIDEOS, labels=["7", "3"])
    assert [record.label for record in records] == [0, 1]


def test_number_of_classes_of_a_list_without_names(tmp_path):
    assert listed(tmp_path, "a.mp4 1\n", videos=VIDEOS, num_classes=9).num_classes == 9
    lines = problems(tmp_path, "a.mp4 1\nb.mp4 9\n", num_classes=9)
    assert lines[1:] == [
        "  line 2: the label 9 is not a class: they are numbered 0 to 8, and this"
        " list seems to count from 1"
    ]


def test_number_of_classes_errors(tmp_path):
    with pytest.raises(ValueError, match="`num_classes` must be a positive integer"):
        listed(tmp_path, "a.mp4 1\n", videos=VIDEOS, num_classes=0)
    with pytest.raises(ValueError, match="There are 2 labels: leave `num_classes` out"):
        listed(tmp_path, "a.mp4 1\n", num_classes=3, labels=["x", "y"])
    with pytest.raises(ValueError, match="There are 1 labels"):
        listed(tmp_path, "a.mp4 run\n", num_classes=3)


# === What is wrong with a list ===


def test_everything_wrong_is_told_at_once(tmp_path):
    text = (
        "a.mp4 30 0\n"
        "\n"
        "b.mp4 x 1\n"  # the rest of the line is no label
        "gone.mp4 12 1\n"
        "a.mp4 30 1\n"
        "b.mp4 0 1\n"
        "b.mp4 12 -1\n"
        "b.mp4 12 2\n"
        "b.mp4\n"
    )
    lines = problems(tmp_path, text, videos=VIDEOS, labels=["jump", "run"])
    assert lines == [
        f"{str(tmp_path / 'train.txt')!r} has 7 problems:",
        "  line 3: there is no class 'x 1' among the 2 labels",
        f"  line 4: there is no file {str(tmp_path / 'gone.mp4')!r}",
        f"  line 5: {str(tmp_path / 'a.mp4')!r} has the label '1' here and '0' at line 1",
        "  line 6: the number of frames must be a positive integer, but it is '0'",
        "  line 7: the label -1 is not a class: they are numbered 0 to 1",
        "  line 8: the label 2 is not a class: they are numbered 0 to 1",
        "  line 9: there is no label, unlike in other lines",
    ]


def test_a_close_name_is_suggested(tmp_path):
    lines = problems(tmp_path, "a.mp4 runing\n", videos=VIDEOS, labels=["jump", "running"])
    assert lines[1].endswith("no class 'runing' among the 2 labels; did you mean 'running'?")


def test_a_word_among_numbers(tmp_path):
    lines = problems(tmp_path, "a.mp4 0\nb.mp4 run\n", videos=VIDEOS)
    assert "line 2: the label 'run' is not a number, as others in this list are" in lines[1]


def test_lists_of_folders_are_all_of_one_kind(tmp_path):
    lines = problems(tmp_path, "a 30 0\nb 1\nc 12 1\n", check_files=False)
    assert lines[1:] == [
        "  line 2: expected `folder num_frames label`, as in most lines, but it is 'b 1'"
    ]


@pytest.mark.parametrize("line", ["a\t\tb", "a\tb\tc\td"])
def test_separated_lines_with_other_fields(tmp_path, line):
    lines = problems(tmp_path, f"x\t1\n{line}\n", check_files=False)
    assert "line 2: expected `path label` or `path num_frames label`" in lines[1]


def test_the_listing_is_bounded(tmp_path):
    text = "".join(f"{number}.mp4 0\n" for number in range(500)) + "a.mp4 0\n"
    lines = problems(tmp_path, text, videos=VIDEOS)
    assert lines[0].endswith("has 500 problems:")
    assert lines[1].startswith("  line 1: there is no file")
    assert lines[20].startswith("  line 20: there is no file")
    assert lines[21:] == [
        "  and 480 more",
        "500 of 501 files are not there; skip_missing=True leaves them out.",
    ]


def test_all_missing_points_at_the_root(tmp_path):
    lines = problems(tmp_path, "a.mp4 0\nb.mp4 1\n")
    assert lines[-1] == (
        f"None of the 2 files is there. Relative paths start at {str(tmp_path)!r}: pass `root` if "
        "the videos lie elsewhere."
    )


def test_missing_files_can_be_left_out(tmp_path):
    text = "gone.mp4 0\nb.mp4 1\n"
    records = listed(tmp_path, text, videos=VIDEOS, skip_missing=True)
    assert list(records) == [Record(str(tmp_path / "b.mp4"), 1, None, 1)]
    assert records.missing == (str(tmp_path / "gone.mp4"),)
    assert repr(records) == "<RecordList of 1 records, 2 classes, 1 missing>"
    with pytest.raises(ValueError, match=r"has no records. None of the 1 files is there"):
        listed(tmp_path, "gone.mp4 0\n", skip_missing=True)
    with pytest.raises(ValueError, match="`skip_missing` needs the files to be looked for"):
        listed(tmp_path, text, skip_missing=True, check_files=False)


def test_files_need_not_be_looked_for(tmp_path):
    records = listed(tmp_path, "a b/c.mp4 0\nd 1\n", check_files=False, root="/videos")
    assert [record.path for record in records] == ["/videos/a b/c.mp4", "/videos/d"]


def test_a_video_twice_with_one_label_is_oversampling(tmp_path):
    assert len(listed(tmp_path, "a.mp4 0\n./a.mp4 0\n", videos=VIDEOS)) == 2


@pytest.mark.parametrize("text", ["", "\n \r\n", "\ufeff"])
def test_an_empty_list(tmp_path, text):
    with pytest.raises(ValueError, match="has no records: there is no video listed in it"):
        listed(tmp_path, text)


def test_other_encodings(tmp_path):
    with pytest.raises(ValueError, match=r"line 2: .*udce4.mp4'; that line is not UTF-8: save"):
        listed(tmp_path, "a.mp4 0\nä.mp4 0\n".encode("latin-1"))


def test_no_such_source(tmp_path):
    with pytest.raises(ValueError, match="There is no list or folder"):
        load_records(tmp_path / "gone.txt")


def test_unknown_format(tmp_path):
    assert len(FORMATS) == 8
    with pytest.raises(ValueError, match=r"one of the formats list, .*format='txt'"):
        listed(tmp_path, "a.mp4 0\n", format="txt")


def test_arguments_that_do_not_go_with_the_format(tmp_path):
    with pytest.raises(ValueError, match=r"the list of one split, in the format 'list'"):
        listed(tmp_path, "a.mp4 0\n", split="train")
    with pytest.raises(ValueError, match="`fold` is for HMDB51's split files"):
        listed(tmp_path, "a.mp4 0\n", fold=1)
    with pytest.raises(ValueError, match="'folders' is a folder with a folder per class"):
        listed(tmp_path, "a.mp4 0\n", format="folders")
    with pytest.raises(ValueError, match="'list' is a file, but"):
        load_records(tmp_path, format="list")


PIECES = st.sampled_from(
    [
        "a.mp4",
        " ",
        "\t",
        "\n",
        "\r",
        "0",
        "12",
        "-1",
        ",",
        ";",
        '"',
        "[",
        "{",
        "}",
        "]",
        ":",
        "id",
        "path,label",
        "label,youtube_id,time_start,time_end,split",
        "/",
        "v",
        "\0",
        "ä",
        "nan",
        "1e999",
    ]
)


@given(st.lists(PIECES, max_size=30).map("".join), st.sampled_from([None, *FORMATS]))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_list_holds_the_error_is_a_value_error(tmp_path, text, format):
    name = "list.json" if text.startswith(("[", "{")) else "list.csv"
    for check_files in (False, True):
        with contextlib.suppress(ValueError):
            records = listed(tmp_path, text, name, format=format, check_files=check_files)
            assert len(records) > 0


# === Records as they are ===


def test_tuples_paths_and_records(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, *VIDEOS)
    records = load_records([("a.mp4", 1), (tmp_path / "b.mp4", 0, 30)])
    assert list(records) == [
        Record(str(tmp_path / "a.mp4"), 1, None, 0),
        Record(str(tmp_path / "b.mp4"), 0, 30, 1),
    ]
    assert load_records(records) == records
    assert load_records(iter(records), num_classes=4).num_classes == 4
    assert load_records(["a.mp4"])[0].label is None
    named = load_records([("a.mp4", "run")], labels=["jump", "run"])
    assert load_records(named) == named


def test_items_that_are_no_records(tmp_path):
    with pytest.raises(ValueError, match="The list of records has 4 problems") as caught:
        load_records([("a.mp4",), 5, ("a.mp4", 0, 0), ("a.mp4", 1.5)], root=tmp_path)
    assert "item 1: expected a record or (path, label, num_frames), but it is 5" in str(
        caught.value
    )
    with pytest.raises(ValueError, match="has no records"):
        load_records([])
    with pytest.raises(ValueError, match="`split` is for sources that are read from a file"):
        load_records([("a.mp4", 0)], split="train")


def test_a_list_of_the_wrong_kind_is_refused_quickly():
    items = [(f"{number}.mp4", f"sentence number {number}") for number in range(20_000)]
    start = time.perf_counter()
    with pytest.raises(ValueError, match="has 20000 problems"):
        load_records(items, labels="kinetics400", check_files=False)
    # Half a second; a search for a close name for each would take minutes.
    assert time.perf_counter() - start < 20

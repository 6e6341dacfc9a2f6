"""Labels and columns that do not fit are refused where they stand, not read as something else."""

import pytest

from keras_tdn.data.checking import CheckReport, FileCheck
from keras_tdn.data.records import Record, RecordList, load_records


def read(tmp_path, text, name="list.txt", **arguments):
    (tmp_path / name).write_text(text)
    return load_records(tmp_path / name, check_files=False, **arguments)


def problems(tmp_path, text, name="list.txt", **arguments):
    with pytest.raises(ValueError, match=r"has .* problem") as caught:
        read(tmp_path, text, name, **arguments)
    return [line.strip() for line in str(caught.value).split("\n")[1:]]


# === Numbers of classes ===


@pytest.mark.parametrize(
    ("label", "classes"),
    [("1000000000", "1000000001"), ("2147483648", "2147483649"), ("1000", "1001")],
)
@pytest.mark.parametrize("name", ["list.txt", "list.csv"])
def test_a_label_out_of_proportion(tmp_path, label, classes, name):
    text = f"a.mp4 0\nb.mp4 {label}\n"
    if name == "list.csv":
        text = f"path,label\n{text.replace(' ', ',')}"
    (line,) = problems(tmp_path, text, name)
    assert line == (
        f"line {2 + (name == 'list.csv')}: with the label {label} there would be {classes} "
        "classes, out of proportion to the 2 labels that occur; pass `num_classes` (on the command "
        "line --classes) if there are so many"
    )


def test_numbers_of_any_length_are_refused(tmp_path):
    for digits in (20, 600):
        (line,) = problems(tmp_path, f"a.mp4 0\nb.mp4 {'9' * digits}\n")
        assert line.startswith("line 2: with the label 9999")
        assert len(line) < 400
        (line,) = problems(tmp_path, f"a.mp4 0\nb.mp4 {'9' * digits}\n", num_classes=5)
        assert "is not a class: they are numbered 0 to 4" in line
        (line,) = problems(tmp_path, f"a.mp4 {'9' * digits} 0\n")
        assert line.startswith("line 1: the number of frames must be a positive integer")
    (line,) = problems(tmp_path, f"a.mp4 0\nb.mp4 {'9' * 5000}\n")
    assert "is not a number, as others in this list are" in line
    (line,) = problems(tmp_path, f"a.mp4 {'9' * 5000} 0\n")
    assert line.startswith("line 1: the number of frames must be a positive integer")
    assert len(line) < 400


def test_many_classes_are_believed_where_many_occur_or_are_stated(tmp_path):
    assert read(tmp_path, "a.mp4 0\nb.mp4 999\n").num_classes == 1000
    assert read(tmp_path, "a.mp4 0\nb.mp4 5000\n", num_classes=9000).num_classes == 9000
    text = "".join(f"{number}.mp4 {7 * number}\n" for number in range(700))
    assert read(tmp_path, text).num_classes == 7 * 699 + 1
    with pytest.raises(ValueError, match=r"positive integer, at most 2147483648\. Received"):
        read(tmp_path, text, num_classes=2**31 + 1)


def test_classes_are_those_of_the_whole_list(tmp_path):
    # Many labels occur, of which hardly any has its file.
    text = "".join(f"{number}.mp4 {5 * number}\n" for number in range(1000))
    (tmp_path / "list.txt").write_text(text)
    (tmp_path / "700.mp4").touch()
    records = load_records(tmp_path / "list.txt", skip_missing=True)
    assert [record.label for record in records] == [3500]
    assert records.num_classes == 5 * 999 + 1
    assert load_records(records).num_classes == records.num_classes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, r"'/b.mp4' has the label 5000, but 5001 classes are out of proportion to the 2 lab"),
        ({"num_classes": 5000}, r"'/b.mp4' has the label 5000, but there are 5000 classes, numb"),
        ({"labels": ["x", "y"]}, r"'/b.mp4' has the label 5000, but there are 2 classes, number"),
        ({"labels": ["x", "x"]}, "'x' is both item 0 and item 1"),
        ({"labels": ["x", "y\nz"]}, "is more than one line"),
        ({"labels": ["x", "caf\udce9"]}, r"item 1 of the labels is no class name: .* not UTF-8"),
    ],
)
def test_record_lists_have_no_other_labels(arguments, message):
    with pytest.raises(ValueError, match=message):
        RecordList([Record("/a.mp4", 0), Record("/b.mp4", 5000)], **arguments)


@pytest.mark.parametrize("label", [2**31, 2**40, 10**5000], ids=["int32", "int64", "long"])
def test_labels_that_batches_cannot_hold(label):
    with pytest.raises(ValueError, match="A record's `label` is an integer or None, from 0 to"):
        Record("/a.mp4", label)
    with pytest.raises(ValueError, match=r"item 0: (with the label|the label)"):
        load_records([("a.mp4", label)], check_files=False)
    assert Record("/a.mp4", 2**31 - 1).label == 2**31 - 1


def test_counting_classes_takes_no_more_than_the_list():
    files = tuple(FileCheck(f"/{label}", label, label, "") for label in (0, 2, 10**6))
    assert CheckReport(files).class_counts == {"0": 1, "2": 1, "1000000": 1}
    assert CheckReport(files[:2]).class_counts == {"0": 1, "1": 0, "2": 1}


# === Columns ===


@pytest.mark.parametrize(
    ("rest", "label"),
    [
        ("10 90 0", "90 0"),
        ("10 90 run", "90 run"),
        ("0.5 9.75 run", "0.5 9.75 run"),
        ("0:01:30 0:02:00 run", "0:01:30 0:02:00 run"),
        ("-1 -2 -3", "-2 -3"),
        ("0 3 5", "3 5"),
    ],
)
def test_columns_that_do_not_fit(tmp_path, rest, label):
    found = problems(tmp_path, f"a.mp4 30 {label.split()[-1]}\nb.mp4 {rest}\n")
    assert (
        "line 2: expected `video label` or `video num_frames label`, but behind the video there is "
        f"{rest!r}; pass `labels` if a class is called {label!r}"
    ) in found


def test_classes_that_are_called_so(tmp_path):
    labels = ["3 point shot", "dunk"]
    records = read(tmp_path, "a.mp4 120 3 point shot\nb.mp4 12 dunk\n", labels=labels)
    assert [(record.label, record.num_frames) for record in records] == [(0, 120), (1, 12)]


def test_numbers_with_a_decimal_point(tmp_path):
    # As tables have them in which a label was missing once.
    records = read(tmp_path, "path,label\na.mp4,2.0\nb.mp4,10.0\n", "list.csv")
    assert ([record.label for record in records], records.labels) == ([2, 10], None)


def test_a_column_twice(tmp_path):
    with pytest.raises(ValueError, match="has the column 'label' more than once"):
        read(tmp_path, "path,label,label\na.mp4,0,1\n", "list.csv")
    # Of columns that are not used there may be any number.
    assert len(read(tmp_path, ",path,,label\n0,a.mp4,0,1\n", "list.csv")) == 1


# === Names and numbers ===


def test_folders_called_by_numbers_are_names(tmp_path):
    for folder in ("1", "3"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.mp4").touch()
    with pytest.raises(ValueError, match=r"there is no class '3' among the 3 labels") as caught:
        load_records(tmp_path, labels=["1", "2", "x"])
    # The folder 1 is not class 1, which is called 2.
    assert "no class '1'" not in str(caught.value)
    records = load_records(tmp_path, labels=["x", "3", "1"])
    assert [record.label for record in records] == [2, 1]


def test_indices_stay_indices_where_classes_are_called_by_numbers(tmp_path):
    records = RecordList([Record("/a.mp4", 1), Record("/b.mp4", 2)], ["1", "10", "2"])
    again = load_records(records, check_files=False)
    assert [record.label for record in again] == [1, 2]

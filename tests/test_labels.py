import importlib.resources

import pytest

from keras_tdn.labels import DATASETS, load_labels

SIZES = {
    "hmdb51": 51,
    "kinetics400": 400,
    "something_something_v1": 174,
    "something_something_v2": 174,
    "ucf101": 101,
}
SOMETHING = ["something_something_v1", "something_something_v2"]


@pytest.mark.parametrize("name", DATASETS)
def test_shipped_lists(name):
    labels = load_labels(name)
    assert len(labels) == len(set(labels)) == SIZES[name]
    assert all(label == " ".join(label.split()) for label in labels)
    # UCF101's own class index ignores case; everything else is sorted by code point.
    assert list(labels) == sorted(labels, key=str.lower if name == "ucf101" else None)
    content = importlib.resources.files("keras_tdn.labels").joinpath(f"{name}.txt").read_bytes()
    assert content == ("\n".join(labels) + "\n").encode()


def test_data_sets_are_those_shipped():
    assert set(DATASETS) == set(SIZES)


@pytest.mark.parametrize(
    ("name", "index", "label"),
    [
        ("hmdb51", 0, "brush_hair"),
        ("hmdb51", 50, "wave"),
        ("kinetics400", 0, "abseiling"),
        ("kinetics400", 208, "passing American football (in game)"),
        ("kinetics400", 399, "zumba"),
        ("something_something_v1", 0, "Approaching something with your camera"),
        ("something_something_v2", 0, "Approaching something with your camera"),
        ("something_something_v2", 67, "Pretending to open something without actually opening it"),
        ("something_something_v2", 173, "Wiping something off of something"),
        # Positions in the data set's classInd.txt, which counts from 1.
        ("ucf101", 1 - 1, "ApplyEyeMakeup"),
        ("ucf101", 35 - 1, "Hammering"),
        ("ucf101", 36 - 1, "HammerThrow"),
        ("ucf101", 47 - 1, "JumpingJack"),
        ("ucf101", 48 - 1, "JumpRope"),
        ("ucf101", 97 - 1, "VolleyballSpiking"),
        ("ucf101", 101 - 1, "YoYo"),
    ],
)
def test_positions(name, index, label):
    assert load_labels(name)[index] == label


@pytest.mark.parametrize("name", SOMETHING)
def test_left_and_right_swap_the_known_pairs(name):
    labels = load_labels(name)
    swap = {"left": "right", "right": "left"}
    pairs = set()
    for index, label in enumerate(labels):
        swapped = " ".join(swap.get(word, word) for word in label.split())
        if swapped != label and swapped in labels:
            pairs.add(frozenset((index, labels.index(swapped))))
    assert pairs == {frozenset(pair) for pair in [(86, 87), (93, 94), (166, 167)]}


def write(tmp_path, content):
    path = tmp_path / "labels.txt"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        b"roll over\nM\xc3\xbcde\n",
        b"roll over\nM\xc3\xbcde",
        b"roll over\r\nM\xc3\xbcde\r\n",
        b"\xef\xbb\xbfroll over \nM\xc3\xbcde\n",
    ],
)
def test_file(tmp_path, content):
    path = write(tmp_path, content)
    assert load_labels(path) == load_labels(str(path)) == ("roll over", "Müde")


def test_file_called_like_a_data_set(tmp_path, monkeypatch):
    (tmp_path / "ucf101").write_text("mine\n")
    monkeypatch.chdir(tmp_path)
    assert len(load_labels("ucf101")) == 101
    assert load_labels("./ucf101") == ("mine",)


def test_sequence():
    assert load_labels(["b", "a"]) == ("b", "a")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\nb\na\n", "'a' is both line 1 and line 3 of .*labels.txt"),
        (b"a\n\nb\n", "line 2 of .*labels.txt' is empty"),
        (b"a\nb\n\n", "line 3 of .*labels.txt' is empty"),
        (b"", "at least one label, but there is none in .*labels.txt"),
        (b"caf\xe9\n", "other bytes in line 1. Save it as UTF-8"),
    ],
)
def test_error_in_a_file(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        load_labels(write(tmp_path, content))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", "b", "a"], "'a' is both item 0 and item 2 of the labels"),
        (["a", " "], "item 1 of the labels is empty"),
        ([], "at least one label"),
        ([1, 2], "Labels are strings"),
        (7, "Received: int"),
        (b"ab", "Received: bytes"),
    ],
)
def test_error_in_a_sequence(labels, message):
    with pytest.raises(ValueError, match=message):
        load_labels(labels)


def test_error_unknown_name_lists_the_known():
    with pytest.raises(ValueError, match=r"'kinetics500': it is neither a file .* kinetics400"):
        load_labels("kinetics500")


def test_error_directory(tmp_path):
    with pytest.raises(ValueError, match="is a directory"):
        load_labels(tmp_path)

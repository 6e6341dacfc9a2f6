"""Benchmarks' own annotation files, synthesised as they are published; and real lists."""

import json
import os
from pathlib import Path

import pytest
from real_videos import ARID6, NO_VIDEOS, VIDEOS

from keras_tdn.data.records import Record, load_records
from keras_tdn.labels import load_labels


def touch(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def summary(records, root):
    return [(os.path.relpath(record.path, root), record.label) for record in records]


# === Kinetics ===

KINETICS = """label,youtube_id,time_start,time_end,split
testifying,---QUuC4vJs,84,94,validate
"massaging person's head",--3ouPhoy2A,20.0,30.0,validate
eating spaghetti,-0WZKTu0xVk,1205,1215,validate
"""
KINETICS_FILES = [
    "---QUuC4vJs_000084_000094.mp4",
    "--3ouPhoy2A_000020_000030.mp4",
    "-0WZKTu0xVk_001205_001215.mp4",
]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_kinetics(tmp_path, end):
    touch(tmp_path, *KINETICS_FILES)
    file = write(tmp_path / "val.csv", "\ufeff" + KINETICS.replace("\n", end))
    records = load_records(file, labels="kinetics400")
    names = load_labels("kinetics400")
    assert summary(records, tmp_path) == list(
        zip(
            KINETICS_FILES,
            [
                names.index(name)
                for name in ("testifying", "massaging person's head", "eating spaghetti")
            ],
            strict=True,
        )
    )
    assert load_records(file, format="kinetics", labels="kinetics400") == records
    assert load_records(file, split="val", labels="kinetics400") == records
    assert load_records(file).labels == (
        "eating spaghetti",
        "massaging person's head",
        "testifying",
    )


def test_kinetics_layouts_and_suffixes(tmp_path):
    paths = [
        "testifying/---QUuC4vJs_000084_000094.mkv",
        "massaging_person's_head/--3ouPhoy2A_000020_000030.mp4",
        "validate/-0WZKTu0xVk_001205_001215/00001.jpg",
    ]
    touch(tmp_path / "videos", *paths)
    file = write(tmp_path / "val.csv", KINETICS)
    records = load_records(file, root=tmp_path / "videos")
    found = [path for path, _ in summary(records, tmp_path / "videos")]
    assert found == [*paths[:2], "validate/-0WZKTu0xVk_001205_001215"]
    unseen = load_records(file, check_files=False)
    assert [path for path, _ in summary(unseen, tmp_path)] == KINETICS_FILES


def test_kinetics_test_list_has_no_labels(tmp_path):
    text = "youtube_id,time_start,time_end,split\n--6bmFM9wT4,59,69,test\n"
    records = load_records(write(tmp_path / "test.csv", text), check_files=False)
    assert records[0].label is None
    assert records[0].path.endswith("/--6bmFM9wT4_000059_000069.mp4")


def test_kinetics_problems(tmp_path):
    text = KINETICS + "testifying,abc,x,94,validate\ntestifying,,1,2,validate\ntestifying,abc\n"
    text += "testifing,abcdefghijk,1,11,validate\n"
    file = write(tmp_path / "val.csv", text)
    with pytest.raises(ValueError, match="has 4 problems") as caught:
        load_records(file, labels="kinetics400", check_files=False)
    lines = str(caught.value).split("\n")[1:]
    assert lines == [
        "  line 5: `time_start` and `time_end` must be seconds, but they are 'x' and '94'",
        "  line 6: `youtube_id` is empty",
        "  line 7: 2 fields, but the header has 5: 'testifying,abc'",
        "  line 8: there is no class 'testifing' among the 400 labels; did you mean 'testifying'?",
    ]
    with pytest.raises(ValueError, match=r"lacks youtube_id, time_start, time_end"):
        load_records(write(tmp_path / "x.csv", "path,label\na,b\n"), format="kinetics")


# === Tables ===


def test_table(tmp_path):
    touch(tmp_path, "clips/a b.mp4", "clips/c.mp4")
    text = ',video,num_frames,label\n0,"clips/a b.mp4",30,jump\n\n1,clips/c.mp4,,run\n'
    records = load_records(write(tmp_path / "train.csv", text))
    assert list(records) == [
        Record(str(tmp_path / "clips/a b.mp4"), 0, 30, 0),
        Record(str(tmp_path / "clips/c.mp4"), 1, None, 1),
    ]
    assert records.labels == ("jump", "run")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("columns", ["File Name,class,total_frames", "PATH,Label,frames"])
def test_table_columns_and_delimiters(tmp_path, columns, delimiter):
    text = f"{columns}\r\na.mp4,1,12.0\r\n".replace(",", delimiter)
    records = load_records(write(tmp_path / "t.csv", text), check_files=False)
    assert records[0] == Record(str(tmp_path / "a.mp4"), 1, 12, 0)


def test_table_without_labels(tmp_path):
    records = load_records(write(tmp_path / "t.csv", "id,path\n1,a.mp4\n"), check_files=False)
    assert records[0].label is None
    assert records[0].path == str(tmp_path / "a.mp4")


def test_table_splits(tmp_path):
    text = "path,label,split\na.mp4,x,train\nb.mp4,y,validation\nc.mp4,x,test\n"
    file = write(tmp_path / "t.csv", text)

    def paths(split):
        return [
            path
            for path, _ in summary(load_records(file, split=split, check_files=False), tmp_path)
        ]

    assert paths("training") == ["a.mp4"]
    assert paths("val") == ["b.mp4"]
    assert paths("all") == ["a.mp4", "b.mp4", "c.mp4"]
    with pytest.raises(ValueError, match=r"lists the splits \['test', 'train', 'val'\] .*--val-"):
        paths(None)
    with pytest.raises(ValueError, match=r"lists the splits .* Received: split='dev'"):
        paths("dev")
    with pytest.raises(ValueError, match="has no column that names the split"):
        load_records(write(tmp_path / "u.csv", "path,label\na,b\n"), split="train")


def test_table_problems_name_the_line_a_row_begins_in(tmp_path):
    text = 'path,label\n"a\nb.mp4",x\n,x\nc.mp4,x,5\nd.mp4,x\n'
    with pytest.raises(ValueError, match="has 2 problems") as caught:
        load_records(write(tmp_path / "t.csv", text), check_files=False)
    assert str(caught.value).split("\n")[1:] == [
        "  line 4: `path` is empty",
        "  line 5: 3 fields, but the header has 2: 'c.mp4,x,5'",
    ]
    with pytest.raises(ValueError, match="A table needs a column with the path"):
        load_records(write(tmp_path / "u.csv", "a,b\nc,d\n"), format="csv")


# === Something-Something ===

TEMPLATES = [
    (
        "78687",
        "holding potato next to vicks vaporub bottle",
        "Holding [something] next to [something]",
    ),
    ("42326", "pulling a pen from left to right", "Pulling [something] from left to right"),
]


def something(tmp_path, items, name="something-something-v2-train.json"):
    return write(tmp_path / name, json.dumps(items))


def items():
    return [
        {"id": video, "label": label, "template": template, "placeholders": ["a"]}
        for video, label, template in TEMPLATES
    ]


def test_something_something_v2(tmp_path):
    touch(tmp_path, "78687.webm", "42326/000001.jpg")
    records = load_records(something(tmp_path, items()))
    names = load_labels("something_something_v2")
    assert records.labels == names
    assert summary(records, tmp_path) == [
        ("78687.webm", names.index("Holding something next to something")),
        ("42326", 86),
    ]
    unseen = load_records(something(tmp_path, items()), check_files=False)
    assert [path for path, _ in summary(unseen, tmp_path)] == ["78687.webm", "42326.webm"]


def test_something_something_v2_labels_beside_the_list(tmp_path):
    labels = {
        "Pulling something from left to right": "0",
        "Holding something next to something": "1",
    }
    write(tmp_path / "something-something-v2-labels.json", json.dumps(labels))
    records = load_records(something(tmp_path, items()), check_files=False)
    assert records.labels == tuple(labels)
    assert [record.label for record in records] == [1, 0]


def test_something_something_v2_other_classes(tmp_path):
    file = something(tmp_path, [{"id": 5, "template": "Dancing with [something]"}])
    records = load_records(file, check_files=False)
    assert records.labels == ("Dancing with something",)


def test_something_something_v2_test_list(tmp_path):
    file = something(tmp_path, [{"id": "1420"}], "something-something-v2-test.json")
    records = load_records(file, check_files=False)
    assert records[0].label is None


def test_something_something_v2_problems(tmp_path):
    file = something(
        tmp_path,
        [
            *items(),
            {"template": "x"},
            7,
            {"id": "9", "template": ["x"]},
            {"id": "10", "template": "Pulling [something] from left to rihgt"},
            {"id": "11"},
        ],
    )
    with pytest.raises(ValueError, match="has 5 problems") as caught:
        load_records(file, labels="something_something_v2", check_files=False)
    assert str(caught.value).split("\n")[1:] == [
        "  item 3: expected an object with an `id`, but it is {'template': 'x'}",
        "  item 4: expected an object with an `id`, but it is 7",
        "  item 5 (id 9): `template` must be a string, but it is ['x']",
        "  item 6 (id 10): there is no class 'Pulling something from left to rihgt' among the 174 "
        "labels; did you mean 'Pulling something from left to right'?",
        "  item 7 (id 11): there is no label, unlike in other lines",
    ]
    with pytest.raises(ValueError, match="is not JSON: line 1, column 2"):
        load_records(write(tmp_path / "a.json", "[,]"))
    with pytest.raises(ValueError, match=r"are a JSON list of objects .* holds a dict"):
        load_records(write(tmp_path / "a.json", "{}"))


def test_something_something_v1(tmp_path):
    text = (
        "100218;Something falling like a feather or paper\n"
        "24413;Pulling something from left to right\n"
    )
    touch(tmp_path, "frames/100218/00001.jpg", "frames/24413/00001.jpg")
    file = write(tmp_path / "something-something-v1-train.csv", text)
    records = load_records(file, root=tmp_path / "frames", labels="something_something_v1")
    assert summary(records, tmp_path / "frames") == [
        ("100218", records.labels.index("Something falling like a feather or paper")),
        ("24413", 86),
    ]


def test_something_something_v1_test_list(tmp_path):
    file = write(tmp_path / "something-something-v1-test.csv", "1420\n77\n")
    records = load_records(file, format="something_something_v1", check_files=False)
    assert [record.label for record in records] == [None, None]
    with pytest.raises(ValueError, match="line 1: expected `id;label`, but it is ';x'"):
        load_records(write(file, ";x\n"), format="something_something_v1")


# === UCF101 ===

UCF = [
    "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi",
    "Hammering/v_Hammering_g08_c02.avi",
    "HammerThrow/v_HammerThrow_g08_c02.avi",
]


@pytest.mark.parametrize("numbers", [(" 1", " 35", " 36"), ("", "", "")])
def test_ucf101_counts_from_one(tmp_path, numbers):
    touch(tmp_path, *UCF)
    text = "".join(f"{path}{number}\r\n" for path, number in zip(UCF, numbers, strict=True))
    name = "trainlist01.txt" if numbers[0] else "testlist01.txt"
    records = load_records(write(tmp_path / name, text))
    assert summary(records, tmp_path) == list(zip(UCF, (0, 34, 35), strict=True))
    assert records.labels == load_labels("ucf101")


def test_ucf101_class_index_beside_the_list_and_flat_videos(tmp_path):
    lists = tmp_path / "ucfTrainTestlist"
    write(lists / "classInd.txt", "1 HammerThrow\r\n2 Hammering\r\n3 ApplyEyeMakeup\r\n")
    touch(tmp_path / "videos", *(Path(path).name for path in UCF))
    text = f"{UCF[0]} 3\n{UCF[1]} 2\n{UCF[2]} 1\n"
    records = load_records(write(lists / "trainlist01.txt", text), root=tmp_path / "videos")
    assert [record.label for record in records] == [2, 1, 0]
    assert records.labels == ("HammerThrow", "Hammering", "ApplyEyeMakeup")


def test_ucf101_problems(tmp_path):
    text = f"{UCF[0]} 2\nNoClass/v.avi 1\nv.avi 1\n{UCF[1]} 0\n"
    with pytest.raises(ValueError, match="has 4 problems") as caught:
        load_records(write(tmp_path / "trainlist01.txt", text), check_files=False)
    assert str(caught.value).split("\n")[1:] == [
        "  line 1: says class 2, but 'ApplyEyeMakeup' is 1 in the class index",
        "  line 2: the folder 'NoClass' is no class of the class index",
        "  line 3: expected `Class/video.avi` and a class number, but it is 'v.avi 1'",
        "  line 4: says class 0, but 'Hammering' is 35 in the class index",
    ]


# === HMDB51 ===


def hmdb51(tmp_path):
    folder = tmp_path / "testTrainMulti_7030_splits"
    write(folder / "wave_test_split1.txt", "w 1.avi 1 \nw2.avi 2 \nw3.avi 0 \n")
    write(folder / "wave_test_split2.txt", "w 1.avi 2 \nw2.avi 1 \nw3.avi 0 \n")
    write(folder / "brush_hair_test_split1.txt", "b1.avi 1 \nb2.avi 2 \n")
    write(folder / "brush_hair_test_split2.txt", "b1.avi 0 \nb2.avi 1 \n")
    root = tmp_path / "videos"
    touch(root, "wave/w 1.avi", "wave/w2.avi", "brush_hair/b1.avi", "brush_hair/b2.avi")
    return folder, root


def test_hmdb51(tmp_path):
    folder, root = hmdb51(tmp_path)

    def found(split, fold=None):
        records = load_records(folder, root=root, split=split, fold=fold)
        assert records.labels == ("brush_hair", "wave")
        return summary(records, root)

    assert found("train") == [("brush_hair/b1.avi", 0), ("wave/w 1.avi", 1)]
    assert found("test") == [("brush_hair/b2.avi", 0), ("wave/w2.avi", 1)]
    assert found("train", 2) == [("brush_hair/b2.avi", 0), ("wave/w2.avi", 1)]
    assert len(found("all")) == 4
    one = load_records(folder / "wave_test_split2.txt", root=root, split="train", labels="hmdb51")
    assert summary(one, root) == [("wave/w2.avi", 50)]


def test_hmdb51_errors(tmp_path):
    folder, root = hmdb51(tmp_path)
    with pytest.raises(ValueError, match="Pass split='train' or split='test'"):
        load_records(folder, root=root)
    with pytest.raises(ValueError, match=r"has the folds \[1, 2\]. Received: fold=3"):
        load_records(folder, root=root, split="train", fold=3)
    with pytest.raises(ValueError, match="there is none in"):
        load_records(root, format="hmdb51", split="train")
    write(folder / "wave_test_split1.txt", "w1.avi 1\nw2.avi 7\n")
    with pytest.raises(ValueError, match="has 2 problems") as caught:
        load_records(folder, root=root, split="train")
    assert "wave_test_split1.txt line 1: there is no file" in str(caught.value)
    assert "line 2: expected `video.avi` and 0, 1 or 2, but it is 'w2.avi 7'" in str(caught.value)


# === A folder per class ===


def test_class_folders(tmp_path):
    touch(
        tmp_path,
        "run fast/b.mp4",
        "run fast/a.webm",
        "run fast/notes.txt",
        "run fast/.hidden.mp4",
        "jump/frames 1/img_00001.jpg",
        "jump/more/c.AVI",
        "jump/empty/x.txt",
        ".cache/d.mp4",
        "README.md",
    )
    records = load_records(tmp_path)
    assert records.labels == ("jump", "run fast")
    assert summary(records, tmp_path) == [
        ("jump/frames 1", 0),
        ("jump/more/c.AVI", 0),
        ("run fast/a.webm", 1),
        ("run fast/b.mp4", 1),
    ]
    assert [record.index for record in records] == [0, 1, 2, 3]


def test_class_folders_of_a_data_set(tmp_path):
    touch(tmp_path, "riding_a_bike/a.mp4")
    records = load_records(tmp_path, labels="kinetics400")
    assert records.labels[records[0].label] == "riding a bike"
    assert records.num_classes == 400
    touch(tmp_path, "riding_a_byke/a.mp4")
    with pytest.raises(ValueError, match=r"no class 'riding_a_byke' .* mean 'riding a bike'"):
        load_records(tmp_path, labels="kinetics400")


def test_split_folders(tmp_path):
    touch(tmp_path, "train/run/a.mp4", "validation/run/b.mp4")
    with pytest.raises(ValueError, match=r"a folder per split, \['train', 'validation'\]"):
        load_records(tmp_path)
    assert summary(load_records(tmp_path, split="val"), tmp_path) == [("validation/run/b.mp4", 0)]
    assert load_records(tmp_path, split="train") == load_records(tmp_path / "train")
    with pytest.raises(ValueError, match="has no folder for that split"):
        load_records(tmp_path, split="test")


def test_folder_errors(tmp_path):
    touch(tmp_path, "a.mp4")
    with pytest.raises(ValueError, match=r"has a folder per class, but .* has none"):
        load_records(tmp_path)
    touch(tmp_path, "run/notes.txt")
    with pytest.raises(ValueError, match="has no records"):
        load_records(tmp_path)


# === Real lists ===

REAL = {
    "arid6/train.txt": (150, 6),
    "arid6/validate.txt": (96, 6),
    "arid6/mixed_train.txt": (164, 6),
    "arid6/mixed_validate.txt": (82, 6),
    "bedfall/train.txt": (114, 3),
    "bedfall/validate.txt": (56, 3),
}
needs_videos = pytest.mark.skipif(not ARID6.is_dir(), reason=NO_VIDEOS)


@needs_videos
@pytest.mark.parametrize("name", REAL)
def test_real_lists(name):
    file = VIDEOS / name
    records = load_records(file, labels=file.parent / "classes.txt")
    assert (len(records), records.num_classes) == REAL[name]
    for record, line in zip(records, file.read_text().splitlines(), strict=True):
        path, num_frames, label = line.rsplit(" ", 2)
        assert record.path == str(file.parent / path)
        assert (record.num_frames, record.label) == (int(num_frames), int(label))
        assert records.labels[record.label] == Path(path).parent.name
    assert len({record.index for record in records}) == len(records)


@needs_videos
@pytest.mark.parametrize("dataset", ["arid6", "bedfall"])
@pytest.mark.parametrize("split", ["train", "validate"])
def test_real_folders_hold_what_the_lists_name(dataset, split):
    labels = VIDEOS / dataset / "classes.txt"
    in_folders = load_records(VIDEOS / dataset, split=split, labels=labels)
    in_list = load_records(VIDEOS / dataset / f"{split}.txt", labels=labels)
    assert {(r.path, r.label) for r in in_folders} == {(r.path, r.label) for r in in_list}

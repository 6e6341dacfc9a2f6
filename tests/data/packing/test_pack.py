import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import synthetic_videos
import tensorflow as tf
from full_disk import disk_of

from keras_tdn.data import load_records, read_frames
from keras_tdn.data.packing import PackOptions, load_packed_index, pack
from keras_tdn.data.records import RecordList
from keras_tdn.files.locks import locked

SHORT_SIDE = 80
OPTIONS = {"short_side": SHORT_SIDE, "num_shards": 3, "num_processes": 1, "max_failure_share": 0.5}


def pack_small(records, folder, **changes):
    return pack(records, folder, **{**OPTIONS, "progress": False, **changes})


def contents(folder):
    """Every file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def examples(folder):
    files = [str(path) for path in sorted(folder.glob("*.tfrecord"))]
    for content in tf.data.TFRecordDataset(files):
        yield tf.train.SequenceExample.FromString(content.numpy())


def psnr(frames, expected):
    error = np.mean((np.asarray(frames, float) - expected) ** 2)
    return 10 * np.log10(255**2 / max(error, 1e-9))


def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def test_the_folder_holds_shards_and_an_index_and_nothing_else(packed):
    names = [f"videos-{shard:05d}-of-00003.tfrecord" for shard in range(3)]
    assert list(contents(packed)) == ["index.json", *names]


def test_records_have_the_keys_of_the_field(packed, records):
    found = {
        example.context.feature["clip/index"].int64_list.value[0]: example
        for example in examples(packed)
    }
    example = found[records[1].index]
    context = example.context.feature
    frames = example.feature_lists.feature_list["image/encoded"].feature
    assert context["clip/label/index"].int64_list.value[:] == [1]
    assert context["clip/label/text"].bytes_list.value[:] == [b"run"]
    assert context["clip/data_path"].bytes_list.value[:] == [records[1].path.encode()]
    assert context["image/format"].bytes_list.value[:] == [b"jpeg"]
    assert context["image/height"].int64_list.value[:] == [80]
    assert context["image/width"].int64_list.value[:] == [133]
    assert context["image/frame_rate"].float_list.value[:] == [25.0]
    assert context["clip/num_frames"].int64_list.value[:] == [20] == [len(frames)]
    # A folder of frames has no rate.
    assert "image/frame_rate" not in found[records[7].index].context.feature


def test_frames_are_those_of_the_video_up_to_jpeg(packed, records):
    index = load_packed_index(packed)
    assert [record.index for record in index.records] == [0, 2, 6, 8, 10, 12, 14]
    by_path = {record.path: record for record in index.records}
    compared = 0
    for example in examples(packed):
        path = example.context.feature["clip/data_path"].bytes_list.value[0].decode()
        pictures = example.feature_lists.feature_list["image/encoded"].feature
        frames = np.stack(
            [tf.io.decode_jpeg(picture.bytes_list.value[0]).numpy() for picture in pictures]
        )
        record = by_path[path]
        assert frames.shape == (record.num_frames, record.height, record.width, 3)
        numbers = synthetic_videos.read_numbers(frames)
        assert numbers == list(range(record.num_frames))
        if os.path.isdir(path):
            names = sorted(os.listdir(path))
            stored = [picture.bytes_list.value[0] for picture in pictures]
            assert stored == [Path(path, name).read_bytes() for name in names]
            continue
        assert all(map(synthetic_videos.is_upright, frames))
        expected = read_frames(path, np.arange, size=min(SHORT_SIDE, record.height, record.width))
        # Saturated bars with sharp edges are the worst case of chroma at half the resolution.
        assert psnr(frames, expected) > 24
        compared += 1
    assert compared == 6


def test_frames_of_a_folder_are_shrunk_like_videos(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(3):
        frame = synthetic_videos.numbered_frame(number, 96, 160)
        content = tf.io.encode_jpeg(frame, quality=100).numpy()
        (folder / f"{number}.jpg").write_bytes(content)
    report = pack_small([folder], tmp_path / "out", num_shards=1, short_side=48)
    record = load_packed_index(report.folder).records[0]
    assert (record.height, record.width, record.num_frames) == (48, 80, 3)
    (folder / "1.jpg").write_bytes(b"no picture")
    report = pack_small([folder], tmp_path / "new", num_shards=1, max_failure_share=1)
    assert "its frame '1.jpg' is not a JPEG picture" in report.failures[0].reason


def test_the_index_tells_where_everything_is(packed, records):
    index = load_packed_index(packed / "index.json")
    index.check(hashes=True)
    assert index.labels == ("jump", "run", "sit")
    assert index.options == PackOptions(SHORT_SIDE, num_shards=3)
    assert [shard.num_bytes for shard in index.shards] == [
        os.path.getsize(path) for path in index.paths
    ]
    # Dealt out in turn: the n-th of the list is in the n-th shard.
    assert {record.index: record.shard for record in index.records}[8] == 4 % 3
    for path, shard in zip(index.paths, index.shards, strict=True):
        content = Path(path).read_bytes()
        assert hashlib.sha256(content).hexdigest() == shard.sha256
        for record in shard.records:
            length = int.from_bytes(content[record.offset : record.offset + 8], "little")
            assert length + 16 == record.num_bytes
    assert [record.num_frames for record in index.records] == [30, 20, 25, 12, 1, 8, 9]
    assert index.labels == records.labels


def test_videos_that_fail_are_listed_with_the_reason(packed, records):
    failures = load_packed_index(packed).failures
    assert [failure.index for failure in failures] == [4, 16]
    assert "noise.mp4' : it is not a video" in failures[0].reason.replace("':", "' :")
    assert "there is no such file" in failures[1].reason


def test_too_many_failures_stop_the_run_and_can_be_tried_again(records, tmp_path):
    missing = tmp_path / "late.mp4"
    some = load_records([records[0].path, str(missing)], check_files=False)
    with pytest.raises(ValueError, match=r"1 of 2 videos cannot be packed, more than the share of"):
        pack_small(some, tmp_path / "out", num_shards=1, max_failure_share=0.1)
    assert not (tmp_path / "out" / "index.json").exists()
    report = pack_small(some, tmp_path / "out", num_shards=1, max_failure_share=0.5)
    assert (report.num_kept_shards, len(report.failures)) == (1, 1)
    shutil.copy(records[0].path, missing)
    report = pack_small(some, tmp_path / "out", num_shards=1, retry_failures=True)
    assert (report.num_kept_shards, report.num_records, report.failures) == (0, 2, ())


def test_running_again_keeps_what_is_finished(packed, records, tmp_path):
    folder = copy(packed, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.tfrecord")}
    report = pack_small(records, folder)
    assert (report.num_kept_shards, report.num_records, len(report.failures)) == (3, 7, 2)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert contents(folder) == contents(packed)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "gone"])
def test_a_damaged_shard_is_made_again(packed, records, tmp_path, damage):
    folder = copy(packed, tmp_path)
    shard = folder / "videos-00001-of-00003.tfrecord"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 4
    if damage == "gone":
        shard.unlink()
    else:
        shard.write_bytes(content[:-9] if damage == "truncated" else content)
    with pytest.raises(ValueError, match=r"1 of 3 shards in .* are not as packed"):
        load_packed_index(folder).check(hashes=True)
    assert pack_small(records, folder).num_kept_shards == 2
    assert contents(folder) == contents(packed)


def test_what_a_killed_run_left_is_cleared_away(packed, records, tmp_path):
    folder = tmp_path / "out"
    (folder / ".packing").mkdir(parents=True)
    (folder / ".packing" / "videos-00001-of-00003.tfrecord.77.tmp").write_bytes(b"half")
    (folder / ".packing" / "00002.json").write_bytes(b'{"name": "vid')
    (folder / ".packing" / "00001.json").write_bytes(b'{"name": "vid"}')
    pack_small(records, folder)
    assert contents(folder) == contents(packed)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"short_side": 64}, r"started with options.short_side 80, now 64"),
        (
            {"quality": 80, "name": "a"},
            r"options.name 'videos', now 'a'; options.quality 90, now 80",
        ),
        ({"records": 1}, r"list_sha256 .*; num_records 9, now 8"),
    ],
)
@pytest.mark.parametrize("finished", [True, False])
def test_a_folder_begun_otherwise_is_refused(packed, records, tmp_path, changes, message, finished):
    folder = copy(packed, tmp_path)
    if not finished:
        index = json.loads((folder / "index.json").read_text())
        (folder / ".packing").mkdir()
        (folder / ".packing" / "plan.json").write_text(json.dumps(index))
        (folder / "index.json").unlink()
    options = {**changes}
    some = records[options.pop("records", 0) :]
    before = contents(folder)
    with pytest.raises(ValueError, match=message):
        pack_small(some, folder, **options)
    assert contents(folder) == before
    pack_small(some, folder, **options, overwrite=True)
    assert len(contents(folder)) == 4
    assert not (folder / ".replaced").exists()
    load_packed_index(folder).check(hashes=True)


def test_labels_are_part_of_the_list(packed, records, tmp_path):
    other = RecordList(records, ("a", "b", "c"))
    with pytest.raises(ValueError, match=r"labels \['jump', 'run', 'sit'\], now \['a', 'b', 'c'\]"):
        pack_small(other, copy(packed, tmp_path))


def test_a_folder_of_something_else_is_left_alone(records, tmp_path):
    (tmp_path / "thesis.txt").write_text("")
    with pytest.raises(ValueError, match="it has files that are not of a packing"):
        pack_small(records, tmp_path, overwrite=True)
    with pytest.raises(ValueError, match=r"Cannot pack into .*: File exists"):
        pack_small(records, tmp_path / "thesis.txt")
    with pytest.raises(ValueError, match=r"Cannot pack into .*: Not a directory"):
        pack_small(records, tmp_path / "thesis.txt" / "out")


def test_two_runs_at_a_time_are_refused(packed, records, tmp_path):
    folder = copy(packed, tmp_path)
    with locked(folder), pytest.raises(ValueError, match="Another process is packing into"):
        pack_small(records, folder)


def test_a_full_disk_is_told_and_nothing_lost(packed, records, tmp_path):
    folder = tmp_path / "out"
    largest = max(path.stat().st_size for path in packed.glob("*.tfrecord"))
    message = r"Cannot write to .* shards are finished and stay; fix"
    # The largest shard does not fit.
    with disk_of(largest - 1), pytest.raises(OSError, match=message):
        pack_small(records, folder)
    assert not list((folder / ".packing").glob("*.tmp"))
    pack_small(records, folder)
    assert contents(folder) == contents(packed)


def test_a_record_that_grows_too_large_fails_alone(records, tmp_path, monkeypatch):
    monkeypatch.setattr("keras_tdn.data.packing.sequence_example.MAX_RECORD_BYTES", 10000)
    report = pack_small(records[:1], tmp_path / "out", num_shards=1, max_failure_share=1)
    assert "take more than the 10000 bytes that a record may have" in report.failures[0].reason


def test_lists_are_loaded_and_names_without_labels_left_out(records, tmp_path):
    (tmp_path / "list.txt").write_text(f"{records[0].path} 3\n")
    report = pack_small(tmp_path / "list.txt", tmp_path / "out", num_shards=1)
    (example,) = examples(tmp_path / "out")
    assert example.context.feature["clip/label/index"].int64_list.value[:] == [3]
    assert "clip/label/text" not in example.context.feature
    assert (report.num_records, report.num_frames, report.num_shards) == (1, 30, 1)
    assert report.num_bytes == (tmp_path / "out" / "videos-00000-of-00001.tfrecord").stat().st_size


@pytest.mark.parametrize(("count", "shards"), [(1, 1), (16, 16), (150, 16), (1025, 17)])
def test_default_number_of_shards(count, shards):
    assert PackOptions().for_records(count).num_shards == shards


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"short_side": 0}, "an integer from 1 to 4096 for `short_side`"),
        ({"quality": 101}, "an integer from 1 to 100 for `quality`"),
        ({"num_shards": True}, "an integer from 1 to 99999 for `num_shards`"),
        ({"num_shards": 10}, "There are 9 records, too few for `num_shards` files"),
        ({"name": "a/b"}, "letters, digits.* for `name`"),
        ({"num_processes": 0}, "`num_processes` must be a positive integer or None"),
        ({"max_failure_share": 1.5}, "`max_failure_share` is the share of the records"),
    ],
)
def test_arguments_are_checked(records, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        pack_small(records, tmp_path / "out", **options)


def test_an_empty_list_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="nothing to pack: the list has no records"):
        pack_small(RecordList([]), tmp_path / "out")


def test_an_index_that_is_not_there_or_damaged(packed, tmp_path):
    with pytest.raises(ValueError, match=r"There is no index.json to read in"):
        load_packed_index(tmp_path)
    folder = copy(packed, tmp_path)
    (folder / "index.json").write_text('{"labels": null}')
    with pytest.raises(ValueError, match="is damaged or of another release"):
        load_packed_index(folder)

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import synthetic_videos
import tensorflow as tf
from packed_clips import packed_clips

from keras_tdn.data import SegmentSampler, read_frames
from keras_tdn.data.dataset.order import record_seed
from keras_tdn.data.packed_records import PackedRecordList, decode_packed_frames, load_packed
from keras_tdn.data.packing import load_packed_index
from keras_tdn.data.transforms import MultiScaleCrop

SAMPLER = SegmentSampler(num_segments=4, frames_per_segment=3)
RANDOM = SegmentSampler(num_segments=4, frames_per_segment=3, mode="random")
DAMAGED_COPIES = 120


@pytest.fixture(scope="module")
def loaded(packed):
    return load_packed(packed)


def elements(dataset):
    return list(dataset.as_numpy_iterator())


def indices_of(found):
    return [int(element["index"]) for element in found]


def test_packed_records_are_a_record_list(loaded, records):
    assert [record.path for record in loaded] == [
        record.path for place, record in enumerate(records) if place not in (2, 8)
    ]
    assert loaded[0].num_frames == 30
    assert (loaded.labels, loaded.num_classes) == (records.labels, 3)
    assert isinstance(loaded[1:3], PackedRecordList)
    assert [record.index for record in loaded[1:3]] == [2, 6]
    assert [failure.index for failure in loaded.packing.failures] == [4, 16]
    columns = loaded[1:3].columns()
    assert columns["num_frames"].tolist() == [20, 25]
    assert columns["height"].tolist() == [80, 48]


def test_clips_are_those_of_the_video_up_to_jpeg(loaded):
    found = elements(packed_clips(loaded, SAMPLER))
    assert indices_of(found) == [record.index for record in loaded]
    for element, record, packed in zip(found, loaded, loaded.packed, strict=True):
        assert element["reason"] == b""
        assert element["path"].decode() == record.path
        assert element["label"] == record.label
        assert element["frames"].shape == (12, packed.height, packed.width, 3)
        chosen = SAMPLER(record.num_frames)
        assert synthetic_videos.read_numbers(element["frames"]) == chosen.ravel().tolist()
        if record.path.endswith("frames"):
            continue
        size = min(packed.height, packed.width)
        expected = read_frames(record.path, SAMPLER, size=size).astype(float)
        # Saturated bars with sharp edges are the worst case for JPEG.
        assert 10 * np.log10(255**2 / np.mean((element["frames"] - expected) ** 2)) > 24


@pytest.mark.parametrize("shuffle", [False, True])
def test_indices_are_those_that_the_seed_gives_for_any_source(loaded, shuffle):
    found = elements(packed_clips(loaded, RANDOM, seed=5, epoch=3, shuffle=shuffle))
    counts = {record.index: record.num_frames for record in loaded}
    assert sorted(indices_of(found)) == sorted(counts)
    for element in found:
        index = int(element["index"])
        expected = RANDOM(counts[index], record_seed(5, 3, index)).ravel()
        assert synthetic_videos.read_numbers(element["frames"]) == expected.tolist()


def test_only_the_crop_is_decoded_and_it_is_the_crop(loaded):
    crop = MultiScaleCrop(32, 32)
    whole = elements(packed_clips(loaded, RANDOM, seed=1))
    cropped = elements(packed_clips(loaded, RANDOM, seed=1, crop=crop.box))
    for full, part in zip(whole, cropped, strict=True):
        seed = record_seed(1, 0, int(full["index"]))
        top, left, height, width = crop.box(*full["frames"].shape[1:3], seed).numpy()
        expected = full["frames"][:, top : top + height, left : left + width]
        np.testing.assert_array_equal(part["frames"], expected)


def test_order_is_a_function_of_seed_and_epoch(loaded):
    def order(**options):
        return indices_of(elements(packed_clips(loaded, lambda *_: [0], **options)))

    shuffled = order(shuffle=True, seed=3)
    assert shuffled == order(shuffle=True, seed=3, parallel=4)
    others = [order(shuffle=True, seed=3, epoch=epoch) for epoch in (1, 2)]
    assert len({tuple(found) for found in (shuffled, *others)}) == 3
    parts = [order(shuffle=True, seed=3, shard=(part, 2)) for part in range(2)]
    assert sorted(parts[0] + parts[1]) == sorted(shuffled)
    assert not set(parts[0]) & set(parts[1])


def test_the_iterator_can_be_saved(loaded, tmp_path):
    dataset = packed_clips(loaded, RANDOM, shuffle=True, seed=2, parallel=2)
    iterator = iter(dataset)
    for _ in range(3):
        next(iterator)
    saved = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "state"))
    expected = [element["frames"].numpy() for element in iterator]
    again = iter(dataset)
    tf.train.Checkpoint(iterator=again).restore(saved)
    for element, frames in zip(again, expected, strict=True):
        np.testing.assert_array_equal(element["frames"], frames)


def damage(content, seed):
    """Cut short, or a few bits flipped anywhere, or in the lengths at the start."""
    rng = np.random.default_rng(seed)
    content = bytearray(content)
    if seed % 3 == 0:
        return content[: rng.integers(len(content))]
    for _ in range(rng.integers(1, 4)):
        content[rng.integers(len(content) if seed % 3 == 1 else 40)] ^= 1 << rng.integers(8)
    return content


def test_damage_is_told_and_never_more(loaded, tmp_path):
    """Each record of each damaged copy is what it was, or has a reason."""
    good = {int(element["index"]): element for element in elements(packed_clips(loaded, SAMPLER))}
    shards, packed = [], []
    for seed in range(DAMAGED_COPIES):
        shard = loaded.packing.shards[seed % 7 % 3]
        content = (Path(loaded.packing.folder) / shard.name).read_bytes()
        (tmp_path / f"{seed}.tfrecord").write_bytes(damage(content, seed))
        shards.append(dataclasses.replace(shard, name=f"{seed}.tfrecord"))
        packed += [dataclasses.replace(record, shard=seed) for record in shard.records]
    copies = dataclasses.replace(loaded.packing, folder=str(tmp_path), shards=tuple(shards))
    found = elements(packed_clips(PackedRecordList(copies, packed), SAMPLER))
    told = set()
    for element, record in zip(found, packed, strict=True):
        assert element["index"] == record.index
        if element["reason"]:
            told.add(record.shard)
            assert not element["frames"].any()
            assert b"is damaged, or the shard is missing or cut short" in element["reason"]
        else:
            np.testing.assert_array_equal(element["frames"], good[record.index]["frames"])
    assert len(told) == DAMAGED_COPIES


def test_a_missing_file_is_told_before_and_while_reading(packed, tmp_path):
    for path in packed.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "videos-00002-of-00003.tfrecord").unlink()
    with pytest.raises(ValueError, match=r"1 of 3 shards in .* are not as packed"):
        load_packed(tmp_path)
    found = elements(packed_clips(load_packed(tmp_path, check_files=False), SAMPLER))
    lost = {record.index for record in load_packed_index(tmp_path).shards[2].records}
    assert {int(element["index"]) for element in found if element["reason"]} == lost


def test_records_packed_by_others_that_do_not_decode_are_told(packed, tmp_path, loaded):
    """A record whose checksum holds and whose pictures are none."""
    example = tf.train.SequenceExample()
    pictures = example.feature_lists.feature_list["image/encoded"]
    for _ in range(40):
        pictures.feature.add().bytes_list.value.append(b"no picture")
    path = tmp_path / "a.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(example.SerializeToString())
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_packed_frames(str(path), 0, [0, 1])
    columns = loaded.columns()
    with pytest.raises(tf.errors.OpError):
        decode_packed_frames(columns["shard"][0], columns["offset"][0], [30])


def test_frames_are_in_the_order_asked_for(loaded):
    columns = loaded.columns()
    indices = [[7, 2], [7, 29]]
    frames = decode_packed_frames(columns["shard"][0], columns["offset"][0], indices)
    assert synthetic_videos.read_numbers(frames.numpy()) == [7, 2, 7, 29]


def test_records_without_labels_have_none(tmp_path, records):
    from keras_tdn.data.packing import pack

    pack([records[0].path], tmp_path / "out", num_processes=1, progress=False)
    assert load_packed(tmp_path / "out")[0].label is None

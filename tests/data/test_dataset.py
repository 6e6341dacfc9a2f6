import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from synthetic_videos import encode_video, read_number

from keras_tdn.data.dataset import make_dataset
from keras_tdn.data.dataset.order import RecordOrder, record_seed
from keras_tdn.data.decoding import read_frames
from keras_tdn.data.packed_records import load_packed
from keras_tdn.data.packing import pack
from keras_tdn.data.records import Record, RecordList, load_records
from keras_tdn.data.segment_sampling import SegmentSampler
from keras_tdn.data.transforms import MixUp, ResizeAndCenterCrop
from keras_tdn.specs import ClipSpec

SPEC = ClipSpec(num_segments=4, frames_per_segment=3, height=48, width=80, short_side=48)
LENGTHS = (40, 50, 60, 70, 80)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for number, length in enumerate(LENGTHS):
        (folder / f"ü {number}.mp4").write_bytes(encode_video(length))
    return load_records(
        [(str(folder / f"ü {number}.mp4"), number % 3) for number in range(len(LENGTHS))],
        num_classes=3,
    )


@pytest.fixture(scope="module")
def folders(videos, tmp_path_factory):
    """The same videos as JPEG frames, of names that count in some and not in others."""
    root = tmp_path_factory.mktemp("folders")
    items = []
    for record in videos:
        folder = root / f"video {record.index}"
        folder.mkdir()
        for number, frame in enumerate(read_frames(record.path, np.arange)):
            name = f"{'even' if number % 2 == 0 else 'odd'} {number:03d}"
            name = f"{number:03d} {name}" if record.index == 1 else f"img_{number + 1:05d}"
            content = tf.io.encode_jpeg(frame, quality=95)
            (folder / f"{name}.jpg").write_bytes(content.numpy())
        items.append((str(folder), record.label))
    return load_records(items, num_classes=3)


@pytest.fixture(scope="module")
def packed(videos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed")
    pack(videos, folder, quality=95, num_shards=2, num_processes=1, progress=False)
    return load_packed(folder)


@pytest.fixture(scope="module")
def known(videos):
    """The first batches of a data set of the videos, made once for all that compare with them."""
    made = {}

    def known(count, **arguments):
        key = (count, *sorted(arguments.items()))
        if key not in made:
            made[key] = batches(make(videos, **arguments), count)
        return made[key]

    return known


def make(records, training=True, batch_size=2, **arguments):
    # Whole frames, so that their numbers can be read.
    arguments.setdefault("transforms", ResizeAndCenterCrop.from_spec(SPEC))
    return make_dataset(records, SPEC, training=training, batch_size=batch_size, **arguments)


def batches(dataset, count):
    return [(clips.numpy(), labels.numpy()) for clips, labels in dataset.take(count)]


def numbers(clips):
    return [[read_number(frame) for frame in clip] for clip in clips]


def assert_equal(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        for part, other_part in zip(one, other, strict=True):
            np.testing.assert_array_equal(part, other_part)


def test_validation_is_the_list_in_order(videos):
    dataset = make(videos, training=False)
    assert dataset.element_spec == (
        tf.TensorSpec([None, 12, 48, 80, 3], tf.uint8),
        tf.TensorSpec([None], tf.int32),
    )
    result = batches(dataset, -1)
    assert [len(labels) for _, labels in result] == [2, 2, 1]
    assert np.concatenate([labels for _, labels in result]).tolist() == [0, 1, 2, 0, 1]
    sampler = SegmentSampler(4, 3)
    expected = [sampler(length).ravel().tolist() for length in LENGTHS]
    assert [clip for clips, _ in result for clip in numbers(clips)] == expected
    assert_equal(result, batches(dataset, -1))


def test_training_draws_from_seed_epoch_and_index(videos):
    dataset = make(videos, batch_size=5, shuffle=False)
    assert dataset.element_spec[0].shape == (5, 12, 48, 80, 3)
    sampler = SegmentSampler(4, 3, mode="random")
    for epoch, (clips, labels) in enumerate(batches(dataset, 3)):
        assert labels.tolist() == [0, 1, 2, 0, 1]
        seeds = [record_seed(0, epoch, record.index) for record in videos]
        expected = [
            sampler(length, seed).ravel().tolist()
            for length, seed in zip(LENGTHS, seeds, strict=True)
        ]
        assert numbers(clips) == expected


def test_seeds_are_the_same_in_graphs():
    for epoch, index in ((0, 0), (3, 7), (10**6, 2**31 - 1)):
        for seed in (0, 5, -3):
            in_graph = record_seed(seed, tf.constant(epoch, tf.int64), tf.constant(index, tf.int64))
            np.testing.assert_array_equal(record_seed(seed, epoch, index), in_graph)
            assert in_graph.dtype == tf.int32
    pairs = {tuple(record_seed(seed, epoch, 0)) for seed in range(30) for epoch in range(30)}
    assert len(pairs) == 900


@pytest.mark.parametrize("num_parallel_calls", [None, 1, 3])
def test_parallelism_changes_nothing(videos, known, num_parallel_calls):
    parallel = make(videos, transforms=None, num_parallel_calls=num_parallel_calls)
    assert_equal(batches(parallel, 6), known(6, transforms=None))


def test_seeds_differ(videos, known):
    other = batches(make(videos, transforms=None, seed=1), 6)
    assert any(
        (clips != other_clips).any()
        for (clips, _), (other_clips, _) in zip(known(6, transforms=None), other, strict=True)
    )


def test_epochs_differ_and_can_be_started_at(videos):
    endless = batches(make(videos, batch_size=5, transforms=None), 3)
    for epoch, batch in enumerate(endless):
        once = make(videos, batch_size=5, transforms=None, epoch=epoch, repeat=False)
        assert_equal(batches(once, -1), [batch])
    assert len({clips.tobytes() for clips, _ in endless}) == 3


def test_order_is_a_permutation_divided_by_shards():
    orders = []
    for epoch in range(3):
        parts = [
            RecordOrder(11, 5, shuffle=True, start=11 * epoch, repeat=False, shard=(index, 3))
            for index in range(3)
        ]
        rows = [[int(part.place(count)[0]) for count in part.counts()] for part in parts]
        assert [len(part) for part in rows] == [part.num_reachable for part in parts] == [4, 4, 3]
        assert sorted(row for part in rows for row in part) == list(range(11))
        orders.append(rows)
    assert orders[0] != orders[1] != orders[2]
    _, epochs, seen = zip(*(parts[2].place(count) for count in parts[2].counts()), strict=True)
    assert [int(number) for number in seen] == [1, 2, 3]
    assert {int(epoch) for epoch in epochs} == {2}


def test_every_shard_has_its_own_records(videos):
    whole = make(videos, training=False, batch_size=1)
    parts = [make(videos, training=False, batch_size=1, shard=(index, 2)) for index in range(2)]
    first, second = (batches(part, -1) for part in parts)
    assert_equal([first[0], second[0], first[1], second[1], first[2]], batches(whole, -1))


@pytest.mark.parametrize("source", ["folders", "packed"])
def test_other_sources_give_the_same_frames(known, source, request):
    records = request.getfixturevalue(source)
    for arguments in ({}, {"transforms": None}, {"training": False, "transforms": None}):
        expected = known(6, **arguments)
        for (clips, labels), (other_clips, other_labels) in zip(
            expected, batches(make(records, **arguments), 6), strict=True
        ):
            np.testing.assert_array_equal(labels, other_labels)
            if "transforms" not in arguments:
                assert numbers(clips) == numbers(other_clips)
            assert np.abs(clips.astype(int) - other_clips).mean() < 3


def test_iterator_goes_on_from_a_checkpoint(videos, known, tmp_path):
    dataset = make(videos, transforms=None)
    iterator = iter(dataset)
    checkpoint = tf.train.Checkpoint(iterator=iterator)
    for _ in range(3):
        next(iterator)
    saved = checkpoint.save(str(tmp_path / "checkpoint"))
    expected = known(6, transforms=None)[3:]
    assert_equal([next(iterator) for _ in expected], expected)
    iterator = iter(make(videos, transforms=None))
    tf.train.Checkpoint(iterator=iterator).restore(saved).assert_consumed()
    assert_equal([next(iterator) for _ in expected], expected)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 10**4


def test_labels_and_batch_transforms(videos):
    labels = [labels for _, labels in batches(make(videos, shuffle=False, one_hot=True), 3)]
    assert np.concatenate(labels).argmax(axis=1).tolist() == [0, 1, 2, 0, 1, 0]
    mixed = make(videos, one_hot=True, batch_transforms=MixUp(alpha=5.0))
    result = batches(mixed, 4)
    assert_equal(batches(mixed, 4), result)
    for clips, labels in result:
        assert clips.dtype == labels.dtype == np.float32
        np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)


def test_default_flips_exchange_labels(videos):
    names = ("Turning left", "Turning right", "Waving")
    named = RecordList([dataclasses.replace(record, label=0) for record in videos], names)
    labels = np.concatenate([labels for _, labels in batches(make(named, transforms=None), 10)])
    assert set(labels.tolist()) == {0, 1}


def test_mirrored_strategy(videos, known):
    strategy = tf.distribute.MirroredStrategy(["cpu:0"])
    distributed = iter(strategy.experimental_distribute_dataset(make(videos)))
    for expected, _ in known(6)[:3]:
        np.testing.assert_array_equal(next(distributed)[0], expected)


@pytest.mark.parametrize("source", ["folders", "packed"])
def test_graph_sources_go_through_a_data_service(source, request):
    records = request.getfixturevalue(source)
    service = tf.data.experimental.service
    dispatcher = service.DispatchServer()
    address = dispatcher.target.split("://")[1]
    worker = service.WorkerServer(service.WorkerConfig(dispatcher_address=address))
    dataset = make(records, training=False, max_failure_share=None)
    expected = batches(dataset, -1)
    distributed = dataset.apply(service.distribute("parallel_epochs", dispatcher.target))
    assert_equal(batches(distributed, -1), expected)
    del worker
    assert not calls_python(dataset)
    assert calls_python(make(records))


def calls_python(dataset):
    graph = tf.compat.v1.GraphDef.FromString(dataset._as_serialized_graph().numpy())
    return any("PyFunc" in str(function) for function in graph.library.function)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "`batch_size` is an integer of at least 1"),
        ({"epoch": -1}, "`epoch` is an integer of at least 0"),
        ({"seed": 0.5}, "`seed` is an integer"),
        ({"num_parallel_calls": 0}, "`num_parallel_calls` is an integer of at least 1"),
        ({"shard": (2, 2)}, r"`shard` is \(index, count\)"),
        ({"shard": (0, 6)}, "at least a record in each of the 5"),
        ({"sampler": SegmentSampler(8)}, "num_segments=8, and the spec has 4"),
        ({"max_failure_share": 2}, "a number from 0 to 1"),
        ({"max_failure_share": None, "failure_report": "a"}, "there is no report"),
        ({"failure_report": "/nowhere/a"}, "cannot be written"),
        ({"decoder": "nonsense"}, "A decoder's name is one of"),
    ],
)
def test_errors(videos, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(videos, **arguments)


def test_errors_of_records(videos, folders):
    for records, message in (
        ([], "takes a RecordList"),
        (RecordList([]), "at least one record"),
        (RecordList([Record("a.mp4", None)]), "needs a label for each record"),
        (RecordList([Record("a.mp4", 0), Record("b.mp4", 0)]), "an `index` of its own"),
        (load_records([*videos, *folders]), "all of one kind"),
    ):
        with pytest.raises(ValueError, match=message):
            make(records)
    with pytest.raises(ValueError, match="takes a ClipSpec"):
        make_dataset(videos, 8, training=True, batch_size=1)
    few = RecordList([Record("a.mp4", 0), Record("b.mp4", 7, index=1)])
    for one_hot in (True, False):
        with pytest.raises(ValueError, match=r"have no place for label 7, which 'b.mp4' has"):
            make(few, one_hot=one_hot, num_classes=7)

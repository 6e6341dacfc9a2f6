"""Where batches end, and data sets that start there."""

import numpy as np
import pytest
import tensorflow as tf
from synthetic_videos import encode_video

from keras_tdn.data.dataset import make_dataset
from keras_tdn.data.dataset.order import BatchPositions
from keras_tdn.data.records import load_records
from keras_tdn.data.transforms import MixUp
from keras_tdn.specs import ClipSpec

SPEC = ClipSpec(num_segments=2, frames_per_segment=2, height=32, width=32, short_side=32)
# Three more than fill batches of two, so that no epoch ends with a batch, and two are bad.
NUM_VIDEOS = 7
BAD = (2, 5)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for number in range(NUM_VIDEOS):
        content = encode_video(12 + number, size=(32, 48), first=30 * number)
        (folder / f"{number}.mp4").write_bytes(b"bad" if number in BAD else content)
    return load_records([(str(folder / f"{number}.mp4"), number) for number in range(NUM_VIDEOS)])


def make(records, **arguments):
    return make_dataset(records, SPEC, training=True, batch_size=2, seed=3, **arguments)


def batches(dataset, count):
    return [(clips.numpy(), labels.numpy()) for clips, labels in dataset.take(count)]


def assert_equal(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        for part, other_part in zip(one, other, strict=True):
            np.testing.assert_array_equal(part, other_part)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"shard": (1, 2)},
        {"one_hot": True, "batch_transforms": MixUp(alpha=1.0)},
        {"num_parallel_calls": 3, "shuffle": False},
    ],
)
def test_starts_behind_any_batch(videos, arguments):
    positions = BatchPositions()
    expected = batches(make(videos, positions=positions, **arguments), 8)
    assert_equal(batches(make(videos, **arguments), 8), expected)
    places = [positions.after(number) for number in range(9)]
    assert places[0] == 0
    assert places == sorted(set(places))
    # Over two epochs there are bad records between some of them: the number of batches alone
    # would not tell.
    assert np.diff(places).max() > 2
    for number in (1, 6) if not arguments else (5,):
        start = positions.after(number)
        assert_equal(batches(make(videos, start=start, **arguments), 8 - number), expected[number:])


def test_counts_go_on_from_a_start(videos):
    positions, later = BatchPositions(), BatchPositions()
    batches(make(videos, positions=positions), 6)
    batches(make(videos, positions=later, start=positions.after(2)), 4)
    assert later.after(0) == positions.after(2)
    assert later.after(4) == positions.after(6)


def test_epochs_are_starts(videos):
    once = {"shuffle": True, "repeat": False, "drop_remainder": False}
    expected = batches(make(videos, epoch=2, **once), -1)
    assert_equal(batches(make(videos, start=2 * NUM_VIDEOS, **once), -1), expected)
    # The rest of an epoch, not an epoch from there.
    rest = batches(make(videos, start=2 * NUM_VIDEOS + 3, **once), -1)
    assert sum(len(labels) for _, labels in rest) < NUM_VIDEOS - len(BAD)


def test_iterating_again_tells_the_same(videos):
    positions = BatchPositions()
    dataset = make(videos, positions=positions)
    batches(dataset, 5)
    before = [positions.after(number) for number in range(6)]
    batches(dataset, 2)
    assert [positions.after(number) for number in range(6)] == before


def test_several_replicas_get_parts_of_the_batches_that_are_counted(videos):
    positions = BatchPositions()
    expected = batches(make(videos), 3)
    strategy = tf.distribute.MirroredStrategy(["cpu:0"])
    distributed = iter(strategy.experimental_distribute_dataset(make(videos, positions=positions)))
    for clips, _ in expected:
        np.testing.assert_array_equal(next(distributed)[0], clips)
    assert_equal(
        batches(make(videos, start=positions.after(2)), 1),
        expected[2:],
    )


def test_labels_are_described(videos):
    positions = BatchPositions()
    make(videos, positions=positions)
    assert positions.label_spec == tf.TensorSpec([2], tf.int32)
    make(videos, positions=positions, one_hot=True)
    assert positions.label_spec == tf.TensorSpec([2, NUM_VIDEOS], tf.float32)


def test_few_are_remembered_and_others_refused():
    positions = BatchPositions(max_remembered=3)
    positions.begin(10, None)
    with pytest.raises(ValueError, match="batches that are remembered: none"):
        positions.after(1)
    for batch in range(1000):
        positions.note(batch, 10 + 2 * batch + 2)
    assert len(positions._next) == 3
    assert positions.after(1000) == 2010
    assert positions.made_at(999) is not None
    assert positions.made_at(3) is None
    with pytest.raises(ValueError, match=r"behind 5 batches is not known.*remembered: 997 to 999"):
        positions.after(5)
    positions.begin(4, None)
    assert positions.after(0) == 4
    with pytest.raises(ValueError, match="is not known"):
        positions.after(1000)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start": -1}, "`start` is an integer of at least 0"),
        ({"start": 1.0}, "`start` is an integer"),
        ({"start": 3, "epoch": 1}, "`start` says where to begin, and so does `epoch`"),
    ],
)
def test_errors(videos, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(videos, **arguments)


@pytest.mark.parametrize("number", [0, -1, 2.0, True])
def test_errors_of_memory(number):
    with pytest.raises(ValueError, match="`max_remembered` is an integer of at least 1"):
        BatchPositions(number)

import threading

import numpy as np
import pytest

from keras_tdn.scoring.scoring_options import ScoringOptions
from keras_tdn.scoring.scoring_run import fill_batches, read_ahead, view_batches
from keras_tdn.scoring.views import VideoViews
from keras_tdn.specs import ViewSpec

SHAPE = (1, 2, 2, 3)
# Two views of each video.
OPTIONS = ScoringOptions(ViewSpec(num_clips=2), batch_size=3, num_workers=2)


def video(row):
    """Its views have the numbers `2 * row` and `2 * row + 1` as pixels."""
    frames = np.stack([np.full(SHAPE[1:], 2 * row + clip, np.uint8) for clip in range(2)])
    return VideoViews([frames], np.array([[0], [1]]))


def read(row):
    if row == 1:
        raise ValueError("no video")
    return video(row)


def told(batches):
    return [
        (batch.clips[:, 0, 0, 0, 0].tolist(), batch.present.tolist(), batch.failures)
        for batch in batches
    ]


def test_batches_go_across_videos_and_have_one_size():
    assert told(view_batches(read, 4, SHAPE, OPTIONS)) == [
        ([0, 1, 0], [True, True, False], {1: "no video"}),
        ([0, 4, 5], [False, True, True], {1: "no video"}),
        ([6, 7, 0], [True, True], {}),
    ]


def test_they_start_with_any_view_and_skip_what_is_known_to_be_bad():
    asked = []

    def counted(row):
        asked.append(row)
        return video(row)

    batches = view_batches(counted, 4, SHAPE, OPTIONS, first_view=3, failures={2: "known"})
    assert told(batches) == [
        ([3, 0, 0], [True, False, False], {2: "known"}),
        ([6, 7, 0], [True, True], {}),
    ]
    assert sorted(asked) == [1, 3]


def test_what_is_not_the_videos_fault_ends_the_run():
    def failing(row):
        raise MemoryError("no more")

    with pytest.raises(MemoryError, match="no more"):
        next(view_batches(failing, 4, SHAPE, OPTIONS))


def test_no_more_is_read_ahead_than_two_batches_need():
    asked = []
    batches = view_batches(lambda row: asked.append(row) or video(row), 100, SHAPE, OPTIONS)
    next(batches)
    batches.close()
    assert len(asked) <= 7


def test_a_full_batch_does_not_wait_for_the_next_view():
    def views():
        yield 0, np.zeros(SHAPE, np.uint8)
        raise KeyError("too far")

    assert len(next(fill_batches(views(), SHAPE, 1)).present) == 1


class TestReadAhead:
    def test_the_same_items_in_order(self):
        assert list(read_ahead((number for number in range(50)), 3)) == list(range(50))

    def test_errors_come_in_their_turn(self):
        def items():
            yield 1
            raise KeyError("two")

        ahead = read_ahead(items())
        assert next(ahead) == 1
        with pytest.raises(KeyError, match="two"):
            next(ahead)

    def test_what_is_not_wanted_is_closed(self):
        closed = threading.Event()

        def items():
            try:
                while True:
                    yield 0
            finally:
                closed.set()

        ahead = read_ahead(items())
        next(ahead)
        ahead.close()
        assert closed.is_set()

import re

import crashing_reader
import numpy as np
import pytest
from evaluation_toys import SPEC, toy

from keras_tdn.data.records import RecordList
from keras_tdn.scoring import views as views_module
from keras_tdn.scoring.scorer import Scorer
from keras_tdn.scoring.scoring_options import ScoringOptions
from keras_tdn.scoring.scoring_run import ViewJournal, score_videos, score_views
from keras_tdn.scoring.views import ViewProcesses, ViewReader
from keras_tdn.specs import ViewSpec
from keras_tdn.worker_pool import LostTaskError

IDENTITY = {"weights": "abc", "views": ViewSpec().to_config()}
OPTIONS = ScoringOptions(ViewSpec(num_clips=2), batch_size=3, num_workers=1)


def journal(path, num_videos=3, **changes):
    options = {"identity": IDENTITY, **changes}
    return ViewJournal(path, num_videos=num_videos, num_views=2, num_values=2, **options)


@pytest.fixture(scope="module")
def scorer():
    return Scorer(toy(), OPTIONS)


class TestJournal:
    def test_it_holds_batches_and_reasons(self, tmp_path):
        path = tmp_path / "scores.sqlite"
        with journal(path) as first:
            first.append(np.ones((1, 2), np.float32), {})
            first.append(np.full((3, 2), [[1, 2], [3, 4], [np.nan] * 2]), {1: "no \udcff video"})
        with journal(path) as again:
            assert (again.num_done, again.num_videos_done, again.is_complete) == (4, 2, False)
            assert again.failures == {1: "no \udcff video"}
            expected = [1, 1, 3, np.nan, np.nan, np.nan]
            np.testing.assert_array_equal(again.values[:, 0], expected)
            again.append(np.zeros((2, 2), np.float32), {})
            assert again.is_complete

    def test_batches_behind_a_gap_do_not_count(self, tmp_path):
        path = tmp_path / "scores.sqlite"
        with journal(path, 6) as first:
            for start in range(0, 12, 3):
                first.append(np.full((3, 2), start, np.float32), {})
            first._journal._database.execute("DELETE FROM entries WHERE key = 3")
        with journal(path, 6) as again:
            assert again.num_done == 3
            # What follows is of another size, and ends inside one of the old batches.
            again.append(np.full((5, 2), -1, np.float32), {})
        with journal(path, 6) as last:
            assert last.num_done == 8
            assert last.values[:, 0].tolist()[:8] == [0] * 3 + [-1] * 5

    def test_another_identity_is_refused(self, tmp_path):
        with journal(tmp_path / "a.sqlite"):
            pass
        other = {**IDENTITY, "views": {}}
        with (
            pytest.raises(ValueError, match="views"),
            journal(tmp_path / "a.sqlite", identity=other),
        ):
            pass

    def test_without_a_path_it_is_in_memory(self):
        with journal(None) as scored:
            scored.append(np.ones((6, 2), np.float32), {})
            assert scored.is_complete


class TestScoreViews:
    def test_any_rows_from_any_view_on(self, scorer, some_bad):
        rows = [5, 1, 0]
        whole = list(score_views(scorer, some_bad, OPTIONS, rows=rows))
        values = np.concatenate([batch.values for batch in whole])
        assert [len(batch.values) for batch in whole] == [3, 3]
        assert [list(batch.failures) for batch in whole] == [[1], [1]]
        assert np.isnan(values[2:4]).all()
        assert not np.isnan(values[[0, 1, 4, 5]]).any()
        (rest,) = score_views(scorer, some_bad, OPTIONS, rows=rows, first_view=3)
        np.testing.assert_array_equal(rest.values, values[3:])

    def test_a_batch_of_bad_videos_alone_is_not_scored(self, scorer, some_bad, monkeypatch):
        monkeypatch.setattr(Scorer, "score", None)
        bad = RecordList([some_bad[1], some_bad[4]])
        (first, second) = score_views(scorer, bad, OPTIONS)
        assert {**first.failures, **second.failures}.keys() == {0, 1}

    def test_videos_that_have_been_read(self, scorer, videos):
        reader = ViewReader(OPTIONS, scorer.spec, videos)
        read = [reader.read_row(row) for row in range(4)]
        expected = np.concatenate([batch.values for batch in score_views(scorer, videos, OPTIONS)])
        found = score_videos(scorer, read, OPTIONS.batch_size)
        assert [len(values) for values in found] == [2, 2, 2, 2]
        # The last batch of four videos has the fifth in it when all are scored.
        np.testing.assert_allclose(np.concatenate(found), expected[:8], rtol=1e-5)


class TestProcesses:
    @pytest.mark.slow
    def test_a_video_that_crashes_costs_itself_alone(self, scorer, some_bad, monkeypatch):
        monkeypatch.setattr(views_module, "make_view_reader", crashing_reader.make_view_reader)
        options = ScoringOptions(OPTIONS.views, batch_size=3, num_workers=1, in_processes=True)
        rows = [0, 1, 2]
        found = list(score_views(scorer, some_bad, options, rows=rows))
        expected = list(score_views(scorer, some_bad, OPTIONS, rows=rows))
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one.values, other.values)
        message = r"Reading '.*bad\.mp4' crashes the decoder \(exit status 11\)\."
        assert [list(batch.failures) for batch in found] == [[1], [1]]
        assert re.fullmatch(message, found[0].failures[1])

    @pytest.mark.parametrize(
        ("raised", "kind", "message"),
        [
            (LostTaskError(None, 2.0), ValueError, "takes longer than 2 seconds, or never ends"),
            (OSError("A worker process does not start"), OSError, "does not start"),
        ],
    )
    def test_whose_fault_it_is(self, videos, monkeypatch, raised, kind, message):
        def fail(*_):
            raise raised

        monkeypatch.setattr("keras_tdn.worker_pool.WorkerPool.run", fail)
        monkeypatch.setattr("keras_tdn.worker_pool.WorkerPool.__init__", lambda *_, **__: None)
        with pytest.raises(kind, match=message) as error:
            ViewProcesses(OPTIONS, SPEC)(videos[0])
        assert views_module.is_passing(error.value) == (kind is OSError)

    def test_what_the_machine_fails_at_is_not_the_videos_fault(self, videos, monkeypatch):
        def fail(self, record):
            raise ValueError("Cannot list") from MemoryError("no more")

        monkeypatch.setattr(views_module, "use_tensorflow_on_one_core", lambda: None)
        monkeypatch.setattr(ViewReader, "read", fail)
        read = views_module.make_view_reader(OPTIONS, SPEC)
        with pytest.raises(OSError, match="Cannot list"):
            read(videos[0], None)

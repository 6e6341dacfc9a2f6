import time
from concurrent.futures import ThreadPoolExecutor

import crashing_reader
import numpy as np
import pytest

from keras_tdn.data.records import Record
from keras_tdn.scoring import reading_processes
from keras_tdn.scoring.reading_processes import ReadingProcesses
from keras_tdn.scoring.scoring_options import ScoringOptions


def reading(starts, num_workers=1, time_limit=1.0):
    """The stand-in is told where to count its starts in place of the clip."""
    return ReadingProcesses(ScoringOptions(num_workers=num_workers, time_limit=time_limit), starts)


class TestStandIn:
    @pytest.fixture
    def starts(self, monkeypatch, tmp_path):
        monkeypatch.setattr(reading_processes, "_serve", crashing_reader.serve)
        return tmp_path / "starts"

    def test_a_bad_video_costs_itself_alone(self, starts):
        processes = reading(starts, time_limit=1.0)
        try:
            for path, message in (
                ("bad", "no video"),
                ("crash", "crashes the decoder: 2 processes ended with exit code 11 at it"),
                ("hang", "takes longer than 1 seconds, or never ends"),
            ):
                with pytest.raises(ValueError, match=message):
                    processes(Record(path, None))
                video = processes(Record("good", None))
                crops = np.stack(video.crops)
                assert crops.shape == crashing_reader.SHAPE
                np.testing.assert_array_equal(crops.ravel(), np.arange(96))
        finally:
            processes.close()
        assert len(starts.read_text().splitlines()) == 4

    def test_what_hangs_does_not_hold_up_the_end(self, starts):
        processes = reading(starts, time_limit=600.0)
        with ThreadPoolExecutor(1) as pool:
            hanging = pool.submit(processes, Record("hang", None))
            while not hanging.running():
                time.sleep(0.01)
            time.sleep(0.1)
            processes.close()
            assert isinstance(hanging.exception(timeout=30), EOFError | OSError)

    def test_one_that_does_not_start_ends_the_run(self, starts):
        with pytest.raises(OSError, match=r"does not start \(exit code 7\)"):
            reading(starts.with_name("never"), num_workers=2)

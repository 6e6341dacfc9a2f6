import time
from concurrent.futures import ThreadPoolExecutor

import crashing_reader
import numpy as np
import pytest
from labelling_rows import contents

from keras_tdn.data.records import Record
from keras_tdn.labelling import LabelOptions, reading_processes
from keras_tdn.labelling.reading_processes import ReadingProcesses


def test_rows_do_not_depend_on_where_videos_are_read(run, records, tmp_path):
    options = LabelOptions(top=2)
    run(records, tmp_path / "threads", options=options)
    run(records, tmp_path / "processes", options=options, num_workers=1, in_processes=True)
    assert contents(tmp_path / "threads") == contents(tmp_path / "processes")


class TestStandIn:
    @pytest.fixture
    def starts(self, monkeypatch, tmp_path):
        monkeypatch.setattr(reading_processes, "_serve", crashing_reader.serve)
        return tmp_path / "starts"

    def test_a_bad_video_costs_itself_alone(self, starts):
        reading = ReadingProcesses(str(starts), 1, time_limit=1.0)
        try:
            for path, message in (
                ("bad", "no video"),
                ("crash", "crashes the decoder: 2 processes ended with exit code 11 at it"),
                ("hang", "takes longer than 1 seconds, or never ends"),
            ):
                with pytest.raises(ValueError, match=message):
                    reading(Record(path, None))
                video = reading(Record("good", None))
                crops = np.stack(video.crops)
                assert crops.shape == crashing_reader.SHAPE
                np.testing.assert_array_equal(crops.ravel(), np.arange(96))
        finally:
            reading.close()
        assert len(starts.read_text().splitlines()) == 4

    def test_what_hangs_does_not_hold_up_the_end(self, starts):
        reading = ReadingProcesses(str(starts), 1, time_limit=600.0)
        with ThreadPoolExecutor(1) as pool:
            hanging = pool.submit(reading, Record("hang", None))
            while not hanging.running():
                time.sleep(0.01)
            time.sleep(0.1)
            reading.close()
            assert isinstance(hanging.exception(timeout=30), EOFError | OSError)

    def test_one_that_does_not_start_ends_the_run(self, starts):
        with pytest.raises(OSError, match=r"does not start \(exit code 7\)"):
            ReadingProcesses(str(starts.with_name("never")), 2, time_limit=1.0)

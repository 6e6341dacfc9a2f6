"""Every fixture, packed and read back. Skips where the videos are not at hand."""

import numpy as np
import pytest
from packed_clips import packed_clips
from real_videos import FIXTURES, NO_VIDEOS

from keras_tdn.data import SegmentSampler, read_frames
from keras_tdn.data.packed_records import load_packed
from keras_tdn.data.packing import pack

SAMPLER = SegmentSampler(num_segments=8)

# Test patterns with saturated edges have 26 to 30 dB, scenes about 40.
LEAST_PSNR, MEDIAN_PSNR = 26, 39


@pytest.mark.skipif(not FIXTURES, reason=NO_VIDEOS)
@pytest.mark.slow
def test_packed_clips_are_those_of_the_videos(tmp_path):
    report = pack([(path, 0) for path in FIXTURES], tmp_path, num_processes=1, progress=False)
    assert report.failures == ()
    records = load_packed(tmp_path)
    ratios = []
    for element, record in zip(packed_clips(records, SAMPLER), records.packed, strict=True):
        assert element["reason"] == b""
        counts = []

        def choose(num_frames, counts=counts):
            counts.append(num_frames)
            return SAMPLER(num_frames)

        frames = read_frames(record.path, choose, (record.height, record.width)).astype(float)
        assert counts[-1] == record.num_frames
        error = np.mean((element["frames"].numpy() - frames) ** 2)
        ratios.append(10 * np.log10(255**2 / max(error, 1e-9)))
    assert min(ratios) > LEAST_PSNR
    assert np.median(ratios) > MEDIAN_PSNR

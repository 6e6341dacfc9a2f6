import base64
import re

import numpy as np
import pytest
import tensorflow as tf
from synthetic_videos import encode_video, read_numbers

from keras_tdn.data import browsing
from keras_tdn.data.browsing import browse_clips, write_page, write_sheets
from keras_tdn.data.dataset import make_dataset
from keras_tdn.data.records import load_records
from keras_tdn.data.segment_sampling import SegmentSampler
from keras_tdn.specs import ClipSpec

SPEC = ClipSpec(num_segments=3, frames_per_segment=5, height=48, width=48, short_side=48)
LABELS = ("Push left", "Push right")


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Six videos, of which the fourth is empty."""
    folder = tmp_path_factory.mktemp("videos")
    for number in range(6):
        content = b"" if number == 3 else encode_video(40 + number)
        (folder / f"<{number}>.mp4").write_bytes(content)
    items = [(str(folder / f"<{number}>.mp4"), number % 2) for number in range(6)]
    return load_records(items, labels=LABELS)


@pytest.mark.parametrize("training", [True, False])
def test_clips_are_those_of_the_data_set(records, training):
    clips = browse_clips(records, SPEC, training=training, count=6, epoch=2, seed=5)
    dataset = make_dataset(
        records, SPEC, training=training, batch_size=1, shuffle=False, repeat=False, epoch=2, seed=5
    )
    good = [clip for clip in clips if not clip.reason]
    for clip, (expected, labels) in zip(good, dataset, strict=True):
        np.testing.assert_array_equal(clip.clip, expected[0])
        assert clip.label == labels[0]
        assert clip.num_frames == 40 + clip.record.index
        assert read_numbers(clip.frames) == clip.indices.ravel().tolist()
        assert (clip.box is not None) == training
    assert "the file is empty" in clips[3].reason


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("size", [(4, 2048), (2048, 4)], ids=["wide", "tall"])
def test_pictures_of_long_frames_stay_small(tmp_path, size, training):
    (tmp_path / "a.mp4").write_bytes(encode_video(20, size=size))
    records = load_records([(str(tmp_path / "a.mp4"), 0)], labels=LABELS)
    (clip,) = browse_clips(records, SPEC, training=training)
    assert clip.frames.shape[1:3] == size
    overview = browsing.overview(clip)
    assert overview.shape[0] <= 672
    assert overview.shape[1] <= 3 * 172
    sheet = browsing.sheet(clip)
    assert max(sheet.shape) < 3000
    write_page([clip], tmp_path / "page.html")


def test_records_are_spread_over_the_list(records):
    rows = [clip.record.index for clip in browse_clips(records, SPEC, count=3)]
    assert rows == [0, 2, 5]
    assert len(browse_clips(records, SPEC, count=99)) == 6
    with pytest.raises(ValueError, match="`count` is a positive integer"):
        browse_clips(records, SPEC, count=0)
    with pytest.raises(ValueError, match="the spec has 3"):
        browse_clips(records, SPEC, sampler=SegmentSampler(8))


def test_pictures(records):
    clip = browse_clips(records, SPEC, count=1)[0]
    overview = browsing.overview(clip)
    assert overview.shape == (101, 3 * 168 + 2 * 4, 3)
    segment = browsing.segment(clip, 1)
    assert segment.shape == (2 * 112 + 4, 5 * 112 + 4 * 4, 3)
    # The lower half of the numbered frames stays as it is.
    row = segment[112 + 4 + 100]
    difference = np.abs(row[60:160].astype(int) - 128)
    assert difference.mean() < 6
    assert browsing.sheet(clip).dtype == np.uint8


def test_page_holds_everything(records, tmp_path):
    clips = browse_clips(records, SPEC, count=6)
    write_page(clips, tmp_path / "page.html", LABELS, title="<Clips>")
    page = (tmp_path / "page.html").read_text()
    assert "&lt;Clips&gt;" in page
    assert page.count("<section>") == 6
    assert "the file is empty" in page
    assert "Push left (0)" in page
    changed = sum(clip.label != clip.record.label for clip in clips)
    assert 0 < changed == page.count("becomes")
    assert not re.search(r'(src|href)="(?!data:)', page)
    images = re.findall(r'data:image/jpeg;base64,([^"]+)"', page)
    assert len(images) == 5 * (1 + 3)
    assert tf.io.decode_jpeg(base64.b64decode(images[1])).shape == (228, 576, 3)
    first = clips[0].indices[0]
    assert f"segment 1: frames {first[0]}\u2013{first[-1]}" in page


def test_sheets(records, tmp_path):
    clips = browse_clips(records, SPEC, count=6)
    write_sheets(clips, tmp_path / "sheets")
    paths = sorted((tmp_path / "sheets").iterdir())
    assert [path.name for path in paths] == [f"{index:06d}.png" for index in (0, 1, 2, 4, 5)]
    picture = tf.io.decode_png(tf.io.read_file(str(paths[0])))
    np.testing.assert_array_equal(picture, browsing.sheet(clips[0]))

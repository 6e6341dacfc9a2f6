import json
import re

import goldens
import numpy as np
import pytest
import tensorflow as tf
from synthetic_videos import encode_video, read_number, read_numbers

from keras_tdn.data.dataset.order import record_seed
from keras_tdn.data.decoding import VideoDecodeError, get_decoder, read_frames
from keras_tdn.data.frame_transforms import resize_and_center_crop
from keras_tdn.data.packed_records import load_packed
from keras_tdn.data.packing import pack
from keras_tdn.data.records import Record, RecordList, load_records
from keras_tdn.data.segment_sampling import SegmentSampler
from keras_tdn.scoring.scoring_options import ScoringOptions
from keras_tdn.scoring.views import FrameReader, ViewReader, crop_set_of
from keras_tdn.specs import ClipSpec, ViewSpec

GOLDEN = json.loads(goldens.path("sampling_and_crops.json").read_text())
SPEC = ClipSpec(num_segments=2, frames_per_segment=3, height=24, width=32, short_side=32)


class CountingDecoder:
    """PyAV, and the indices that it was asked for."""

    def __init__(self):
        self._decoder = get_decoder("pyav", num_threads=1)
        self.asked = []

    def read_frames(self, source, choose_indices, size=None):
        def choose(num_frames):
            self.asked.append(np.asarray(choose_indices(num_frames)).tolist())
            return self.asked[-1]

        return self._decoder.read_frames(source, choose, size)


def reader(records, views, decoder="pyav", seed=0, spec=SPEC):
    return ViewReader(ScoringOptions(views, seed=seed, decoder=decoder), spec, records)


def allow(num_bytes, monkeypatch):
    monkeypatch.setenv("KERAS_TDN_MAX_CLIP_GIB", str(num_bytes / 2**30))


@pytest.mark.parametrize("num_segments", [4, 8, 16])
def test_centre_indices_of_the_reference(num_segments):
    records = RecordList([Record("a.mp4", 0)])
    views = reader(records, ViewSpec(), spec=ClipSpec(num_segments))
    golden = GOLDEN["center"][str(num_segments)]
    assert len(golden) > 50
    for num_frames, expected in golden.items():
        assert views.clip_indices(0, int(num_frames))[0].tolist() == expected


@pytest.mark.parametrize("key", GOLDEN["three_crops_left_right_center_x0_y0_x1_y1"])
def test_three_crops_of_the_reference(key):
    width, height, size = (int(number) for number in re.split("x|->", key))
    expected = GOLDEN["three_crops_left_right_center_x0_y0_x1_y1"][key]
    spec = ClipSpec(short_side=size)

    def boxes(always_across):
        crops = crop_set_of(ViewSpec(num_crops=3, always_across=always_across), spec)
        top, left, tall, wide = crops.boxes(height, width).numpy().T
        return np.stack([left, top, left + wide, top + tall], axis=1).tolist()

    assert boxes(True) == expected
    if height > width:
        # The reference takes the centre three times; ours lie one above the other.
        assert expected[0] == expected[1] == expected[2] == boxes(False)[2]
        assert boxes(False)[:2] == [[0, 0, 256, 256], [0, 84, 256, 340]]
    else:
        assert boxes(False) == expected


@pytest.mark.parametrize(("num_crops", "clip_mode"), [(3, "uniform"), (1, "random"), (10, "dense")])
def test_views_are_those_of_clips_decoded_one_by_one(videos, num_crops, clip_mode):
    views = ViewSpec(num_clips=4, num_crops=num_crops, clip_mode=clip_mode)
    sampler = SegmentSampler(2, 3, "dense" if clip_mode == "dense" else "center")
    mode = "random" if clip_mode == "random" else "uniform"
    crops = tf.function(crop_set_of(views, SPEC))
    all_views = reader(videos, views, seed=5)
    # Lying, of one frame, upright.
    for row in (0, 3, 4):
        record = videos[row]
        result = all_views.read_row(row)
        assert len(result) == views.num_views
        num_frames = len(read_frames(record.path, np.arange))
        seed = record_seed(5, 0, record.index)
        clips = sampler.sample_clips(num_frames, 4, mode, seed)
        for clip, indices in enumerate(clips):
            frames = read_frames(record.path, lambda _, indices=indices: indices)
            for crop, expected in enumerate(crops(frames).numpy()):
                view = result.view(clip * num_crops + crop)
                assert view.dtype == np.uint8
                np.testing.assert_array_equal(view, expected)


def test_one_view_is_the_centre_clip_and_crop(videos):
    views = reader(videos, ViewSpec())
    for row, record in enumerate(videos):
        view = views.read_row(row).view(0)
        sampler = SegmentSampler(2, 3)
        frames = read_frames(record.path, lambda count, sampler=sampler: sampler(count))
        expected = resize_and_center_crop(frames, SPEC).astype(int)
        # Keras' resize and TensorFlow's round halves in different ways.
        assert np.abs(view.astype(int) - expected).max() <= 1


def test_each_video_is_decoded_once(videos):
    decoder = CountingDecoder()
    views = reader(videos, ViewSpec(num_clips=10, num_crops=3), decoder)
    for row, _ in enumerate(videos):
        decoder.asked.clear()
        assert len(views.read_row(row)) == 30
        (indices,) = decoder.asked
        assert indices == sorted(set(indices))


def test_random_clips_follow_from_the_index_and_come_first_things_first(videos):
    few = reader(videos, ViewSpec(num_clips=3, clip_mode="random"), seed=1)
    many = reader(videos, ViewSpec(num_clips=10, clip_mode="random"), seed=1)
    np.testing.assert_array_equal(few.clip_indices(1, 50), many.clip_indices(1, 50)[:3])
    other = reader(videos, ViewSpec(num_clips=3, clip_mode="random"), seed=2)
    assert (few.clip_indices(1, 50) != other.clip_indices(1, 50)).any()
    part = videos[1:]
    of_part = reader(part, ViewSpec(num_clips=3, clip_mode="random"), seed=1)
    np.testing.assert_array_equal(of_part.clip_indices(part[0].index, 50), few.clip_indices(1, 50))


def test_large_videos_are_decoded_in_parts(videos, monkeypatch):
    views = ViewSpec(num_clips=10, num_crops=3)
    expected = reader(videos, views).read_row(0)
    frame = 48 * 80 * 3
    for limit, parts in ((40 * frame, 1), (30 * frame, 2), (6 * frame, 10)):
        decoder = CountingDecoder()
        allow(limit, monkeypatch)
        result = reader(videos, views, decoder).read_row(0)
        # Besides the parts, one call that is refused and one that looks at the first frame.
        assert len(decoder.asked) == (parts if parts == 1 else parts + 2)
        for number in range(30):
            np.testing.assert_array_equal(result.view(number), expected.view(number))
    allow(5 * frame, monkeypatch)
    with pytest.raises(VideoDecodeError, match=r"6 frames of 48x80 pixels would take"):
        reader(videos, ViewSpec(), CountingDecoder()).read_row(0)


def test_folders_and_packed_records_give_the_same_views(tmp_path, monkeypatch):
    (tmp_path / "video.mp4").write_bytes(encode_video(50, size=(48, 80)))
    frames = read_frames(str(tmp_path / "video.mp4"), np.arange)
    folder = tmp_path / "frames"
    folder.mkdir()
    for number, frame in enumerate(frames):
        content = tf.io.encode_jpeg(frame, quality=95).numpy()
        (folder / f"img_{number + 1:05d}.jpg").write_bytes(content)
    listed = load_records([(str(tmp_path / "video.mp4"), 0), (str(folder), 0)])
    pack(listed[:1], tmp_path / "packed", quality=95, num_shards=1, num_processes=1, progress=False)
    packed = load_packed(tmp_path / "packed")
    views = ViewSpec(num_clips=3, num_crops=3)
    whole = ClipSpec(2, 3, 48, 80, 48)
    for records, row in ((listed, 0), (listed, 1), (packed, 0)):
        result = reader(records, views).read_row(row)
        assert [crop.shape[1:] for crop in result.crops] == [(32, 32, 3)] * 3
        centre = reader(records, ViewSpec(num_clips=3), spec=whole).read_row(row)
        numbers = [read_numbers(centre.view(clip)) for clip in range(3)]
        expected = SegmentSampler(2, 3).sample_clips(50, 3).reshape(3, 6)
        assert numbers == expected.tolist()
    with monkeypatch.context() as patch:
        allow(10_000, patch)
        with pytest.raises(VideoDecodeError, match="2 frames of 48x80 pixels would take"):
            FrameReader(listed).read(1, lambda count: np.arange(2))
    first = reader(listed, views).clip_indices(1, 50).min()
    (folder / f"img_{first + 1:05d}.jpg").write_bytes(b"none")
    with pytest.raises(ValueError, match="a frame is missing, or is not a JPEG picture"):
        reader(listed, views).read_row(1)
    (shard,) = (tmp_path / "packed").glob("*.tfrecord")
    shard.write_bytes(shard.read_bytes()[:-500])
    with pytest.raises(ValueError, match="its packed record is damaged"):
        reader(packed, views).read_row(0)


def test_a_crop_of_another_size_may_be_asked_for(videos):
    views = ViewSpec(num_crops=3, crop_size=(24, 28))
    assert reader(videos, views).read_row(0).view(2).shape == (6, 24, 28, 3)
    assert 0 <= read_number(reader(videos, ViewSpec()).read_row(0).view(0)[0]) < 256

"""Decoding only what is needed against a plain decode of everything."""

import dataclasses
import functools
import io

import av
import h264_videos
import numpy as np
import pytest
from h264_videos import INDEXED, SEQUENTIAL

from keras_tdn.data.decoding import (
    VideoDecodeError,
    get_decoder,
    pyav_container,
    read_frames,
)
from keras_tdn.data.decoding.h264_headers import UnsupportedStream
from keras_tdn.data.decoding.h264_index import PictureIndexer
from keras_tdn.data.decoding.pyav_decoder import why_sequential
from keras_tdn.data.decoding.pyav_indexed import IndexedVideo

NUM_CHOICES = 25


@functools.cache
def video_of(kind):
    arguments = INDEXED[kind] if kind in INDEXED else SEQUENTIAL[kind][0]
    return h264_videos.encode(**arguments)


def plain_decode(video):
    """Every frame, by one pass that knows nothing of this package."""
    with av.open(io.BytesIO(video)) as container:
        frames = list(container.decode(video=0))
    shape = {"height": frames[0].height, "width": frames[0].width}
    return np.stack([frame.to_ndarray(format="rgb24", **shape) for frame in frames])


def choices(num_frames, seed):
    """One of four ways to want frames of a video."""
    rng = np.random.default_rng([num_frames, seed])
    if seed % 4 == 0:
        return np.arange(num_frames)
    if seed % 4 == 1:
        return rng.integers(0, num_frames, rng.integers(1, 10))
    if seed % 4 == 2:
        return [rng.integers(num_frames)]
    average = max(1, (num_frames - 4) // 4)
    starts = np.arange(4) * average + rng.integers(0, average, 4)
    return np.minimum(starts[:, np.newaxis] + np.arange(5), num_frames - 1)


def check_choices(video, decoder, seeds=range(NUM_CHOICES)):
    expected = plain_decode(video)
    for seed in seeds:
        counts = []

        def choose(num_frames, seed=seed, counts=counts):
            counts.append(num_frames)
            return choices(num_frames, seed)

        frames = decoder.read_frames(video, choose)
        assert counts == [len(expected)]
        wanted = np.ravel(choices(len(expected), seed))
        np.testing.assert_array_equal(frames, expected[wanted], err_msg=f"seed {seed}")


@pytest.mark.parametrize("kind", INDEXED)
def test_indexed_frames_are_those_of_a_plain_decode(kind):
    assert why_sequential(video_of(kind)) == ""
    check_choices(video_of(kind), get_decoder("pyav", num_threads=1))


@pytest.mark.parametrize("kind", ["one_keyframe", "open_sequences", "four_slices"])
def test_threads_change_nothing(kind):
    check_choices(video_of(kind), get_decoder("pyav"), seeds=range(6))
    check_choices(video_of(kind), get_decoder("pyav", num_threads=3), seeds=range(6))


def test_huge_frames_get_few_threads(monkeypatch):
    """Each thread holds a frame."""
    monkeypatch.setattr(pyav_container.os, "cpu_count", lambda: 64)
    with av.open(io.BytesIO(video_of("one_keyframe"))) as container:
        stream = container.streams.video[0]
        pixels = stream.codec_context.width * stream.codec_context.height
        for most, asked, given in ((64, None, 0), (3, None, 3), (3, 2, 2), (3, 16, 3), (0, 1, 1)):
            monkeypatch.setattr(pyav_container, "MAX_PIXELS", most * pixels)
            pyav_container.prepare_codec(stream, asked)
            assert stream.codec_context.thread_count == given


@pytest.mark.parametrize("kind", SEQUENTIAL)
def test_other_videos_are_decoded_from_start_to_end(kind):
    assert SEQUENTIAL[kind][1] in why_sequential(video_of(kind))
    check_choices(video_of(kind), get_decoder("pyav", num_threads=1), seeds=range(4))


def test_parameters_that_change_midway():
    changed = h264_videos.encode(
        container="matroska",
        params="keyint=12",
        change_packets=lambda packets: [*packets[:24], _with_other_header(packets[24])],
    )
    assert why_sequential(changed) == "the parameters change midway"


def _with_other_header(packet):
    """Adds a picture parameter set that differs from the container's."""
    changed = av.Packet(b"\0\0\0\1\x68\xee\x3c\x80" + bytes(packet))
    changed.pts, changed.dts, changed.time_base = packet.pts, packet.dts, packet.time_base
    changed.stream = packet.stream
    return changed


def index_of(kind):
    with IndexedVideo("video", io.BytesIO(video_of(kind))) as video:
        return video.index


def test_only_what_is_needed_is_decoded():
    index = index_of("pyramid_none")
    # Sequences of 20 pictures, stored as I P b b b P b b b: the b are not referred to.
    assert index.sequence_starts == [number // 20 * 20 for number in range(70)]
    (positions,) = index.needed([42])
    assert positions[0] == 40
    stored = index.shown[42]
    assert positions[-1] == stored
    assert [at for at in positions if not index.is_reference[at]] == [stored]
    # Each sequence once, in order, whatever the order asked for.
    runs = list(index.needed([65, 3, 44]))
    assert [run[0] for run in runs] == [0, 40, 60]
    assert sum(map(len, runs)) < 15


def indexer_of(kind):
    with av.open(io.BytesIO(video_of(kind))) as container:
        stream = container.streams.video[0]
        indexer = PictureIndexer(container.format.name, stream.codec_context.extradata)
        for packet in container.demux(stream):
            if packet.size:
                indexer.add(packet)
    return indexer


@pytest.mark.parametrize("announced", [None, 0])
def test_reordering_that_is_not_announced(announced):
    indexer = indexer_of("one_keyframe")
    assert indexer._sequence.num_reorder_frames == 2
    indexer._sequence = dataclasses.replace(indexer._sequence, num_reorder_frames=announced)
    with pytest.raises(UnsupportedStream, match="further out of order than announced"):
        indexer.finish()


@pytest.mark.parametrize(
    "extradata", [None, b"", b"\1\x64\0\x0a\xff", b"\0\0\0\1\x67\x42", b"\1" * 9]
)
def test_damaged_parameters(extradata):
    with pytest.raises(UnsupportedStream, match=r"parameters|header"):
        PictureIndexer("mov,mp4,m4a,3gp,3g2,mj2", extradata)


@pytest.mark.parametrize("kind", ["pyramid_normal", "four_slices"])
def test_damaged_pictures_are_those_of_the_sequential_pass(kind, monkeypatch):
    video = video_of(kind)
    start = video.index(b"mdat") + 800
    decoder = get_decoder("pyav", num_threads=1)
    found = 0
    for seed in range(24):
        rng = np.random.default_rng(seed)
        damaged = bytearray(video)
        for _ in range(3):
            damaged[rng.integers(start, len(video) - 3000)] ^= 1 << rng.integers(8)
        choose = functools.partial(choices, seed=seed)
        frames = decoder.read_frames(bytes(damaged), choose)
        with monkeypatch.context() as patch:
            patch.setattr(PictureIndexer, "__init__", _refuse)
            expected = decoder.read_frames(bytes(damaged), choose)
        np.testing.assert_array_equal(frames, expected, err_msg=f"seed {seed}")
        found += why_sequential(bytes(damaged)) == ""
    # Most of the damage is inside pictures, where only the decoder can see it.
    assert found > 12


def _refuse(self, *arguments):
    raise UnsupportedStream("refused")


@pytest.mark.parametrize(
    ("size", "shape"), [((50, 40), (50, 40)), (36, (36, 52)), (144, (144, 208)), (None, (72, 104))]
)
@pytest.mark.parametrize("kind", ["one_keyframe", "avi"])
def test_size(kind, size, shape):
    frames = read_frames(video_of(kind), lambda num_frames: [3, 3, 60], size)
    assert frames.shape == (3, *shape, 3)
    np.testing.assert_array_equal(frames[0], frames[1])
    original = plain_decode(video_of(kind))[60]
    assert abs(frames[2].mean() - original.mean()) < 2


@pytest.mark.parametrize("size", [0, -1, (3, 0), (3,), (3, 4, 5), True, 3.5, "256"])
def test_error_size(size):
    with pytest.raises(ValueError, match=r"`size` is \(height, width\) in pixels, or one positive"):
        read_frames(video_of("one_keyframe"), lambda num_frames: [0], size)


@pytest.mark.parametrize("kind", ["one_keyframe", "avi"])
def test_error_too_many_bytes(kind, monkeypatch):
    monkeypatch.setenv("KERAS_TDN_MAX_CLIP_GIB", str(2 * 72 * 104 * 3 / 2**30))
    assert len(read_frames(video_of(kind), lambda num_frames: [0, 9])) == 2
    with pytest.raises(VideoDecodeError, match=r"3 frames of 72x104 pixels would take .*_GIB=1\."):
        read_frames(video_of(kind), lambda num_frames: [0, 9, 9])


def test_error_decoder_name():
    with pytest.raises(ValueError, match=r"one of pyav, tfio. Received: 'decord'"):
        get_decoder("decord")


@pytest.mark.parametrize("num_threads", [0, -1, 1.5, True])
def test_error_num_threads(num_threads):
    with pytest.raises(ValueError, match="`num_threads` must be a positive integer"):
        get_decoder("pyav", num_threads)

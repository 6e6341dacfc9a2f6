"""Decoding only what is needed against a plain decode of everything."""

import functools
import io
import types

import av
import coded_videos
import numpy as np
import pytest
from coded_videos import INDEXED, SEQUENTIAL, why_sequential
from conftest import SLOW_TOO
from corruption import damaged_videos

from keras_tdn.data.decoding import (
    VideoDecodeError,
    get_decoder,
    packet_index,
    pyav_container,
    read_frames,
)
from keras_tdn.data.decoding.packet_index import NotIndexedError, index_packets
from keras_tdn.data.decoding.pyav_decoder import IndexedVideo, every_frame

NUM_CHOICES = 12
# Of each codec; 500 in all in the slow run.
NUM_DAMAGED = 125 if SLOW_TOO else 24


@functools.cache
def video_of(kind):
    arguments = INDEXED[kind] if kind in INDEXED else SEQUENTIAL[kind][0]
    return coded_videos.encode(**arguments)


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


def read(video, choose):
    """The frames that `choose` names and how many there are, or nothing where it is refused."""
    counts = []

    def counted(num_frames):
        counts.append(num_frames)
        return choose(num_frames)

    try:
        return get_decoder("pyav", num_threads=1).read_frames(video, counted), counts[-1]
    except VideoDecodeError:
        return None, 0


def are_the_same(frames, others, codec):
    """Whether they are, where pictures are damaged.

    Where the slices of an HEVC picture end early, FFmpeg filters what it decoded of it with memory
    that it did not set, so that some pixels are others each time: up to 45 % of a frame's values
    with PyAV 17. Frames of other numbers differ in 99 %, save where the video stands still.
    """
    if frames.shape != others.shape:
        return False
    shares = np.mean(frames != others, axis=(1, 2, 3)) if codec == "hevc" else frames != others
    return not np.any(shares > 0.7)


def have_the_same_frames(video, seed, codec):
    """Whether frames read alone are those of the same numbers among all."""
    every, num_frames = read(video, np.arange)
    some, same_num_frames = read(video, lambda count: choices(count, seed))
    if every is None or some is None:
        return every is some
    wanted = np.ravel(choices(num_frames, seed))
    return num_frames == same_num_frames and are_the_same(some, every[wanted], codec)


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp9", "av1"])
def test_frames_of_damaged_videos_do_not_depend_on_what_else_is_read(codec):
    kinds = [kind for kind in INDEXED if kind.partition("_")[0] == codec]
    kinds = kinds or ["one_keyframe", "open_sequences", "pyramid_normal", "no_b_frames"]
    videos = [("", video_of(kind)) for kind in kinds]
    num_read = num_with_fewer = 0
    for number, damaged in enumerate(damaged_videos(videos, NUM_DAMAGED)):
        every, num_frames = read(damaged.content, np.arange)
        for seed in range(number, number + 3):
            assert have_the_same_frames(damaged.content, seed, codec), f"{damaged.name}, {seed}"
        num_read += every is not None
        if every is not None and why_sequential(damaged.content) == "":
            decoded = every_frame("a video", io.BytesIO(damaged.content), 1)
            num_with_fewer += sum(1 for _ in decoded) < num_frames
    assert num_read > NUM_DAMAGED / 4
    # AV1's decoder drops pictures that refer to damage; they keep their numbers.
    assert num_with_fewer or codec != "av1"


@pytest.mark.parametrize(
    "kind", ["one_keyframe", "open_sequences", "four_slices", "hevc_open", "vp9_hidden", "av1_mp4"]
)
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
    changed = coded_videos.encode(
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
    opened = io.BytesIO(video_of(kind))
    with pyav_container.open_container("video", opened) as container:
        return IndexedVideo("video", opened, container).index


def test_only_what_is_needed_is_decoded():
    index = index_of("pyramid_none")
    # Sequences of 20 pictures, stored as I P b b b P b b b: the b are not referred to.
    assert index.starts == [number // 20 * 20 for number in range(70)]
    (positions,) = index.needed([42])
    assert positions[0] == 40
    stored = index.shown[42]
    assert positions[-1] == stored
    assert [at for at in positions if not index.is_reference[at]] == [stored]
    # Each sequence once, in order, whatever the order asked for.
    runs = list(index.needed([65, 3, 44]))
    assert [run[0] for run in runs] == [0, 40, 60]
    assert sum(map(len, runs)) < 15


def test_leading_pictures_need_the_keyframe_before():
    index = index_of("hevc_open")
    starts = sorted(set(index.starts))
    second = starts[1]
    number = index.shown.index(second)
    # The last frame before the second keyframe is stored after it.
    assert index.shown[number - 1] > second
    (leading,) = index.needed([number - 1])
    assert leading[0] == 0
    assert second in leading
    (later,) = index.needed([number + 1])
    assert later[0] == second
    assert index.shown[number - 1] not in later
    # One run where two wanted frames share what is decoded.
    (both,) = index.needed([number + 1, number - 1])
    assert set(both) == {*leading, *later}
    apart = list(index.needed([0, number + 1]))
    assert [run[0] for run in apart] == [0, second]


def packets_of(video):
    """The container's name, the decoder and all packets."""
    with av.open(io.BytesIO(video)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        return container.format.name, stream.codec_context, packets


def stub(name, extradata, reorder_depth=0):
    codec = types.SimpleNamespace(canonical_name=name)
    return types.SimpleNamespace(codec=codec, extradata=extradata, reorder_depth=reorder_depth)


def test_temporal_layers():
    """Of pictures that none of their own layer refers to, only the highest layer's are left out."""
    _, codec, packets = packets_of(video_of("hevc_temporal_layers"))
    read = packet_index._CODECS["hevc"](codec.extradata)
    kinds = [read(memoryview(packet)) for packet in packets]
    unreferenced = [kind >> 8 for kind in kinds if not kind & packet_index.REFERENCE]
    assert set(unreferenced) > {max(unreferenced)}
    left_out = index_of("hevc_temporal_layers").is_reference.count(False)
    assert left_out == unreferenced.count(max(unreferenced))


@pytest.mark.parametrize("kind", ["one_keyframe", "hevc_open"])
def test_reordering_that_is_not_announced(kind):
    container_name, codec, packets = packets_of(video_of(kind))
    assert codec.reorder_depth == 2
    announced = stub(codec.codec.canonical_name, codec.extradata, 2)
    assert index_packets(container_name, announced, packets) == index_of(kind)
    too_few = stub(codec.codec.canonical_name, codec.extradata, 1)
    with pytest.raises(NotIndexedError, match="further out of order than announced"):
        index_packets(container_name, too_few, packets)


@pytest.mark.parametrize("kind", ["pyramid_normal", "hevc_open"])
def test_times_that_are_moved_in_mp4(kind):
    """Whatever bit of the table of times flips, the frames are those of a plain decode."""
    video = video_of(kind)
    table = video.index(b"ctts") + 12
    num_entries = int.from_bytes(video[table - 4 : table], "big")
    found = set()
    for entry in range(0, num_entries, 3):
        for bit in (3, 8, 9, 10, 11):
            damaged = bytearray(video)
            damaged[table + 8 * entry + 7 - bit // 8] ^= 1 << bit % 8
            check_choices(bytes(damaged), get_decoder("pyav", num_threads=1), seeds=[1])
            found.add(why_sequential(bytes(damaged)))
    assert {
        "two packets have one timestamp",
        "the times to decode are not the times to show",
    } & found


@pytest.mark.parametrize("kind", ["matroska", "hevc_open", "vp9_hidden", "av1_mp4"])
def test_lost_keyframes(kind):
    container_name, codec, packets = packets_of(video_of(kind))
    with pytest.raises(NotIndexedError, match="does not start with a keyframe"):
        index_packets(container_name, codec, packets[1:])
    with pytest.raises(NotIndexedError, match="does not start with a keyframe"):
        index_packets(container_name, codec, [])


@pytest.mark.parametrize("pts", [None, 3])
def test_packets_without_a_time_or_damaged(pts):
    packet = types.SimpleNamespace(pts=pts, is_corrupt=True, is_discard=False)
    with pytest.raises(NotIndexedError, match="no timestamp" if pts is None else "as damaged"):
        index_packets(packet_index.MP4, stub("av1", b""), [packet])


@pytest.mark.parametrize("name", ["h264", "hevc"])
@pytest.mark.parametrize(
    "extradata", [None, b"", b"\1\x64\0", b"\0\0\0\1\x67\x42" + bytes(40), b"\1" * 2**16]
)
def test_damaged_parameters(name, extradata):
    with pytest.raises(NotIndexedError, match="parameters are not kept apart"):
        index_packets(packet_index.MP4, stub(name, extradata), [])


@pytest.mark.parametrize(
    ("name", "extradata", "packet", "reason"),
    [
        ("h264", b"\1\0\0\0\3\0", "00000002", "a packet is damaged"),
        ("h264", b"\1\0\0\0\3\0", "00000009 6588", "a packet is damaged"),
        ("h264", b"\1\0\0\0\3\0", "00000002 0910", "a packet has no picture"),
        ("h264", b"\1\0\0\0\3\0", "00000002 0b00", "units of type 11"),
        ("h264", b"\1\0\0\0\3\0", "00000002 6742", "the parameters change midway"),
        # Two fields, and a slice without the first.
        ("h264", b"\1\0\0\0\3\0", "00000002 6588 00000002 6588", "not one picture"),
        ("h264", b"\1\0\0\0\3\0", "00000002 6508", "not one picture"),
        ("hevc", b"\1" + bytes(20) + b"\3", "00000003 2a09 80", "several views"),
        ("hevc", b"\1" + bytes(20) + b"\3", "00000003 2a01 c0", "dropped before a keyframe"),
        ("hevc", b"\1" + bytes(20) + b"\3", "00000003 4a01 80", "units of type 74"),
        ("vp9", b"", "42000000", "damaged or of a rare profile"),
        ("vp9", b"", "84000000", "shows no picture"),
        ("vp9", b"", "82000000", "a packet is damaged"),
        ("av1", b"", "3205", "a packet is damaged"),
        ("av1", b"", "3280", "a packet is damaged"),
        # A size of millions of digits.
        ("av1", b"", "32" + "ff" * 2**20, "a packet is damaged"),
        ("av1", b"", "320110 320110", "not one picture"),
        ("av1", b"", "320100", "not one picture"),
        ("av1", b"", "3600", "units of type 54"),
        ("av1", b"", "0a0100 0a0101", "the parameters change midway"),
    ],
)
def test_packets_that_are_not_one_picture(name, extradata, packet, reason):
    read = packet_index._CODECS[name](extradata)
    with pytest.raises(NotIndexedError, match=reason):
        read(memoryview(bytes.fromhex(packet)))


def sequentially(decoder, video, choose, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(packet_index, "_CODECS", {})
        return decoder.read_frames(video, choose)


@pytest.mark.parametrize("kind", ["pyramid_normal", "four_slices", "hevc_closed", "vp9_mp4"])
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
        counts = []

        def choose(num_frames, seed=seed, counts=counts):
            counts.append(num_frames)
            return choices(num_frames, seed)

        frames = decoder.read_frames(bytes(damaged), choose)
        expected = sequentially(decoder, bytes(damaged), choose, monkeypatch)
        # Where the decoder drops a picture, only the index knows its number.
        if counts[0] == counts[-1]:
            assert are_the_same(frames, expected, kind.partition("_")[0]), seed
            found += why_sequential(bytes(damaged)) == ""
    # Most of the damage is inside pictures, where only the decoder can see it.
    assert found > 12


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


@pytest.mark.parametrize("max_bytes", [0, -1, 1.5, True])
def test_error_max_bytes(max_bytes):
    with pytest.raises(ValueError, match="`max_bytes` must be a positive integer"):
        get_decoder("pyav", max_bytes=max_bytes)


@pytest.mark.parametrize("kind", ["one_keyframe", "avi"])
def test_max_bytes(kind):
    decoder = get_decoder("pyav", num_threads=1, max_bytes=2 * 72 * 104 * 3)
    assert len(decoder.read_frames(video_of(kind), lambda num_frames: [0, 9])) == 2
    with pytest.raises(VideoDecodeError, match=r"67392 bytes, more than the 44928 that `max_byte"):
        decoder.read_frames(video_of(kind), lambda num_frames: [0, 9, 9])

import functools
import gc
import http.server
import io
import os
import socket
import threading
import types
import weakref
from fractions import Fraction

import numpy as np
import pytest
from corruption import damaged_videos
from rtsp_server import RTSPServer
from streams import Sender, damage_packets, encode_at, free_port
from synthetic_videos import encode_video, read_numbers, with_display_matrix

from keras_tdn.data.decoding import VideoDecodeError, read_frames
from keras_tdn.specs import ClipSpec
from keras_tdn.watching import StreamOptions, WindowLayout, watch
from keras_tdn.watching.frames import Clock, StreamFacts, TimedFrame
from keras_tdn.watching.opening import find_source
from keras_tdn.watching.segments import FrameCropper, segments_of, stream_segments

# Numbers in frames can be read from crops of this kind.
SPEC = ClipSpec(4, 5, 48, 80, 48)


def numbers_of(content, layout, how=None):
    """By segment, the numbers in its frames; or why it is lost."""
    how = how or StreamOptions()
    facts = StreamFacts()
    found = {}
    for item in stream_segments(find_source(content, how), how, layout, SPEC, facts):
        for index in range(item.index, item.index + item.count):
            found[index] = item.loss or read_numbers(item.clip)
    assert list(found) == list(range(len(found)))
    return found


def test_frames_are_those_on_screen_whatever_the_rate():
    """A rate that changes, and a picture that stands for two seconds."""
    rng = np.random.default_rng(3)
    steps = [*rng.integers(5, 90, 60), 2000, *rng.integers(5, 90, 30)]
    times = np.cumsum([0, *steps])
    layout = WindowLayout(4, 5, 1.2)
    found = numbers_of(encode_at(times.tolist()), layout)
    assert len(found) > 15
    for index, numbers in found.items():
        moment = round(layout.segment_time(index) * 1000)
        on_screen = np.searchsorted(times, moment, side="right") - 1
        assert numbers == list(range(on_screen, on_screen + 5))
    # What stands still is cropped once.
    assert len({tuple(numbers) for numbers in found.values()}) < len(found)


def test_times_in_milliseconds_do_not_push_a_frame_past_its_moment():
    """30 frames per second, and segments that begin with every frame in turn."""
    times = [round(number * 1000 / 30) for number in range(60)]
    layout = WindowLayout(4, 5, 4 * 2 / 30)
    found = numbers_of(encode_at(times), layout)
    assert [numbers[0] for numbers in found.values()] == list(range(1, 56, 2))


def test_clock():
    clock = Clock(Fraction(1, 1000), 0.04)
    # A camera begins to count anew, forwards from where it was; disorder is not that.
    ticks = [900_000, 900_040, None, 900_120, 900_090, 900_160, 20, 60, None, 140]
    seconds = [clock.tick(pts) for pts in ticks]
    expected = [0, 0.04, 0.08, 0.12, 0.12, 0.16, 0.2, 0.24, 0.28, 0.32]
    assert seconds == pytest.approx(expected)
    # A leap ahead that is taken back. Elsewhere it would be a picture that stands still.
    ticks, leaps = [0, 40, 7_000_080, 120, 160], [False, False, True, True, False]
    clock = Clock(Fraction(1, 1000), 0.04, may_leap=True)
    for number, (pts, leap) in enumerate(zip(ticks, leaps, strict=True)):
        assert clock.tick(pts) == pytest.approx(0.04 * number)
        assert clock.started_over == leap
    clock = Clock(Fraction(1, 1000), 0.04)
    assert [clock.tick(pts) for pts in ticks[:3]] == pytest.approx([0, 0.04, 7000.08])
    clock = Clock(Fraction(1, 25), 0.04)
    assert [clock.tick(pts) for pts in (None, None, 7, 8)] == pytest.approx([0, 0.04, 0.08, 0.12])
    # Nor does one stand still for years, or run back by them.
    clock = Clock(Fraction(1, 1000), 0.04)
    times = [clock.tick(pts) for pts in (0, 10**15, 10**15 + 40, -(2**62), None, 2**62)]
    assert times == pytest.approx([0, 0.04, 0.08, 0.12, 0.16, 0.2])
    # A day in: as exact as at the beginning.
    clock = Clock(Fraction(1, 90000), 0.04)
    clock.tick(1)
    assert clock.tick(1 + 86400 * 90000) == 86400.0


def test_a_long_silence_is_a_loss():
    times = [*range(0, 2000, 40), *range(90_000, 92_000, 40)]
    found = numbers_of(encode_at(times), WindowLayout(4, 5, 8.0))
    lost = [index for index, item in found.items() if isinstance(item, str)]
    assert lost == list(range(1, 45))
    assert found[1] == "no frame for 88 seconds"
    assert found[45] == [75, 76, 77, 78, 79]


@pytest.mark.parametrize("gap", [10**9, 10**12, 10**15], ids=["12 days", "32 years", "absurd"])
@pytest.mark.parametrize("back", [False, True], ids=["onwards", "one frame"])
def test_a_gap_costs_the_same_however_long_it_is(gap, back):
    """Frame 30 of 60, and those behind it or not, that much later."""
    late = [(number, gap) for number in range(30, 31 if back else 60)]
    content = encode_at([number * 40 for number in range(60)], late=late)
    layout = WindowLayout(4, 5, 0.8)
    facts, how = StreamFacts(), StreamOptions()
    source = find_source(content, how)
    segments = list(stream_segments(source, how, layout, SPEC, facts))
    assert len(segments) < 20
    whole = [read_numbers(item.clip) for item in segments if not item.loss]
    assert whole[0] == [2, 3, 4, 5, 6]
    assert any(numbers[0] > 31 for numbers in whole)
    holes = {item.loss for item in segments if item.loss}
    is_still = gap == 10**9

    assert holes == {"no frame for 1000000 seconds" if is_still else "the timestamps started over"}
    # As many as they say, and none twice.
    assert [item.index for item in segments[1:]] == [
        item.index + item.count for item in segments[:-1]
    ]
    assert facts.num_segments == segments[-1].index + segments[-1].count
    assert is_still == (facts.num_segments > 4_000_000)


def test_segments_in_a_hole_are_those_that_would_be_counted_one_by_one():
    rng = np.random.default_rng(5)
    for _ in range(200):
        layout = WindowLayout(int(rng.integers(1, 9)), 5, float(rng.uniform(0.3, 3)))
        tolerance, time = float(rng.choice([0, 0.0005])), float(rng.uniform(0, 40))
        if rng.integers(2):
            time = layout.segment_time(int(rng.integers(30))) + tolerance
        expected = 0
        while layout.segment_time(expected) + tolerance < time:
            expected += 1
        assert layout.first_segment_at(time, tolerance) == expected


@pytest.mark.parametrize("stride", [1, 2, 3, 11])
def test_windows_in_a_hole_are_those_that_would_be_counted_one_by_one(stride):
    layout = WindowLayout(8, 5, 8.0, stride)
    for start in range(30):
        for stop in range(start, 60):
            ends = [layout.window_ending_with(segment) for segment in range(start, stop)]
            expected = len(ends) - ends.count(None)
            assert layout.num_windows_ending(start, stop) == expected


def test_a_report_of_holes_is_that_of_their_segments(model):
    """Of a minute and a half, and of twelve days."""
    times = [*range(0, 2000, 40), *range(90_000, 92_000, 40), *range(10**9, 10**9 + 2000, 40)]
    windows = watch(model, encode_at(times), window_seconds=0.8, stride=3)
    found = [window.index for window in windows]
    layout, report = windows.layout, windows.report
    assert [(round(loss.start), round(loss.end)) for loss in report.losses] == [
        (2, 90), (92, 1_000_000)
    ]  # fmt: skip
    # Every window up to the last frame's was scored, or lost because of a hole.
    segments = layout.first_segment_at(report.seconds - 4 / 25, 0.0005)
    assert report.num_windows + report.num_lost_windows == layout.num_windows_ending(0, segments)
    for index in found:
        for loss in report.losses:
            start, end = layout.window_start(index), layout.window_end(index)
            assert end <= loss.start + 1e-6 or start >= loss.end - 1e-6
    assert found[0] == 0
    assert found[-1] * 0.6 > 10**6


@pytest.mark.parametrize(
    "times",
    [
        [number * 40 for number in range(1000)],
        # All of them lost, and time that stands still.
        [number * 61_000 for number in range(1000)],
        [number // 1000 for number in range(1000)],
    ],
    ids=["long", "holes", "standing still"],
)
def test_no_more_is_watched_than_asked_for(times):
    source = find_source(encode_at(times), StreamOptions())
    layout = WindowLayout(4, 5, 0.8)
    # The first window is watched whole.
    for max_seconds, most in ((1.7, 8), (0.01, 4)):
        facts = StreamFacts()
        segments = list(
            stream_segments(
                source, StreamOptions(), layout, SPEC, facts, max_seconds=max_seconds
            )
        )  # fmt: skip
        assert facts.is_cut
        assert sum(segment.count for segment in segments) <= most
        # Frames wait in the decoder, and a segment waits for its last frame.
        assert facts.num_frames <= max(max_seconds, 0.8) * 240


def test_a_video_of_no_more_than_asked_for_is_not_cut(content):
    facts = StreamFacts()
    source, how = find_source(content, StreamOptions()), StreamOptions()
    whole = list(stream_segments(source, how, WindowLayout(4, 5, 0.8), SPEC, facts))
    seconds = len(whole) * 0.2
    assert len(list(stream_segments(source, how, WindowLayout(4, 5, 0.8), SPEC, facts,
                                    max_seconds=seconds))) == len(whole)  # fmt: skip
    assert not facts.is_cut


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), "9"])
def test_wrong_max_seconds(model, content, seconds):
    with pytest.raises(ValueError, match="`max_seconds` is a positive number or None"):
        watch(model, content, window_seconds=0.8, max_seconds=seconds)


@pytest.mark.parametrize(
    ("container", "damages"), [("mp4", [[40], [60, 61]]), ("matroska", [[25]])]
)
def test_damage_costs_what_it_spoils(model, container, damages):
    content = encode_video(100, container=container, options={"g": "25", "keyint_min": "25"})
    whole = {window.index: window for window in watch(model, content, window_seconds=0.8)}
    for packets in damages:
        windows = watch(model, damage_packets(content, packets), window_seconds=0.8)
        found = {window.index: window for window in windows}
        # Its group of pictures, from the damage on, and no other; a second at most.
        report = windows.report
        (loss,) = report.losses
        assert loss.start < packets[0] / 25 < loss.end < (packets[0] // 25 + 1) / 1 + 0.2
        assert loss.reason == "Invalid data found when processing input"
        assert report.lines() == [
            f"lost {loss.start:g} s to {loss.end:g} s: Invalid data found when processing input"
        ]
        assert report.num_lost_windows == 16 - len(found) >= 6
        assert report.num_frames < 100
        for index, window in found.items():
            # Bit for bit: nothing damaged has come into it.
            assert window.scores.tobytes() == whole[index].scores.tobytes()
        assert all(
            window.end <= loss.start + 1e-6 or window.start >= loss.end - 1e-6
            for window in found.values()
        )


def test_damage_at_the_end_and_all_along(model):
    content = encode_video(50, options={"g": "25", "keyint_min": "25"})
    windows = watch(model, damage_packets(content, range(40, 50)), window_seconds=0.8)
    assert len(list(windows)) == 4
    assert "its last frames do not decode: Invalid data" in windows.report.lines()[-1]
    with pytest.raises(ValueError, match="not one of its frames decodes"):
        list(watch(model, damage_packets(content, range(50)), window_seconds=0.8))


def test_a_file_cut_short_is_watched_as_far_as_it_goes(model):
    content = encode_video(100, container="matroska", options={"g": "25"})
    windows = watch(model, content[: len(content) // 2], window_seconds=0.8)
    assert 3 <= len(list(windows)) <= 10
    assert windows.report.finished


def test_threads_for_decoding_change_nothing_where_nothing_is_damaged(model, content):
    one = [window.scores for window in watch(model, content, window_seconds=2.0, stride=4)]
    two = watch(model, content, window_seconds=2.0, stride=4, num_threads=3)
    np.testing.assert_array_equal(one, [window.scores for window in two])


@pytest.mark.parametrize("matrix", [(0, 1, -1, 0), (-2, 0, 0, 1)], ids=["turned", "mirrored"])
def test_frames_are_shown_as_read_frames_shows_them(matrix):
    """On a side; and mirrored, of pixels that are twice as wide as high."""
    content = with_display_matrix(encode_video(20), matrix)
    how, layout = StreamOptions(), WindowLayout(4, 5, 0.4)
    facts = StreamFacts()
    segments = list(stream_segments(find_source(content, how), how, layout, SPEC, facts))
    expected = read_frames(content, lambda _: [1, 2, 3, 4, 5])
    assert expected.shape[1:3] == ((160, 96) if matrix[1] else (96, 320))
    from keras_tdn.data.frame_transforms import resize_and_center_crop

    np.testing.assert_array_equal(segments[0].clip, resize_and_center_crop(expected, SPEC))


class Picture:
    """A decoded frame that can be counted."""


def test_no_more_frames_are_held_than_a_segment_has():
    """Of two hours of frames, and over a silence of a day."""
    alive = weakref.WeakSet()
    most = 0

    def frames():
        for number in range(50_000):
            picture = Picture()
            alive.add(picture)
            # A day passes in the middle.
            day = 86_400 if number > 25_000 else 0
            yield TimedFrame(number, number / 7 + day, picture, "gap" if number == 25_001 else "")
            del picture

    def crop(chosen):
        nonlocal most
        most = max(most, len(alive))
        return np.zeros(1)

    layout = WindowLayout(8, 5, 8.0)
    lost = used = 0
    for segment in segments_of(frames(), layout, StreamFacts(), crop):
        lost += segment.count if segment.loss else 0
        used += not segment.loss
    gc.collect()
    # The last one waits for the next frame.
    assert 5 <= most <= 6
    assert 86_395 <= lost <= 86_405
    assert used == pytest.approx(50_000 / 7, abs=10)


def test_segments_that_no_window_has_are_not_cropped():
    cropped = []

    def crop(chosen):
        cropped.append([frame.number for frame in chosen])
        return np.zeros(1)

    frames = [TimedFrame(number, number / 10, None) for number in range(100)]
    layout = WindowLayout(2, 1, 2.0, stride=4)
    segments = list(segments_of(frames, layout, StreamFacts(), crop))
    assert [segment.clip is not None for segment in segments][:8] == 2 * [True, True, False, False]
    assert cropped[:4] == [[5], [15], [45], [55]]


def test_the_sizes_of_the_first_frame_hold(content):
    import av

    frames = []
    for size in ((96, 160), (48, 80)):
        with av.open(io.BytesIO(encode_video(3, size=size))) as file:
            frames += [TimedFrame(0, 0.0, frame) for frame in file.decode(video=0)]
    cropper = FrameCropper("frames", types.SimpleNamespace(sample_aspect_ratio=None), SPEC)
    assert read_numbers(cropper.crop(frames)) == [0, 1, 2, 0, 1, 2]


def scores_by_index(windows):
    return {window.index: window.scores for window in windows}


@pytest.fixture(scope="module")
def sent(model):
    """What a sender sends, from a file: 50 frames."""
    from streams import FAST

    content = encode_video(50, container="mpegts", options=FAST)
    return content, scores_by_index(watch(model, content, window_seconds=0.8, stride=2))


def test_a_pipe(model, sent, tmp_path):
    """A real one, written by another thread."""
    content, expected = sent
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    thread = threading.Thread(target=pipe.write_bytes, args=(content,))
    thread.start()
    found = scores_by_index(watch(model, pipe, window_seconds=0.8, stride=2))
    thread.join()
    np.testing.assert_array_equal(list(found.values()), list(expected.values()))
    # And as a file object that cannot be gone back in.
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as file:
        thread = threading.Thread(target=lambda: (file.write(content), file.close()))
        thread.start()
        with os.fdopen(reading, "rb") as source:
            found = scores_by_index(watch(model, source, window_seconds=0.8, stride=2))
        thread.join()
    np.testing.assert_array_equal(list(found.values()), list(expected.values()))


def test_an_address_that_sends_a_file(model, tmp_path):
    content = encode_video(50)
    (tmp_path / "video.mp4").write_bytes(content)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        found = scores_by_index(watch(model, f"{address}/video.mp4", window_seconds=0.8))
        with pytest.raises(ValueError, match=r"does not open as a video \(Server returned 404"):
            list(watch(model, f"{address}/other.mp4", window_seconds=0.8))
        server.shutdown()
    expected = scores_by_index(watch(model, content, window_seconds=0.8))
    np.testing.assert_array_equal(list(found.values()), list(expected.values()))


def test_a_sender_that_does_not_wait(model):
    """MPEG-TS over UDP, at its own pace; when it falls silent, that is the end."""
    # Compiled by now, or it would begin to listen when the sender has done.
    next(watch(model, encode_video(30), window_seconds=0.8))
    address = f"udp://127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
    windows = watch(model, address, window_seconds=0.8, stride=2, timeout_seconds=1.5)
    assert windows.source.live
    sender = Sender(address, 50)
    sender.start()
    found = list(windows)
    sender.join()
    report = windows.report
    assert report.ending == "nothing came for 1.5 seconds"
    # Loopback loses nothing, but a busy machine may be slower than the sender.
    # Time begins with the first key frame that was listened to.
    assert report.seconds >= 0.96
    num_segments = int((report.seconds + 0.001 - 4 / 25) / 0.2 + 0.5)
    assert len(found) + report.num_lost_windows == (num_segments - 4) // 2 + 1
    assert {loss.reason for loss in report.losses} <= {"the model was slower than the video"}
    assert all(window.scores.shape == (3,) for window in found)


def test_a_camera_of_the_network(model):
    """RTSP with a password, which is told to nobody but the camera."""
    # Compiled by now, or segments would be left out.
    next(watch(model, encode_video(30), window_seconds=0.8))
    server = RTSPServer(40)
    server.start()
    address = f"rtsp://user:secret@127.0.0.1:{server.port}/live"
    windows = watch(
        model, address, window_seconds=0.8, options={"rtsp_transport": "tcp"}, timeout_seconds=5
    )
    found = list(windows)
    server.join()
    report = windows.report
    assert (report.num_frames, report.seconds) == (40, 1.56)
    assert len(found) + report.num_lost_windows == 4
    assert windows.source.live
    assert windows.source.name == f"'rtsp://127.0.0.1:{server.port}/live'"


def test_a_device(model):
    """FFmpeg's virtual one: what a camera is to the program, but for its name."""
    source = "testsrc=size=96x64:rate=25:duration=2"
    windows = watch(model, source, format="lavfi", live=False, window_seconds=0.8)
    assert len(list(windows)) == 6
    assert watch(model, source, format="lavfi", window_seconds=0.8).source.live
    with pytest.raises(ValueError, match=r"no container format 'nonsense'.*--input-format"):
        list(watch(model, source, format="nonsense", window_seconds=0.8))
    with pytest.raises(ValueError, match=r"'/dev/video99'.*\(No such file.*camera is on"):
        list(watch(model, "/dev/video99", window_seconds=0.8))


def test_what_a_slow_model_cannot_take_is_left_out(model):
    """Of a live video: 20 seconds that come at once. Of a file all is taken."""
    source = "testsrc=size=96x64:rate=25:duration=20"
    windows = watch(model, source, format="lavfi", window_seconds=0.8)
    score = windows._scorer.score

    def slow_score(maps):
        threading.Event().wait(0.03)
        return score(maps)

    windows._scorer.score = slow_score
    found = list(windows)
    report = windows.report
    assert len(found) < 50
    assert report.num_lost_windows + len(found) == 96
    assert {loss.reason for loss in report.losses} == {"the model was slower than the video"}
    # Time goes on meanwhile.
    assert report.seconds == 19.96


def test_nobody_answers(model):
    address = f"udp://127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
    with pytest.raises(ValueError, match=r"nothing came for 0.3 seconds"):
        list(watch(model, address, window_seconds=0.8, timeout_seconds=0.3))
    with pytest.raises(ValueError, match="Connection refused") as error:
        list(watch(model, f"tcp://user:secret@127.0.0.1:{free_port()}", window_seconds=0.8))
    assert "secret" not in str(error.value)


def test_an_address_leads_to_no_file(model, tmp_path):
    """A playlist from elsewhere that names a file of this machine."""
    (tmp_path / "secret.ts").write_bytes(encode_video(50, container="mpegts"))
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:2", "#EXTINF:2,", f"file://{tmp_path}/secret.ts"]
    (tmp_path / "list.m3u8").write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/list.m3u8"
        with pytest.raises(ValueError, match="Cannot watch"):
            list(watch(model, address, window_seconds=0.8, timeout_seconds=3))
        server.shutdown()


def test_closing_ends_the_thread(model, content):
    before = threading.active_count()
    with watch(model, content * 1, window_seconds=0.4) as windows:
        next(windows)
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
    assert not windows.report.finished
    with pytest.raises(StopIteration):
        next(windows)


def test_one_that_nobody_iterates_ends_by_itself(model, content):
    before = set(threading.enumerate())
    windows = watch(model, content, window_seconds=0.4)
    next(windows)
    (started,) = set(threading.enumerate()) - before
    del windows
    started.join(10)
    assert not started.is_alive()


def test_damage_of_every_kind_is_refused_or_watched_around():
    """As many copies as `KERAS_TDN_CORRUPT_VIDEOS` says, each damaged in another way."""
    kinds = (("mp4", {"bf": "3", "g": "12"}), ("mpegts", {"g": "12"}), ("matroska", {"g": "30"}))
    videos = [
        (f".{container}", encode_video(40, container=container, options=options))
        for container, options in kinds
    ]
    how, layout = StreamOptions(), WindowLayout(4, 5, 0.8)
    count = int(os.environ.get("KERAS_TDN_CORRUPT_VIDEOS", "36"))
    refused = lost = 0
    for video in damaged_videos(videos, count, seed=2):
        facts = StreamFacts()
        try:
            source = find_source(video.content, how)
            for segment in stream_segments(source, how, layout, SPEC, facts):
                assert (segment.clip is None) == bool(segment.loss), video.name
                lost += bool(segment.loss)
        except VideoDecodeError:
            refused += 1
    assert 0 < refused < count
    assert lost > 0

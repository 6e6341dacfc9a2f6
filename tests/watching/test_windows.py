import types
import weakref

import keras
import numpy as np
import pytest
from synthetic_videos import encode_video
from watched import LABELS, NUM_SEGMENTS, recomputed, small_model, uncompiled

import keras_tdn
from keras_tdn.data.decoding import read_frames
from keras_tdn.watching import watch
from keras_tdn.watching.layout import make_layout
from keras_tdn.watching.window_scorer import WindowScorer, network_parts

# The same operations in the same order, so that only a library that rounds by the size of the
# batch tells them apart.
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


@pytest.mark.parametrize(
    "arguments",
    [
        {"input_shape": None, "short_term": False, "include_preprocessing": False},
        {"long_term": False, "temporal_shift": False, "classifier_activation": None},
        {"dtype": "mixed_bfloat16"},
    ],
    ids=["appearance", "tsn", "bfloat16"],
)
def test_parts_are_the_model(arguments):
    model = small_model(**arguments)
    rng = np.random.default_rng(1)
    clip = rng.integers(0, 256, (1, 20, 32, 48, 3)).astype(np.uint8)
    if not model.include_preprocessing:
        clip = clip.astype(np.float32) / 255
    # Without compiling, which takes seconds for each model.
    expected = keras.ops.convert_to_numpy(model(clip)).astype(np.float32)
    segments, shared = network_parts(model)
    maps = [segments(clip[:, at : at + 5]) for at in range(0, 20, 5)]
    stacked = [keras.ops.concatenate(kind) for kind in zip(*maps, strict=True)]
    scores = keras.ops.convert_to_numpy(shared(stacked)).astype(np.float32)
    # Half precision rounds maps to 8 bits; where a sum is rounded otherwise, the scores differ.
    close = {"atol": 2e-2} if "dtype" in arguments else CLOSE
    np.testing.assert_allclose(scores, expected, **close)
    # Other users of the model find its layers as they were: none has been called again.
    assert all(layer.output is not None for layer in model.layers)


def test_windows_are_those_of_the_whole_model(model, video, pixels):
    for stride, seconds, count in ((1, 0.8, 16), (2, 0.8, 8), (3, 1.2, 4), (6, 0.5, 5)):
        with watch(model, video, window_seconds=seconds, stride=stride) as windows:
            scored = list(windows)
        layout = windows.layout
        assert [window.index for window in scored] == list(range(count))
        assert [window.start for window in scored] == pytest.approx(
            np.arange(count) * stride * seconds / NUM_SEGMENTS
        )
        assert scored[-1].end == pytest.approx(scored[-1].start + seconds)
        expected = recomputed(model, pixels, layout, 25, count)
        # Windows differ, so that one taken for another would show.
        assert np.abs(np.diff(expected, axis=0)).max(axis=1).min() > 1e-3
        np.testing.assert_allclose([window.scores for window in scored], expected, **CLOSE)
        report = windows.report
        assert (report.num_windows, report.num_lost_windows, report.losses) == (count, 0, ())
        assert (report.num_frames, report.seconds) == (100, 3.96)
        assert report.finished
        assert report.lines() == []


def test_a_window_as_long_as_the_video_is_predict_video(model, video):
    """The same frames, the same pixels, the same scores."""
    for num_frames in (97, 61, 33):
        content = encode_video(num_frames, options={"bf": "2"})
        expected = keras_tdn.predict_video(model, content, top=3)
        seconds = (num_frames - 4) / 25
        (window,) = watch(model, content, window_seconds=seconds, stride=99)
        for item in expected:
            assert window.scores[item.index] == pytest.approx(item.score, rel=1e-5)
        assert window.scores[expected[0].index] > window.scores[expected[-1].index]


@pytest.mark.parametrize("container", ["matroska", "mpegts", "mov", "avi"])
def test_other_containers(model, container, video):
    """Times in milliseconds, times that begin late, and none to speak of."""
    codec = {"codec": "mpeg4"} if container == "avi" else {}
    content = encode_video(35, container=container, **codec)
    scores = [window.scores for window in watch(model, content, window_seconds=0.8)]
    pixels = read_frames(content, np.arange)
    layout = watch(model, content, window_seconds=0.8).layout
    np.testing.assert_allclose(scores, recomputed(model, pixels, layout, 25, 3), **CLOSE)


def test_a_model_of_logits_gives_probabilities(model, video):
    """And one that takes normalised frames is given those."""
    bare = small_model(classifier_activation=None, include_preprocessing=False)
    found = watch(uncompiled(bare), video, window_seconds=2.0, stride=4)
    expected = watch(model, video, window_seconds=2.0, stride=4)
    for one, other in zip(found, expected, strict=True):
        # Normalised on the processor's side, in another order of rounding.
        np.testing.assert_allclose(one.scores, other.scores, rtol=1e-3)


def test_it_goes_on_from_any_window(model, video):
    whole = list(watch(model, video, window_seconds=0.8, stride=2))
    for first in (1, 5, 7, 99):
        rest = list(watch(model, video, window_seconds=0.8, stride=2, first_window=first))
        assert [window.index for window in rest] == list(range(first, 8))
        for one, other in zip(rest, whole[first:], strict=True):
            assert (one.start, one.end) == (other.start, other.end)
            # Bit for bit.
            assert one.scores.tobytes() == other.scores.tobytes()


def test_later_weights_are_seen(model, video):
    before = next(watch(model, video, window_seconds=2.0)).scores
    kernel = model.get_layer("classifier").kernel
    kernel.assign(-kernel)
    after = next(watch(model, video, window_seconds=2.0)).scores
    kernel.assign(-kernel)
    assert np.abs(after - before).max() > 0.01


def test_a_short_video_has_one_window(model):
    """Its last frames are repeated."""
    for num_frames in (1, 12):
        content = encode_video(num_frames)
        (window,) = watch(model, content, window_seconds=2.0)
        assert (window.index, window.start, window.end) == (0, 0.0, 2.0)
        pixels = read_frames(content, np.arange)
        filled = np.concatenate([pixels, np.repeat(pixels[-1:], 80, axis=0)])
        layout = watch(model, content, window_seconds=2.0).layout
        np.testing.assert_allclose(
            window.scores, recomputed(model, filled, layout, 25, 1)[0], **CLOSE
        )


def test_explaining_still_works_on_a_model_that_has_watched(model, video):
    pytest.importorskip("tensorflow")
    from keras_tdn.evaluation import explain

    next(watch(model, video, window_seconds=2.0))
    assert {item.label for item in explain(model, video).predictions} == set(LABELS)


def test_default_length_is_that_of_training():
    for labels, seconds in (
        (keras_tdn.labels.load_labels("something_something_v1"), 4.0),
        (list(keras_tdn.labels.load_labels("kinetics400")), 10.0),
        (keras_tdn.datasets.motion.MOTION_LABELS, 1.12),
    ):
        model = types.SimpleNamespace(labels=labels, clip_spec=keras_tdn.ClipSpec())
        assert make_layout(model, None, 1).window_seconds == seconds
        assert make_layout(model, 3.0, 1).window_seconds == 3.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, r"does not say how long a window should be.*--window SECONDS"),
        ({"window_seconds": 0}, r"`window_seconds` is a number from 0.001 to 1000000.*=0"),
        ({"window_seconds": float("nan")}, "window_seconds=nan"),
        ({"window_seconds": "long"}, "window_seconds='long'"),
        ({"window_seconds": 1.0, "stride": 0}, "`stride` is a positive integer.*stride=0"),
        ({"window_seconds": 1.0, "stride": 1.5}, "stride=1.5"),
        ({"window_seconds": 1.0, "first_window": -1}, "first_window=-1"),
        ({"window_seconds": 1.0, "format": 3}, "`format` is the name.*format=3"),
        ({"window_seconds": 1.0, "options": {"a": 1}}, "`options` maps names"),
        ({"window_seconds": 1.0, "live": 1}, "`live` is True, False or None"),
        ({"window_seconds": 1.0, "timeout_seconds": 0}, "`timeout_seconds` is a positive number"),
        ({"window_seconds": 1.0, "num_threads": 0}, "`num_threads` is an integer from 1 to 64"),
        ({"window_seconds": 1.0, "num_threads": 2**31}, "`num_threads` is an integer from 1"),
    ],
)
def test_wrong_arguments(model, video, arguments, message):
    with pytest.raises(ValueError, match=message):
        watch(model, video, **arguments)


def test_wrong_models(model, video, monkeypatch):
    with pytest.raises(ValueError, match=r"takes a TDNResNet.*Received: str"):
        watch("model", video, window_seconds=1.0)
    headless = keras_tdn.TDNResNet((1, 1, 1, 1), width=8, include_top=False)
    with pytest.raises(ValueError, match="gives features, not scores"):
        watch(headless, video, window_seconds=1.0)
    with monkeypatch.context() as patch:
        patch.setattr(model, "_clip_spec", keras_tdn.ClipSpec(NUM_SEGMENTS, 5, 64, 64, 64))
        with pytest.raises(ValueError, match="takes clips of shape"):
            watch(model, video, window_seconds=1.0)
    bias = model.get_layer("classifier").bias
    whole = keras.ops.convert_to_numpy(bias).copy()
    bias.assign([0.0, np.nan, 0.0])
    try:
        with pytest.raises(ValueError, match="scores that are not finite"):
            next(watch(model, video, window_seconds=1.0))
    finally:
        bias.assign(whole)


@pytest.mark.parametrize(
    ("name", "rubbish", "message"),
    [
        ("nowhere.mp4", None, "there is no such file"),
        ("empty.mp4", b"", "the file is empty"),
        ("text.mp4", b"1 Walk\n" * 99, "it is not a video"),
        ("noise.mkv", bytes(range(256)) * 50, "it is not a video"),
        ("folder", "folder", "it is a directory"),
    ],
)
def test_rubbish(model, tmp_path, name, rubbish, message):
    path = tmp_path / name
    if rubbish == "folder":
        path.mkdir()
    elif rubbish is not None:
        path.write_bytes(rubbish)
    with pytest.raises(ValueError, match=message):
        list(watch(model, path, window_seconds=1.0))


def test_no_video_at_all(model):
    for nothing in (None, 3, [1, 2]):
        with pytest.raises(ValueError, match="A video is the path of a file"):
            watch(model, nothing, window_seconds=1.0)


def test_no_more_maps_are_held_than_a_window_has(model, video, monkeypatch):
    alive = []
    most = 0
    maps_of = WindowScorer.maps_of

    def counted(self, clip):
        nonlocal most
        maps = maps_of(self, clip)
        alive.extend(weakref.ref(item) for item in maps)
        most = max(most, sum(item() is not None for item in alive))
        return maps

    monkeypatch.setattr(WindowScorer, "maps_of", counted)
    windows = watch(model, video, window_seconds=0.4)
    assert sum(1 for _ in windows) == 35
    # Two for each segment: those of a window, and of the one that comes next.
    assert len(alive) == 2 * 38
    assert most == 2 * (NUM_SEGMENTS + 1)

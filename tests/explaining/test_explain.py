"""What a model sees in a video, and its drawings."""

import gc
import io
import os
import re
import subprocess
import sys
import weakref
from pathlib import Path

import av
import explained_video
import keras
import numpy as np
import pytest
from backends import skip_without
from evaluation_toys import toy
from explained_video import FRAMES, LABELS, SEGMENTS, SIDE, SIZE, make_model, moving_square

from keras_tdn.evaluation import explain, write_explanation
from keras_tdn.explaining.drawing import draw_animation, draw_strip
from keras_tdn.explaining.taps import score_gradient
from keras_tdn.layers import LongTermTDM, SegmentConsensus

# The networks are cut in many ways, and each part would be compiled.
pytestmark = pytest.mark.usefixtures("eager_models")
NUM_FRAMES = 40


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture(scope="module")
def video():
    return moving_square(NUM_FRAMES)[0]


@pytest.fixture(scope="module")
def explanation(model, video):
    return explain(model, video, target="run & jump")


@pytest.fixture(scope="module")
def tsn():
    return explain(
        make_model(short_term=False, long_term=False, temporal_shift=False, frames_per_segment=1),
        moving_square(NUM_FRAMES)[0],
    )


def features_of(model, explanation):
    tapped = keras.Model(model.input, model.get_layer(explanation.cam_layer).output)
    clip = explanation.frames.reshape(1, SEGMENTS * FRAMES, *SIZE, 3)
    return np.asarray(tapped.predict_on_batch(clip))


def test_differences_are_those_of_the_frames(explanation, video):
    for segment, indices in enumerate(explanation.indices):
        frames = video[indices].astype(np.float32)
        np.testing.assert_array_equal(explanation.differences[segment], frames[1:] - frames[:-1])
        np.testing.assert_array_equal(explanation.center_frames[segment], frames[FRAMES // 2])
    assert explanation.num_frames == NUM_FRAMES


def test_motion_is_where_the_object_is(explanation):
    _, tops = moving_square(NUM_FRAMES)
    energy = explanation.motion_energy**2
    for segment, indices in enumerate(explanation.indices):
        rows = slice(min(tops[indices]), max(tops[indices]) + SIDE)
        inside = energy[segment, rows, 20 : 20 + SIDE].sum()
        # Everything else stands still, and arrays are not compressed.
        assert inside == pytest.approx(energy[segment].sum(), rel=1e-6)
        assert inside > 0


def test_gates_are_what_the_layers_apply(model, explanation):
    modules = [layer for layer in model.layers if isinstance(layer, LongTermTDM)]
    assert [maps.layer for maps in explanation.gates] == [layer.name for layer in modules]
    assert explanation.stages == (2, 3, 4)
    clip = explanation.frames.reshape(1, SEGMENTS * FRAMES, *SIZE, 3)
    tapped = keras.Model(model.input, [modules[0].input, modules[0].output])
    x, y = (np.asarray(value) for value in tapped.predict_on_batch(clip))
    forward, backward = (
        keras.ops.convert_to_numpy(gate)
        for gate in modules[0].gates(keras.ops.convert_to_tensor(x))
    )
    # Rounding in float32, in another order of operations.
    np.testing.assert_allclose(x * (1 + (forward + backward) / 2), y, atol=1e-5)
    maps = explanation.gates[0]
    np.testing.assert_allclose(maps.forward, forward.mean(axis=-1), atol=1e-5)
    np.testing.assert_allclose(maps.mean, ((forward + backward) / 2).mean(axis=-1), atol=1e-5)
    assert 0 < np.abs(maps.mean).max() <= maps.strength.max() <= 0.5


def test_stages_are_means_of_their_blocks():
    gates = explain(make_model((1, 2, 1, 1)), moving_square(20)[0])
    first, second = (maps.forward for maps in gates.gates[:2])
    # The first block comes before the stride of its stage, the second behind it.
    assert first.shape[1] == 2 * second.shape[1]
    larger = second.repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_allclose(gates.stage_gates(2, "forward"), (first + larger) / 2, rtol=1e-6)
    with pytest.raises(ValueError, match=r"gates in stages \[2, 3, 4\]"):
        gates.stage_gates(5)


def test_grad_cam_in_closed_form(model, explanation):
    """Of global pooling, a linear classifier and a mean, the gradient is a column of the kernel."""
    features = features_of(model, explanation)
    classifier = model.get_layer("classifier")
    kernel = keras.ops.convert_to_numpy(classifier.kernel)[:, explanation.target.index]
    weighed = features @ kernel / np.prod(features.shape[:3])
    # Sums of 128 products in float32.
    np.testing.assert_allclose(explanation.cam, np.maximum(weighed, 0), atol=1e-6)
    np.testing.assert_allclose(explanation.contributions, weighed.sum(axis=(1, 2)), atol=1e-5)
    logits = features.mean(axis=(0, 1, 2)) @ keras.ops.convert_to_numpy(classifier.kernel)
    assert explanation.contributions.sum() == pytest.approx(
        logits[explanation.target.index], abs=1e-5
    )


def test_gradient_of_a_head_that_is_not_linear():
    inputs = keras.Input((3, 4, 6))
    x = keras.layers.Conv2D(5, 3, activation="tanh")(inputs)
    x = keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(x))
    head = keras.Model(inputs, SegmentConsensus(2)(x))
    features = np.random.default_rng(0).normal(size=(2, 3, 4, 6)).astype(np.float32)
    scores, gradient = score_gradient(head, features, 1)
    step = 1e-2
    for place in ((0, 0, 0, 0), (1, 2, 3, 5), (0, 1, 2, 3)):
        change = np.zeros_like(features)
        change[place] = step
        up, down = (score_gradient(head, features + sign * change, 1)[0][0, 1] for sign in (1, -1))
        # Differences of float32 scores over so small a step.
        assert gradient[place] == pytest.approx((up - down) / (2 * step), abs=2e-4)
    best = score_gradient(head, features)
    np.testing.assert_array_equal(
        best[1], score_gradient(head, features, int(scores[0].argmax()))[1]
    )


@pytest.mark.parametrize("backend", ["jax", "torch", "tensorflow"])
@pytest.mark.slow
def test_other_backends_see_the_same(backend, model, explanation, tmp_path):
    if backend == keras.backend.backend():
        pytest.skip("this is the backend that the others are compared with")
    skip_without(backend)
    model.save_weights(tmp_path / "model.weights.h5")
    root = Path(explained_video.__file__).parents[1]
    paths = os.pathsep.join((str(root), str(root / "tests")))
    subprocess.run(
        [sys.executable, explained_video.__file__, str(tmp_path), str(NUM_FRAMES)],
        env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": paths},
        check=True,
    )
    there = np.load(tmp_path / "explanation.npz")
    np.testing.assert_array_equal(there["differences"], explanation.differences)
    # Convolutions sum in another order.
    for name in ("cam", "contributions"):
        np.testing.assert_allclose(there[name], getattr(explanation, name), atol=1e-5)
    for number, maps in enumerate(explanation.gates):
        np.testing.assert_allclose(there[f"gate_{number}"], maps.mean, atol=1e-5)


@pytest.mark.slow
def test_targets(model, video, explanation):
    predicted = explain(model, video, top=1)
    assert len(predicted.predictions) == 1
    assert predicted.target == predicted.predictions[0]
    by_index = explain(model, video, target=1)
    assert by_index.target == explanation.target
    assert by_index.target.label == LABELS[1]
    np.testing.assert_array_equal(by_index.cam, explanation.cam)


def test_another_layer(model, video):
    earlier = explain(model, video, layer="stage3_block0_out")
    assert earlier.cam_layer == "stage3_block0_out"
    assert earlier.cam.shape == (SEGMENTS, 4, 3)


def test_layers_that_are_named_can_be_explained(model, video):
    with pytest.raises(ValueError, match="Layers that can be named are") as error:
        explain(model, video, layer="stage4_block0_conv3")
    names = re.findall("'([^']*)'", str(error.value))[1:]
    assert len(names) > 3
    for name in (names[0], names[-1]):
        assert explain(model, video, layer=name).cam_layer == name


def test_models_are_made_once_and_see_new_weights(video):
    model = make_model()
    first = explain(model, video, target=0)
    calls = [len(layer._inbound_nodes) for layer in model.layers]
    again = explain(model, video, target=0)
    assert [len(layer._inbound_nodes) for layer in model.layers] == calls
    np.testing.assert_array_equal(again.cam, first.cam)
    for layer in (model.get_layer("classifier"), model.get_layer("stage3_block0_conv1")):
        layer.kernel.assign(layer.kernel * 2)
    fresh = make_model()
    fresh.set_weights(model.get_weights())
    changed = explain(model, video, target=0)
    expected = explain(fresh, video, target=0)
    assert np.abs(changed.contributions - first.contributions).max() > 1e-3
    np.testing.assert_allclose(changed.contributions, expected.contributions, atol=1e-5)
    np.testing.assert_allclose(changed.cam, expected.cam, atol=1e-5)
    # They go when the model goes.
    kept = weakref.ref(model)
    del model, layer
    gc.collect()
    assert kept() is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "jumping"}, "no class 'jumping'.*such as 'run & jump'"),
        ({"target": 3}, "no class 3.*from 0 to 2"),
        ({"target": -1}, "no class -1"),
        ({"target": True}, "no class True"),
        ({"layer": "stage9"}, "no layer 'stage9' with maps"),
        ({"layer": "pool"}, "no layer 'pool' with maps.*'stage4_block0_add', 'stage4_block0_out'"),
        (
            {"layer": "stage4_block0_conv3"},
            "do not follow from the layer 'stage4_block0_conv3' alone.*'stage4_block0_out'",
        ),
        ({"top": 0}, "`top` must be an integer of at least 1"),
    ],
)
def test_arguments_that_are_refused(model, video, options, message):
    with pytest.raises(ValueError, match=message):
        explain(model, video, **options)


def test_models_and_videos_that_are_refused(model, video):
    with pytest.raises(ValueError, match="without its classifier gives features"):
        explain(make_model(include_top=False, labels=None), video)
    with pytest.raises(ValueError, match="no layer with maps"):
        explain(toy(), video)
    with pytest.raises(ValueError, match="It has no labels; pass an index"):
        explain(toy(), video, target="fall")
    with pytest.raises(ValueError, match="no `clip_spec`"):
        explain(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]), video)
    with pytest.raises(ValueError, match="Cannot read"):
        explain(model, b"this is a text")


def test_what_is_missing_is_said(tsn):
    assert tsn.differences is None
    assert tsn.motion_energy is None
    assert tsn.gates == ()
    assert len(tsn.missing) == 2
    assert "no short-term TDM" in tsn.missing[0]
    assert "no long-term TDM" in tsn.missing[1]


def decoded(content):
    with av.open(io.BytesIO(content)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_files_open_again(explanation, tmp_path):
    names = ("strip", "gif", "mp4", "page")
    paths = write_explanation(explanation, tmp_path / "new" / "folder", names, video="a <b>.mp4")
    strip, gif, mp4, page = (path.read_bytes() for path in paths)
    assert {path.name for path in (tmp_path / "new" / "folder").iterdir()} == {
        "strip.png", "animation.gif", "animation.mp4", "explanation.html",
    }  # fmt: skip
    np.testing.assert_array_equal(decoded(strip)[0], draw_strip(explanation))
    pictures = draw_animation(explanation)
    assert len(pictures) == SEGMENTS * (FRAMES - 1)
    for content, tolerance in ((gif, 12.0), (mp4, 6.0)):
        frames = decoded(content)
        assert len(frames) == len(pictures)
        for frame, picture in zip(frames, pictures, strict=True):
            # 256 colours, and what the codec loses.
            assert np.abs(frame.astype(int) - picture).mean() < tolerance
    text = page.decode()
    assert "run &amp; jump: a &lt;b&gt;.mp4" in text
    # Nothing is loaded from elsewhere.
    assert "http" not in text.replace("http-equiv", "")
    assert text.count('src="data:') == text.count("src=")
    assert "What the short-term TDM sees" in text
    assert "warning" not in text.partition("</style>")[2]


def test_files_of_a_model_without_motion(tsn, tmp_path):
    paths = write_explanation(tsn, tmp_path)
    frames = decoded(paths[1].read_bytes())
    assert len(frames) == len(decoded(paths[2].read_bytes())) == SEGMENTS
    text = paths[3].read_text(encoding="utf-8")
    assert "no short-term TDM" in text
    assert "no long-term TDM" in text
    assert "What the short-term TDM sees" not in text


@pytest.mark.parametrize("num_frames", [1, NUM_FRAMES])
def test_a_video_without_motion_is_drawn_too(model, num_frames, tmp_path):
    still = explain(model, np.repeat(moving_square(1)[0], num_frames, axis=0))
    assert not still.differences.any()
    paths = write_explanation(still, tmp_path, ["page", "strip", "gif"])
    text = paths[0].read_text(encoding="utf-8")
    assert "segment 1: 0 levels of 255" in text
    assert len(decoded(paths[1].read_bytes())) == 1
    # Equal pictures may be stored once.
    assert decoded(paths[2].read_bytes())


def test_outputs_that_are_refused(explanation, tmp_path):
    write_explanation(explanation, tmp_path, ["strip"])
    with pytest.raises(ValueError, match=r"strip.png' exists"):
        write_explanation(explanation, tmp_path, ["page", "strip"])
    assert [path.name for path in tmp_path.iterdir()] == ["strip.png"]
    write_explanation(explanation, tmp_path, ["strip"], overwrite=True)
    with pytest.raises(ValueError, match="is a file"):
        write_explanation(explanation, tmp_path / "strip.png", ["gif"])
    for formats in (["jpeg"], [], ["gif", "gif"], "gif"):
        with pytest.raises(ValueError, match="formats of an explanation"):
            write_explanation(explanation, tmp_path, formats)

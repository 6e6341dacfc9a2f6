"""What a model costs. The published constants are in `tests/models/test_constants.py`."""

import json
import math

import keras
import numpy as np
import pytest
from macs import count_macs

import keras_tdn
from keras_tdn.evaluation import plot_profile, profile_model
from keras_tdn.profiling import measure_latency

pytestmark = pytest.mark.usefixtures("eager_models")
SEGMENTS, FRAMES, WIDTH, CLASSES = 3, 4, 16, 7
SIZE = (64, 48)


def small_model(**arguments):
    defaults = {"num_segments": SEGMENTS, "frames_per_segment": FRAMES, "classes": CLASSES}
    return keras_tdn.TDNResNet((1, 2, 1, 1), width=WIDTH, **{**defaults, **arguments})


@pytest.fixture(scope="module")
def model():
    return small_model()


@pytest.fixture(scope="module")
def profile(model):
    return profile_model(model, SIZE)


def by_name(costs):
    return {cost.name: cost for cost in costs}


def test_parts_that_are_computed_by_hand(profile):
    stages = by_name(profile.by_stage)
    # Convolution 7x7 with stride 2 of three channels.
    assert stages["stem"].macs == SEGMENTS * (32 * 24) * 7 * 7 * 3 * WIDTH
    assert stages["stem"].activations == SEGMENTS * 32 * 24 * WIDTH
    assert stages["stem"].activation_bytes == 4 * stages["stem"].activations
    # Kernel, and the norm's gamma and beta; its mean and variance are not learned.
    assert stages["stem"].parameters == 7 * 7 * 3 * WIDTH + 2 * WIDTH
    assert stages["stem"].statistics == 2 * WIDTH
    # Three differences of three channels, halved before the stride.
    assert stages["motion stem"].macs == SEGMENTS * (16 * 12) * 7 * 7 * 9 * WIDTH
    features = WIDTH * 2**3 * 4
    assert stages["head"].macs == SEGMENTS * features * CLASSES
    assert stages["head"].parameters == features * CLASSES + CLASSES
    # Two blocks at 16 x 12, then 8 x 6; one each at 8 x 6 and 4 x 3, each before its stride.
    positions = 16 * 12 * 32 + 8 * 6 * 32 + 8 * 6 * 64 + 4 * 3 * 128
    assert by_name(profile.by_module)["temporal shift"].macs == SEGMENTS * 3 * positions


def test_parts_add_up(profile, model):
    for costs in (profile.by_stage, profile.by_module):
        for field in ("macs", "parameters", "statistics", "activations", "activation_bytes"):
            assert sum(getattr(cost, field) for cost in costs) == getattr(profile.total, field)
    assert profile.total.parameters + profile.total.statistics == model.count_params()
    assert profile.clip_shape == (SEGMENTS * FRAMES, *SIZE, 3)
    assert profile.uncounted == ()


def test_total_equals_a_count_from_static_shapes():
    fixed = small_model(input_shape=(SEGMENTS * FRAMES, *SIZE, 3))
    assert profile_model(fixed).total.macs == count_macs(fixed)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's own profiler")
def test_total_equals_what_tensorflow_counts(profile, model):
    import tensorflow as tf

    spec = tf.TensorSpec((1, SEGMENTS * FRAMES, *SIZE, 3))
    graph = tf.function(lambda clips: model(clips, training=False)).get_concrete_function(spec)
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options = {**options, "output": "none"}
    counted = {}
    root = tf.compat.v1.profiler.profile(graph.graph, cmd="op", options=options)
    while root.children:
        root = root.children[0]
        counted[root.name] = root.float_ops
    flops = sum(counted[name] for name in ("Conv2D", "DepthwiseConv2dNative", "MatMul"))
    assert flops == 2 * profile.total.macs


def test_ablations_lack_the_parts_that_are_off():
    tsn = profile_model(small_model(short_term=False, long_term=False, temporal_shift=False), SIZE)
    assert [cost.name for cost in tsn.by_module] == ["backbone"]
    assert "motion stem" not in by_name(tsn.by_stage)


def test_size_follows_from_the_clip_spec_and_macs_from_the_size(model):
    assert profile_model(model).clip_shape[1:3] == (224, 224)
    small, large = (by_name(profile_model(model, size).by_stage) for size in (64, 128))
    assert large["stem"].macs == 4 * small["stem"].macs
    assert large["head"] == small["head"]


def test_frozen_layers_and_half_precision_cost_as_many_parameters(profile):
    half = small_model(dtype="mixed_bfloat16")
    half.trainable = False
    cost = profile_model(half, SIZE)
    assert cost.total.parameters == profile.total.parameters
    assert cost.total.activations == profile.total.activations
    assert cost.total.activation_bytes == profile.total.activation_bytes // 2


def test_shared_and_unknown_layers():
    inputs = keras.Input((4, 8, 8, 3))
    dense = keras.layers.Dense(3, name="shared")
    x = dense(dense(inputs))
    x = keras.layers.EinsumDense("bthwc,cd->bthwd", (4, 8, 8, 2), name="einsum")(x)
    profile = profile_model(keras.Model(inputs, x))
    assert profile.total.macs == 2 * math.prod((4, 8, 8)) * 3 * 3
    # The kernel of the second is learned, whatever it costs.
    assert profile.total.parameters == 3 * 3 + 3 + 3 * 2
    assert profile.uncounted == ("einsum",)
    assert [cost.name for cost in profile.by_stage] == ["other"]


def test_layers_are_left_as_they_were(model, profile):
    assert profile.total.macs
    assert not any("call" in layer.__dict__ for layer in model._flatten_layers())
    assert model(np.ones((1, SEGMENTS * FRAMES, 32, 32, 3), np.float32)).shape == (1, CLASSES)


def test_warm_up_is_not_measured(monkeypatch):
    seconds = iter((9.0, 8.0, *range(1, 12)))
    monkeypatch.setattr("keras_tdn.profiling.latency._seconds", lambda model, clips: next(seconds))
    model = keras.Sequential([keras.Input((1, 4, 4, 3)), keras.layers.Flatten()])
    (latency,) = measure_latency(model, (1, 4, 4, 3), [2], repeats=11)
    # Times of 1 to 11 seconds: deciles at the second and the last but one.
    assert (latency.p10, latency.median, latency.p90) == (2.0, 6.0, 10.0)
    assert latency.first == 9.0
    assert latency.clips_per_second == pytest.approx(2 / 6)


def test_measured_batches(model, tmp_path):
    profile = profile_model(model, 32, batch_sizes=(1, 3), repeats=2)
    assert [latency.batch_size for latency in profile.latencies] == [1, 3]
    assert all(0 < part.p10 <= part.median <= part.p90 for part in profile.latencies)
    assert profile.machine.backend == keras.backend.backend()
    assert profile.machine.cores >= 1
    profile.save(tmp_path / "profile.json")
    told = json.loads((tmp_path / "profile.json").read_text())
    assert told["total"]["macs"] == profile.total.macs
    assert told["latencies"][1]["clips_per_second"] == profile.latencies[1].clips_per_second
    assert keras.__version__ in profile.summary()


def test_plot(profile):
    stages, modules = plot_profile(profile).axes
    for axes, costs in ((stages, profile.by_stage), (modules, profile.by_module)):
        assert [text.get_text() for text in axes.get_yticklabels()] == [cost.name for cost in costs]
        widths = [bar.get_width() for bar in axes.patches]
        expected = [cost.macs / profile.total.macs for cost in costs]
        np.testing.assert_allclose(np.divide(widths, sum(widths)), expected)
    assert modules.get_xlabel() in ("kMACs", "MMACs", "GMACs")


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (16, "at least 32 pixels"),
        (0, "one positive integer for both"),
        ((64, 64, 3), "one positive integer for both"),
    ],
)
def test_sizes_that_are_refused(model, size, message):
    with pytest.raises(ValueError, match=message):
        profile_model(model, size)


def test_models_that_are_refused():
    fixed = small_model(input_shape=(SEGMENTS * FRAMES, 32, 32, 3))
    with pytest.raises(ValueError, match="frames of 32x32 pixels only"):
        profile_model(fixed, 64)
    image = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    with pytest.raises(ValueError, match="takes clips of shape"):
        profile_model(image)
    with pytest.raises(ValueError, match="Latency needs an integer of at least 1 for `repeats`"):
        profile_model(fixed, batch_sizes=(1,), repeats=0)

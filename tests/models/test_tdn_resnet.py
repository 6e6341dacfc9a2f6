import inspect

import backends
import keras
import numpy as np
import pytest

import keras_tdn
from keras_tdn import ClipSpec, Normalization, TDNResNet

SMALL = {"stage_depths": (1, 2, 1, 1), "width": 16, "classes": 6}


def clips(segments=4, size=(32, 40), batch=2, frames_per_segment=5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (batch, segments * frames_per_segment, *size, 3), dtype="uint8")


def run(model, x):
    return backends.infer(model, x)


def with_random_norms(model, seed=0):
    """Norm statistics away from their start, so that a lost one shows."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        if variable.path.endswith(("gamma", "moving_variance")):
            variable.assign(rng.uniform(0.7, 1.3, variable.shape))
        elif variable.path.endswith(("beta", "moving_mean", "bias")):
            variable.assign(rng.normal(0, 0.1, variable.shape))
        elif variable.path.endswith("classifier/kernel"):
            variable.assign(rng.normal(0, 0.3, variable.shape))
    return model


# === Conventions ===


def test_classifier_gives_probabilities():
    scores = run(TDNResNet(**SMALL, num_segments=4), clips())
    assert scores.shape == (2, 6)
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)


def test_activation_none_gives_the_logits():
    model = with_random_norms(TDNResNet(**SMALL, num_segments=4))
    logits = with_random_norms(TDNResNet(**SMALL, num_segments=4, classifier_activation=None))
    logits.set_weights(model.get_weights())
    expected = keras.ops.convert_to_numpy(keras.ops.softmax(run(logits, clips())))
    np.testing.assert_allclose(run(model, clips()), expected, rtol=1e-4)


def test_features_and_pooling():
    arguments = {**SMALL, "num_segments": 4, "include_top": False}
    maps = with_random_norms(TDNResNet(**arguments))
    assert maps.output_shape == (None, 4, None, None, 512)
    features = run(maps, clips(size=(64, 33)))
    assert features.shape == (2, 4, 2, 2, 512)
    for pooling, expected in (
        ("avg", features.mean(axis=(1, 2, 3))),
        ("max", features.max(axis=(2, 3)).mean(axis=1)),
    ):
        pooled = TDNResNet(**arguments, pooling=pooling)
        assert pooled.output_shape == (None, 512)
        pooled.set_weights(maps.get_weights())
        np.testing.assert_allclose(
            run(pooled, clips(size=(64, 33))), expected, rtol=1e-3, atol=1e-5
        )


def test_names_can_be_read_and_addressed():
    model = TDNResNet((1, 1, 3, 1), width=16, classes=6, name="mine")
    assert model.name == "mine"
    block = [layer.name for layer in model.layers if layer.name.startswith("stage3_block2_")]
    assert block == [
        "stage3_block2_conv1",
        "stage3_block2_norm1",
        "stage3_block2_relu1",
        "stage3_block2_long_term_tdm",
        "stage3_block2_temporal_shift",
        "stage3_block2_conv2",
        "stage3_block2_norm2",
        "stage3_block2_relu2",
        "stage3_block2_conv3",
        "stage3_block2_norm3",
        "stage3_block2_add",
        "stage3_block2_out",
    ]
    assert model.get_layer("classifier").units == 6
    lines = []
    model.summary(print_fn=lambda line, **_: lines.append(line), line_length=140)
    assert any("stage3_block2_conv1" in line for line in lines)


def test_published_models():
    for build, name, blocks in (
        (keras_tdn.TDNResNet50, "tdn_resnet50", (3, 4, 6, 3)),
        (keras_tdn.TDNResNet101, "tdn_resnet101", (3, 4, 23, 3)),
    ):
        model = build()
        assert model.name == name
        assert model.stage_depths == blocks
        assert model.input_shape == (None, 40, None, None, 3)
        assert model.output_shape == (None, 400)


def test_published_models_hand_every_argument_on():
    arguments = {
        "include_top": False,
        "input_shape": (6, 32, None, 3),
        "pooling": "max",
        "classes": 7,
        "classifier_activation": None,
        "num_segments": 2,
        "frames_per_segment": 3,
        "dropout_rate": 0.1,
        "include_preprocessing": False,
        "name": "mine",
    }
    build = keras_tdn.TDNResNet50
    assert {*arguments, "weights", "kwargs"} == set(inspect.signature(build).parameters)
    config = build(**arguments, motion_weight=0.3).get_config()
    assert {name: config[name] for name in arguments} == arguments
    assert config["motion_weight"] == 0.3


def test_the_structure_is_all_of_the_model():
    for arguments in ({}, {"short_term": False}, {"include_top": False, "pooling": "avg"}):
        model = TDNResNet(**SMALL, num_segments=2, **arguments)
        layers = list(model.structure.layers())
        assert {id(layer) for layer in layers} == {id(layer) for layer in model.layers[1:]}
        assert len(layers) == len(model.layers) - 1
        blocks = [block.name for block in model.structure.blocks()]
        assert blocks[-5:] == [
            "stage1_block0", "stage2_block0", "stage2_block1", "stage3_block0", "stage4_block0",
        ]  # fmt: skip
        assert blocks[:-5] == (["motion_stage1_block0"] if model.short_term else [])
        x = clips(2)
        output = keras.ops.convert_to_numpy(
            model.structure(keras.ops.convert_to_tensor(x, "float32"))
        )
        np.testing.assert_allclose(output, run(model, x), rtol=1e-4, atol=1e-6)


def test_convolutions_before_norms_have_no_bias():
    model = TDNResNet(**SMALL)
    assert [v.path for v in model.weights if v.path.endswith("bias")] == ["classifier/bias"]


# === Any number of segments, any size, any ablation ===


@pytest.mark.parametrize("segments", [1, 3, 16])
def test_any_number_of_segments(segments):
    scores = run(TDNResNet(**SMALL, num_segments=segments), clips(segments))
    assert np.all(np.isfinite(scores))


@pytest.fixture(scope="module")
def dynamic():
    """A model for frames of any size; the second size that it is traced for makes it open."""
    return with_random_norms(TDNResNet(**SMALL, num_segments=4))


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (72, 32), (65, 100)])
def test_static_and_dynamic_sizes_agree(dynamic, size):
    static = TDNResNet(**SMALL, num_segments=4, input_shape=(20, *size, 3))
    static.set_weights(dynamic.get_weights())
    assert static.input_shape == (None, 20, *size, 3)
    # Another batch size than was seen while building, and a graph with open axes.
    x = clips(size=size, batch=3)
    expected = run(static, x)
    np.testing.assert_allclose(run(dynamic, x), expected, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(
        dynamic.predict(x, batch_size=2, verbose=0), expected, rtol=1e-3, atol=1e-6
    )


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only TensorFlow has open axes")
def test_graph_with_open_height_and_width(dynamic):
    import tensorflow as tf

    graph = tf.function(
        lambda x: dynamic(x, training=False),
        input_signature=[tf.TensorSpec((None, 20, None, None, 3), tf.float32)],
    )
    for size in ((32, 32), (33, 47), (65, 100)):
        x = clips(size=size, batch=3).astype("float32")
        np.testing.assert_allclose(graph(x).numpy(), run(dynamic, x), rtol=1e-3, atol=1e-6)


def test_ablations_have_only_what_they_say():
    def kinds(**switches):
        model = TDNResNet(**SMALL, num_segments=4, **switches)
        assert run(model, clips()).shape == (2, 6)
        return {type(layer).__name__ for layer in model.layers}

    modules = {"ShortTermTDM", "LongTermTDM", "TemporalShift"}
    off = {"short_term": False, "long_term": False, "temporal_shift": False}
    assert not kinds(**off) & (modules | {"MotionFusion"})
    assert kinds(**{**off, "short_term": True}) & modules == {"ShortTermTDM"}
    assert kinds(**{**off, "long_term": True}) & modules == {"LongTermTDM"}
    assert kinds(**{**off, "temporal_shift": True}) & modules == {"TemporalShift"}
    assert kinds() >= modules


def test_tsn_does_not_see_the_order_of_segments_and_tdn_does():
    x = clips()
    reordered = x.reshape(2, 4, 5, *x.shape[2:])[:, [2, 0, 3, 1]].reshape(x.shape)
    off = {"short_term": False, "long_term": False, "temporal_shift": False}

    def difference(**switches):
        # Logits: a softmax that is sure of a class hides what moved.
        model = TDNResNet(**SMALL, num_segments=4, classifier_activation=None, **switches)
        logits = run(with_random_norms(model), x)
        return np.max(np.abs(run(model, reordered) - logits)) / np.max(np.abs(logits))

    assert difference(**off) < 1e-5
    assert difference() > 1e-3


def test_tsn_takes_single_frames():
    off = {"short_term": False, "long_term": False, "temporal_shift": False}
    model = TDNResNet(**SMALL, num_segments=3, frames_per_segment=1, **off)
    assert run(model, clips(3, frames_per_segment=1)).shape == (2, 6)


def test_fusion_weights_follow_the_number_of_segments():
    def weights(**arguments):
        layer = TDNResNet(**SMALL, **arguments).get_layer("stem_fusion")
        return layer.appearance_weight, layer.motion_weight

    assert weights(num_segments=8) == (0.5, 0.5)
    assert weights(num_segments=16) == (0.75, 0.25)
    assert weights(num_segments=16, appearance_weight=0.5, motion_weight=0.5) == (0.5, 0.5)


# === Pixels and precision ===


def test_integers_and_floats_are_the_same_pixels():
    model = with_random_norms(TDNResNet(**SMALL, num_segments=4))
    np.testing.assert_array_equal(run(model, clips()), run(model, clips().astype("float32")))


def test_preprocessing_is_the_imagenet_normalisation():
    inside = with_random_norms(TDNResNet(**SMALL, num_segments=4))
    outside = TDNResNet(**SMALL, num_segments=4, include_preprocessing=False)
    outside.set_weights(inside.get_weights())
    normalization = Normalization()
    x = (clips() / 255 - normalization.mean) / normalization.std
    np.testing.assert_allclose(
        run(outside, x.astype("float32")), run(inside, clips()), rtol=1e-3, atol=1e-6
    )


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision(policy):
    model = with_random_norms(TDNResNet(**SMALL, num_segments=4))
    half = TDNResNet(**SMALL, num_segments=4, dtype=policy)
    half.set_weights(model.get_weights())
    assert half.get_layer("stage2_block1_conv2").compute_dtype == policy.removeprefix("mixed_")
    assert half.get_layer("normalization").compute_dtype == "float32"
    scores = run(half, clips())
    assert scores.dtype == "float32"
    # 8 bits of mantissa through 16 convolutions.
    np.testing.assert_allclose(scores, run(model, clips()), atol=0.05)


# === Training ===


@pytest.mark.slow
def test_fit_learns_what_it_is_shown():
    keras.utils.set_random_seed(1)
    model = TDNResNet((1, 1, 1, 1), width=16, classes=2, num_segments=2, dropout_rate=0.0)
    dark, bright = (
        np.full((2, 10, 32, 32, 3), 40, "uint8"),
        np.full((2, 10, 32, 32, 3), 200, "uint8"),
    )
    x, y = np.concatenate([dark, bright]), np.array([0, 0, 1, 1])
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    losses = model.fit(x, y, batch_size=4, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]


def test_frozen_stages_stay_as_they_are():
    model = TDNResNet((1, 1, 1, 1), width=16, classes=2, num_segments=2)
    for layer in model.layers:
        if layer.name.startswith(("stem_", "stage1_", "motion_stage1_")):
            layer.trainable = False
    before = dict(zip((v.path for v in model.weights), model.get_weights(), strict=True))
    # Less work than tracing, for one step.
    eagerly = keras.backend.backend() != "jax"
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=eagerly)
    model.fit(clips(2, (32, 32)), np.array([0, 1]), verbose=0)
    moved = {
        v.path.split("/")[0]
        for v, value in zip(model.weights, model.get_weights(), strict=True)
        if np.any(value != before[v.path])
    }
    assert not [name for name in moved if name.startswith(("stem_", "stage1_", "motion_stage1_"))]
    assert {"short_term_tdm", "stage2_block0_long_term_tdm", "classifier"} <= moved


# === Config ===

NON_DEFAULT = {
    "stage_depths": (1, 2, 1, 1),
    "width": 32,
    "short_term": False,
    "long_term": False,
    "temporal_shift": False,
    "include_top": False,
    "input_shape": (12, 64, 48, 3),
    "pooling": "max",
    "classes": 3,
    "classifier_activation": None,
    "num_segments": 4,
    "frames_per_segment": 3,
    "dropout_rate": 0.25,
    "include_preprocessing": False,
    "appearance_weight": 0.6,
    "motion_weight": 0.4,
    "labels": ("a", "b", "c"),
    "clip_spec": ClipSpec(4, 3, 64, 48, 50, Normalization((0.5,) * 3, (0.5,) * 3)),
    "name": "mine",
}


def test_config_keeps_every_argument():
    parameters = inspect.signature(TDNResNet.__init__).parameters
    # `weights` loads values and is no part of the architecture; `dtype` is tested below.
    assert set(parameters) - {"self", "kwargs", "weights", "dtype"} == set(NON_DEFAULT)
    for argument, value in NON_DEFAULT.items():
        assert parameters[argument].default != value
    config = TDNResNet(**NON_DEFAULT, dtype="mixed_bfloat16").get_config()
    for argument, value in NON_DEFAULT.items():
        assert config[argument] == (value.to_config() if argument == "clip_spec" else value)
    revived = TDNResNet.from_config(config)
    assert revived.get_config() == config
    assert revived.dtype_policy.name == "mixed_bfloat16"
    assert revived.labels == ("a", "b", "c")
    assert [layer.name for layer in revived.layers] == [
        layer.name for layer in TDNResNet(**NON_DEFAULT).layers
    ]


def test_config_keeps_what_is_frozen():
    model = TDNResNet(**SMALL)
    model.get_layer("stem_conv").trainable = False
    model.get_layer("stage2_block1_norm2").trainable = False
    revived = TDNResNet.from_config(model.get_config())
    assert [layer.name for layer in revived.layers if not layer.trainable] == [
        "stem_conv",
        "stage2_block1_norm2",
    ]
    model.trainable = False
    assert not TDNResNet.from_config(model.get_config()).trainable_variables


def test_clip_spec_follows_the_model():
    assert TDNResNet(**SMALL).clip_spec == ClipSpec()
    assert TDNResNet(**SMALL, num_segments=16, input_shape=(80, 112, 168, 3)).clip_spec == ClipSpec(
        num_segments=16, height=112, width=168, short_side=128
    )
    model = TDNResNet(**SMALL)
    model.clip_spec = ClipSpec(height=256, width=256)
    assert model.clip_spec.height == 256
    with pytest.raises(ValueError, match="The model takes 8 segments of 5 frames"):
        model.clip_spec = ClipSpec(num_segments=16)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stage_depths": (3, 4, 6)}, "`stage_depths` needs 4 integers"),
        ({"stage_depths": (3, 4, 0, 3)}, "integer of at least 1 for `stage_depths`"),
        ({"width": 0}, "integer of at least 1 for `width`"),
        ({"width": 12}, "24 channels are not divisible"),
        ({"num_segments": 0}, "integer of at least 1 for `num_segments`"),
        ({"frames_per_segment": 1}, "integer of at least 2 for `frames_per_segment`"),
        ({"classes": 2.5}, "integer of at least 1 for `classes`"),
        ({"dropout_rate": 1.0}, r"`dropout_rate` must be in \[0, 1\)"),
        ({"pooling": "mean", "include_top": False}, "`pooling` must be one of"),
        ({"pooling": "avg"}, "pass include_top=False"),
        ({"labels": ["a", "b"]}, "one name for each of the 6 classes"),
        ({"labels": "kinetics400"}, "one name for each of the 6 classes"),
        ({"input_shape": (224, 224, 3)}, r"\(40, height, width, 3\)"),
        ({"input_shape": (16, 224, 224, 3)}, r"\(40, height, width, 3\)"),
        ({"input_shape": (40, 224, 224, 1)}, r"\(40, height, width, 3\)"),
        ({"input_shape": (40, 31, 224, 3)}, "at least 32 pixels"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        TDNResNet(**{**SMALL, **arguments})

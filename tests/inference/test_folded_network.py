"""The folded network against the Keras model, module by module and size by size."""

import goldens
import keras
import numpy as np
import pytest
from small_model import build

import keras_tdn
from keras_tdn.inference import FoldedNetwork, can_fold, folded_network
from keras_tdn.pretrained import load_official_state_dict

tf = pytest.importorskip("tensorflow")

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="reads the weights of TensorFlow variables"
)

# Even sizes, odd ones, and those where a map has a single row.
SIZES = {"even": (48, 64), "odd": (75, 97), "small": (33, 32)}


def features_of(model, clips):
    pixels = clips.astype("float32")
    if not model.include_preprocessing:
        normalization = model.clip_spec.normalization
        pixels = (pixels / 255 - np.float32(normalization.mean)) / np.float32(normalization.std)
    pooled = keras.Model(model.input, model.get_layer("pool").output)
    return pooled(pixels, training=False).numpy()


def clips_of(model, batch):
    shape = (batch, *model.input_shape[1:])
    return np.random.default_rng(1).integers(0, 256, shape, np.uint8)


def relative_error(actual, expected):
    return np.linalg.norm(actual - expected) / np.linalg.norm(expected)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"stage_depths": (2, 1, 2, 1), "size": "odd"},
        {"short_term": False, "size": "small"},
        {"long_term": False, "size": "small"},
        {"temporal_shift": False, "num_segments": 8},
        {"num_segments": 1, "frames_per_segment": 3},
        {"appearance_weight": 0.0, "motion_weight": 1.5},
        {"appearance_weight": -0.5, "motion_weight": 0.3},
        {"include_preprocessing": False},
    ],
    ids=lambda arguments: ",".join(f"{k}={v}" for k, v in arguments.items()) or "all modules",
)
def test_features_are_the_keras_models(arguments):
    arguments = dict(arguments)
    size = SIZES[arguments.pop("size", "even")]
    frames = arguments.get("num_segments", 2) * arguments.get("frames_per_segment", 5)
    model = build(input_shape=(frames, *size, 3), **{"num_segments": 2, **arguments})
    clips = clips_of(model, 3)
    expected = features_of(model, clips)
    segments = model.num_segments
    for portable in (False, True):
        network = FoldedNetwork(model, portable=portable)
        for batch in (1, 3):
            actual = network.pooled(tf.constant(clips[:batch])).numpy()
            # The bound is 1e-4; sums in another order are off by 6e-7.
            assert relative_error(actual, expected[: batch * segments]) < 5e-6


def test_bfloat16_rounds_as_the_keras_model_does():
    model = build()
    half = build(dtype="mixed_bfloat16")
    half.set_weights(model.get_weights())
    clips = clips_of(model, 3)
    expected = features_of(model, clips)
    actual = FoldedNetwork(model, "bfloat16").pooled(tf.constant(clips))
    assert actual.dtype == tf.float32
    # Each rounding is off by 2 ** -9 at most; Keras' own bfloat16 pass shows what they add up to.
    bound = 1.5 * relative_error(features_of(half, clips).astype("float32"), expected)
    assert 0 < relative_error(actual.numpy(), expected) < bound


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"classifier_activation": None},
        {"classifier_activation": "sigmoid"},
        {"include_preprocessing": False},
    ],
    ids=["softmax", "logits", "sigmoid", "normalised pixels"],
)
def test_scores_are_the_models(arguments):
    model = build(**arguments)
    assert can_fold(model)
    network = folded_network(model)
    clips = clips_of(model, 3)
    inputs = keras_tdn.models.predicting.model_inputs(model, clips, model.clip_spec)
    expected = model(inputs, training=False).numpy()
    for pixels in (clips, clips.astype("float32")):
        scores = network(pixels)
        assert scores.dtype == np.float32
        np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-5)
    assert np.ptp(expected, axis=1).min() > 1e-2
    assert network(clips[:0]).shape == (0, model.classes)


def test_clips_of_several_sizes():
    """Crops of a test may be larger than the model's own."""
    model = build(input_shape=None)
    network = folded_network(model)
    for size in SIZES.values():
        clips = np.random.default_rng(2).integers(0, 256, (2, 10, *size, 3), np.uint8)
        expected = model(clips, training=False).numpy()
        np.testing.assert_allclose(network(clips), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "segments", "size", "seed", "batch"),
    [
        pytest.param("resnet50_16x64", 16, 64, 13, 1, marks=pytest.mark.slow),
        ("resnet50_8x112", 8, 112, 11, 2),
    ],
)
def test_goldens(name, segments, size, seed, batch):
    golden = goldens.arrays(f"{name}.npz")
    classes = golden["logits"].shape[1]
    model = keras_tdn.TDNResNet50(
        classes=classes, num_segments=segments, classifier_activation=None
    )
    load_official_state_dict(model, goldens.state("resnet50", classes))
    clip = goldens.clip(seed, batch, segments * 5, size, golden["clip_crc32"])
    scores = folded_network(model)(clip)
    assert relative_error(scores, model(clip, training=False).numpy()) < 1e-5
    # As for the model itself; see tests/models/test_parity.py.
    assert relative_error(scores, golden["logits"]) < 1e-4


def test_models_that_are_not_folded():
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    features = build(include_top=False, pooling="avg", labels=None)
    for model, message in ((other, "TDN models on"), (features, "without its classifier")):
        assert not can_fold(model)
        with pytest.raises(ValueError, match=message):
            folded_network(model)
    half = build(dtype="mixed_bfloat16")
    assert not can_fold(half)
    assert folded_network(half, "bfloat16")(clips_of(half, 1)).shape == (1, half.classes)
    with pytest.raises(ValueError, match=r"one of \['float32', .*Received: dtype='half'"):
        folded_network(build(), "half")


def operations(function, *arguments):
    """Operations as they run, after TensorFlow's optimiser."""
    from tensorflow.python.eager import context

    context.enable_run_metadata()
    try:
        function(*arguments)
        graphs = context.export_run_metadata().partition_graphs
    finally:
        context.disable_run_metadata()
    return [node for graph in graphs for node in graph.node]


def test_every_convolution_takes_its_bias_and_its_sum_along():
    model = build()
    nodes = operations(FoldedNetwork(model).pooled, tf.constant(clips_of(model, 3)))
    kinds = [node.op for node in nodes]
    if not any(kind.startswith("_MklNative") for kind in kinds):
        pytest.skip("this TensorFlow has no oneDNN, or it is switched off")
    convolutions = [node for node in nodes if "Conv2D" in node.op and "Depthwise" not in node.op]
    # Two stems; two stages 1 of one block; three blocks of a shortcut, three convolutions and four
    # of the long-term TDM. Halved differences are one more, with nothing to take along.
    folded = 2 + 2 * 4 + 3 * (4 + 4)
    assert len(convolutions) == folded + 1
    fused = [list(node.attr["fused_ops"].list.s) for node in convolutions]
    fused = [operations for operations in fused if operations]
    assert len(fused) == folded
    assert all(operations[0] == b"BiasAdd" for operations in fused)
    # One sum at the end of each block, one in each long-term TDM.
    assert sum(b"Add" in operations for operations in fused) == 5 + 3
    assert not any("BatchNorm" in kind for kind in kinds)
    transposes = [kind for kind in kinds if "Transpose" in kind]
    # That of the frame differences, to channels.
    assert len(transposes) == 1


def test_lora_is_part_of_the_weights(tmp_path):
    """Of the classifier, as fine-tuning has it, and of a convolution in front of a batch norm."""
    from keras_tdn.export import export_saved_model

    model = build()
    clips = clips_of(model, 2)
    plain = model(clips.astype("float32"), training=False).numpy()
    rng = np.random.default_rng(4)
    for name in ("classifier", "stage2_block0_conv2"):
        layer = model.get_layer(name)
        layer.enable_lora(2)
        for weight in (layer.lora_kernel_a, layer.lora_kernel_b):
            weight.assign(rng.normal(0, 0.2, weight.shape))
    expected = model(clips.astype("float32"), training=False).numpy()
    folder = export_saved_model(model, tmp_path / "1", warm_up=False)
    serve = tf.saved_model.load(str(folder)).signatures["serving_default"]
    assert relative_error(serve(clips=tf.constant(clips))["scores"].numpy(), expected) < 1e-5
    assert relative_error(plain, expected) > 1e-2


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mode", ["int8", "float8"])
def test_quantized_models_are_refused(tmp_path, mode):
    from keras_tdn.export import export_portable, export_saved_model

    model = build()
    model.quantize(mode)
    told = rf"'classifier' has been quantized to '{mode}'.*before `model.quantize`"
    with pytest.raises(ValueError, match=told):
        export_saved_model(model, tmp_path / "1")
    with pytest.raises(ValueError, match=told):
        export_portable(model, tmp_path / "onnx", "onnx")
    with pytest.raises(ValueError, match=told):
        FoldedNetwork(model)
    assert list(tmp_path.iterdir()) == []

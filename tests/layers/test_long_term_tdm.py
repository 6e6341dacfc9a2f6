import goldens
import keras
import numpy as np
import pytest
from battery import check_arguments_covered, random_like, run_layer_test

from keras_tdn.layers import LongTermTDM
from keras_tdn.pretrained.state_dict import assign_all, long_term_tdm_bindings

GOLDEN = goldens.arrays("layers.npz")


def golden_layer(name):
    channels = GOLDEN[f"{name}/input"].shape[-1]
    layer = LongTermTDM(int(GOLDEN[f"{name}/num_segments"]))
    layer.build(GOLDEN[f"{name}/input"].shape)
    bindings = list(long_term_tdm_bindings(layer, name))
    state = {b.name: goldens.synthetic.synthetic_tensor(b.name, b.shape) for b in bindings}
    assert state[f"{name}.conv1.weight"].shape == (channels // 16, channels, 1, 1)
    assign_all(bindings, state, layer.weights)
    return layer


def test_layer_battery(tmp_path):
    arguments = {"num_segments": 3, "reduction": 4}
    check_arguments_covered(LongTermTDM, arguments)
    run_layer_test(LongTermTDM, arguments, (6, 6, 5, 16), (6, 6, 5, 16), tmp_path)


@pytest.mark.parametrize("name", ["ltdm_a", "ltdm_b"])
def test_golden_inference(name):
    output = golden_layer(name)(GOLDEN[f"{name}/input"], training=False)
    output = keras.ops.convert_to_numpy(output)
    assert goldens.relative_error(output, GOLDEN[f"{name}/eval_output"]) < 1e-5


@pytest.mark.parametrize("name", ["ltdm_a", "ltdm_b"])
def test_golden_training(name):
    layer = golden_layer(name)
    inputs = GOLDEN[f"{name}/input"]
    before = {
        f"{norm}.running_var": goldens.synthetic.synthetic_tensor(
            f"{name}.{norm}.running_var", GOLDEN[f"{name}/after_train/{norm}.running_var"].shape
        )
        for norm in ("bn1", "bn3", "bn3_smallscale2", "bn3_smallscale4")
    }
    output = keras.ops.convert_to_numpy(layer(inputs, training=True))
    assert goldens.relative_error(output, GOLDEN[f"{name}/train_output"]) < 1e-5

    n, h, w, _ = inputs.shape
    for norm, theirs, updates, count in (
        (layer.squeeze_norm, "bn1", 1, n * h * w),
        (layer.expand_norm, "bn3", 2, n * h * w),
        (layer.half_scale_norm, "bn3_smallscale2", 2, n * (h // 2) * (w // 2)),
        (layer.full_scale_norm, "bn3_smallscale4", 2, n * h * w),
    ):
        mean = GOLDEN[f"{name}/after_train/{theirs}.running_mean"]
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(norm.moving_mean), mean, rtol=1e-4, atol=1e-6
        )
        # PyTorch adds the unbiased variance to its average, Keras the biased one: what was added
        # differs by (count - 1) / count, what was kept from before does not.
        kept = 0.9**updates * before[f"{theirs}.running_var"]
        added = GOLDEN[f"{name}/after_train/{theirs}.running_var"] - kept
        variance = kept + added * (count - 1) / count
        actual = keras.ops.convert_to_numpy(norm.moving_variance)
        np.testing.assert_allclose(actual, variance, rtol=1e-4, atol=1e-6)


def test_zero_weights_pass_the_input_through():
    # Gates are sigmoid(0) - 0.5 = 0 in both directions, by hand.
    layer = LongTermTDM(num_segments=2)
    x = random_like((4, 5, 5, 32))
    layer.build(x.shape)
    layer.expand_norm.gamma.assign(np.zeros(32))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(x)), x, rtol=1e-6)


def test_constant_gate_by_hand():
    # With gamma 0 and beta b every gate is sigmoid(b) - 0.5: the output is x * (0.5 + sigmoid(b)).
    layer = LongTermTDM(num_segments=2)
    x = random_like((4, 5, 5, 32))
    layer.build(x.shape)
    layer.expand_norm.gamma.assign(np.zeros(32))
    layer.expand_norm.beta.assign(np.full(32, np.log(3.0)))
    output = keras.ops.convert_to_numpy(layer(x, training=False))
    np.testing.assert_allclose(output, x * 1.25, rtol=1e-5)


@pytest.mark.parametrize("size", [(6, 4), (7, 5), (2, 3), (1, 1), (1, 6)])
@pytest.mark.parametrize("num_segments", [1, 2, 5])
def test_numpy_oracle(size, num_segments):
    layer = LongTermTDM(num_segments, reduction=4)
    x = random_like((2 * num_segments, *size, 16))
    layer.build(x.shape)
    rng = np.random.default_rng(1)
    for variable in layer.weights:
        low, high = (0.5, 1.5) if "variance" in variable.path else (-0.5, 0.5)
        variable.assign(rng.uniform(low, high, variable.shape))
    expected = np_long_term_tdm(x, layer, num_segments)
    output = keras.ops.convert_to_numpy(layer(x, training=False))
    np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-5)


def np_long_term_tdm(x, layer, num_segments):
    weights = {
        variable.path.split("/", 1)[-1]: keras.ops.convert_to_numpy(variable).astype("float64")
        for variable in layer.weights
    }

    def value(part, name):
        return weights[f"{part}/{name}"]

    def conv(x, part):
        kernel = value(part, "kernel")
        return np_conv(x, kernel)

    def norm(x, part):
        x = (x - value(part, "moving_mean")) / np.sqrt(value(part, "moving_variance") + 1e-5)
        return x * value(part, "gamma") + value(part, "beta")

    def gate(difference):
        n, h, w, c = difference.shape
        rows, columns = max(h // 2, 1), max(w // 2, 1)
        halved = np.zeros((n, rows, columns, c))
        for i in range(rows):
            for j in range(columns):
                window = difference[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
                halved[:, i, j] = window.mean(axis=(1, 2))
        small = norm(conv(halved, "half_scale_conv"), "half_scale_norm")
        up = np.stack([small[:, i * rows // h] for i in range(h)], axis=1)
        up = np.stack([up[:, :, j * columns // w] for j in range(w)], axis=2)
        full = norm(conv(difference, "full_scale_conv"), "full_scale_norm")
        pyramid = (difference + up + full) / 3
        return 1 / (1 + np.exp(-norm(conv(pyramid, "expand_conv"), "expand_norm"))) - 0.5

    x = x.astype("float64")
    f = norm(conv(x, "squeeze_conv"), "squeeze_norm")
    kernel = value("smooth_conv", "kernel")
    g = np.concatenate([np_conv(f[..., [c]], kernel[:, :, [c]]) for c in range(f.shape[-1])], -1)
    forward, backward = np.zeros_like(f), np.zeros_like(f)
    for index in range(len(f)):
        segment = index % num_segments
        if segment < num_segments - 1:
            forward[index] = g[index + 1] - f[index]
        if segment > 0:
            backward[index] = g[index - 1] - f[index]
    return x + x * (gate(forward) + gate(backward)) / 2


def np_conv(x, kernel):
    n, h, w, _ = x.shape
    size = kernel.shape[0]
    pad = size // 2
    padded = np.pad(x, [(0, 0), (pad, pad), (pad, pad), (0, 0)])
    output = np.zeros((n, h, w, kernel.shape[-1]))
    for i in range(h):
        for j in range(w):
            window = padded[:, i : i + size, j : j + size]
            output[:, i, j] = np.tensordot(window, kernel, axes=3)
    return output


def test_training_takes_statistics_per_direction():
    # Zero inputs have variance 0, so every update multiplies the moving variance by 0.9: once for
    # the squeeze, which sees both directions' input, twice for the norms behind the differences.
    layer = LongTermTDM(num_segments=2, reduction=4)
    layer(np.zeros((4, 4, 4, 16), "float32"), training=True)
    for norm, updates in (
        (layer.squeeze_norm, 1),
        (layer.half_scale_norm, 2),
        (layer.full_scale_norm, 2),
        (layer.expand_norm, 2),
    ):
        variance = keras.ops.convert_to_numpy(norm.moving_variance)
        np.testing.assert_allclose(variance, 0.9**updates, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "shape", "message"),
    [
        ({"num_segments": 0}, None, "integer of at least 1 for `num_segments`"),
        ({"num_segments": 8.0}, None, "integer of at least 1 for `num_segments`"),
        ({"num_segments": 8, "reduction": 0}, None, "integer of at least 1 for `reduction`"),
        ({"num_segments": 8}, (8, 7, 64), "LongTermTDM needs a 4-D input"),
        ({"num_segments": 8}, (12, 7, 7, 64), "12 is not divisible by num_segments=8"),
        ({"num_segments": 8}, (8, 7, 7, 40), "40 channels are not divisible"),
        ({"num_segments": 8}, (8, 7, 7, None), "known number of channels"),
    ],
)
def test_errors(arguments, shape, message):
    with pytest.raises(ValueError, match=message):
        LongTermTDM(**arguments).build(shape)


def test_batch_is_checked_at_every_call():
    layer = LongTermTDM(num_segments=4)
    layer(np.zeros((8, 4, 4, 16), "float32"))
    with pytest.raises(ValueError, match="6 is not divisible by num_segments=4"):
        layer(np.zeros((6, 4, 4, 16), "float32"))


@pytest.mark.parametrize("name", ["ltdm_a", "ltdm_b"])
def test_gates_are_what_the_input_is_scaled_by(name):
    layer, x = golden_layer(name), GOLDEN[f"{name}/input"]
    forward, backward = (keras.ops.convert_to_numpy(gate) for gate in layer.gates(x))
    scaled = x * (1 + (forward + backward) / 2)
    assert goldens.relative_error(scaled, GOLDEN[f"{name}/eval_output"]) < 1e-5
    assert max(np.abs(forward).max(), np.abs(backward).max()) < 0.5
    # Without a next segment nothing differs, whatever the video: as without a previous one.
    by_segment = (layer.num_segments, *x.shape[1:])
    last = forward.reshape(-1, *by_segment)[:, -1]
    first = backward.reshape(-1, *by_segment)[:, 0]
    np.testing.assert_allclose(last, np.broadcast_to(last[:1], last.shape), atol=1e-6)
    np.testing.assert_allclose(last, first, atol=1e-6)

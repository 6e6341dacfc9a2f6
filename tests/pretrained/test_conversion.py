import goldens
import keras
import numpy as np
import official_checkpoints
import pytest
from backends import import_or_skip

import keras_tdn
from keras_tdn.pretrained import (
    conversion,
    convert_official_checkpoint,
    load_official_state_dict,
    load_preset,
    recorded_logits,
)
from keras_tdn.pretrained.checkpoint import read_official_checkpoint
from keras_tdn.pretrained.conversion import verify_conversion

torch = import_or_skip("torch")

PLACES = [
    "difference_stem",
    "difference_pool",
    "difference_stage1",
    "appearance_pool",
    "stage1",
    "stage2_block0_ltdm",
    "stage2_block0_shift",
    "stage2",
    "stage3",
    "stage4_block2_ltdm",
    "stage4",
    "segment_logits",
    "logits",
]


def numpy_weights(model):
    return [keras.ops.convert_to_numpy(weight) for weight in model.weights]


def assert_same_weights(model, other):
    for ours, theirs in zip(numpy_weights(model), numpy_weights(other), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.fixture(scope="module")
def small_checkpoint(tmp_path_factory):
    return official_checkpoints.small(tmp_path_factory.mktemp("small") / "best.pth.tar")


@pytest.fixture(scope="module")
def small_state():
    return goldens.state("depth1111")


@pytest.fixture
def small_clip(monkeypatch):
    """As good for one block in each stage: these sides do not divide by 64 either, and differ."""
    monkeypatch.setattr(recorded_logits, "CLIP_HEIGHT", 48)
    monkeypatch.setattr(recorded_logits, "CLIP_WIDTH", 56)


@pytest.fixture(scope="module")
def small(small_state):
    return small_model(small_state)


def small_model(state, **changes):
    model = keras_tdn.TDNResNet(
        (1, 1, 1, 1), classes=10, num_segments=2, dtype="float32", **changes
    )
    load_official_state_dict(model, state)
    return model


# --- The reference, against the numbers of the authors' implementation ---


@pytest.mark.parametrize(
    ("golden", "network", "classes", "seed", "num_segments", "dtype", "bound"),
    [
        ("resnet50_16x64", "resnet50", 51, 13, 16, "float32", 1e-4),
        pytest.param(
            *("resnet101_8x64_float64", "resnet101", 101, 17, 8, "float64", 1e-9),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_reference_matches_the_golden(golden, network, classes, seed, num_segments, dtype, bound):
    expected = goldens.arrays(f"{golden}.npz")
    clip = goldens.clip(seed, 1, 5 * num_segments, 64, expected["clip_crc32"])
    reference = conversion.load_torch_reference()
    taps = reference.forward(goldens.state(network, classes), clip, num_segments, dtype)
    for place in PLACES[:-2]:
        assert taps[place].shape == tuple(expected[f"tap/{place}/shape"])
        values = goldens.tap_values(place, taps[place])
        error = goldens.relative_error(values, expected[f"tap/{place}/values"])
        assert error < bound, place
    for place in PLACES[-2:]:
        assert goldens.relative_error(taps[place], expected[place]) < bound, place


@pytest.mark.parametrize(("name", "channels"), [("ltdm_a", 64), ("ltdm_b", 128)])
def test_reference_module_matches_the_golden(name, channels):
    reference = conversion.load_torch_reference()
    golden = goldens.arrays("layers.npz")
    squeezed = channels // 16
    shapes = {"conv2.weight": (squeezed, 1, 3, 3)}
    for conv, norm, filters, size, inputs in (
        ("conv1", "bn1", squeezed, 1, channels),
        ("conv3_smallscale2", "bn3_smallscale2", squeezed, 3, squeezed),
        ("conv3_smallscale4", "bn3_smallscale4", squeezed, 3, squeezed),
        ("conv3", "bn3", channels, 1, squeezed),
    ):
        shapes[f"{conv}.weight"] = (filters, inputs, size, size)
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{norm}.{part}"] = (filters,)
    state = goldens.synthetic.synthetic_state({f"{name}.{key}": shapes[key] for key in shapes})
    tensors = {key: torch.from_numpy(array) for key, array in state.items()}
    network = reference._Network(tensors, int(golden[f"{name}/num_segments"]))
    x = torch.from_numpy(golden[f"{name}/input"]).permute(0, 3, 1, 2)
    output = network.long_term(x, name).permute(0, 2, 3, 1).numpy()
    assert goldens.relative_error(output, golden[f"{name}/eval_output"]) < 1e-5


# --- Full-size checkpoints ---


def test_converts_a_full_checkpoint(tmp_path):
    state = goldens.state("resnet50")
    checkpoint = official_checkpoints.save(tmp_path / "best.pth.tar", state)
    arrays = read_official_checkpoint(checkpoint)
    report = convert_official_checkpoint(
        checkpoint, tmp_path / "preset", labels="something_something_v1"
    )
    assert report.verified
    assert [tap.name for tap in report.taps] == PLACES
    assert max(tap.local_error for tap in report.taps) < 1e-5
    assert (report.stage_depths, report.width, report.classes) == ((3, 4, 6, 3), 64, 174)
    assert report.num_segments == 8
    assert report.model.name == "tdn_resnet50"
    assert report.output == tmp_path / "preset"

    loaded = load_preset(tmp_path / "preset")
    assert_same_weights(loaded, report.model)
    assert loaded.labels == report.labels == report.model.labels
    golden = goldens.arrays("resnet50_8x112.npz")
    clip = goldens.clip(11, 2, 40, 112, golden["clip_crc32"])
    probabilities = keras.ops.convert_to_numpy(loaded(clip[:1]))
    shifted = np.exp(golden["logits"][:1] - golden["logits"][:1].max())
    np.testing.assert_allclose(probabilities, shifted / shifted.sum(), atol=1e-3)

    # The other serialisation, and names without the prefix, are the same tensors.
    other = official_checkpoints.save(tmp_path / "zip.pth.tar", state, prefix="", zipped=True)
    for name, array in read_official_checkpoint(other).items():
        np.testing.assert_array_equal(array, arrays.pop(f"module.{name}"))
    assert not arrays


def test_converts_either_serialisation_with_and_without_the_prefix(tmp_path, small_state, small):
    for zipped, prefix in ((False, ""), (True, ""), (True, "module.")):
        path = official_checkpoints.save(tmp_path / "a.pth.tar", small_state, prefix, zipped)
        report = convert_official_checkpoint(path, verify=False)
        assert_same_weights(report.model, small)


@pytest.mark.slow
def test_resnet101_gets_its_name_and_every_block_is_checked(tmp_path):
    state = goldens.state("resnet101")
    checkpoint = official_checkpoints.save(tmp_path / "best.pth.tar", state)
    report = convert_official_checkpoint(checkpoint, input_shape=(40, 64, 64, 3))
    assert report.model.name == "tdn_resnet101"
    assert report.output is None
    # From end to end this network's float32 tells nothing; block by block it tells all.
    stage3 = next(tap for tap in report.taps if tap.name == "stage3")
    assert stage3.error > 1e-3
    assert stage3.local_error < 1e-5

    changed = official_checkpoints.perturbed(state, "base_model.layer3_bak.17.conv2.weight")
    with pytest.raises(ValueError, match=r"first at 'stage3'"):
        verify_conversion(report.model, changed)


# --- Defects that the verification must catch ---


@pytest.mark.parametrize(
    ("tensor", "place"),
    [
        ("base_model.conv1_5.0.weight", "difference_stem"),
        ("base_model.resnext_layer1.0.conv3.weight", "difference_stage1"),
        ("base_model.bn1.running_var", "appearance_pool"),
        ("base_model.layer1_bak.0.downsample.0.weight", "stage1"),
        ("base_model.layer2_bak.0.mse.conv3_smallscale2.weight", "stage2_block0_ltdm"),
        ("base_model.layer2_bak.0.shift.conv.weight", "stage2_block0_shift"),
        ("base_model.layer3_bak.0.bn2.running_mean", "stage3"),
        ("base_model.layer4_bak.0.mse.bn3.bias", "stage4_block0_ltdm"),
        ("base_model.layer4_bak.0.conv3.bias", "stage4"),
        ("new_fc.bias", "segment_logits"),
    ],
)
@pytest.mark.usefixtures("small_clip")
def test_a_perturbed_weight_is_caught_where_it_is(small, small_state, tensor, place):
    changed = official_checkpoints.perturbed(small_state, tensor, 1.05)
    with pytest.raises(ValueError, match=f"computes something else .* first at '{place}'"):
        verify_conversion(small, changed)


@pytest.mark.usefixtures("small_clip")
def test_swapped_fusion_weights_are_caught(small_state):
    model = small_model(small_state, appearance_weight=0.25, motion_weight=0.75)
    with pytest.raises(ValueError, match="first at 'stage1'"):
        verify_conversion(model, small_state)


@pytest.mark.usefixtures("small_clip")
def test_swapped_segments_are_caught(small_state, monkeypatch):
    from keras_tdn.layers import temporal_shift

    convolve = temporal_shift.depthwise
    monkeypatch.setattr(temporal_shift, "depthwise", lambda x, kernel: convolve(x, kernel[::-1]))
    with pytest.raises(ValueError, match="first at 'stage2_block0_shift'"):
        verify_conversion(small_model(small_state), small_state)


@pytest.mark.usefixtures("small_clip")
def test_other_numbers_of_segments_convert(small_checkpoint):
    report = convert_official_checkpoint(small_checkpoint, num_segments=4)
    assert report.verified
    assert report.model.input_shape == (None, 20, None, None, 3)


def test_verification_can_be_left_out(small_checkpoint):
    report = convert_official_checkpoint(small_checkpoint, verify=False)
    assert not report.verified
    assert report.taps == ()


@pytest.mark.usefixtures("small_clip")
def test_nothing_is_written_if_verification_fails(tmp_path, small_checkpoint, monkeypatch):
    monkeypatch.setattr(conversion, "BOUND", 0.0)
    monkeypatch.setattr(conversion, "ROUNDING_FACTOR", 0.0)
    with pytest.raises(ValueError, match=r"Nothing was written.*\n(.*\n)*difference_pool"):
        convert_official_checkpoint(small_checkpoint, tmp_path / "preset")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("small_clip")
def test_a_global_policy_changes_nothing(small_checkpoint):
    default = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        report = convert_official_checkpoint(small_checkpoint)
    finally:
        keras.config.set_dtype_policy(default)
    assert report.model.dtype_policy.name == "float32"


# --- What a checkpoint may and may not hold ---


def test_leftovers_and_missing_tensors_are_listed(tmp_path):
    extra = {"base_model.layer1_bak.0.se.weight": np.ones(3, np.float32)}
    with pytest.raises(ValueError, match=r"left over .*layer1_bak\.0\.se\.weight"):
        convert_official_checkpoint(official_checkpoints.small(tmp_path / "a.pth", **extra))
    missing = {"base_model.layer2_bak.0.mse.conv2.weight": None}
    with pytest.raises(ValueError, match=r"missing .*layer2_bak\.0\.mse\.conv2\.weight"):
        convert_official_checkpoint(official_checkpoints.small(tmp_path / "b.pth", **missing))


def test_another_network_is_refused(tmp_path):
    path = official_checkpoints.save(tmp_path / "a.pth", {"fc.weight": np.ones((2, 3), "f")})
    with pytest.raises(ValueError, match="not the tensors of a TDN"):
        convert_official_checkpoint(path)


@pytest.mark.usefixtures("small_clip")
def test_the_head_without_dropout_converts(tmp_path):
    state = goldens.state("depth1111")
    for part in ("weight", "bias"):
        state[f"base_model.fc.{part}"] = state.pop(f"new_fc.{part}")
    report = convert_official_checkpoint(official_checkpoints.save(tmp_path / "a.pth", state))
    assert report.verified
    assert report.model.dropout_rate == 0


def test_labels_must_be_as_many_as_classes(tmp_path, small_checkpoint):
    with pytest.raises(ValueError, match=r"has 10 classes, and `labels` has 51 names"):
        convert_official_checkpoint(small_checkpoint, tmp_path / "preset", labels="hmdb51")
    assert list(tmp_path.iterdir()) == []


# --- Outputs ---


@pytest.mark.parametrize("name", ["out.keras", "out.weights.h5", "deep/er/preset"])
def test_every_output_loads_equal(tmp_path, small_checkpoint, name):
    report = convert_official_checkpoint(small_checkpoint, tmp_path / name, verify=False)
    loaded = keras_tdn.TDNResNet((1, 1, 1, 1), classes=10, weights=tmp_path / name)
    assert_same_weights(loaded, report.model)
    assert [path.name for path in (tmp_path / name).parent.iterdir()] == [(tmp_path / name).name]


def test_a_fixed_size_reaches_the_clip_spec(tmp_path, small_checkpoint):
    convert_official_checkpoint(
        small_checkpoint, tmp_path / "preset", input_shape=(40, 112, 112, 3), verify=False
    )
    model = load_preset(tmp_path / "preset")
    assert model.input_shape == (None, 40, 112, 112, 3)
    assert (model.clip_spec.height, model.clip_spec.short_side) == (112, 128)


@pytest.mark.parametrize("name", ["out.keras", "preset"])
def test_existing_output_is_kept_unless_told(tmp_path, small_checkpoint, name):
    convert_official_checkpoint(small_checkpoint, tmp_path / name, verify=False)
    with pytest.raises(ValueError, match=r"exists\. Choose another place, or pass overwrite"):
        convert_official_checkpoint(small_checkpoint, tmp_path / name, verify=False)
    convert_official_checkpoint(small_checkpoint, tmp_path / name, verify=False, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_outputs_that_nobody_means(tmp_path, small_checkpoint):
    with pytest.raises(ValueError, match=r"written as \.keras or \.weights\.h5 file"):
        convert_official_checkpoint(small_checkpoint, tmp_path / "out.h5")
    (tmp_path / "out.keras").mkdir()
    with pytest.raises(ValueError, match="is a folder"):
        convert_official_checkpoint(small_checkpoint, tmp_path / "out.keras", overwrite=True)

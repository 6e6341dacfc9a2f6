"""Every tap of the published networks against plain PyTorch, both in float64.

Where float32 could hide a difference behind rounding that a deep network amplifies, float64 leaves
nothing to hide behind: ResNet101's stage 3 turns 1e-16 into 1e-11.
"""

import goldens
import keras
import numpy as np
import pytest
from backends import skip_without

import keras_tdn
from keras_tdn.pretrained import load_official_state_dict
from keras_tdn.pretrained.conversion import load_torch_reference, run_taps

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="Keras' PyTorch batch norm computes in float32, and JAX needs a switch for float64",
)
BOUND = 1e-9


@pytest.mark.parametrize(
    ("name", "build", "segments", "size"),
    [
        ("resnet50", keras_tdn.TDNResNet50, 16, (64, 96)),
        # At 112 pixels stage 4 halves and enlarges maps of odd size.
        pytest.param("resnet101", keras_tdn.TDNResNet101, 8, (112, 64), marks=pytest.mark.slow),
    ],
)
def test_every_tap(name, build, segments, size):
    skip_without("torch")
    state = goldens.state(name, classes=101)
    model = build(
        classes=101,
        num_segments=segments,
        classifier_activation=None,
        include_preprocessing=False,
        dtype="float64",
    )
    load_official_state_dict(model, state)
    clip = goldens.synthetic.synthetic_clip(5, 1, segments * 5, *size)
    expected = load_torch_reference().forward(state, clip, segments, "float64")

    spec = keras_tdn.Normalization()
    normalized = (clip / 255 - np.array(spec.mean)) / np.array(spec.std)
    outputs = run_taps(model, normalized)

    assert len(outputs) > 50
    for tap, value in outputs.items():
        assert value.dtype == np.float64
        assert goldens.relative_error(value, expected[tap]) < BOUND, tap

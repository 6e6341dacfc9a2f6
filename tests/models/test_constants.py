"""The published cost and size of the models."""

import math

import goldens
import pytest
from macs import count_macs

import keras_tdn
from keras_tdn.evaluation import profile_model
from keras_tdn.pretrained import to_official_state_dict

BUILDERS = {"resnet50": keras_tdn.TDNResNet50, "resnet101": keras_tdn.TDNResNet101}


@pytest.fixture(
    scope="module", params=["resnet50", pytest.param("resnet101", marks=pytest.mark.slow)]
)
def published(request):
    """A published model, and its tensors under the authors' names."""
    model = BUILDERS[request.param](classes=174)
    return request.param, model, to_official_state_dict(model)


@pytest.mark.parametrize(
    ("name", "segments", "giga_macs"),
    [
        ("resnet50", 8, 35.64),
        pytest.param("resnet50", 16, 71.28, marks=pytest.mark.slow),
        pytest.param("resnet101", 8, 65.84, marks=pytest.mark.slow),
        pytest.param("resnet101", 16, 131.68, marks=pytest.mark.slow),
    ],
)
def test_macs_of_one_view(name, segments, giga_macs):
    clip_shape = (segments * 5, 224, 224, 3)
    model = BUILDERS[name](classes=174, num_segments=segments, input_shape=clip_shape)
    macs = count_macs(model)
    assert round(macs / 1e9, 2) == giga_macs
    assert profile_model(model).total.macs == macs


def test_parameters_with_the_authors_biases(published):
    name, model, state = published
    learned = {
        key: value
        for key, value in state.items()
        if not key.endswith(("running_mean", "running_var", "num_batches_tracked"))
        and "conv1_temp" not in key
    }
    millions = {"resnet50": 24.41, "resnet101": 43.67}[name]
    assert round(sum(value.size for value in learned.values()) / 1e6, 2) == millions
    # Ours has the same parameters less the biases that merge into the norms.
    biases = [
        value
        for key, value in learned.items()
        if key.endswith(".bias") and learned[key.removesuffix("bias") + "weight"].ndim == 4
    ]
    trainable = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    assert trainable == sum(v.size for v in learned.values()) - sum(b.size for b in biases)
    assert profile_model(model, 32).total.parameters == trainable


def test_same_tensors_as_the_authors(published):
    name, _, state = published
    shapes = goldens.shapes(name, classes=174)
    assert {key: list(value.shape) for key, value in state.items()} == shapes

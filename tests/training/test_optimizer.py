"""CoupledSGD against PyTorch's SGD with parameter groups, which the authors used."""

import keras
import numpy as np
import pytest
from backends import import_or_skip

from keras_tdn import TDNResNet
from keras_tdn.training import CoupledSGD

SHAPES = {"conv/kernel": (3, 4), "norm/gamma": (4,), "norm/beta": (4,), "classifier/kernel": (4, 2)}
SHAPES["classifier/bias"] = (2,)
STEPS = 6


def variables(rng):
    made = []
    for path, shape in SHAPES.items():
        layer, name = path.split("/")
        with keras.name_scope(layer):
            made.append(keras.Variable(rng.normal(size=shape).astype("float32"), name=name))
    assert [variable.path for variable in made] == list(SHAPES)
    return made


@pytest.mark.parametrize("clipnorm", [None, 0.7])
def test_equals_pytorch_with_groups_clipping_and_a_drop_of_the_learning_rate(clipnorm):
    torch = import_or_skip("torch")

    rng = np.random.default_rng(0)
    ours = variables(rng)
    theirs = [torch.nn.Parameter(torch.tensor(np.array(variable))) for variable in ours]
    groups = [
        {"params": [theirs[0]], "lr": 1.0, "weight_decay": 5e-2},
        {"params": theirs[1:3], "lr": 1.0, "weight_decay": 0.0},
        {"params": [theirs[3]], "lr": 5.0, "weight_decay": 5e-2},
        {"params": [theirs[4]], "lr": 10.0, "weight_decay": 0.0},
    ]
    factors = [group["lr"] for group in groups]
    their_optimizer = torch.optim.SGD(groups, lr=1.0, momentum=0.9)
    rates = keras.optimizers.schedules.PiecewiseConstantDecay([2], [0.1, 0.01])
    optimizer = CoupledSGD(
        rates, coupled_weight_decay=5e-2, head_multiplier=5.0, global_clipnorm=clipnorm
    )
    optimizer.build(ours)
    for step in range(STEPS):
        gradients = [rng.normal(size=shape).astype("float32") for shape in SHAPES.values()]
        for parameter, gradient in zip(theirs, gradients, strict=True):
            parameter.grad = torch.tensor(gradient)
        if clipnorm:
            torch.nn.utils.clip_grad_norm_(theirs, clipnorm)
        for group, factor in zip(their_optimizer.param_groups, factors, strict=True):
            group["lr"] = factor * (0.1 if step <= 2 else 0.01)
        their_optimizer.step()
        optimizer.apply([keras.ops.convert_to_tensor(gradient) for gradient in gradients])
    for variable, parameter in zip(ours, theirs, strict=True):
        # A handful of float32 roundings, and PyTorch's 1e-6 beside the norm it clips to.
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(variable), parameter.detach().numpy(), rtol=2e-5, atol=1e-6
        )


def test_keras_own_sgd_differs():
    """If Keras' SGD gave the same numbers, this class would not be needed."""
    rng = np.random.default_rng(0)
    ours, theirs = variables(rng), variables(np.random.default_rng(0))
    for optimizer, targets in (
        (CoupledSGD(0.1, coupled_weight_decay=5e-2), ours),
        (keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=5e-2, global_clipnorm=20.0), theirs),
    ):
        optimizer.build(targets)
        for _ in range(2):
            optimizer.apply([keras.ops.ones(shape) for shape in SHAPES.values()])
    assert not np.allclose(ours[0], theirs[0], atol=1e-3)


def test_groups_of_a_model():
    model = TDNResNet((1, 1, 1, 1), width=16, classes=6, num_segments=4)
    optimizer = CoupledSGD(coupled_weight_decay=5e-4, head_multiplier=5)
    groups = {variable.path: optimizer.group_of(variable) for variable in model.trainable_variables}
    kinds = {}
    for path, group in groups.items():
        kinds.setdefault((group.multiplier, group.weight_decay), set()).add(path.split("/")[-1])
    assert kinds == {
        (1.0, 5e-4): {"kernel"},
        (1.0, 0.0): {"gamma", "beta"},
        (5.0, 5e-4): {"kernel"},
        (10.0, 0.0): {"bias"},
    }
    assert groups["classifier/kernel"].multiplier == 5
    # The depthwise kernels of the temporal shift decay like any convolution's.
    assert any("temporal_shift" in path and group.weight_decay for path, group in groups.items())


def test_config_round_trip():
    optimizer = CoupledSGD(
        learning_rate=0.02,
        momentum=0.8,
        coupled_weight_decay=1e-4,
        bias_multiplier=3.0,
        head_multiplier=5.0,
        head_layer="head",
        global_clipnorm=2.0,
        name="other",
        use_ema=True,
        ema_momentum=0.9,
        gradient_accumulation_steps=2,
    )
    config = optimizer.get_config()
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(again, CoupledSGD)
    assert again.get_config() == config
    defaults = CoupledSGD().get_config()
    same = {name for name in config if config[name] == defaults[name]}
    assert same == {"clipnorm", "clipvalue", "ema_overwrite_frequency", "loss_scale_factor"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weight_decay": 1e-4}, "coupled_weight_decay"),
        ({"nesterov": True}, "no Nesterov"),
        ({"coupled_weight_decay": -1}, "at least 0"),
        ({"bias_multiplier": "2"}, "at least 0"),
        ({"head_multiplier": float("nan")}, "at least 0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        CoupledSGD(**arguments)

"""Learning rates against PyTorch's schedulers, step by step, as the authors used them."""

import keras
import numpy as np
import pytest
from backends import import_or_skip

from keras_tdn.training import CosineDecay, ProportionalStepDecay, StepDecay, WarmUp
from keras_tdn.training.recipes import finetune_small, something_something

STEPS_PER_EPOCH = 7


def ours(schedule, count):
    return np.array([float(schedule(keras.ops.convert_to_tensor(step))) for step in range(count)])


def theirs(make, rate, count):
    torch = import_or_skip("torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)
    scheduler = make(torch.optim.lr_scheduler, optimizer)
    rates = []
    for _ in range(count):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return np.array(rates)


def test_steps_drop_where_pytorch_drops():
    count = 60 * STEPS_PER_EPOCH
    milestones = [epoch * STEPS_PER_EPOCH for epoch in (30, 45, 55)]
    expected = theirs(
        lambda schedulers, optimizer: schedulers.MultiStepLR(optimizer, milestones), 0.01, count
    )
    rates = ours(something_something.learning_rates(STEPS_PER_EPOCH), count)
    np.testing.assert_allclose(rates, expected, rtol=1e-5)
    assert len(set(np.round(expected, 9))) == 4


def test_cosine():
    count = 10 * STEPS_PER_EPOCH
    expected = theirs(
        lambda schedulers, optimizer: schedulers.CosineAnnealingLR(
            optimizer, T_max=count, eta_min=1e-5
        ),
        0.02,
        count,
    )
    rates = ours(CosineDecay().build(0.02, STEPS_PER_EPOCH, 10, 0), count)
    np.testing.assert_allclose(rates, expected, rtol=1e-4)


def test_warm_up_is_a_line_and_then_the_schedule():
    rate, steps, multiplier = 0.01, 14, 100
    cosine = CosineDecay().build(rate, STEPS_PER_EPOCH, 10, 2)
    rates = ours(WarmUp(cosine, rate, steps, 1 / multiplier), 40)
    # The formula of the authors' GradualWarmupScheduler.
    line = rate / multiplier * ((multiplier - 1) * np.arange(steps + 1) / steps + 1)
    np.testing.assert_allclose(rates[: steps + 1], line, rtol=1e-5)
    np.testing.assert_allclose(rates[steps + 1 :], ours(cosine, 26)[1:], rtol=1e-6)


def test_epochs_of_drops_count_from_the_start_also_behind_a_warm_up():
    schedule = StepDecay((3, 5)).build(1.0, STEPS_PER_EPOCH, 6, 1)
    rates = ours(WarmUp(schedule, 1.0, STEPS_PER_EPOCH), 6 * STEPS_PER_EPOCH)
    assert rates[3 * STEPS_PER_EPOCH - 1] == pytest.approx(1)
    assert rates[3 * STEPS_PER_EPOCH] == pytest.approx(0.1)
    assert rates[5 * STEPS_PER_EPOCH - 1] == pytest.approx(0.1)
    assert rates[5 * STEPS_PER_EPOCH] == pytest.approx(0.01)


def test_shares_follow_the_length_of_the_training():
    drops = ProportionalStepDecay((0.6, 0.85))
    for epochs in (1, 2, 10, 20):
        rates = ours(drops.build(1.0, 20, epochs, 0), epochs * 20)
        assert [np.sum(np.isclose(rates, value)) for value in (1, 0.1, 0.01)] == [
            round(epochs * 20 * share) for share in (0.6, 0.25, 0.15)
        ]


def test_a_short_training_still_has_a_schedule():
    rates = ours(finetune_small.learning_rates(1), 15)
    assert np.all(rates > 0)
    assert np.all(np.diff(rates[1:]) <= 0)


def test_warm_up_config_round_trip():
    schedule = WarmUp(keras.optimizers.schedules.CosineDecay(0.1, 9), 0.1, 5, 0.2)
    again = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(schedule))
    np.testing.assert_array_equal(ours(again, 20), ours(schedule, 20))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StepDecay(()), "ascending epochs"),
        (lambda: StepDecay((5, 3)), "ascending epochs"),
        (lambda: StepDecay((3,), factor=1), "between 0 and 1"),
        (lambda: ProportionalStepDecay((0.5, 1.0)), "ascending shares"),
        (lambda: ProportionalStepDecay((0.5,), factor=0), "between 0 and 1"),
        (lambda: CosineDecay(-1), "at least 0"),
        (lambda: WarmUp(None, 0.1, 0), "at least 1 step"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()

import pytest

from keras_tdn.labelling import archive_cost, costs
from keras_tdn.labelling.costs import Worker


def test_decoding_and_the_model_take_turns_on_processors():
    worker = Worker(decode_rate=5, forward_rate=20, processors=2, price_per_hour=0.5)
    # A tenth of a second and a twentieth.
    assert worker.videos_per_second == pytest.approx(1 / 0.15)
    assert worker.limit == "decoder"
    cost = archive_cost(10**6, worker, hours=10, efficiency=0.5)
    assert cost.worker_hours == pytest.approx(10**6 * 0.15 / 0.5 / 3600)
    assert cost.num_workers == 9
    assert cost.hours == pytest.approx(cost.worker_hours / 9)
    assert cost.hours <= 10
    assert cost.cost == pytest.approx(cost.worker_hours / 2)


def test_beside_an_accelerator_the_slower_one_counts():
    worker = Worker(20, 300, 16, 4, accelerator=True)
    assert (worker.videos_per_second, worker.limit) == (300, "model")
    thirty_views = Worker(1, 600, 16, 4, accelerator=True, num_views=30)
    assert (thirty_views.videos_per_second, thirty_views.limit) == (16, "decoder")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1, 1, 1), "`decode_rate` is a number above 0"),
        ((1, float("nan"), 1, 1), "`forward_rate` is a number above 0"),
        ((1, 1, True, 1), "`processors` is a number above 0"),
        ((1, 1, 1, -1), "`price_per_hour` is a number above 0"),
        ((1, 1, 1, 1, False, "2"), "`num_views` is a number above 0"),
    ],
)
def test_rates_that_are_none(arguments, message):
    with pytest.raises(ValueError, match=message):
        Worker(*arguments)


def test_archives_that_are_none():
    worker = Worker(1, 1, 1, 0)
    assert archive_cost(1, worker, 1).cost == 0
    for arguments, message in (
        ((0, worker, 1), "`num_videos` is a number above 0"),
        ((1, worker, 0), "`hours` is a number above 0"),
        ((1, worker, 1, 0), "`efficiency` is a number above 0"),
        ((1, worker, 1, 1.5), "`efficiency` is at most 1"),
    ):
        with pytest.raises(ValueError, match=message):
            archive_cost(*arguments)


def test_on_the_command_line(capsys):
    rates = ["--decode-rate", "5", "--forward-rate", "20", "--processors", "2", "--price", "0.5"]
    assert costs.main([*rates, "--videos", "1e6", "--hours", "10", "--efficiency", "0.5"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("6.67 videos/s on a worker")
    assert "the limit is the decoder" in told
    assert "| 1,000,000 | 83 | 42 | 10 h | 9 |" in told
    with pytest.raises(SystemExit):
        costs.main([*rates, "--views", "0"])
    assert "`num_views` is a number above 0" in capsys.readouterr().err

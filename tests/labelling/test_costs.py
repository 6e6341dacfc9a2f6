import re
from pathlib import Path

import labelling_costs
import pytest
from labelling_costs import Worker, archive_cost

PAGE = Path(__file__).parents[2] / "docs" / "labelling.md"


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
    assert (
        labelling_costs.main([*rates, "--videos", "1e6", "--hours", "10", "--efficiency", "0.5"])
        == 0
    )
    told = capsys.readouterr().out
    assert told.startswith("6.67 videos/s on a worker")
    assert "the limit is the decoder" in told
    assert "| 1,000,000 | 83 | 42 | 10 h | 9 |" in told
    with pytest.raises(SystemExit):
        labelling_costs.main([*rates, "--views", "0"])
    assert "`num_views` is a number above 0" in capsys.readouterr().err


def test_the_table_follows_from_the_measured_rates():
    """Of a worker with two processors at the example's price."""
    tables = [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
        for table in re.findall(r"^\|---.*\n((?:\|.*\n)+)", PAGE.read_text(), re.MULTILINE)
    ]
    measured, costs = tables[-2:]
    assert len(measured) == len(costs) == 4
    for rates, row in zip(measured, costs, strict=True):
        assert row[:2] == rates[:2]
        worker = Worker(float(rates[2]), 2 * float(rates[3]), 2, 0.1)
        assert rates[6].startswith(f"the {worker.limit}")
        million, billion = archive_cost(10**6, worker, 24), archive_cost(10**9, worker, 168)
        assert row[2:] == [
            f"{worker.videos_per_second:.2f}",
            f"{million.worker_hours:,.0f}",
            f"{million.cost:,.2f}",
            f"{million.num_workers}",
            f"{billion.worker_hours:,.0f}",
            f"{billion.cost:,.0f}",
            f"{billion.num_workers}",
        ]

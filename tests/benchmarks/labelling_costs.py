"""What labelling an archive takes: workers, hours and money, from measured rates.

    python labelling_costs.py --decode-rate 20 --forward-rate 2 --processors 2 --price 0.1

prints a table for your own rates; `tests/benchmarks/labelling_speed.py` measures them.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import sys
from collections.abc import Sequence

DEFAULT_VIDEOS = (10**6, 10**9)
DEFAULT_HOURS = (24.0, 168.0)
# What starting, stragglers and unevenly long videos leave of a worker's hour.
DEFAULT_EFFICIENCY = 0.9


@dataclasses.dataclass(frozen=True)
class Worker:
    """A machine that labels, as measured.

    Args:
        decode_rate: Videos that one processor decodes and crops per second.
        forward_rate: Views that the model scores per second, on the accelerator or, without one,
            on all processors together.
        processors: Processors.
        price_per_hour: What an hour of it costs, in any currency.
        accelerator: Whether the model runs beside the processors. Without one, decoding and the
            model take turns on them.
        num_views: Views of each video; all are of one decoding.

    Raises:
        ValueError: if a number is not above 0 (the price may be 0).

    Example:

    >>> Worker(decode_rate=20, forward_rate=1000, processors=16, price_per_hour=4,
    ...        accelerator=True).limit
    'decoder'
    """

    decode_rate: float
    forward_rate: float
    processors: int
    price_per_hour: float
    accelerator: bool = False
    num_views: int = 1

    def __post_init__(self) -> None:
        for field in ("decode_rate", "forward_rate", "processors", "num_views"):
            _check_above_zero(field, getattr(self, field))
        if self.price_per_hour != 0:
            _check_above_zero("price_per_hour", self.price_per_hour)

    @property
    def decoding(self) -> float:
        """Videos per second, if there were nothing but decoding."""
        return self.decode_rate * self.processors

    @property
    def scoring(self) -> float:
        """Videos per second, if there were nothing but the model."""
        return self.forward_rate / self.num_views

    @property
    def videos_per_second(self) -> float:
        """Videos that it labels per second."""
        if self.accelerator:
            return min(self.decoding, self.scoring)
        return 1 / (1 / self.decoding + 1 / self.scoring)

    @property
    def limit(self) -> str:
        """What to make faster first: `"model"` or `"decoder"`."""
        return "decoder" if self.decoding < self.scoring else "model"


@dataclasses.dataclass(frozen=True)
class ArchiveCost:
    """What an archive takes on machines of one kind.

    Args:
        num_videos: Videos in it.
        worker_hours: Hours of one worker.
        num_workers: Workers that are done in time.
        hours: Hours that they take.
        cost: Price of all worker hours.
    """

    num_videos: int
    worker_hours: float
    num_workers: int
    hours: float
    cost: float


def archive_cost(
    num_videos: int, worker: Worker, hours: float, efficiency: float = DEFAULT_EFFICIENCY
) -> ArchiveCost:
    """Workers, hours and cost of labelling an archive.

    Use it before renting machines. It counts time of workers alone: storage, traffic and requests
    to storage are not in it.

    Args:
        num_videos: Videos in the archive.
        worker: A machine, as measured with videos like the archive's.
        hours: In how many hours it should be done.
        efficiency: Share of a worker's time in which it goes at its rate, above 0 and at most 1.

    Returns:
        An `ArchiveCost`.

    Raises:
        ValueError: if an argument is not as described.

    Example:

    >>> worker = Worker(decode_rate=20, forward_rate=2, processors=2, price_per_hour=0.1)
    >>> archive_cost(10**6, worker, hours=24).num_workers
    7
    """
    _check_above_zero("num_videos", num_videos)
    _check_above_zero("hours", hours)
    _check_above_zero("efficiency", efficiency)
    if efficiency > 1:
        raise ValueError(f"`efficiency` is at most 1. Received: efficiency={efficiency!r}")
    worker_hours = num_videos / (worker.videos_per_second * efficiency) / 3600
    num_workers = math.ceil(worker_hours / hours)
    return ArchiveCost(
        num_videos,
        worker_hours,
        num_workers,
        worker_hours / num_workers,
        worker_hours * worker.price_per_hour,
    )


def cost_table(
    worker: Worker,
    videos: Sequence[int] = DEFAULT_VIDEOS,
    hours: Sequence[float] = DEFAULT_HOURS,
    efficiency: float = DEFAULT_EFFICIENCY,
) -> str:
    """The costs of several archives, as a table in Markdown."""
    lines = ["| Videos | Worker hours | Cost | Done in | Workers |", "|---|---|---|---|---|"]
    for number in videos:
        for limit in hours:
            cost = archive_cost(number, worker, limit, efficiency)
            lines.append(
                f"| {number:,} | {cost.worker_hours:,.0f} | {cost.cost:,.0f} | {limit:g} h | "
                f"{cost.num_workers:,} |"
            )
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table for the rates on the command line."""
    parser = argparse.ArgumentParser(
        prog="labelling_costs.py", description="What labelling an archive takes."
    )
    add = parser.add_argument
    add("--decode-rate", type=float, required=True, help="videos per second and processor")
    add("--forward-rate", type=float, required=True, help="views per second of the model")
    add("--processors", type=int, required=True, help="of a worker")
    add("--price", type=float, required=True, help="of a worker and hour, in any currency")
    add("--accelerator", action="store_true", help="the model runs beside the processors")
    add("--views", type=int, default=1, help="of each video (default: 1)")
    add("--videos", type=float, nargs="+", default=DEFAULT_VIDEOS, help="(default: 1e6 1e9)")
    add("--hours", type=float, nargs="+", default=DEFAULT_HOURS, help="(default: 24 168)")
    add("--efficiency", type=float, default=DEFAULT_EFFICIENCY, help="(default: 0.9)")
    args = parser.parse_args(argv)
    try:
        worker = Worker(
            args.decode_rate,
            args.forward_rate,
            args.processors,
            args.price,
            args.accelerator,
            args.views,
        )
        table = cost_table(
            worker, [int(number) for number in args.videos], args.hours, args.efficiency
        )
    except (ValueError, OverflowError) as error:
        parser.error(str(error))
    sys.stdout.write(
        f"{worker.videos_per_second:.3g} videos/s on a worker (decoding alone "
        f"{worker.decoding:.3g}, the model alone {worker.scoring:.3g}: the limit is the "
        f"{worker.limit}), at {args.efficiency:.0%} of the time\n\n{table}"
    )
    return 0


def _check_above_zero(name: str, value: float) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value < math.inf:
        raise ValueError(f"`{name}` is a number above 0. Received: {name}={value!r}")


if __name__ == "__main__":
    sys.exit(main())

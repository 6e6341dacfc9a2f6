"""What limits `keras-tdn label`: decoding alone, the model alone, and the whole, in turns.

    python tests/benchmarks/labelling_speed.py                                    # this processor
    python tests/benchmarks/labelling_speed.py --gpu --processes --price 4        # with a GPU

The model is TDNResNet50 with 8 segments of 224 pixels and one centre view, with random weights,
which take the same time. On a processor it runs in float32; `--gpu` asks for one, takes larger
batches of mixed bfloat16, and refuses to measure without. The videos are those of
`real_videos` (bedfall: 304x168, 4 s) or, without them or with `--rendered`, rendered as Kinetics'
are (340x256, 10 s).

In each round all three take a turn, so that what else the machine does falls on all of them. Told
are videos per second of the clock and, where the model runs on the processors too, per second of
one processor: the latter holds on a shared machine. The model is the limit if the whole goes at
the model's rate, or, on shared processors, if the model takes more of their time than decoding.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "benchmarks")]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SEGMENTS, SIZE, CLASSES = 8, 224, 400
# Of a shared machine's rate, what the whole may fall short by and the model still be the limit.
NEARLY = 0.85


def find_videos(args, folder):
    """Paths of real videos, or of rendered ones."""
    from real_videos import BEDFALL

    if args.videos:
        found = Path(args.videos)
    elif BEDFALL.is_dir() and not args.rendered:
        found = BEDFALL / "validate"
    else:
        import kinetics_like

        found = folder
        for name, kind in kinetics_like.KINDS.items():
            kinetics_like.render(folder / f"{name}.mp4", kind)
    from keras_tdn.labelling.labelling_run import list_videos

    return [record.path for record in list_videos(found)]


class Stopwatch:
    """Seconds of the clock and of processors per video, of each contender and round."""

    def __init__(self):
        self.clock, self.processor = {}, {}

    def time(self, name, number, function):
        clock, processor = time.perf_counter(), processor_seconds()
        function()
        self.clock.setdefault(name, []).append((time.perf_counter() - clock) / number)
        self.processor.setdefault(name, []).append((processor_seconds() - processor) / number)

    def rates(self, times):
        return {name: 1 / statistics.median(values) for name, values in times.items()}


def processor_seconds():
    """Of this process and of those that have ended in it."""
    return sum(os.times()[:4])


def measure(args, folder):
    import keras
    import numpy as np

    import keras_tdn
    from keras_tdn.data.records import load_records
    from keras_tdn.labelling import Labeller, LabelOptions, label_videos
    from keras_tdn.scoring.views import ViewReader

    paths = find_videos(args, folder)
    # One batch more than is told of: what beginning takes is measured with that batch alone.
    total = args.number + args.batch_size
    paths = (paths * -(-total // len(paths)))[:total]
    records = load_records(paths)
    keras.utils.set_random_seed(0)
    model = keras_tdn.TDNResNet50(
        num_segments=SEGMENTS,
        input_shape=(SEGMENTS * 5, SIZE, SIZE, 3),
        classes=CLASSES,
        dtype="mixed_bfloat16" if args.gpu else "float32",
    )
    options = LabelOptions(graph_dtype=args.graph_dtype)
    labeller = Labeller(model, options)
    reader = ViewReader(labeller.scoring, labeller.scorer.spec, records)
    video = reader.read_row(0)
    clips = np.stack([video.view(0)] * args.batch_size)
    labeller.values(clips)
    num_batches = -(-args.number // args.batch_size)

    def decode():
        with ThreadPoolExecutor(args.workers) as pool:
            for _ in pool.map(reader.read_row, range(args.number)):
                pass

    def forward():
        for _ in range(num_batches):
            labeller.values(clips)

    def whole(number):
        label_videos(
            model,
            records[:number],
            folder / f"{number}_{len(list(folder.iterdir()))}",
            options,
            batch_size=args.batch_size,
            num_workers=args.workers,
            in_processes=args.processes,
            progress=False,
        )

    watch = Stopwatch()
    for _ in range(args.rounds):
        watch.time("decoding", args.number, decode)
        watch.time("model", num_batches * args.batch_size, forward)
        watch.time("beginning", 1, lambda: whole(args.batch_size))
        watch.time("whole", 1, lambda: whole(total))
    for times in (watch.clock, watch.processor):
        beginning = times.pop("beginning")
        times["whole"] = [
            (whole - begun) / args.number
            for whole, begun in zip(times["whole"], beginning, strict=True)
        ]
    return watch


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gpu", action="store_true", help="measure a GPU, or refuse")
    parser.add_argument("--videos", metavar="FOLDER")
    parser.add_argument("--rendered", action="store_true", help="videos as Kinetics' are")
    parser.add_argument("--number", type=int, help="of videos in a turn (default: 16, GPU: 1024)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, help="(default: 8, GPU: 64)")
    parser.add_argument("--graph-dtype", choices=("float32", "bfloat16"))
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--processes", action="store_true", help="decode in processes")
    parser.add_argument("--price", type=float, default=0.1, help="of a machine and hour")
    parser.add_argument("--output", metavar="FILE", help="write the figures as JSON")
    args = parser.parse_args()
    args.number = args.number or (1024 if args.gpu else 16)
    args.batch_size = args.batch_size or (64 if args.gpu else 8)

    from gpu_training import gpu_name

    device = gpu_name()
    if args.gpu and device is None:
        sys.stderr.write("There is no GPU that Keras' backend can use here.\n")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        watch = measure(args, Path(folder))
    processors = len(os.sched_getaffinity(0))
    report(args, watch, device if args.gpu else None, processors)
    return 0


def report(args, watch, device, processors):
    from labelling_costs import Worker, cost_table

    clock, processor = watch.rates(watch.clock), watch.rates(watch.processor)
    sys.stdout.write(
        f"{device or 'processors alone'}, {processors} processors, batches of {args.batch_size}, "
        f"{args.number} videos in a turn, median of {args.rounds}\n\n"
        f"{'':<10}{'videos/s':>10}{'videos per processor second':>30}\n"
    )
    for name in clock:
        sys.stdout.write(f"{name:<10}{clock[name]:>10.2f}{processor[name]:>30.2f}\n")
    # On processors of its own, decoding takes this share of the whole's processor time.
    share = processor["model"] / (processor["decoding"] + processor["model"])
    if device:
        worker = Worker(processor["decoding"], clock["model"], processors, args.price, True)
        of_model = clock["whole"] / clock["model"]
        limit = "model" if of_model >= NEARLY else "decoder"
        sys.stdout.write(f"\nThe whole goes at {of_model:.0%} of the model's rate.")
    else:
        worker = Worker(
            processor["decoding"], processor["model"] * processors, processors, args.price
        )
        limit = worker.limit
        together = processor["whole"] * (1 / processor["decoding"] + 1 / processor["model"])
        sys.stdout.write(
            f"\nDecoding takes {share:.1%} of the processors' time, the model the rest; the whole "
            f"goes at {together:.0%} of the rate that both alone add up to."
        )
    sys.stdout.write(f" The limit is the {limit}.\n\n{cost_table(worker)}")
    if args.output:
        figures = {
            "device": device,
            "processors": processors,
            "videos_per_second": clock,
            "videos_per_processor_second": processor,
            "limit": limit,
            "seconds_per_video": watch.clock,
            "processor_seconds_per_video": watch.processor,
        }
        Path(args.output).write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())

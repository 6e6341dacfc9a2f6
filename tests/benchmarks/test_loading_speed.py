"""Training clips per second and core, out of `make_dataset`, against the authors' way of loading.

    pip install pytest-benchmark decord==0.6.0 pillow
    pytest tests/benchmarks/test_loading_speed.py -s

Everything from the file to the batch: choosing frames, decoding, multi-scale crop, flip, batching.
Each loader runs in a process of its own on one and the same processor, turn by turn, with the same
videos; a clip costs processor seconds, so that what else the machine does falls on nobody. The
authors' loader hands out normalised floats, ours uint8, because the model normalises on the
accelerator; the peer's time up to the uint8 pixels is printed too.
"""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

if __name__ != "__main__":
    pytest.importorskip("pytest_benchmark", reason="benchmarks need pytest-benchmark")
    pytest.importorskip("decord", reason="the peer needs decord 0.6.0")
    pytest.importorskip("PIL.Image", reason="the peer needs Pillow")

TESTS = Path(__file__).parents[1]
NUM_VIDEOS = 8
CLIPS_PER_ROUND = 16
ROUNDS = 7
BATCH_SIZE = 8
AT_LEAST = {"video": 1.7, "packed": 5.0}
# Resident memory of a process that makes batches of 8, TensorFlow included.
AT_MOST_BYTES = 1.5e9


def main(loader, folder):
    """Serves rounds: a line comes in, seconds per clip go out."""
    rounds = {"peer": peer_rounds, "peer_uint8": peer_rounds}.get(loader, our_rounds)(
        loader, Path(folder)
    )
    next(rounds)
    wait_until_idle()
    print(json.dumps(loader), flush=True)  # noqa: T201
    for _ in sys.stdin:
        start = time.process_time()
        next(rounds)
        wait_until_idle()
        seconds = (time.process_time() - start) / CLIPS_PER_ROUND
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps([seconds, memory]), flush=True)  # noqa: T201


def wait_until_idle():
    """Until what is made ahead is made: so a round costs as many clips as it takes."""
    before = -1.0
    while time.process_time() - before > 0.002:
        before = time.process_time()
        time.sleep(0.1)


def our_rounds(loader, folder):
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    from keras_tdn.data.dataset import make_dataset
    from keras_tdn.data.packed_records import load_packed
    from keras_tdn.data.records import load_records
    from keras_tdn.specs import ClipSpec

    if loader.startswith("packed"):
        records = load_packed(folder / "packed")
    else:
        name = "folders" if loader == "folders" else "videos"
        records = load_records(
            [(str(path), 0) for path in sorted((folder / name).iterdir())], num_classes=2
        )
    dataset = make_dataset(
        records, ClipSpec(), training=True, batch_size=BATCH_SIZE, num_parallel_calls=1
    )
    options = tf.data.Options()
    options.threading.private_threadpool_size = 1
    batches = iter(dataset.with_options(options))
    while True:
        for _ in range(CLIPS_PER_ROUND // BATCH_SIZE):
            clips, _ = next(batches)
            assert clips.shape == (BATCH_SIZE, 40, 224, 224, 3)
        yield


def peer_rounds(loader, folder):
    import decord
    from PIL import Image

    sys.path.insert(0, str(Path(__file__).parent))
    import kinetics_like

    rng = np.random.default_rng(0)
    paths = sorted(str(path) for path in (folder / "videos").iterdir())
    scales = (1.0, 0.875, 0.75, 0.66)
    mean, std = (0.485, 0.456, 0.406) * 40, (0.229, 0.224, 0.225) * 40
    while True:
        clips = []
        for _ in range(CLIPS_PER_ROUND):
            reader = decord.VideoReader(paths[rng.integers(len(paths))])
            indices = kinetics_like.random_segments(len(reader), rng).ravel()
            images = [Image.fromarray(reader[int(at)].asnumpy()).convert("RGB") for at in indices]
            width, height = images[0].size
            at = rng.integers(len(scales))
            other = np.clip(at + rng.integers(-1, 2), 0, len(scales) - 1)
            sides = [int(min(width, height) * scales[which]) for which in (at, other)]
            left, top = (width - sides[0]) // 4, (height - sides[1]) // 4
            box = left, top, left + sides[0], top + sides[1]
            images = [image.crop(box).resize((224, 224), Image.BILINEAR) for image in images]
            if rng.random() < 0.5:
                images = [image.transpose(Image.FLIP_LEFT_RIGHT) for image in images]
            pixels = np.concatenate([np.asarray(image) for image in images], axis=2)
            if loader == "peer_uint8":
                clips.append(pixels)
                continue
            values = np.ascontiguousarray(pixels.transpose(2, 0, 1)).astype(np.float32)
            values /= 255
            for channel, channel_mean, channel_std in zip(values, mean, std, strict=True):
                channel -= channel_mean
                channel /= channel_std
            clips.append(values)
            if len(clips) == BATCH_SIZE:
                np.stack(clips)
                clips = []
        yield


class Loader:
    """A loader in its own process, on the one processor that all share."""

    def __init__(self, name, folder):
        path = os.pathsep.join([str(TESTS.parent), *filter(None, sys.path)])
        self.process = subprocess.Popen(
            [sys.executable, __file__, name, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            text=True,
        )
        assert json.loads(self.process.stdout.readline()) == name

    def round(self):
        """Processor seconds per clip, and the peak of resident bytes so far."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def stop(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    import kinetics_like
    import tensorflow as tf

    from keras_tdn.data.decoding import read_frames
    from keras_tdn.data.packing import pack
    from keras_tdn.data.records import load_records

    folder = tmp_path_factory.mktemp("loading")
    (folder / "videos").mkdir()
    kinds = list(kinetics_like.KINDS.values())
    for number in range(NUM_VIDEOS):
        path = folder / "videos" / f"{number}.mp4"
        if number < len(kinds):
            kinetics_like.render(path, kinds[number])
        else:
            path.write_bytes((folder / "videos" / f"{number % len(kinds)}.mp4").read_bytes())
        frames = folder / "folders" / str(number)
        frames.mkdir(parents=True)
        for at, frame in enumerate(read_frames(str(path), np.arange)):
            content = tf.io.encode_jpeg(frame, quality=90).numpy()
            (frames / f"img_{at + 1:05d}.jpg").write_bytes(content)
    records = load_records([(str(path), 0) for path in sorted((folder / "videos").iterdir())])
    pack(records, folder / "packed", num_processes=1, progress=False)
    return folder


@pytest.fixture(scope="module", autouse=True)
def one_core():
    everything = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(everything)})
    yield
    os.sched_setaffinity(0, everything)


def test_clips_per_second(folder, benchmark):
    names = ("peer", "peer_uint8", "video", "folders", "packed")
    loaders = {name: Loader(name, folder) for name in names}
    seconds = {name: [] for name in names}
    memory = {}

    def one_round():
        for name, loader in loaders.items():
            cost, memory[name] = loader.round()
            seconds[name].append(cost)

    try:
        benchmark.pedantic(one_round, rounds=ROUNDS)
    finally:
        for loader in loaders.values():
            loader.stop()
    print()  # noqa: T201
    ratios = {}
    for name in names:
        ratios[name] = float(np.median(np.divide(seconds["peer"], seconds[name])))
        uint8 = float(np.median(np.divide(seconds["peer_uint8"], seconds[name])))
        print(  # noqa: T201
            f"{name:<10} {1 / np.median(seconds[name]):6.1f} clips per second and core, "
            f"{ratios[name]:.2f} times the peer, {uint8:.2f} times up to uint8; "
            f"{memory[name] / 1e6:.0f} MB"
        )
    benchmark.extra_info |= {"ratios": ratios, "memory": memory}
    for name, least in AT_LEAST.items():
        assert memory[name] < AT_MOST_BYTES
        assert ratios[name] >= least, name


def test_where_the_time_goes(folder):
    """Prints processor milliseconds per clip, step by step."""
    import tensorflow as tf

    from keras_tdn.data.decoding import get_decoder
    from keras_tdn.data.packed_records import _records_from, decode_packed_frames, load_packed
    from keras_tdn.data.packing.sequence_example import parse_frames
    from keras_tdn.data.segment_sampling import SegmentSampler
    from keras_tdn.data.transforms import train_transforms
    from keras_tdn.specs import ClipSpec

    transforms = train_transforms(ClipSpec())
    sampler = SegmentSampler(8, mode="random")
    columns = load_packed(folder / "packed").columns()
    video = str(folder / "videos" / "0.mp4")
    decoder = get_decoder("pyav", num_threads=1)

    def place(number):
        row = number % NUM_VIDEOS
        return columns["shard"][row], tf.constant(columns["offset"][row])

    def read(number):
        return _records_from(*place(number)).get_single_element()

    def parse(number):
        return parse_frames(contents[number % NUM_VIDEOS])

    def indices(number):
        return sampler(tf.constant(300), tf.constant([number, 7]))

    @tf.function(
        input_signature=[
            tf.TensorSpec((), tf.string),
            tf.TensorSpec((), tf.int64),
            tf.TensorSpec((8, 5), tf.int32),
            tf.TensorSpec((4,), tf.int32),
        ]
    )
    def decode(shard, offset, chosen, window):
        return decode_packed_frames(shard, offset, chosen, window)

    clip_and_seed = [
        tf.TensorSpec((40, None, None, 3), tf.uint8),
        tf.TensorSpec((2,), tf.int32),
    ]

    @tf.function(input_signature=clip_and_seed)
    def finish(clip, seed):
        return transforms.finish((clip, tf.constant(0)), seed)

    @tf.function(input_signature=clip_and_seed)
    def transform(clip, seed):
        return transforms((clip, tf.constant(0)), seed)

    def box(number):
        return transforms.box(256, 340, tf.constant([number, 7]))

    contents = [read(number) for number in range(NUM_VIDEOS)]
    crops = [decode(*place(number), indices(number), box(number)) for number in range(NUM_VIDEOS)]
    frames = decoder.read_frames(video, lambda num_frames: sampler(num_frames, (0, 7)))
    steps = {
        "choose frames, eagerly": indices,
        "packed: read the record": read,
        "packed: read, parse": lambda number: (read(number), parse(number)),
        "packed: read, parse, decode the window": lambda number: decode(
            *place(number), indices(number), box(number)
        ),
        "packed: resize, flip": lambda number: finish(
            crops[number % NUM_VIDEOS], tf.constant([number % NUM_VIDEOS, 7])
        ),
        "video: decode, convert": lambda number: decoder.read_frames(
            video, lambda num_frames: sampler(num_frames, (number, 7))
        ),
        "video: crop, resize, flip": lambda number: transform(frames, tf.constant([number, 7])),
    }
    print()  # noqa: T201
    for name, step in steps.items():
        step(0)
        samples = []
        for number in range(16):
            start = time.process_time()
            step(number)
            samples.append(time.process_time() - start)
        print(f"{1000 * np.median(samples):7.1f} ms  {name}")  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])

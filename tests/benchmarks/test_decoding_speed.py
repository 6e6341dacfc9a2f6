"""Training clips per second and core from video files, against a loader written as the authors' is.

    pip install pytest-benchmark decord==0.6.0 pillow
    pytest tests/benchmarks/test_decoding_speed.py -s

Both sides get one processor and are timed in its seconds, turn by turn on the same choices, so that
what else the machine does falls on both: a clip is 40 frames of a random choice, each cropped at
several scales to 224x224. The authors' loader hands out normalised floats, ours uint8, because the
model normalises on the accelerator; how often ours is faster up to the uint8 pixels is printed too.

Rendered videos, and, where they are at hand, four of Kinetics.
"""

import functools
import os
import time

import kinetics_like
import numpy as np
import pytest
from real_videos import NO_VIDEOS, VIDEOS

pytest.importorskip("pytest_benchmark", reason="benchmarks need pytest-benchmark")
decord = pytest.importorskip("decord", reason="the peer needs decord 0.6.0")
Image = pytest.importorskip("PIL.Image", reason="the peer needs Pillow")

import tensorflow as tf  # noqa: E402

from keras_tdn.data.decoding import get_decoder, pyav_container  # noqa: E402
from keras_tdn.data.decoding.frame_conversion import FrameCollector  # noqa: E402
from keras_tdn.data.decoding.pyav_decoder import IndexedVideo  # noqa: E402
from keras_tdn.data.transforms.random_geometry import MultiScaleCrop  # noqa: E402

FIXTURES = VIDEOS / "fixtures"
KINETICS = (
    "mmaction2_demo.mp4",
    "mmaction2_test.mp4",
    "torchvision_R6llTwEh07w.mp4",
    "torchvision_WUzgd7C1pWA.mp4",
)

AT_LEAST = 1.7
# In these, fewer pictures are unreferenced and may be left out: libavcodec takes four fifths of the
# time, and decoding what is needed takes two thirds of what decoding everything takes.
AT_LEAST_REAL = 1.5
ROUNDS = 15
SIZE = 224
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SCALES = (1.0, 0.875, 0.75, 0.66)


@pytest.fixture(scope="module", autouse=True)
def one_core():
    everything = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(everything)})
    yield
    os.sched_setaffinity(0, everything)


@pytest.fixture(scope="module", params=[*kinetics_like.KINDS, *KINETICS])
def video(request, tmp_path_factory):
    if request.param in KINETICS:
        if not (FIXTURES / request.param).exists():
            pytest.skip(NO_VIDEOS)
        return str(FIXTURES / request.param)
    path = tmp_path_factory.mktemp("videos") / f"{request.param}.mp4"
    kinetics_like.render(path, kinetics_like.KINDS[request.param])
    return str(path)


@functools.cache
def transform():
    crop = MultiScaleCrop(SIZE, SIZE)
    clip = tf.TensorSpec((40, None, None, 3), tf.uint8)
    return tf.function(crop, input_signature=[clip, tf.TensorSpec((2,), tf.int32)])


def read_ours(path, seed):
    rng = np.random.default_rng(seed)
    decoder = get_decoder("pyav", num_threads=1)
    return decoder.read_frames(
        path, lambda num_frames: kinetics_like.random_segments(num_frames, rng)
    )


def ours(path, seed):
    return transform()(read_ours(path, seed), (0, seed)).numpy()


def read_peer(path, seed):
    """Frame by frame, each an image of its own, as the authors' data set class reads them."""
    rng = np.random.default_rng(seed)
    reader = decord.VideoReader(path)
    indices = kinetics_like.random_segments(len(reader), rng).ravel()
    return [Image.fromarray(reader[int(index)].asnumpy()).convert("RGB") for index in indices]


def transform_peer(images, seed):
    rng = np.random.default_rng(seed)
    width, height = images[0].size
    scale = rng.integers(len(SCALES))
    other = np.clip(scale + rng.integers(-1, 2), 0, len(SCALES) - 1)
    crop_width, crop_height = (int(min(width, height) * SCALES[at]) for at in (scale, other))
    left, top = (width - crop_width) // 4, (height - crop_height) // 4
    box = left, top, left + crop_width, top + crop_height
    resized = [image.crop(box).resize((SIZE, SIZE), Image.BILINEAR) for image in images]
    return np.concatenate([np.asarray(image) for image in resized], axis=2)


def normalize_peer(pixels):
    """Channels first, in [0, 1], and one channel after the other normalised, all as theirs."""
    values = np.ascontiguousarray(pixels.transpose(2, 0, 1)).astype(np.float32)
    values /= 255
    for channel, mean, std in zip(values, MEAN * 40, STD * 40, strict=True):
        channel -= mean
        channel /= std
    return values


def test_clips_per_second(video, benchmark, request):
    pixel_seconds, seconds = [], []
    seeds = iter(range(10_000))

    def peer_before_each_round():
        seed = next(seeds)
        start = time.process_time()
        pixels = transform_peer(read_peer(video, seed), seed)
        pixel_seconds.append(time.process_time() - start)
        clip = normalize_peer(pixels)
        seconds.append(time.process_time() - start)
        assert clip.shape == (120, SIZE, SIZE)
        return (video, seed), {}

    assert ours(video, 0).shape == (40, SIZE, SIZE, 3)
    benchmark._timer = time.process_time
    benchmark.pedantic(ours, setup=peer_before_each_round, rounds=ROUNDS)
    ours_seconds = benchmark.stats.stats.data
    ratio = float(np.median(np.divide(seconds, ours_seconds)))
    pixel_ratio = float(np.median(np.divide(pixel_seconds, ours_seconds)))
    benchmark.extra_info |= {"ratio": ratio, "pixel_ratio": pixel_ratio}
    print(  # noqa: T201
        f"\n{request.node.callspec.id}: {1 / np.median(ours_seconds):.1f} clips per second and "
        f"core, the peer {1 / np.median(seconds):.1f}: {ratio:.2f} times; up to uint8 pixels "
        f"{pixel_ratio:.2f} times"
    )
    assert ratio >= (AT_LEAST_REAL if request.node.callspec.id in KINETICS else AT_LEAST)


def test_where_the_time_goes(video, request):
    """Prints processor milliseconds per clip, step by step; the decoder itself is the limit."""
    steps = {}

    def timed(step, function):
        samples = []
        for _ in range(ROUNDS):
            start = time.process_time()
            result = function()
            samples.append(time.process_time() - start)
        steps[step] = 1000 * np.median(samples)
        return result

    def open_only():
        with pyav_container.open_container(video, video) as container:
            return pyav_container.video_stream(video, container)

    def demux():
        with pyav_container.open_container(video, video) as container:
            return list(container.demux(pyav_container.video_stream(video, container)))

    def index():
        with pyav_container.open_container(video, video) as container:
            return IndexedVideo(video, video, container)

    rng = np.random.default_rng(0)
    indexed = timed("open, demux, index", index)
    num_frames = len(indexed.index.shown)
    wanted = kinetics_like.random_segments(num_frames, rng).ravel()
    packets = [at for run in indexed.index.needed(wanted) for at in run]

    def decode(positions):
        with pyav_container.open_container(video, video) as container:
            stream = pyav_container.video_stream(video, container)
            pyav_container.prepare_codec(stream, 1)
            frames = [f for at in positions for f in stream.decode(indexed.packets[at])]
            return frames + stream.decode(None)

    timed("open", open_only)
    timed("open, demux", demux)
    frames = timed("open, decode what is needed", lambda: decode(packets))
    timed("open, decode all", lambda: decode(range(num_frames)))

    def convert():
        collector = FrameCollector("", np.arange(40), None, None, 1)
        for number, frame in enumerate(frames[:40]):
            collector.add(number, frame, (frame.height, frame.width))
        return collector.pixels

    clip = timed("convert", convert)
    timed("crop and resize", lambda: transform()(clip, (0, 7)).numpy())
    images = timed("peer: decode", lambda: read_peer(video, 0))
    pixels = timed("peer: crop and resize", lambda: transform_peer(images, 0))
    timed("peer: normalise", lambda: normalize_peer(pixels))
    rate = os.path.getsize(video) * 8 * kinetics_like.FPS / num_frames / 1000
    listed = "; ".join(f"{step} {milliseconds:.1f}" for step, milliseconds in steps.items())
    print(  # noqa: T201
        f"\n{request.node.callspec.id}, {rate:.0f} kbit/s, {len(packets)} of {num_frames} pictures "
        f"decoded, processor milliseconds: {listed}"
    )
    assert len(packets) < num_frames

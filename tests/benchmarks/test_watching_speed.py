"""What a window costs when neighbours share their segments, against computing each window anew.

    pip install pytest-benchmark
    pytest tests/benchmarks/test_watching_speed.py -s

TDN-ResNet50 with 8 segments at 224 pixels, on the CPU. One side is `watch`: every segment is
decoded, cropped and sent through its part of the network once. The other makes each window as
`predict_video` would: reads its 40 frames, crops them, and runs the whole model. Both give the same
scores. They take turns on one processor, and what counts is processor seconds, so that what else
the machine does falls on nobody.
"""

import os
import time

import numpy as np
import pytest

pytest.importorskip("pytest_benchmark", reason="benchmarks need pytest-benchmark")

SECONDS = 4.0
RATE = 30
IDLE_SECONDS = 0.5
# Of the network's multiplications 29 % are each segment's own. At a stride of one an eighth of them
# is left, and of decoding and cropping as well.
AT_MOST = {1: 0.75, 4: 0.88}


@pytest.fixture(scope="module", autouse=True)
def one_core():
    everything = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(everything)})
    yield
    os.sched_setaffinity(0, everything)


@pytest.mark.parametrize("stride", [1, 4])
def test_a_window_costs_less_than_the_whole(tmp_path_factory, benchmark, stride):
    import kinetics_like

    import keras_tdn
    from keras_tdn.data.decoding import get_decoder
    from keras_tdn.data.frame_transforms import resize_and_center_crop
    from keras_tdn.watching import watch
    from keras_tdn.watching.window_scorer import WindowScorer

    name, kind = next(iter(kinetics_like.KINDS.items()))
    path = tmp_path_factory.mktemp("watching") / f"{name}.mp4"
    kinetics_like.render(path, kind)
    model = keras_tdn.TDNResNet50(classes=400)
    decoder = get_decoder("pyav", num_threads=1)
    spec = model.clip_spec
    windows = watch(model, path, window_seconds=SECONDS, stride=stride)
    layout = windows.layout
    sides = ("reused", "anew", "network reused", "network anew")
    seconds = {side: [] for side in sides}

    def predict(clip):
        return np.asarray(model.predict_on_batch(clip[None])[0])

    def anew(window):
        starts = (np.arange(8) + window * stride + 0.5) * layout.spacing * RATE
        indices = np.floor(starts + 1e-9).astype(int)[:, None] + np.arange(5)
        return predict(resize_and_center_crop(decoder.read_frames(path, lambda _: indices), spec))

    # The first window has no neighbour to share with, and compiles.
    first = next(windows)
    np.testing.assert_allclose(first.scores, anew(0), rtol=1e-4)

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (40, 224, 224, 3)).astype(np.uint8)
    scorer = WindowScorer(model)
    maps = [scorer.maps_of(pixels[at : at + 5]) for at in range(0, 40, 5)]

    def network_reused():
        new = [scorer.maps_of(pixels[at : at + 5]) for at in range(0, 5 * stride, 5)]
        return scorer.score([*maps[stride:], *new])

    def next_window():
        state["window"] = next(windows)
        # The thread that reads ahead is done with this turn's work by then.
        time.sleep(IDLE_SECONDS)

    def whole_window():
        state["scores"] = anew(state["window"].index)

    turns = (next_window, whole_window, network_reused, lambda: predict(pixels))

    def one_round():
        for side, turn in zip(sides, turns, strict=True):
            start = time.process_time()
            turn()
            seconds[side].append(time.process_time() - start)
        np.testing.assert_allclose(state["window"].scores, state["scores"], rtol=1e-4)

    state = {}
    benchmark.pedantic(one_round, rounds={1: 8, 4: 3}[stride])
    windows.close()
    ratio = sum(seconds["reused"]) / sum(seconds["anew"])
    network_ratio = float(np.median(np.divide(seconds["network reused"], seconds["network anew"])))
    print()  # noqa: T201
    for side, values in seconds.items():
        print(f"{side:<15} {np.mean(values):.3f} processor seconds per window")  # noqa: T201
    print(  # noqa: T201
        f"stride {stride}: a window costs {ratio:.2f} of one computed anew, its network alone "
        f"{network_ratio:.2f}"
    )
    benchmark.extra_info |= {"ratio": ratio, "network_ratio": network_ratio}
    assert ratio <= AT_MOST[stride]

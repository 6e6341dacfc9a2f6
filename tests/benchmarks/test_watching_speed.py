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

ROUNDS = 3
WINDOWS = 5
SECONDS = 4.0
RATE = 30
IDLE_SECONDS = 0.5
# The share of the network that segments have for themselves is 29 % of the multiplications, and an
# eighth of it is left at a stride of one; decoding and cropping shrink to an eighth as well.
AT_MOST = {1: 0.85, 4: 0.92}


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

    name, kind = next(iter(kinetics_like.KINDS.items()))
    path = tmp_path_factory.mktemp("watching") / f"{name}.mp4"
    kinetics_like.render(path, kind)
    model = keras_tdn.TDNResNet50(classes=400)
    decoder = get_decoder("pyav", num_threads=1)
    spec = model.clip_spec
    windows = watch(model, path, window_seconds=SECONDS, stride=stride)
    layout = windows.layout
    seconds = {"reused": [], "anew": [], "network reused": [], "network anew": []}
    network = {"seconds": 0.0}

    def timed(function):
        def run(*arguments):
            start = time.process_time()
            result = function(*arguments)
            network["seconds"] += time.process_time() - start
            return result

        return run

    windows._maps_of = timed(windows._maps_of)
    windows._score = timed(windows._score)
    predict = timed(lambda clip: np.asarray(model.predict_on_batch(clip[None])[0]))

    def anew(window):
        starts = (np.arange(8) + window * stride + 0.5) * layout.spacing * RATE
        indices = np.floor(starts + 1e-9).astype(int)[:, None] + np.arange(5)
        return predict(resize_and_center_crop(decoder.read_frames(path, lambda _: indices), spec))

    # The first window has no neighbour to share with, and compiles.
    first = next(windows)
    np.testing.assert_allclose(first.scores, anew(0), rtol=1e-4)

    def one_round():
        for side in ("reused", "anew"):
            network["seconds"] = 0.0
            start = time.process_time()
            if side == "reused":
                state["window"] = next(windows)
                # The thread that reads ahead is done with this turn's work by then.
                time.sleep(IDLE_SECONDS)
            else:
                state["scores"] = anew(state["window"].index)
            seconds[side].append(time.process_time() - start)
            seconds[f"network {side}"].append(network["seconds"])
        np.testing.assert_allclose(state["window"].scores, state["scores"], rtol=1e-4)

    state = {}
    benchmark.pedantic(one_round, rounds=min(ROUNDS * WINDOWS // stride, 12))
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

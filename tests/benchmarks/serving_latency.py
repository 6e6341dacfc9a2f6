"""Latency of exports against PyTorch: one clip, TDN ResNet50 8x224.

    pip install '.[openvino]' torch
    python tests/benchmarks/serving_latency.py

With `--folder` the exports are kept there for the next run. Each contender answers in turns in one
process; the ratio is the median over the rounds of its time to that of the peer in the same round.
Exports start from uint8 pixels, the peer from normalised floats in NCHW. Then every contender runs
in a process of its own for its peak memory, and the profilers of TensorFlow and of OpenVINO tell
what exports spend their time on. The exit status is 1 if one is over its limit, or wrong. Limits
are of 224 pixels, and in bfloat16 of processors that have instructions for it. To see whether all
of it works: `--size 64 --rounds 2`, without limits.
"""

import argparse
import collections
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "benchmarks")]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Two libraries that spin for work would take it from each other.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

SEGMENTS, SIZE, CLASSES = 8, 224, 174
# Of scores, relative to the Keras model's.
BOUNDS = {"float32": 1e-4, "bfloat16": 0.1}
PEER = "pytorch float32"
LIMITS = {
    "saved_model float32": 0.60,
    "saved_model bfloat16": 0.38,
    "openvino float32": 0.55,
    "openvino bfloat16": 0.30,
}
MEGABYTE = 1e6
PROFILED_CALLS = 5
LINES = 14


def build_model(size):
    import keras
    import numpy as np

    import keras_tdn

    model = keras_tdn.TDNResNet50(
        classes=CLASSES,
        labels=[f"class {number}" for number in range(CLASSES)],
        input_shape=(5 * SEGMENTS, size, size, 3),
    )
    rng = np.random.default_rng(0)
    for weight in model.weights:
        # As after training: norms that do something, residual branches that add little.
        if "moving_variance" in weight.path:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif "gamma" in weight.path:
            low, high = (0.1, 0.3) if "norm3" in weight.path else (0.7, 1.3)
            weight.assign(rng.uniform(low, high, weight.shape))
        elif "beta" in weight.path or "moving_mean" in weight.path:
            weight.assign(rng.normal(0, 0.1, weight.shape))
        elif weight.path.endswith("classifier/kernel"):
            weight.assign(rng.normal(0, 0.05, weight.shape))
    keras.backend.clear_session()
    return model


def make(folder, formats, size):
    """The exports, and the peer's weights, which are the same."""
    import numpy as np
    import torch

    from keras_tdn.export import export_portable, export_saved_model
    from keras_tdn.pretrained import to_official_state_dict

    model = build_model(size)
    for dtype in ("float32", "bfloat16"):
        export_saved_model(model, folder / dtype / "1", dtype=dtype)
    if "openvino" in formats:
        export_portable(model, folder / "openvino", "openvino")
    shape = (1, 5 * SEGMENTS, size, size, 3)
    # Frames that differ little from one to the next, as video does.
    rng = np.random.default_rng(1)
    still = rng.integers(0, 256, (1, 1, size, size, 3))
    clips = np.clip(still + rng.integers(-20, 21, shape), 0, 255).astype(np.uint8)
    np.savez(folder / "clips.npz", clips=clips, scores=model(clips.astype("float32"))[:])
    state = {
        name: torch.tensor(array)
        for name, array in to_official_state_dict(model).items()
        if "conv1_temp" not in name
    }
    torch.save(state, folder / "weights.pt")


def load(name, folder):
    """A function without arguments that answers for the clip, and the scores to expect."""
    import numpy as np

    with np.load(folder / "clips.npz") as file:
        clips, scores = file["clips"], file["scores"]
    kind, dtype = name.split()
    if kind == "saved_model":
        import tensorflow as tf

        loaded = tf.saved_model.load(str(folder / dtype / "1"))
        serve, question = loaded.signatures["serving_default"], tf.constant(clips)

        def ask(loaded=loaded):
            return serve(clips=question)["scores"].numpy()
    elif kind == "openvino":
        question = openvino_request(folder, dtype, clips)

        def ask():
            return question.infer({"clips": clips})[0]
    else:
        ask = load_peer(clips, folder)
    return ask, scores


def openvino_request(folder, dtype, clips, **options):
    import openvino

    core = openvino.Core()
    options = {
        "INFERENCE_PRECISION_HINT": "bf16" if dtype == "bfloat16" else "f32",
        "PERFORMANCE_HINT": "LATENCY",
        **options,
    }
    network = core.read_model(folder / "openvino" / "model.xml")
    # A fixed batch is what one compiles for where latency counts: 5 to 10 % less than a free.
    network.reshape({"clips": clips.shape})
    return core.compile_model(network, "CPU", options).create_infer_request()


def load_peer(clips, folder):
    import numpy as np
    import torch
    from torch_tdn import TorchTDN

    from keras_tdn.specs import Normalization

    peer = TorchTDN((3, 4, 6, 3), 64, SEGMENTS, CLASSES).eval()
    peer.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
    statistics = Normalization()
    normalized = (clips[0] / 255 - np.array(statistics.mean)) / np.array(statistics.std)
    frames = normalized.astype(np.float32).transpose(0, 3, 1, 2)
    frames = torch.tensor(np.ascontiguousarray(frames)).reshape(SEGMENTS, 15, *clips.shape[2:4])

    def ask():
        with torch.no_grad():
            return torch.softmax(peer(frames), -1).numpy()

    return ask


def measure(names, folder, rounds):
    """Seconds, and processor seconds, of each contender in each round, and whose scores are off."""
    import numpy as np

    asks, wrong = {}, []
    for name in names:
        asks[name], expected = load(name, folder)
        error = np.linalg.norm(asks[name]() - expected) / np.linalg.norm(expected)
        if not error < BOUNDS[name.split()[1]]:
            wrong.append(name)
        print(f"{name:<22} off by {error:.1e} of the Keras model's scores")
        asks[name]()
    seconds = {name: [] for name in names}
    processor = {name: [] for name in names}
    for _ in range(rounds):
        for name, ask in asks.items():
            start, used = time.perf_counter(), time.process_time()
            ask()
            seconds[name].append(time.perf_counter() - start)
            processor[name].append(time.process_time() - used)
    seconds = {name: np.array(values) for name, values in seconds.items()}
    return seconds, {name: np.array(values) for name, values in processor.items()}, wrong


def peak_memory(name, folder):
    """Bytes, of a fresh process that loads and answers three times."""
    command = [sys.executable, __file__, "--folder", str(folder), "--memory", name]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(output.splitlines()[-1])


def profile_openvino(name, folder):
    """Milliseconds of each kind of operation in one answer, as OpenVINO's plugin counts them."""
    import numpy as np

    with np.load(folder / "clips.npz") as file:
        clips = file["clips"]
    question = openvino_request(folder, name.split()[1], clips, PERF_COUNT=True)
    question.infer({"clips": clips})
    kinds = collections.Counter()
    for _ in range(PROFILED_CALLS):
        question.infer({"clips": clips})
        for node in question.get_profiling_info():
            # Of what ran on its own; the rest is inside another.
            if node.status == type(node).Status.EXECUTED:
                kinds[node.node_type] += 1e3 * node.real_time.total_seconds() / PROFILED_CALLS
    return kinds


def profile_saved_model(name, folder):
    """Milliseconds of each kind of operation in one answer, summed over threads."""
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    ask, _ = load(name, folder)
    ask()
    with tempfile.TemporaryDirectory() as place:
        with tf.profiler.experimental.Profile(place):
            for _ in range(PROFILED_CALLS):
                ask()
        (file,) = Path(place).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(file.read_bytes())
    kinds = collections.Counter()
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                kind = plane.event_metadata[event.metadata_id].name.partition(":")[2]
                if kind and ":" not in kind and "__inference" not in kind:
                    kinds[kind.split("#")[0]] += event.duration_ps / 1e9 / PROFILED_CALLS
    return kinds


def has_bfloat16():
    """Whether the processor has instructions for it."""
    flags = Path("/proc/cpuinfo").read_text()
    return "avx512_bf16" in flags or "amx_bf16" in flags


def print_profile(name, kinds):
    total = sum(kinds.values())
    print(f"\n{name}: {total:.0f} ms of operations in one answer")
    for kind, value in kinds.most_common(LINES):
        print(f"  {value:>8.2f} ms {value / total:>6.1%}  {kind}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--size", type=int, default=SIZE, help="pixels; the default has limits")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--memory")
    parser.add_argument("--brief", action="store_true", help="neither memory nor profile")
    args = parser.parse_args()
    if args.memory:
        ask, _ = load(args.memory, args.folder)
        for _ in range(3):
            ask()
        # Not `ru_maxrss`, which starts with what the process that forked this one used.
        status = Path("/proc/self/status").read_text()
        print(1024 * int(status.partition("VmHWM:")[2].split()[0]))
        return
    import importlib.util

    import numpy as np
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    formats = [name for name in ("openvino",) if importlib.util.find_spec(name)]
    names = [PEER, "saved_model float32", "saved_model bfloat16"]
    names += [f"openvino {dtype}" for dtype in ("float32", "bfloat16") if formats]
    with tempfile.TemporaryDirectory() as made:
        folder = args.folder or Path(made)
        if not (folder / "weights.pt").exists():
            make(folder, formats, args.size)
        seconds, processor, wrong = measure(names, folder, args.rounds)
        too_slow = []
        columns = "ms, median", "fastest", "of the peer", "in CPU time", "limit", "peak MB"
        print(f"\n{'':<22}" + "".join(f"{column:>13}" for column in columns))
        for name in names:
            ratio = np.median(seconds[name] / seconds[PEER])
            cpu_ratio = np.median(processor[name] / processor[PEER])
            memory = 0 if args.brief else peak_memory(name, folder) / MEGABYTE
            counts = args.size == SIZE and (has_bfloat16() or not name.endswith("bfloat16"))
            if counts and ratio > LIMITS.get(name, 1):
                too_slow.append(name)
            times = 1e3 * np.median(seconds[name]), 1e3 * seconds[name].min()
            print(
                f"{name:<22}{times[0]:>13.1f}{times[1]:>13.1f}{ratio:>13.3f}"
                f"{cpu_ratio:>13.3f}{LIMITS.get(name, 1):>13.2f}{memory:>13.0f}"
            )
        if not args.brief:
            for name in names[1:]:
                runtime = profile_openvino if name.startswith("openvino") else profile_saved_model
                print_profile(name, runtime(name, folder))
        for names, what in ((wrong, "not the Keras model's scores"), (too_slow, "over the limit")):
            if names:
                print(f"\n{what}: {', '.join(names)}", file=sys.stderr)
        sys.exit(1 if wrong or too_slow else 0)


if __name__ == "__main__":
    main()
